"""Tables in pieces by time, and the audit log, on PostgreSQL."""

import asyncio
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta

import psycopg
import pytest

from tellus.kernel.clock import ManualClock
from tellus.kernel.units import DAY_MS
from tellus.storage.database import Tx
from tellus.storage.postgres_connection import Address, connect
from tellus.storage.postgres_partitions import keep_partitions
from tellus.storage.postgres_tx import PostgresTx, lock_key
from tests.storage.conftest import PostgresBackend


def append_samples(tx: Tx, *times_ms: int) -> int:
    """Append a sample per instant; return how many were new."""
    return tx.insert_many(
        "INSERT INTO samples (time_ms, device_no, connector_id, digest, received_ms, content)",
        [(time_ms, 1, 1, 7, time_ms, b"x") for time_ms in times_ms],
        "ON CONFLICT DO NOTHING",
    )


def test_samples__of_any_age__are_stored(postgres: PostgresBackend) -> None:
    """However old or far ahead a sample is dated, there is a place for it."""
    clock = ManualClock()
    now_ms = clock.now_ms()
    times_ms = (0, now_ms - 400 * DAY_MS, now_ms - DAY_MS, now_ms, now_ms + 3_000 * DAY_MS)

    async def scenario() -> None:
        async with postgres.open(clock=clock, migrations=None) as database:
            assert await database.write(append_samples, *times_ms) == 5
            assert await database.write(append_samples, *times_ms) == 0
        pieces = postgres.peek("SELECT tableoid::regclass::text, time_ms FROM samples")
        rest = {time_ms for piece, time_ms in pieces if piece == "samples_rest"}
        assert rest == {times_ms[0], times_ms[1], times_ms[4]}

    asyncio.run(scenario())


def test_keep_partitions__time_passes__pieces_come_and_go_and_rows_stay(
    postgres: PostgresBackend,
) -> None:
    """Pieces are made ahead, take over what lay in the rest, and are dropped once empty."""
    clock = ManualClock()
    now_ms = clock.now_ms()
    ahead_ms, old_ms = now_ms + 10 * DAY_MS, now_ms - 3 * DAY_MS

    async def scenario() -> None:
        async with postgres.open(clock=clock, migrations=None) as database:
            await database.write(append_samples, ahead_ms, old_ms)
            before = pieces_of(postgres)
            assert keep(postgres, now_ms + 9 * DAY_MS)
            after = pieces_of(postgres)
            assert len(before - after) == 8  # the ninth still holds a row
            assert len(after - before) == 9
            assert postgres.peek("SELECT time_ms FROM samples ORDER BY 1") == [
                (old_ms,), (ahead_ms,),
            ]  # fmt: skip
            assert postgres.peek("SELECT count(*) FROM samples_rest") == [(0,)]
            assert keep(postgres, now_ms + 9 * DAY_MS)
            assert pieces_of(postgres) == after

    asyncio.run(scenario())


def test_keep_partitions__while_a_dump_reads__gives_up_and_leaves_all_as_it_was(
    postgres: PostgresBackend,
) -> None:
    """Where somebody is in its way it changes nothing, says so, and does it another time."""
    clock = ManualClock()

    async def scenario() -> None:
        async with postgres.open(clock=clock, migrations=None) as database:
            await database.write(append_samples, clock.now_ms() + 10 * DAY_MS)
            before = pieces_of(postgres)
            later_ms = clock.now_ms() + 9 * DAY_MS
            with dumping(postgres):
                assert not keep(postgres, later_ms)
                assert not keep(postgres, later_ms)
                assert pieces_of(postgres) == before
            assert keep(postgres, later_ms)
            assert len(pieces_of(postgres) - before) == 9
            assert len(before - pieces_of(postgres)) == 9
            assert postgres.peek("SELECT count(*) FROM samples") == [(1,)]

    asyncio.run(scenario())


def test_keep_partitions__another_does_it__leaves_it_to_that(postgres: PostgresBackend) -> None:
    """Of several processes one makes pieces; the others do not wait for it."""
    clock = ManualClock()

    async def scenario() -> None:
        async with postgres.open(clock=clock, migrations=None):
            before = pieces_of(postgres)
            later_ms = clock.now_ms() + DAY_MS
            with psycopg.connect(postgres.url) as other:
                other.execute("SELECT pg_advisory_xact_lock(%s)", (lock_key("partitions"),))
                assert not keep(postgres, later_ms)
            assert pieces_of(postgres) == before
            assert keep(postgres, later_ms)
            assert len(pieces_of(postgres) - before) == 1

    asyncio.run(scenario())


def test_start__pieces_are_due_while_a_dump_reads__serves_and_uploads_are_stored(
    postgres: PostgresBackend,
) -> None:
    """A process starts beside a dump, and what it takes in lies in the rest meanwhile."""
    clock = ManualClock()

    async def scenario() -> None:
        async with postgres.open(clock=clock, migrations=None):
            pass
        clock.advance(timedelta(days=30).total_seconds())
        with dumping(postgres):
            async with postgres.open(clock=clock, migrations=None) as database:
                assert await database.write(append_samples, clock.now_ms()) == 1
            assert postgres.peek("SELECT count(*) FROM samples_rest") == [(1,)]
        async with postgres.open(clock=clock, migrations=None):
            assert postgres.peek("SELECT count(*) FROM samples_rest") == [(0,)]
            assert postgres.peek("SELECT count(*) FROM samples") == [(1,)]

    asyncio.run(scenario())


def keep(postgres: PostgresBackend, now_ms: int) -> bool:
    """Make and drop pieces as of ``now_ms``, on a connection of its own."""
    with closing(connect(Address(postgres.url))) as connection:
        return keep_partitions(PostgresTx(connection), now_ms)


@contextmanager
def dumping(postgres: PostgresBackend) -> Iterator[None]:
    """Hold what pg_dump holds: one snapshot, and a reader's lock on every table."""
    with psycopg.connect(postgres.url) as dump:
        dump.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        dump.execute("LOCK TABLE samples, sample_hours IN ACCESS SHARE MODE")
        yield


def pieces_of(postgres: PostgresBackend) -> set[str]:
    """Return the names of the pieces that samples lie in."""
    rows = postgres.peek(
        "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'samples'::regclass"
    )
    return {row[0] for row in rows}


def test_audit_log__in_every_way__cannot_be_changed(postgres: PostgresBackend) -> None:
    """Entries are neither updated nor deleted, one by one or all at once."""

    async def scenario() -> None:
        async with postgres.open(migrations=None):
            pass

    asyncio.run(scenario())
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO audit_log (at_ms, actor, action, resource_type, resource_id, details)"
            " VALUES (1, 'a', 'b', 'c', 'd', '{}')"
        )
        for statement in (
            "UPDATE audit_log SET actor = 'z'",
            "DELETE FROM audit_log",
            "TRUNCATE audit_log",
            (
                "INSERT INTO audit_log SELECT * FROM audit_log"
                " ON CONFLICT (entry_no) DO UPDATE SET actor = 'z'"
            ),
        ):
            with pytest.raises(psycopg.errors.RaiseException, match="append-only"):
                connection.execute(statement)
        assert connection.execute("SELECT count(*) FROM audit_log").fetchall() == [(1,)]
