"""Several processes over one database: samples are neither lost nor doubled, whoever packs."""

import asyncio
from pathlib import Path
from typing import Any, Self

import pytest

from tellus.bus.memory import MemoryBus
from tellus.fleet.directory import Connector, Device, Directory
from tellus.kernel.clock import ManualClock
from tellus.kernel.units import MINUTE_MS
from tellus.storage.database import Tx
from tellus.storage.postgres import PostgresDatabase
from tellus.telemetry import store
from tellus.telemetry.model import PastSample, Sample
from tellus.telemetry.packing import unpack
from tellus.telemetry.recent_shared import SharedLog
from tellus.telemetry.service import TelemetryService
from tests.databases import POSTGRES, Choice, database_url
from tests.unit.telemetry.conftest import OPERATOR, StateDoor, TelemetryBench

DEVICES = 6
NODES = 3


@pytest.fixture
def on_postgres(monkeypatch: pytest.MonkeyPatch) -> None:
    """Builders make PostgreSQL databases."""
    monkeypatch.setattr(Choice, "kind", POSTGRES)


class Nodes:
    """Services of several processes over one database, each with memory of its own."""

    def __init__(self, folder: Path) -> None:
        self.bench = TelemetryBench(folder / "one", ManualClock())
        self.stores = [
            PostgresDatabase.open(database_url(folder / "one"), clock=self.bench.clock)
            for _ in range(NODES)
        ]
        self.services = [self._service(one) for one in self.stores]

    def _service(self, database: PostgresDatabase) -> TelemetryService:
        directory = Directory()
        for device_no in range(1, DEVICES + 1):
            device = Device(device_no, f"dvc_{device_no}", f"SN{device_no}", OPERATOR, "site_1")
            device.connectors = {1: Connector(1)}
            directory.add(device)
        return TelemetryService(
            database, directory, StateDoor(directory), MemoryBus(), self.bench.clock
        )

    async def __aenter__(self) -> Self:
        await asyncio.gather(*(one.start() for one in self.stores))
        await asyncio.gather(*(one.start() for one in self.services))
        return self

    async def __aexit__(self, *error: object) -> None:
        await asyncio.gather(*(one.stop() for one in self.stores))

    async def everything(self) -> tuple[list[PastSample], list[PastSample]]:
        """All samples in the log, and all in packs."""

        def look(tx: Tx) -> tuple[list[PastSample], list[PastSample]]:
            log, packed = [], []
            for device_no in range(1, DEVICES + 1):
                log += store.list_log_between(tx, device_no, 1, 0, 2**62)
                for hour_ms, content in store.list_packs_between(tx, device_no, 1, 0, 2**62, 999):
                    packed += unpack(hour_ms, content)
            return log, packed

        return await self.stores[0].read(look)


def test_compact__by_all_nodes_while_repeats_come_in__each_sample_is_there_once(
    tmp_path: Path, on_postgres: None
) -> None:
    """Packing at several nodes at once, with old samples repeated at all of them, loses nothing.

    Each sample is told once that it was new, and is in the log or in a pack, never in both.
    """

    async def scenario() -> None:
        async with Nodes(tmp_path) as nodes:
            samples = [
                nodes.bench.sample(-60.0 * step, device_no)
                for device_no in range(1, DEVICES + 1)
                for step in range(1, 120)
            ]
            told: list[bool] = []

            async def take_in(service: TelemetryService, part: list[Sample]) -> None:
                told.extend(await service.ingest_many(part))

            work: list[Any] = []
            for number, service in enumerate(nodes.services):
                for device_no in range(1, DEVICES + 1):
                    mine = [one for one in samples if one.device_no == device_no]
                    shifted = mine[number * 40 :] + mine[: number * 40]
                    work += [take_in(service, shifted[at : at + 20]) for at in range(0, 119, 20)]
                    work.append(service.compact())
            await asyncio.gather(*work)
            log, packed = await nodes.everything()
            assert sum(told) == len(samples)
            assert len(log) + len(packed) == len(samples)
            await asyncio.gather(*(service.compact() for service in nodes.services))
            log, packed = await nodes.everything()
            assert len(log) + len(packed) == len(samples)
            fresh_ms = nodes.bench.clock.now_ms() - 30 * MINUTE_MS
            assert all(one.time_ms >= fresh_ms for one in log)

    asyncio.run(scenario())


def test_compact__without_its_lock__a_repeat_can_be_doubled(
    tmp_path: Path, on_postgres: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The test above is no decoration: what is not looked at under the lock is stored twice."""
    monkeypatch.setattr(SharedLog, "list_unsure", lambda *_: {})

    async def scenario() -> None:
        async with Nodes(tmp_path) as nodes:
            old = nodes.bench.sample(-7200.0)
            one, other = nodes.services[:2]
            assert await one.ingest_many([old]) == [True]
            upload = (await other._prepare((old,)))._replace(told=True)
            assert await one.compact() == 1
            assert await other._database.submit(other.kind, upload) == [True]
            log, packed = await nodes.everything()
            assert (len(log), len(packed)) == (1, 1)

    asyncio.run(scenario())
