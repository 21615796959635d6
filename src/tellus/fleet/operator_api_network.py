"""A device's connection as operators see it."""

import msgspec
from msgspec import UNSET, UnsetType

from tellus.fleet.model import Presence
from tellus.fleet.model_network import Availability, ConnectionEntry, ConnectionKind
from tellus.fleet.network import NetworkService
from tellus.kernel.call import Call, Nothing
from tellus.kernel.paging import Page, PageQuery
from tellus.kernel.units import SECOND_MS, to_text

_DIGITS = 3


class ReconnectsItem(msgspec.Struct, frozen=True):
    """How often the device reconnected in the last 10 minutes, 24 hours and 7 days."""

    last_10_minutes: int
    last_24_hours: int
    last_7_days: int


class ConnectionItem(msgspec.Struct, frozen=True):
    """Something that happened to the connection.

    ``offline`` is silence, ``shutdown`` what the device announced. ``reconnect`` stands beside
    ``online``, and alone where the device was back before anybody noticed that it was gone.
    """

    at: str
    kind: ConnectionKind


class NetworkItem(msgspec.Struct, frozen=True, kw_only=True):
    """A device's connection.

    Availability is the percentage of the known time in which the device was online; it is left out
    before the device was first heard of. ``longest_outage_s`` is that of 7 days. ``health_score``
    goes from 0 to 100. ``announced`` is true where an offline device had said that it goes.
    """

    device_id: str
    status: Presence
    online_since: str | UnsetType = UNSET
    offline_since: str | UnsetType = UNSET
    announced: bool | UnsetType = UNSET
    last_seen_at: str | UnsetType = UNSET
    last_heartbeat_at: str | UnsetType = UNSET
    reconnects: ReconnectsItem
    availability_24h: float | UnsetType = UNSET
    availability_7d: float | UnsetType = UNSET
    longest_outage_s: float
    health_score: int | UnsetType = UNSET
    history: Page[ConnectionItem]


async def get_device_network(
    network: NetworkService, call: Call[Nothing, PageQuery]
) -> NetworkItem:
    """Return how a device is connected, how it was, and what happened to its connection."""
    query = call.query
    view = await network.read(
        call.path["device_id"],
        call.principal.operator_id,
        (query.offset, query.size),
        call.now_ms,
    )
    device, facts = view.device, view.facts
    since = _time(view.since_ms)
    return NetworkItem(
        device_id=device.device_id,
        status=Presence.ONLINE if facts.online else Presence.OFFLINE,
        online_since=since if facts.online else UNSET,
        offline_since=UNSET if facts.online else since,
        announced=True if facts.announced and since is not UNSET else UNSET,
        last_seen_at=_time(device.seen_ms or None),
        last_heartbeat_at=_time(device.heartbeat_ms),
        reconnects=ReconnectsItem(*facts.reconnects),
        availability_24h=_percent(facts.day),
        availability_7d=_percent(facts.week),
        longest_outage_s=facts.week.longest_outage_ms / SECOND_MS,
        health_score=UNSET if view.score is None else view.score,
        history=Page(view.total, query.page, query.size, [_to_item(one) for one in view.entries]),
    )


def _to_item(entry: ConnectionEntry) -> ConnectionItem:
    return ConnectionItem(to_text(entry.time_ms), entry.kind)


def _percent(span: Availability) -> float | UnsetType:
    return UNSET if span.share is None else round(100 * span.share, _DIGITS)


def _time(time_ms: int | None) -> str | UnsetType:
    return UNSET if time_ms is None else to_text(time_ms)
