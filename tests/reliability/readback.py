"""Reads through the public API everything that the platform holds of a device."""

from collections.abc import AsyncIterator
from typing import Any

from tests.reliability.lanes import Lane, Reply
from tests.reliability.ledger import text_of

Item = dict[str, Any]
_SAMPLES = 1000
_PAGE = 100


async def _get(lane: Lane, target: str) -> Any:
    reply: Reply = await lane.ask("GET", target)
    assert reply.status == 200, (target, reply)
    return reply.data


async def samples_of(
    lane: Lane, device_id: str, connector_id: int, from_ms: int, to_ms: int
) -> AsyncIterator[Item]:
    """Yield a connector's stored samples in ``[from_ms, to_ms)``, oldest first."""
    target = (
        f"/v1/operator/devices/{device_id}/telemetry?connector_id={connector_id}"
        f"&start_time={text_of(from_ms)}&end_time={text_of(to_ms)}&size={_SAMPLES}"
    )
    cursor = ""
    while True:
        page = await _get(lane, target + cursor)
        for item in page["items"]:
            yield item
        if "next_cursor" not in page:
            return
        cursor = f"&cursor={page['next_cursor']}"


async def events_of(lane: Lane, device_id: str, from_ms: int) -> AsyncIterator[Item]:
    """Yield a device's events from ``from_ms`` on, newest first."""
    target = f"/v1/operator/devices/{device_id}/events?start_time={text_of(from_ms)}&size={_PAGE}"
    number, total = 0, 1
    while number * _PAGE < total:
        number += 1
        page = await _get(lane, f"{target}&page={number}")
        total = page["total"]
        for item in page["items"]:
            yield item


async def records_of(lane: Lane, device_id: str, from_ms: int) -> AsyncIterator[Item]:
    """Yield a device's charging records that started at ``from_ms`` or later, newest first."""
    target = (
        f"/v1/operator/charging-records?device_id={device_id}"
        f"&start_time={text_of(from_ms)}&size={_PAGE}"
    )
    cursor = ""
    while True:
        page = await _get(lane, target + cursor)
        for item in page["items"]:
            yield item
        if "next_cursor" not in page:
            return
        cursor = f"&cursor={page['next_cursor']}"


async def command_of(lane: Lane, command_id: str) -> Item | None:
    """Return a command with its reports, None if the platform does not know it."""
    reply = await lane.ask("GET", f"/v1/operator/commands/{command_id}")
    if reply.status == 404:
        return None
    assert reply.status == 200, reply
    item: Item = reply.data
    return item
