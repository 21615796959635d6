"""Old pieces of a table go whole on PostgreSQL, and only where all in them is old."""

import asyncio
from collections.abc import Callable

import psycopg
import pytest

from tellus.kernel.clock import ManualClock
from tellus.kernel.errors import Unavailable
from tellus.kernel.units import DAY_MS
from tellus.storage.database import Tx
from tellus.storage.postgres_partitions import drop_aged
from tests.storage.conftest import PostgresBackend

TABLE = "sample_minutes"


def put(tx: Tx, *rows: tuple[int, int]) -> None:
    """Insert rows by their hour and when they arrived (ms)."""
    tx.insert_many(
        f"INSERT INTO {TABLE} (device_no, connector_id, hour_ms, received_to_ms, samples, content)",
        [(1, 1, hour_ms, received_ms, 1, b"x") for hour_ms, received_ms in rows],
    )


def never(_tx: Tx, _from_ms: int, _to_ms: int) -> bool:
    """Nothing is needed any more."""
    return False


def always(_tx: Tx, _from_ms: int, _to_ms: int) -> bool:
    """All is still needed."""
    return True


@pytest.mark.parametrize(
    ("received_days_ago", "is_needed", "dropped"),
    [(100, never, 1), (1, never, 0), (100, always, 0)],
    ids=["aged", "arrived lately", "needed"],
)
def test_drop_aged__piece_of_old_times__goes_only_where_all_in_it_is_old_and_unneeded(
    postgres: PostgresBackend,
    received_days_ago: int,
    is_needed: Callable[[Tx, int, int], bool],
    dropped: int,
) -> None:
    """A piece is dropped whole where everything in it arrived long ago; younger pieces stay."""
    clock = ManualClock()

    async def scenario() -> None:
        async with postgres.open(clock=clock, migrations=None) as database:
            now_ms = clock.now_ms()
            old = (now_ms, now_ms + (120 - received_days_ago) * DAY_MS)
            await database.write(put, old)
        clock.advance(120 * 86_400)
        later_ms = clock.now_ms()
        async with postgres.open(clock=clock, migrations=None) as database:
            await database.write(put, (later_ms, later_ms))
            before_ms = later_ms - 90 * DAY_MS
            assert await database.write(drop_aged, TABLE, before_ms, is_needed) == dropped
            left = postgres.peek(f"SELECT count(*) FROM {TABLE}")
            assert left == [(2 - dropped,)]

    asyncio.run(scenario())


def test_drop_aged__while_a_dump_reads__gives_up_within_moments(postgres: PostgresBackend) -> None:
    """Whoever reads the table is not waited for: it is tried another time."""
    clock = ManualClock()

    async def scenario() -> None:
        async with postgres.open(clock=clock, migrations=None) as database:
            await database.write(put, (clock.now_ms(), clock.now_ms()))
            horizon_ms = clock.now_ms() + 200 * DAY_MS
            with psycopg.connect(postgres.url) as dump:
                dump.execute(f"LOCK TABLE {TABLE} IN ACCESS SHARE MODE")
                with pytest.raises(Unavailable):
                    await database.write(drop_aged, TABLE, horizon_ms, never)
            assert await database.write(drop_aged, TABLE, horizon_ms, never) == 1

    asyncio.run(scenario())
