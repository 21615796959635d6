"""Component health over a real store, with a clock that tests move."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tellus.health.model import HealthSpan
from tellus.health.service import HealthService
from tellus.kernel.clock import ManualClock
from tellus.kernel.units import HOUR_MS
from tellus.storage.database import Row, Tx
from tellus.telemetry.model import Sample
from tests.databases import POSTGRES, SQLITE, Choice, postgres_server
from tests.unit.health.builders import sample
from tests.unit.telemetry.conftest import TelemetryBench

__all__ = ["HealthBench", "RunHealth"]


class HealthBench(TelemetryBench):
    """Telemetry with component health folded beside it."""

    def __init__(self, path: Path, clock: ManualClock) -> None:
        super().__init__(path, clock)
        self.health = self.join()
        self.told: list[HealthSpan] = []

    def join(self, patience_ms: int = 0) -> HealthService:
        """Another process's component health, over the same store."""
        telemetry = self.make_service(self.directory)
        service = HealthService(self.database, telemetry, self.clock, patience_ms)
        service.in_tx.append(lambda _tx, spans: self.told.extend(spans))
        self.services = {**getattr(self, "services", {}), service: telemetry}
        return service

    async def start(self) -> None:
        """Let every process learn what the log holds."""
        for telemetry in self.services.values():
            await telemetry.start()

    async def send(self, *samples: Sample, by: HealthService | None = None) -> None:
        """Store samples by way of one process."""
        await self.services[by or self.health].ingest_many(samples)

    def move_to(self, time_ms: int) -> None:
        """Let time pass until an instant."""
        self.clock.advance((time_ms - self.clock.now_ms()) / 1_000)

    def told_at(self, ago_s: float, **health: Any) -> Sample:
        """A sample taken so many seconds ago and received now."""
        now_ms = self.clock.now_ms()
        return sample(now_ms - round(ago_s * 1_000), received_ms=now_ms, **health)

    async def minutes(self, device_no: int = 1) -> list[HealthSpan]:
        return await self._spans(self.health.read_minutes, device_no)

    async def hours(self, device_no: int = 1) -> list[HealthSpan]:
        return await self._spans(self.health.read_hours, device_no)

    async def _spans(self, read: Any, device_no: int) -> list[HealthSpan]:
        now_ms = self.clock.now_ms()
        found: list[HealthSpan] = await self.database.read(
            read, device_no, now_ms - 3_000 * HOUR_MS, now_ms + HOUR_MS
        )
        return found

    async def rows(self, table: str) -> list[Row]:
        return await self.database.read(_read_all, table)


def _read_all(tx: Tx, table: str) -> list[Row]:
    return tx.rows(f"SELECT * FROM {table}")


RunHealth = Callable[[Callable[[HealthBench], Awaitable[None]]], None]


@pytest.fixture(params=[SQLITE, POSTGRES])
def run_health(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> RunHealth:
    """Run a coroutine function over a started bench; on each database."""
    if request.config.getoption("--database") not in {request.param, "both"}:
        pytest.skip("another database was chosen")
    if request.param == POSTGRES:
        postgres_server()
    monkeypatch.setattr(Choice, "kind", request.param)

    def run(test: Callable[[HealthBench], Awaitable[None]]) -> None:
        async def whole() -> None:
            bench = HealthBench(tmp_path / "tellus.db", ManualClock())
            await bench.database.start()
            try:
                await bench.start()
                await test(bench)
            finally:
                await bench.database.stop()

        asyncio.run(whole())

    return run
