"""``tellus status``: whether a platform is well, and what it holds."""

from pathlib import Path
from typing import Any, Final

import aiohttp
import click

from tellus.cli.client import (
    AdminAccess,
    Api,
    ApiClient,
    CommandFailed,
    ExitCode,
    data_dir_option,
    unreachable,
)
from tellus.cli.output import json_option, print_json, show_table
from tellus.cli.status_nodes import look_at, look_at_all

_COUNTED: Final = {
    "operators": ("/v1/admin/operators", {}),
    "clients": ("/v1/admin/clients", {}),
    "sites": ("/v1/admin/sites", {}),
    "devices": ("/v1/admin/devices", {}),
    "devices_online": ("/v1/admin/devices", {"status": "online"}),
    "devices_offline": ("/v1/admin/devices", {"status": "offline"}),
}


@click.command()
@data_dir_option
@json_option
def status(data_dir: Path | None, *, as_json: bool) -> None:
    """Show whether the platform is ready, its nodes, and how much it holds.

    A node that cannot be reached from here is listed as the others know it.

    Exit code 9 when it answers but is not ready.
    """
    with ApiClient.find(data_dir) as api:
        found = api.run(_look(api.access))
    if as_json:
        print_json(found)
    else:
        _show(found)
    if not found["ready"]:
        raise CommandFailed("The platform is not ready", ExitCode.SERVER_ERROR)


async def _look(access: AdminAccess) -> dict[str, Any]:
    try:
        node, checks = await look_at(access.base_url)
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        raise unreachable(access.base_url, error) from None
    async with Api(access.base_url) as api:
        token = await api.admin_token(access)
        counts = {}
        for name, (path, filters) in _COUNTED.items():
            page = await api.call("GET", path, token=token, parameters={"size": 1, **filters})
            counts[name] = page["total"]
        listed = await api.call("GET", "/v1/admin/nodes", token=token, parameters={"size": 100})
    return {
        "base_url": access.base_url,
        "ready": node["ready"],
        "version": node["version"],
        "counts": counts,
        "nodes": await look_at_all(node, listed["items"]),
        "checks": checks,
    }


def _show(found: dict[str, Any]) -> None:
    counts = found["counts"]
    state = "ready" if found["ready"] else "NOT READY"
    click.echo(f"{found['base_url']}  {state}  tellus {found['version']}")
    click.echo(
        f"{counts['devices']} devices ({counts['devices_online']} online,"
        f" {counts['devices_offline']} offline), {counts['sites']} sites,"
        f" {counts['operators']} operators, {counts['clients']} clients"
    )
    click.echo()
    show_table(_NODE_TITLES, [_node_row(node) for node in found["nodes"]])
    click.echo()
    rows = [[one["name"], "ok" if one["ok"] else "FAILS", one["detail"]] for one in found["checks"]]
    show_table(("CHECK", "STATE", "DETAIL"), rows)


def _node_row(node: dict[str, Any]) -> list[str]:
    return [
        node["node_id"],
        node["base_url"] or "-",
        f"{node['host']} {node['pid']}",
        node["version"],
        _STATES[node["ready"]],
        "duty" if node["on_duty"] else "-",
        _period(node["uptime_s"]),
        _mebibytes(node["memory_bytes"]),
        *(str(node[name] if node[name] is not None else "-") for name in _NODE_COUNTS),
    ]


_STATES: Final = {True: "ready", False: "NOT READY", None: "not asked"}
_NODE_COUNTS: Final = (
    "connections_open",
    "streams_open",
    "polls_parked",
    "storage_queue_operations",
)
_NODE_TITLES: Final = (
    "NODE",
    "ADDRESS",
    "PROCESS",
    "VERSION",
    "STATE",
    "WORK",
    "UP",
    "MEMORY",
    "CONNECTIONS",
    "STREAMS",
    "POLLS",
    "QUEUE",
)


def _period(seconds: int | None) -> str:
    if seconds is None:
        return "-"
    days, rest = divmod(seconds, 86_400)
    return f"{days} d {rest // 3600:02d}:{rest // 60 % 60:02d}:{rest % 60:02d}"


def _mebibytes(size: int | None) -> str:
    return "-" if size is None else f"{size / 1_048_576:.0f} MiB"
