"""A dump of PostgreSQL never holds up uploads nor a start, also when pieces of tables are due.

pg_dump reads every table for as long as it runs. What makes and drops pieces needs stronger locks,
and whoever waits for one of those holds up everybody behind it.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import quantiles
from typing import Any

import psycopg
import pytest

from tellus.kernel.clock import ManualClock
from tellus.kernel.units import DAY_MS
from tellus.storage import postgres_partitions
from tellus.storage.postgres import PostgresDatabase
from tests.databases import database_url

UPLOADERS = 16
SECONDS = 3.0
P99_S = 0.5
START_S = 5.0

pytestmark = pytest.mark.slow


class Samples:
    """A hot kind that appends samples, the first of a batch by its number and all of them apart."""

    name = "samples"

    def apply_many(self, tx: Any, operations: Any) -> list[None]:
        tx.insert_later(
            "INSERT INTO samples (time_ms, device_no, connector_id, digest, received_ms, content)",
            [(time_ms, number, 1, 7, time_ms, b"x") for time_ms, number in operations],
            "ON CONFLICT DO NOTHING",
        )
        return [None] * len(operations)

    def after_commit(self, operations: Any, outcomes: Any) -> None:
        """Nothing is kept in memory."""


async def keep_once(url: str, clock: ManualClock) -> bool:
    """Make and drop what is due; tell whether all of it was."""
    async with PostgresDatabase.open(url, clock=clock) as database:
        return await asyncio.to_thread(database._keep_partitions_once)


@dataclass
class Figures:
    """What uploads saw, and what became of upkeep meanwhile."""

    waits_s: list[float] = field(default_factory=list)
    rounds: int = 0
    start_s: float = 0.0

    @property
    def p99_s(self) -> float:
        return quantiles(self.waits_s, n=100)[98]

    @property
    def summary(self) -> str:
        return (
            f"{len(self.waits_s)} uploads beside a dump and {self.rounds} rounds of upkeep:"
            f" p99 {self.p99_s * 1e3:.0f} ms, longest {max(self.waits_s) * 1e3:.0f} ms;"
            f" another process started in {self.start_s:.1f} s"
        )


@asynccontextmanager
async def dumping(url: str) -> AsyncIterator[None]:
    """Hold what pg_dump holds: one snapshot, and a reader's lock on every table."""
    async with await psycopg.AsyncConnection.connect(url) as dump:
        await dump.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        await dump.execute("LOCK TABLE samples, sample_hours IN ACCESS SHARE MODE")
        yield


async def beside_a_dump(url: str, clock: ManualClock) -> Figures:
    """Upload while a dump reads and pieces are due, and start another process."""
    figures = Figures()
    kind = Samples()
    async with PostgresDatabase.open(url, clock=clock) as database:
        clock.advance(30 * DAY_MS / 1_000)
        until_s = time.monotonic() + SECONDS

        async def upload(number: int) -> None:
            for turn in range(1_000_000):
                began_s = time.monotonic()
                if began_s > until_s:
                    return
                await database.submit(kind, (clock.now_ms() + turn, number))
                figures.waits_s.append(time.monotonic() - began_s)
                await asyncio.sleep(0.002)

        async def keep_trying() -> None:
            while time.monotonic() < until_s:
                done = await asyncio.to_thread(database._keep_partitions_once)
                assert not done
                figures.rounds += 1
                await asyncio.sleep(0.2)

        async def start_another() -> None:
            began_s = time.monotonic()
            async with PostgresDatabase.open(url, clock=clock):
                figures.start_s = time.monotonic() - began_s

        async with dumping(url):
            work = [upload(number) for number in range(UPLOADERS)]
            await asyncio.gather(*work, keep_trying(), start_another())
    return figures


def test_uploads_and_start__beside_a_dump_when_pieces_are_due__go_on(tmp_path: Path) -> None:
    """Uploads keep their pace, another process starts, and what was due is done afterwards."""
    url, clock = database_url(tmp_path), ManualClock()
    figures = asyncio.run(beside_a_dump(url, clock))
    print(figures.summary)
    assert figures.rounds >= 3
    assert figures.p99_s < P99_S
    assert figures.start_s < START_S
    assert asyncio.run(keep_once(url, clock))


def test_upkeep_harness__that_waits_for_its_locks__is_caught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Were locks waited for as statements usually do, uploads and the start would stand still."""
    monkeypatch.setattr(postgres_partitions, "_PATIENCE", "SET LOCAL lock_timeout = '6s'")
    figures = asyncio.run(beside_a_dump(database_url(tmp_path), ManualClock()))
    print(figures.summary)
    assert figures.p99_s > P99_S
