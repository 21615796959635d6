"""The network view of a device: how it is connected, how it was, how that is judged (rule D3)."""

from typing import NamedTuple

from tellus.fleet import rules_network, store_network
from tellus.fleet.directory import Device, Directory
from tellus.fleet.model_network import (
    Change,
    ConnectionEntry,
    NetworkFacts,
    Reconnections,
)
from tellus.fleet.presence import PresenceWatch
from tellus.kernel.errors import NotFound
from tellus.kernel.units import DAY_MS, MINUTE_MS
from tellus.storage.database import Database, Tx


class NetworkView(NamedTuple):
    """A device's connection: as it is, over a day and a week, judged, and a page of its history.

    ``since_ms`` is since when it is online or offline, None where it never was heard of.
    """

    device: Device
    since_ms: int | None
    facts: NetworkFacts
    score: int | None
    total: int
    entries: list[ConnectionEntry]


class NetworkService:
    """Reads what was written of connections; every node reads the same."""

    def __init__(self, database: Database, directory: Directory, presence: PresenceWatch) -> None:
        self._database = database
        self._directory = directory
        self._presence = presence

    async def read(
        self, device_id: str, operator_id: str, page: tuple[int, int], now_ms: int
    ) -> NetworkView:
        """Return the network view of a device with a page (offset, size) of its history.

        What was before the device was its present operator's is not shown.

        Raises:
            NotFound: absent, or another operator's.
        """
        device = self._directory.owned(device_id, operator_id)
        if device is None:
            raise NotFound
        online = self._presence.is_online(device, now_ms)
        since_ms = self._presence.since_ms(device, now_ms)
        now = None if since_ms is None else Change(since_ms, online)
        announced = not online and device.seen_ms == device.shutdown_seen_ms
        return await self._database.read(_load, device, (now, announced), page, now_ms)


def _load(
    tx: Tx,
    device: Device,
    current: tuple[Change | None, bool],
    page: tuple[int, int],
    now_ms: int,
) -> NetworkView:
    device_no, owned_ms = device.device_no, device.owned_since_ms
    (change, announced), from_ms = current, now_ms - 7 * DAY_MS
    changes = store_network.list_changes(tx, device_no, from_ms, owned_ms)
    if change is not None and (not changes or changes[-1].online != change.online):
        # What memory knows and no sweep has stored yet, or what was before there was a log.
        earliest_ms = max(owned_ms, changes[-1].time_ms if changes else 0)
        changes.append(change._replace(time_ms=max(change.time_ms, earliest_ms)))
    facts = NetworkFacts(
        online=change is not None and change.online,
        announced=announced,
        day=rules_network.measure(changes, now_ms - DAY_MS, now_ms),
        week=rules_network.measure(changes, from_ms, now_ms),
        reconnects=Reconnections(
            *(
                store_network.count_reconnects(tx, device_no, max(owned_ms, now_ms - span_ms))
                for span_ms in (10 * MINUTE_MS, DAY_MS, 7 * DAY_MS)
            )
        ),
    )
    return NetworkView(
        device,
        None if change is None else change.time_ms,
        facts,
        rules_network.health_score(facts),
        store_network.count_entries(tx, device_no, owned_ms),
        store_network.list_entries(tx, device_no, owned_ms, page),
    )
