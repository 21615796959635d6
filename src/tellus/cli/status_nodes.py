"""What the nodes of a platform say of themselves, matched with the list of those that are there.

Workers share an address, and which of them answers is the system's choice: it is asked until each
has answered, on a connection of its own. An address may also lead somewhere else from here, so a
node is known by its identifier and not by where it was found.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

import aiohttp

_TIMEOUT_S: Final = 10.0
_OTHERS_TIMEOUT_S: Final = 3.0
_LOOKS_FOR_EACH: Final = 12
_COUNTED: Final = {
    "memory_bytes": "process_resident_memory_bytes",
    "connections_open": "tellus_connections_open",
    "streams_open": "tellus_streams_open",
    "polls_parked": "tellus_polls_parked",
    "storage_queue_operations": "tellus_storage_queue_operations",
}

UNKNOWN: Final[Mapping[str, Any]] = {
    "ready": None,
    "python": None,
    "uptime_s": None,
    **dict.fromkeys(_COUNTED),
}
"""What is said of a node that could not be asked."""

Look = tuple[dict[str, Any], list[dict[str, Any]]]
"""What a node says of itself, and its checks."""


async def look_at(base_url: str, timeout_s: float = _TIMEOUT_S) -> Look:
    """Ask whichever node answers at ``base_url``, as anybody may.

    Raises:
        aiohttp.ClientError, TimeoutError, ValueError: nobody answers, or somebody else.
    """
    timeout = aiohttp.ClientTimeout(total=timeout_s)
    one = aiohttp.TCPConnector(limit=1)  # both answers come from one node
    async with aiohttp.ClientSession(base_url, timeout=timeout, connector=one) as session:
        async with session.get("/readyz?verbose") as answer:
            is_ready = answer.status == 200  # noqa: PLR2004 - ready, as load balancers read it
            held = await answer.json()
        async with session.get("/metrics") as answer:
            metrics = read_metrics(await answer.text())
    told = held.get("data") or held.get("details") or {}
    node = {
        "node_id": metrics.get("tellus_node_info.node_id"),
        "base_url": base_url,
        "ready": is_ready,
        "version": metrics.get("tellus_build_info.version"),
        "python": metrics.get("tellus_build_info.python"),
        "uptime_s": _since_s(metrics.get("process_start_time_seconds")),
        **{name: _whole(metrics.get(metric)) for name, metric in _COUNTED.items()},
    }
    return node, list(told.get("checks", ()))


async def look_at_all(
    asked: Mapping[str, Any], listed: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Return the nodes that are ``listed``, with what each says that can be asked.

    ``asked`` is what one of them has said already.
    """
    found = {asked["node_id"]: asked}
    # A node that has just begun to listen is listed without an address for two seconds.
    wanted = Counter(
        item["base_url"] or asked["base_url"] for item in listed if item["node_id"] not in found
    )
    ids = {item["node_id"] for item in listed}
    for looks in await asyncio.gather(
        *(_look_until_all(base_url, ids, count) for base_url, count in wanted.items())
    ):
        found |= looks
    nodes = []
    for item in listed:
        said = found.get(item["node_id"], {})
        base_url = item["base_url"] or said.get("base_url")
        nodes.append({**UNKNOWN, **said, **item, "base_url": base_url})
    return nodes


async def _look_until_all(base_url: str, ids: set[str], count: int) -> dict[str, dict[str, Any]]:
    """Ask at an address until ``count`` nodes with these ``ids`` have answered there."""
    found: dict[str, dict[str, Any]] = {}
    for _ in range(_LOOKS_FOR_EACH * (count + 1)):
        try:
            node, _ = await look_at(base_url, _OTHERS_TIMEOUT_S)
        except (aiohttp.ClientError, TimeoutError, ValueError):
            break
        if node["node_id"] in ids:
            found[node["node_id"]] = node
        if len(found) > count or node["node_id"] not in ids:
            break
    return found


def read_metrics(page: str) -> dict[str, str]:
    """Return the metrics without labels by name, and the labels of those that tell who answers."""
    found = {}
    for line in page.splitlines():
        name, _, value = line.partition(" ")
        told, _, labels = name.partition("{")
        if told.endswith("_info"):
            for label in labels.rstrip("}").split(","):
                key, _, text = label.partition("=")
                found[f"{told}.{key}"] = text.strip('"')
        elif not line.startswith("#") and not labels and value:
            found[name] = value
    return found


def _whole(text: str | None) -> int | None:
    return None if text is None else int(float(text))


def _since_s(text: str | None) -> int | None:
    return None if text is None else max(0, int(time.time() - float(text)))
