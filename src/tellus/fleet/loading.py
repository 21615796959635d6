"""The fleet read from the store into memory: whole at start, by device when another node wrote."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import islice
from typing import Any, Final

import msgspec

from tellus.fleet import store_state
from tellus.fleet.directory import Connector, Device, Directory
from tellus.fleet.model import decode_reading
from tellus.identity.service import IdentityService
from tellus.storage.database import Database, Row

_AT_ONCE: Final = 200
_SHUTDOWN_WITHIN_MS: Final = 1_000

# What the store has the last word on; readings, presence and places are merged one by one.
_COPIED: Final = (
    "model",
    "manufacturer",
    "firmware_version",
    "mac",
    "rated_power_kw",
    "v2g",
    "active",
    "heartbeat_status",
    "fault_code",
    "online",
    "online_since_ms",
    "offline_since_ms",
)


class FleetLoader:
    """Brings the fleet in memory up to what is stored; identity must have been brought there."""

    def __init__(self, database: Database, directory: Directory, identity: IdentityService) -> None:
        self._database = database
        self._directory = directory
        self._identity = identity

    async def load(self) -> None:
        """Read every device and connector; to be called once, at start."""
        devices, connectors = await self._database.read(store_state.read_fleet)
        for row in devices:
            self._add(_device(row), _seen_ms(row))
        self._add_connectors(connectors)

    async def refresh_devices(self, device_nos: Iterable[int]) -> list[int]:
        """Read devices again with all that belongs to them; those that are gone go.

        Return those of which a reading moved forward.
        """
        moved: list[int] = []
        for part in _parts(device_nos):
            found = await self._database.read(store_state.read_fleet, part)
            moved += self._take_over(part, found)
        return moved

    async def find_devices(self, device_nos: Sequence[int]) -> Callable[[], None]:
        """Read devices that are not known here; return what makes those known that still are not.

        Their principals become known in the same step, or somebody would meet one without a device.
        """
        found = await self._database.read(store_state.read_fleet, device_nos)
        return partial(self._add_unknown, found)

    async def refresh_all(self) -> list[int]:
        """Read the whole fleet again, a part at a time; return whose readings moved forward."""
        known = dict.fromkeys(device.device_no for device in self._directory)
        known.update(dict.fromkeys(await self._database.read(store_state.list_device_nos)))
        return await self.refresh_devices(known)

    async def refresh_all_readings(self) -> list[int]:
        """Read all newest readings again; return the devices that moved forward."""
        return await self.refresh_readings([device.device_no for device in self._directory])

    async def refresh_readings(self, device_nos: Iterable[int]) -> list[int]:
        """Read the newest readings of devices again; return the devices that moved forward."""
        changed: dict[int, None] = {}
        for part in _parts(device_nos):
            for device_no, *rest in await self._database.read(store_state.read_readings, part):
                device = self._directory.by_no(device_no)
                if device is not None and _advance(device, rest):
                    changed[device_no] = None
        return list(changed)

    async def merge_seen(self, since_ms: int) -> None:
        """Learn which devices were heard of since, by whichever node."""
        rows = await self._database.read(store_state.read_seen, since_ms)
        for device_no, seen_ms, heartbeat_ms in rows:
            device = self._directory.by_no(device_no)
            if device is not None:
                _merge_seen(device, seen_ms, heartbeat_ms)

    # -------------------------------------------------------------------- private

    def _add_unknown(self, found: store_state.FleetRows) -> None:
        devices = [row for row in found.devices if self._directory.by_no(row[0]) is None]
        added = {row[0] for row in devices}
        connectors = [row for row in found.connectors if row[0] in added]
        self._take_over((), store_state.FleetRows(devices, connectors))

    def _take_over(self, asked: Iterable[int], found: store_state.FleetRows) -> list[int]:
        gone = dict.fromkeys(asked)
        for row in found.devices:
            fresh = _device(row)
            gone.pop(fresh.device_no, None)
            known = self._directory.by_no(fresh.device_no)
            if known is None:
                self._add(fresh, _seen_ms(row))
            else:
                self._update(known, fresh, _seen_ms(row))
        for device_no in gone:
            device = self._directory.by_no(device_no)
            if device is not None:
                self._directory.remove(device)
        return self._add_connectors(found.connectors)

    def _add(self, device: Device, seen_ms: int) -> None:
        principal = self._identity.find_device(device.device_no)
        if principal is not None:
            principal.last_seen_ms = max(principal.last_seen_ms, seen_ms)
            self._directory.attach(device, principal)
        self._directory.add(device)

    def _update(self, known: Device, fresh: Device, seen_ms: int) -> None:
        for name in _COPIED:
            setattr(known, name, getattr(fresh, name))
        if fresh.owned_since_ms != known.owned_since_ms:
            known.owned_since_ms = fresh.owned_since_ms
            for connector in known.connectors.values():
                connector.forget_reading()
        if (fresh.operator_id, fresh.site_id) != (known.operator_id, known.site_id):
            self._directory.move(known, fresh.operator_id, fresh.site_id)
        principal = self._identity.find_device(known.device_no)
        if principal is not None:
            self._directory.attach(known, principal)
        _merge_seen(known, seen_ms, fresh.heartbeat_ms)

    def _add_connectors(self, rows: Iterable[Row]) -> list[int]:
        moved: dict[int, None] = {}
        for device_no, connector_id, rated_power_kw, peak_power_kw, *reading in rows:
            device = self._directory.by_no(device_no)
            if device is None:
                continue
            connector = device.connectors.get(connector_id)
            if connector is None:
                connector = device.connectors[connector_id] = Connector(connector_id)
            connector.rated_power_kw = rated_power_kw
            connector.peak_power_kw = max(connector.peak_power_kw, peak_power_kw or 0.0)
            if reading[1] is not None and _advance(device, [connector_id, *reading]):
                moved[device_no] = None
        return list(moved)


def _advance(device: Device, reading: Sequence[Any]) -> bool:
    """Take over (connector, time, content) where newer; tell whether it was."""
    connector_id, time_ms, content = reading
    connector = device.connectors.get(connector_id)
    if connector is None:
        connector = device.connectors[connector_id] = Connector(connector_id)
    if (time_ms, bytes(content)) <= (connector.time_ms, connector.content):
        return False
    connector.time_ms = time_ms
    connector.content = bytes(content)
    connector.take_reading(decode_reading(connector.content))
    return True


def _merge_seen(device: Device, seen_ms: int | None, heartbeat_ms: int | None) -> None:
    principal = device.principal
    if principal is None or seen_ms is None:
        return
    device.heartbeat_ms = max(device.heartbeat_ms or 0, heartbeat_ms or 0) or None
    if seen_ms <= principal.last_seen_ms:
        return
    principal.last_seen_ms = seen_ms
    device.flushed = (seen_ms, device.heartbeat_ms)
    if device.heartbeat_status == "offline" and seen_ms - (heartbeat_ms or 0) < _SHUTDOWN_WITHIN_MS:
        device.shutdown_seen_ms = seen_ms


def _device(row: Row) -> Device:
    device = Device(*row[:5])
    device.model, device.manufacturer, device.firmware_version, device.mac = row[5:9]
    device.rated_power_kw = row[9]
    device.v2g = None if row[10] is None else bool(row[10])
    device.active = bool(row[11])
    device.created_ms = row[12]
    stored_ms, device.heartbeat_ms, device.heartbeat_status, code, offset_ms = row[13:18]
    device.fault_code = None if code is None else msgspec.json.decode(code)
    device.clock_offset_ms = offset_ms
    device.online = bool(row[18])
    device.online_since_ms, device.offline_since_ms = row[19:21]
    device.owned_since_ms = row[21]
    device.flushed = (stored_ms or 0, device.heartbeat_ms)
    if device.heartbeat_status == "offline":
        device.shutdown_seen_ms = _seen_ms(row) or None
    return device


def _seen_ms(row: Row) -> int:
    """Return when a device was last heard; it may have come online after the last flush."""
    stored_ms, online, online_since_ms = row[13], row[18], row[19]
    return max(stored_ms or 0, online_since_ms or 0) if online else stored_ms or 0


def _parts(device_nos: Iterable[int]) -> Iterator[tuple[int, ...]]:
    source = iter(device_nos)
    while part := tuple(islice(source, _AT_ONCE)):
        yield part
