"""A telemetry service over a real SQLite file, with a clock that tests move."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pytest

from tellus.bus.memory import MemoryBus
from tellus.bus.port import DEVICE_CHANGED
from tellus.fleet import store_state
from tellus.fleet.directory import Connector, Device, Directory
from tellus.fleet.model import Reading
from tellus.kernel.clock import ManualClock
from tellus.storage.database import Tx
from tellus.telemetry.model import PastSample, Sample
from tellus.telemetry.rules import make_sample
from tellus.telemetry.service import TelemetryService
from tests.databases import SQLITE, Choice, open_database

T = TypeVar("T")

OPERATOR = "op_1"


class StateDoor:
    """The fleet's two doors for ingest, on the real tables."""

    def advance_connectors(self, tx: Tx, states: Sequence[Any]) -> None:
        store_state.upsert_connector_states(tx, states)

    def __init__(self, directory: Directory) -> None:
        self.directory = directory

    def list_owned_since(self, _tx: Tx, device_nos: Iterable[int]) -> dict[int, int]:
        found = [self.directory.by_no(device_no) for device_no in device_nos]
        return {device.device_no: device.owned_since_ms for device in found if device}

    def see_connectors(self, tx: Tx, keys: Iterable[tuple[int, int]], now_ms: int) -> None:
        store_state.append_connectors(tx, keys, now_ms)


class TelemetryBench:
    """Service, store and memory of one test."""

    def __init__(self, path: Path, clock: ManualClock) -> None:
        self.clock = clock
        self.database = open_database(path, clock)
        self.directory = Directory()
        self.bus = MemoryBus()
        self.changed: list[int] = []
        self.bus.subscribe(DEVICE_CHANGED, self.changed.extend)
        self.service = self.make_service(self.directory)

    def make_service(self, directory: Directory) -> TelemetryService:
        """A service over the store as it is, and over this memory of the fleet."""
        return TelemetryService(
            self.database, directory, StateDoor(directory), self.bus, self.clock
        )

    def add_device(self, device_no: int = 1, connectors: int = 1) -> Device:
        device = Device(device_no, f"dvc_{device_no}", f"SN{device_no}", OPERATOR, "site_1")
        device.connectors = {number + 1: Connector(number + 1) for number in range(connectors)}
        self.directory.add(device)
        return device

    def sample(self, at_s: float = 0.0, device_no: int = 1, **changes: Any) -> Sample:
        """A sample taken ``at_s`` seconds from now."""
        connector_id = changes.pop("connector_id", 1)
        received_ms = changes.pop("received_ms", self.clock.now_ms())
        values = {
            "state": "charging",
            "voltage_v": 400.0,
            "current_a": 100.0,
            "power_kw": 40.0,
            "energy_kwh": 1.0,
        } | changes
        time_ms = self.clock.now_ms() + round(at_s * 1000)
        return make_sample(device_no, connector_id, time_ms, received_ms, Reading(**values))

    def restore(self, device_no: int, connector_id: int, time_ms: int, content: bytes) -> Sample:
        """The sample that a stored state was made of, received just now."""
        reading = msgspec.msgpack.decode(content, type=Reading)
        return make_sample(device_no, connector_id, time_ms, self.clock.now_ms(), reading)

    async def history(self, hours: float = 6.0, device_no: int = 1) -> list[PastSample]:
        now_ms = self.clock.now_ms()
        span_ms = round(hours * 3_600_000)
        samples, reached_ms = await self.service.history(
            f"dvc_{device_no}", OPERATOR, 1, now_ms - span_ms, now_ms + span_ms
        )
        assert reached_ms == now_ms + span_ms
        return samples


RunBench = Callable[[Callable[[TelemetryBench], Awaitable[T]]], T]


@pytest.fixture
def run_bench(database_kind: str, tmp_path: Path) -> RunBench[Any]:
    """Run a coroutine function over a started bench and stop it afterwards; on each database."""
    return _runner(tmp_path)


@pytest.fixture
def run_own_bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunBench[Any]:
    """Like ``run_bench``, on a database that the process has to itself."""
    monkeypatch.setattr(Choice, "kind", SQLITE)
    return _runner(tmp_path)


def _runner(folder: Path) -> RunBench[Any]:
    def run(test: Callable[[TelemetryBench], Awaitable[T]]) -> T:
        async def whole() -> T:
            bench = TelemetryBench(folder / "tellus.db", ManualClock())
            await bench.database.start()
            try:
                await bench.service.start()
                return await test(bench)
            finally:
                await bench.database.stop()

        return asyncio.run(whole())

    return run
