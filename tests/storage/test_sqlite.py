"""What SQLite alone promises: one process, settings that are read back, the log kept short."""

import asyncio
import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import apsw
import pytest

from tellus.kernel.errors import Unavailable
from tellus.storage import sqlite_connection, sqlite_session
from tellus.storage.database import Tx
from tellus.storage.migrate import Migration
from tellus.storage.refusals import (
    DatabaseInUse,
    DatabaseTooNew,
    MigrationChanged,
    NotDurable,
)
from tellus.storage.sqlite import SQLiteDatabase
from tests.storage.conftest import SQLiteBackend
from tests.storage.facts import FACTS, INSERT, Facts, insert_fact, list_keys


async def start_and_stop(database: SQLiteDatabase) -> None:
    """Start ``database`` and stop it at once."""
    async with database:
        pass


def test_start__settings__are_those_the_promises_need(sqlite: SQLiteBackend) -> None:
    """The writer commits durably and overwrites what is deleted; readers only read."""

    def settings(tx: Tx) -> list[object]:
        names = ("journal_mode", "synchronous", "secure_delete", "query_only")
        return [tx.rows(f"PRAGMA {name}")[0][0] for name in names]

    async def scenario() -> None:
        async with sqlite.open() as database:
            assert await database.write(settings) == ["wal", 2, 1, 0]
            reader = await database.read(settings)
            assert reader[0] == "wal"
            assert reader[3] == 1
            assert sys.getswitchinterval() == pytest.approx(0.0005)

    asyncio.run(scenario())


@pytest.mark.parametrize("level", ["OFF", "NORMAL"])
def test_start__commits_not_durable__is_refused(sqlite: SQLiteBackend, level: str) -> None:
    """A store whose commits could be lost does not start."""
    with pytest.raises(NotDurable, match="FULL"):
        asyncio.run(start_and_stop(sqlite.open(synchronous=level)))


def test_start__sqlite_too_old__is_refused(
    sqlite: SQLiteBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An old SQLite with a known bug in its log is refused by version."""
    monkeypatch.setattr(apsw, "sqlite_lib_version", lambda: "3.51.2")
    with pytest.raises(NotDurable, match=r"3\.51\.2"):
        asyncio.run(start_and_stop(sqlite.open()))


def test_start__second_store_on_the_file__is_refused_until_the_first_stops(
    sqlite: SQLiteBackend,
) -> None:
    """One process per file; the refusal names who has it, and it ends with the holder."""

    async def scenario() -> None:
        async with sqlite.open() as first:
            with pytest.raises(DatabaseInUse, match=str(os.getpid())):
                await sqlite.open().start()
            await first.write(insert_fact, 1)
        await start_and_stop(sqlite.open())

    asyncio.run(scenario())


def test_start__holder_killed__the_file_is_free_and_the_log_recovered(
    sqlite: SQLiteBackend, tmp_path: Path
) -> None:
    """A process that dies leaves no lock behind, and what it had acknowledged is there."""
    program = """
import asyncio, os, sys
from tellus.storage.sqlite import SQLiteDatabase
from tests.storage.facts import FACTS, insert_fact
async def main():
    database = SQLiteDatabase.open(sys.argv[1], migrations=(FACTS,))
    await database.start()
    await database.write(insert_fact, 42)
    print("stored", flush=True)
    os.kill(os.getpid(), 9)
asyncio.run(main())
"""
    root = Path(__file__).parents[2]
    run = subprocess.run(
        [sys.executable, "-c", program, str(sqlite.path)],
        cwd=root,
        env={**os.environ, "PYTHONPATH": f"{root / 'src'}:{root}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert run.stdout == "stored\n", run.stderr
    assert run.returncode == -9

    async def scenario() -> list[int]:
        async with sqlite.open() as database:
            return await database.read(list_keys)

    assert asyncio.run(scenario()) == [42]


def test_start__newer_schema__is_refused_and_left_alone(sqlite: SQLiteBackend) -> None:
    """A database that a newer release migrated is not touched by this one."""
    second = Migration(2, "more", "second", "CREATE TABLE more (n BIGINT);")
    asyncio.run(start_and_stop(sqlite.open(migrations=(FACTS, second))))
    with pytest.raises(DatabaseTooNew, match="version 2"):
        asyncio.run(start_and_stop(sqlite.open()))
    asyncio.run(start_and_stop(sqlite.open(migrations=(FACTS, second))))


def test_start__migration_edited_after_release__is_refused(sqlite: SQLiteBackend) -> None:
    """The text of an applied migration is held against its checksum."""
    asyncio.run(start_and_stop(sqlite.open()))
    edited = Migration(1, "facts", "edited", FACTS.sql)
    with pytest.raises(MigrationChanged, match="0001_facts"):
        asyncio.run(start_and_stop(sqlite.open(migrations=(edited,))))


def test_start__migration_fails_midway__nothing_of_it_stays(sqlite: SQLiteBackend) -> None:
    """A migration is whole or absent, and the next start tries again."""
    broken = Migration(
        2, "more", "b", "CREATE TABLE more (n BIGINT);\nCREATE TABLE facts (k BIGINT);"
    )
    with pytest.raises(apsw.SQLError, match="facts"):
        asyncio.run(start_and_stop(sqlite.open(migrations=(FACTS, broken))))
    assert sqlite.peek("SELECT name FROM sqlite_schema WHERE name = 'more'") == []
    repaired = Migration(2, "more", "r", "CREATE TABLE more (n BIGINT);")
    asyncio.run(start_and_stop(sqlite.open(migrations=(FACTS, repaired))))
    assert sqlite.peek("SELECT version FROM schema_migrations ORDER BY version") == [(1,), (2,)]


def test_start__not_a_database__is_refused_and_left_alone(sqlite: SQLiteBackend) -> None:
    """A file that is something else is reported, not overwritten."""
    text = b"This is a letter, not a database. " * 100
    sqlite.path.write_bytes(text)
    with pytest.raises(apsw.NotADBError):
        asyncio.run(start_and_stop(sqlite.open()))
    assert sqlite.path.read_bytes() == text


def test_files__while_running__only_the_owner_may_read_them(sqlite: SQLiteBackend) -> None:
    """The database, its log and its lock are private."""

    async def scenario() -> None:
        async with sqlite.open() as database:
            await database.write(insert_fact, 1)
            for file in sqlite.path.parent.iterdir():
                assert stat.S_IMODE(file.stat().st_mode) == 0o600, file

    asyncio.run(scenario())


def test_stop__orderly__the_log_is_empty(sqlite: SQLiteBackend) -> None:
    """After an orderly stop the database file alone holds everything."""

    async def scenario() -> None:
        async with sqlite.open() as database:
            await database.write(lambda tx: tx.insert_many(INSERT, [(k, "x") for k in range(999)]))

    asyncio.run(scenario())
    log = sqlite.path.with_name(sqlite.path.name + "-wal")
    assert not log.exists() or log.stat().st_size == 0


def test_log__many_commits__is_folded_back_between_batches(
    sqlite: SQLiteBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The writer checkpoints by itself, so the log stays short."""
    monkeypatch.setattr(sqlite_session, "_CHECKPOINT_PAGES", 20)

    async def scenario() -> None:
        async with sqlite.open() as database:
            for k in range(300):
                await database.write(insert_fact, k, "x" * 500)
            assert database.stats.checkpoints > 5
            log = sqlite.path.with_name(sqlite.path.name + "-wal")
            assert log.stat().st_size < 60 * 4_200

    asyncio.run(scenario())


def test_log__always_somebody_reading__stays_bounded_and_is_not_copied_each_time(
    sqlite: SQLiteBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Overlapping readers keep the log from beginning anew only up to a bound."""
    monkeypatch.setattr(sqlite_session, "_CHECKPOINT_PAGES", 20)
    monkeypatch.setattr(sqlite_session, "_RESTART_PAGES", 200)

    def read_slowly(tx: Tx) -> None:
        list_keys(tx)
        time.sleep(0.004)
        list_keys(tx)

    async def scenario() -> None:
        async with sqlite.open() as database:
            running = True

            async def keep_reading() -> None:
                while running:
                    await database.read(read_slowly)

            readers = [asyncio.create_task(keep_reading()) for _ in range(2)]
            largest = 0
            for k in range(500):
                await database.write(insert_fact, k, "x" * 500)
                largest = max(largest, database.stats.wal_pages)
            running = False
            await asyncio.gather(*readers)
            assert await database.write(lambda tx: tx.rows("PRAGMA busy_timeout")) == [(5_000,)]
            assert largest < 400
            assert 5 < database.stats.checkpoints < 150

    asyncio.run(scenario())


def test_database__locked_by_a_foreign_tool__writes_are_unavailable_then_go_on(
    sqlite: SQLiteBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tool that holds the file for long costs 503s, not the store."""
    monkeypatch.setattr(sqlite_connection.Location.__init__, "__defaults__", ("", "FULL", 30))

    async def scenario() -> None:
        kind = Facts()
        async with sqlite.open() as database:
            tool = apsw.Connection(str(sqlite.path))
            tool.execute("BEGIN IMMEDIATE")
            with pytest.raises(Unavailable):
                await database.submit(kind, (1, "x"))
            tool.execute("ROLLBACK")
            tool.close()
            assert await database.submit(kind, (2, "x")) == 20
            assert database.stats.lost_batches == {"busy": 1}

    asyncio.run(scenario())


def test_write__ends_the_shared_transaction__is_answered_unavailable(
    sqlite: SQLiteBackend,
) -> None:
    """Work that commits by itself is a bug; nobody in its batch hears a false success."""

    async def scenario() -> None:
        async with sqlite.open() as database:
            with pytest.raises(Unavailable):
                await database.write(lambda tx: tx.execute("COMMIT"))
            assert await database.write(insert_fact, 1) == 1

    asyncio.run(scenario())


def test_stats__after_work__count_it(sqlite: SQLiteBackend) -> None:
    """Metrics see batches, operations, failures and reads."""

    async def scenario() -> None:
        kind = Facts()
        async with sqlite.open() as database:
            await asyncio.gather(*(database.submit(kind, (k, "x")) for k in range(100)))
            with pytest.raises(apsw.ConstraintError):
                await database.submit(kind, (1, "x"))
            await database.read(list_keys)
            stats = database.stats
            assert stats.operations == 100
            assert stats.failed_operations == 1
            assert stats.batches == stats.batch_sizes.observations
            assert stats.batch_sizes.total == 101
            assert stats.commit_seconds.observations == stats.batches
            assert (stats.reads, stats.queue_depth, stats.reads_waiting) == (1, 0, 0)

    asyncio.run(scenario())
