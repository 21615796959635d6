"""A world for the folder: real services over a real store, with a clock that tests move."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from tellus.bus.memory import MemoryBus
from tellus.energy import store_folded, store_sums
from tellus.energy.model_rows import StoredSession
from tellus.energy.model_sums import DaySums, HourSums, Overlay
from tellus.energy.service import EnergyService
from tellus.energy.shapes import minutes_of
from tellus.energy.sums import check_sums
from tellus.fleet import store as fleet_store
from tellus.fleet import store_state
from tellus.fleet.administration import DeviceChanged
from tellus.fleet.catalogue import Catalogue
from tellus.fleet.directory import Connector, Device, Directory
from tellus.fleet.events import EventKind, EventService, make_event
from tellus.fleet.model import EventType, Reading, Site
from tellus.identity.keys import KeyRing
from tellus.identity.vault import Vault
from tellus.kernel.clock import ManualClock, SystemClock
from tellus.kernel.units import HOUR_MS
from tellus.sessions.model import Content
from tellus.sessions.service import RecordService
from tellus.storage.database import Tx
from tellus.telemetry.model import Sample
from tellus.telemetry.rules import make_sample
from tellus.telemetry.service import TelemetryService
from tests.databases import open_database
from tests.unit.telemetry.conftest import StateDoor

T = TypeVar("T")

NOON_MS = 1_742_040_000_000
"""2025-03-15T12:00:00Z: the clock's first time."""

OPERATOR, SITE = "op_1", "site_1"
KEYS = KeyRing(b"k" * 32, b"b" * 32)


class Sums(NamedTuple):
    """All sums of a store."""

    hours: list[HourSums]
    minutes: list[tuple[str, int, tuple[int, ...]]]
    days: list[DaySums]


class FolderWorld:
    """Store, services and memory of one test; several may share one store."""

    def __init__(self, path: Path, clock: ManualClock | None = None) -> None:
        self.path = path
        self.clock = clock or ManualClock(NOON_MS)
        self.database = open_database(path, SystemClock())
        self.directory = Directory()
        self.sent = 0
        self.build()

    def build(self) -> None:
        """Build the services anew, as a restart does."""
        database, directory, clock = self.database, self.directory, self.clock
        bus = MemoryBus()
        vault = Vault(KEYS)
        self.telemetry = TelemetryService(database, directory, StateDoor(directory), bus, clock)
        self.event_kind = EventKind(directory, vault)
        self.events = EventService(database, self.event_kind, directory)
        self.records = RecordService(database, directory, vault)
        self.energy = EnergyService(
            database,
            directory,
            Catalogue({}),
            self.telemetry.index.explorer,
            clock,
            share=1.0,
            patience_s=20.0,
        )
        self.telemetry.kind.in_tx.append(self.energy.marker.on_samples)
        self.event_kind.in_tx.append(self.energy.marker.on_events)
        self.records.uploads.in_tx.append(self.energy.marker.on_records)

    async def start(self) -> None:
        await self.database.start()
        await self.begin()

    async def begin(self) -> None:
        await self.telemetry.start()
        await self.energy.start()

    async def restart(self) -> None:
        """What a process does that was ended and starts again over the same store."""
        await self.database.stop()
        self.database = open_database(self.path, SystemClock())
        self.build()
        await self.start()

    # ------------------------------------------------------------------------------ the fleet

    async def add_device(
        self, device_no: int = 1, connectors: int = 1, rated_kw: float | None = 50.0, **place: str
    ) -> Device:
        """A device of ``operator_id`` at ``site_id``, in the store (once) and in this memory."""
        where = {"operator_id": OPERATOR, "site_id": SITE} | place
        await self.database.write(_insert_device, device_no, connectors, rated_kw, where)
        return self.know_device(device_no, connectors, **where)

    def know_device(self, device_no: int = 1, connectors: int = 1, **place: str) -> Device:
        where = {"operator_id": OPERATOR, "site_id": SITE} | place
        device = Device(device_no, f"dvc_{device_no}", f"SN{device_no}", **where)
        device.connectors = {number + 1: Connector(number + 1) for number in range(connectors)}
        self.directory.add(device)
        return device

    async def move(self, device_no: int, site_id: str, operator_id: str = OPERATOR) -> None:
        device = self.directory.by_no(device_no)
        assert device is not None
        now_ms = self.clock.now_ms()
        changed = DeviceChanged(
            device_no,
            device.operator_id,
            device.site_id,
            has_moved=True,
            has_other_figures=False,
            now_ms=now_ms,
        )
        await self.database.write(self._move, changed, (operator_id, site_id))
        self.directory.move(device, operator_id, site_id)

    def _move(self, tx: Tx, changed: DeviceChanged, place: tuple[str, str]) -> None:
        self.energy.places.on_changed(tx, changed)
        fleet_store.update_device(tx, changed.device_no, place, (50.0, None), changed.now_ms)

    async def rate(self, device_no: int, rated_kw: float) -> None:
        """Set a device's rating."""
        changed = DeviceChanged(
            device_no,
            OPERATOR,
            SITE,
            has_moved=False,
            has_other_figures=True,
            now_ms=self.clock.now_ms(),
        )
        await self.database.write(self._rate, changed, rated_kw)

    def _rate(self, tx: Tx, changed: DeviceChanged, rated_kw: float) -> None:
        self.energy.places.on_changed(tx, changed)
        place = (changed.operator_id, changed.site_id)
        fleet_store.update_device(tx, changed.device_no, place, (rated_kw, None), changed.now_ms)

    # ------------------------------------------------------------------------------ facts

    def sample(
        self,
        at_ms: int,
        energy_kwh: float,
        power_kw: float = 6.0,
        state: str = "charging",
        device_no: int = 1,
        **more: Any,
    ) -> Sample:
        """A sample taken at a time, received now."""
        connector_id = more.pop("connector_id", 1)
        reading = Reading(
            state=state,
            voltage_v=400.0,
            current_a=15.0,
            power_kw=power_kw,
            energy_kwh=energy_kwh,
            **more,
        )
        return make_sample(device_no, connector_id, at_ms, self.clock.now_ms(), reading)

    async def send(self, *samples: Sample) -> None:
        """Upload samples as of now."""
        now_ms = self.clock.now_ms()
        renewed = [sample._replace(received_ms=now_ms) for sample in samples]
        for start in range(0, len(renewed), 500):
            await self.telemetry.ingest_many(renewed[start : start + 500])

    async def report(
        self, kind: EventType, at_ms: int, device_no: int = 1, connector_id: int = 1
    ) -> None:
        event = make_event((device_no, connector_id), kind, at_ms, {}, self.clock.now_ms())
        await self.events.report([event])

    async def record(
        self, start_ms: int, end_ms: int, energy_kwh: float, record_id: str = "r1", **more: Any
    ) -> None:
        """Upload a charging record."""
        device_no = more.pop("device_no", 1)
        content = Content(
            record_id=record_id,
            connector_id=more.pop("connector_id", 1),
            start_ms=start_ms,
            end_ms=end_ms,
            energy_kwh=energy_kwh,
            max_power_kw=50.0,
            **more,
        )
        await self.records.upload(device_no, content, self.clock.now_ms())

    def charge(
        self, from_ms: int, to_ms: int, kw: float = 6.0, step_ms: int = 60_000, **more: Any
    ) -> list[Sample]:
        """A session's samples: idle, charging at ``kw``, idle again."""
        samples = [self.sample(from_ms, 0.0, 0.0, "idle", **more)]
        for at_ms in range(from_ms + step_ms, to_ms, step_ms):
            energy_kwh = round(kw * (at_ms - from_ms) / HOUR_MS, 6)
            samples.append(self.sample(at_ms, energy_kwh, kw, **more))
        energy_kwh = round(kw * (to_ms - from_ms) / HOUR_MS, 6)
        samples.append(self.sample(to_ms, energy_kwh, 0.0, "idle", **more))
        return samples

    # ------------------------------------------------------------------------------ the folder

    async def fold(self, *, after_s: float = 60.0) -> None:
        """Let time pass, and let the folder fold all that there is."""
        self.clock.advance(after_s)
        await self.energy.turn()
        self.clock.advance(6.0)
        await self.energy.turn()

    async def settled(self, operator_id: str = OPERATOR) -> Overlay:
        """What a query does first: settle, then the overlay."""
        return await self.energy.read_settled(operator_id, self.energy.overlay, operator_id)

    async def total_kwh(self, scope_id: str = SITE) -> tuple[float, float]:
        """Energy in and out of a scope as a query would tell it, all hours together."""
        overlay = await self.settled()
        charge = discharge = 0
        for hour in (await self.sums()).hours:
            if hour.scope_id == scope_id:
                charge += sum(hour.charge_nkwh)
                discharge += sum(hour.discharge_nkwh)
        for energies in overlay.minutes.get(scope_id, {}).values():
            charge += energies[0]
            discharge += energies[1]
        return charge / 1e9, discharge / 1e9

    async def sums(self) -> Sums:
        """All sums, after they were compared with the sessions."""
        await self.database.read(check_sums)
        hours, minutes, days = await self.database.read(store_sums.read_all)
        nets = sorted((*key, tuple(net)) for key, net in minutes.items())
        return Sums(sorted(hours.values()), nets, sorted(days.values()))

    async def rows(self) -> list[StoredSession]:
        """All stored sessions, by connector and start."""
        rows = await self.database.read(lambda tx: list(store_folded.list_all(tx)))
        return sorted(rows, key=lambda row: (row.device_no, row.connector_id, row.start_ms))

    async def told(self) -> list[tuple[Any, ...]]:
        """What stored sessions say, without how they are numbered and how far they were folded."""
        return [
            (
                row.connector,
                row.site_id,
                row.start_ms,
                row.end_ms,
                row.last_ms,
                row.record_id,
                row.samples,
                row.basis,
                (row.soc_start_pct, row.soc_end_pct),
                row.peak_nkwh,
                minutes_of(row),
            )
            for row in await self.rows()
        ]


def _insert_device(
    tx: Tx, device_no: int, connectors: int, rated_kw: float | None, place: dict[str, str]
) -> None:
    if fleet_store.find_site(tx, place["site_id"]) is None:
        fleet_store.insert_site(
            tx,
            Site(
                place["site_id"], place["operator_id"], "S", "UTC", "eu", active=True, created_ms=0
            ),
        )
    tx.execute(
        "INSERT INTO devices (device_no, device_id, sn, operator_id, site_id, model, manufacturer,"
        " firmware_version, rated_power_kw, active, created_ms, updated_ms)"
        " VALUES ($1, $2, $3, $4, $5, 'M', 'X', '1', $6, 1, 0, 0)",
        device_no,
        f"dvc_{device_no}",
        f"SN{device_no}",
        place["operator_id"],
        place["site_id"],
        rated_kw,
    )
    keys = [(device_no, number + 1) for number in range(connectors)]
    store_state.append_connectors(tx, keys, 0)


RunWorld = Callable[[Callable[[FolderWorld], Awaitable[T]]], T]


def run_world(path: Path, test: Callable[[FolderWorld], Awaitable[T]]) -> T:
    """Run a coroutine function over a started world and stop it afterwards."""

    async def whole() -> T:
        world = FolderWorld(path)
        await world.start()
        try:
            return await test(world)
        finally:
            await world.database.stop()

    return asyncio.run(whole())
