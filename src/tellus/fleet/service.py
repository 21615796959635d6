"""The fleet's door for other features: what exists, heartbeats, and state moving forward."""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import msgspec

from tellus.fleet import store, store_state
from tellus.fleet.directory import Connector, Device, Directory
from tellus.fleet.presence import PresenceWatch
from tellus.kernel.errors import NotFound
from tellus.storage.database import Database, Tx


class Heartbeat(NamedTuple):
    """What a heartbeat changed: its status, and its fault code as sent."""

    device_no: int
    status: str
    fault_code: int | str | None


class HeartbeatKind:
    """Writes the heartbeats that changed something, many at a time."""

    name = "heartbeat"

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self.in_tx: list[Callable[[Tx, Sequence[Heartbeat]], None]] = []
        """Called with heartbeats that changed something, in the transaction that writes them."""

    def apply_many(self, tx: Tx, operations: Sequence[Heartbeat]) -> list[None]:
        """Write the last status and fault code of each device."""
        rows = {
            beat.device_no: (
                beat.device_no,
                beat.status,
                None if beat.fault_code is None else msgspec.json.encode(beat.fault_code).decode(),
            )
            for beat in operations
        }
        store_state.upsert_heartbeats(tx, list(rows.values()))
        for react in self.in_tx:
            react(tx, operations)
        return [None] * len(operations)

    def after_commit(self, operations: Sequence[Heartbeat], outcomes: Sequence[None]) -> None:
        """Let memory follow."""
        for beat, _ in zip(operations, outcomes, strict=True):
            device = self._directory.by_no(beat.device_no)
            if device is not None:
                device.heartbeat_status = beat.status
                device.fault_code = beat.fault_code


class FleetService:
    """What exists and how it is now."""

    def __init__(
        self,
        database: Database,
        directory: Directory,
        presence: PresenceWatch,
    ) -> None:
        self._database = database
        self._directory = directory
        self._presence = presence
        self.heartbeats = HeartbeatKind(directory)

    async def heartbeat(
        self,
        device_no: int,
        status: str,
        fault_code: float | str | None,
        timestamp_ms: int,
        now_ms: int,
    ) -> Device:
        """Take a heartbeat; returns once what it changed, if anything, is durable.

        Raises:
            NotFound: the device exists no longer.
        """
        device = self._directory.by_no(device_no)
        if device is None:
            raise NotFound
        seen_ms = device.seen_ms or now_ms
        code = int(fault_code) if isinstance(fault_code, float) else fault_code
        if (status, code) != (device.heartbeat_status, device.fault_code):
            await self._database.submit(self.heartbeats, Heartbeat(device_no, status, code))
        device.heartbeat_ms = now_ms
        device.clock_offset_ms = timestamp_ms - now_ms
        self._presence.note_status(device, status, seen_ms, now_ms)
        return device

    def advance_connectors(
        self, tx: Tx, states: Sequence[tuple[int, int, int, str, bytes]]
    ) -> None:
        """Upsert the current state of connectors where newer, inside the caller's transaction.

        A state is (device, connector, time in ms, state, the ``Reading`` in MessagePack); of one
        instant the larger content stays. Each connector may stand in ``states`` once.
        """
        store_state.upsert_connector_states(tx, states)

    def list_owned_since(self, tx: Tx, device_nos: Iterable[int]) -> dict[int, int]:
        """Return since when (ms) each living device among these is its present operator's.

        None of them changes hands before the transaction ends.
        """
        store_state.lock_states(tx)
        return store.list_owned_since(tx, device_nos)

    def see_connectors(self, tx: Tx, keys: Iterable[tuple[int, int]], now_ms: int) -> None:
        """Let connectors (device, connector) come into being, inside the caller's transaction."""
        store_state.append_connectors(tx, keys, now_ms)

    def set_firmware(self, tx: Tx, device_no: int, firmware_version: str, now_ms: int) -> None:
        """Write which firmware a device runs now, inside the caller's transaction."""
        store.set_firmware_version(tx, device_no, firmware_version, now_ms)

    def note_firmware(self, device_no: int, firmware_version: str) -> None:
        """Let memory follow ``set_firmware``, after its commit."""
        device = self._directory.by_no(device_no)
        if device is not None:
            device.firmware_version = firmware_version

    async def see_connector(self, device: Device, connector_id: int, now_ms: int) -> Connector:
        """Return a connector of the device, which comes into being at first sight."""
        connector = device.connectors.get(connector_id)
        if connector is None:
            key = (device.device_no, connector_id)
            await self._database.write(store_state.append_connectors, [key], now_ms)
            connector = device.connectors.setdefault(connector_id, Connector(connector_id))
        return connector
