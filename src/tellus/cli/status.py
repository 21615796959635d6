"""``tellus status``: whether a platform is well, and what it holds."""

import time
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

_TIMEOUT_S: Final = 10.0
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
    """Show whether the platform is ready, what it runs, and how much it holds.

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
    node, checks = await _look_from_outside(access.base_url)
    async with Api(access.base_url) as api:
        token = await api.admin_token(access)
        counts = {}
        for name, (path, filters) in _COUNTED.items():
            page = await api.call("GET", path, token=token, parameters={"size": 1, **filters})
            counts[name] = page["total"]
    return {
        "base_url": access.base_url,
        "ready": node["ready"],
        "version": node["version"],
        "counts": counts,
        "nodes": [node],
        "checks": checks,
    }


async def _look_from_outside(base_url: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return what the node says of itself to anybody, and its checks."""
    timeout = aiohttp.ClientTimeout(total=_TIMEOUT_S)
    try:
        async with aiohttp.ClientSession(base_url, timeout=timeout) as session:
            async with session.get("/readyz?verbose") as answer:
                is_ready = answer.status == 200  # noqa: PLR2004 - ready, as load balancers read it
                held = await answer.json()
            async with session.get("/metrics") as answer:
                metrics = read_metrics(await answer.text())
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        raise unreachable(base_url, error) from None
    told = held.get("data") or held.get("details") or {}
    node = {
        "base_url": base_url,
        "ready": is_ready,
        "version": metrics.get("tellus_build_info.version"),
        "python": metrics.get("tellus_build_info.python"),
        "uptime_s": _since_s(metrics.get("process_start_time_seconds")),
        "memory_bytes": _whole(metrics.get("process_resident_memory_bytes")),
        "connections_open": _whole(metrics.get("tellus_connections_open")),
        "streams_open": _whole(metrics.get("tellus_streams_open")),
        "polls_parked": _whole(metrics.get("tellus_polls_parked")),
        "storage_queue_operations": _whole(metrics.get("tellus_storage_queue_operations")),
    }
    return node, list(told.get("checks", ()))


def read_metrics(page: str) -> dict[str, str]:
    """Return the metrics without labels by name, and the labels of ``tellus_build_info``."""
    found = {}
    for line in page.splitlines():
        name, _, value = line.partition(" ")
        if line.startswith("tellus_build_info{"):
            for label in line[line.index("{") + 1 : line.index("}")].split(","):
                key, _, text = label.partition("=")
                found[f"tellus_build_info.{key}"] = text.strip('"')
        elif not line.startswith("#") and "{" not in name and value:
            found[name] = value
    return found


def _whole(text: str | None) -> int | None:
    return None if text is None else int(float(text))


def _since_s(text: str | None) -> int | None:
    return None if text is None else max(0, int(time.time() - float(text)))


def _show(found: dict[str, Any]) -> None:
    node, counts = found["nodes"][0], found["counts"]
    state = "ready" if found["ready"] else "NOT READY"
    click.echo(f"{found['base_url']}  {state}  tellus {found['version']}")
    click.echo(
        f"{counts['devices']} devices ({counts['devices_online']} online,"
        f" {counts['devices_offline']} offline), {counts['sites']} sites,"
        f" {counts['operators']} operators, {counts['clients']} clients"
    )
    click.echo()
    rows = [
        [
            node["base_url"],
            state,
            _period(node["uptime_s"]),
            _mebibytes(node["memory_bytes"]),
            *(str(node[name] if node[name] is not None else "-") for name in _NODE_COUNTS),
        ]
    ]
    show_table(_NODE_TITLES, rows)
    click.echo()
    rows = [[one["name"], "ok" if one["ok"] else "FAILS", one["detail"]] for one in found["checks"]]
    show_table(("CHECK", "STATE", "DETAIL"), rows)


_NODE_COUNTS: Final = (
    "connections_open",
    "streams_open",
    "polls_parked",
    "storage_queue_operations",
)
_NODE_TITLES: Final = (
    "NODE",
    "STATE",
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
