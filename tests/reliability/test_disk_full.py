"""A full disk and a broken one. Reads answer, no false success, and back without a restart."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tellus.kernel.errors import Unavailable
from tellus.storage.database import Tx
from tellus.storage.migrate import Migration
from tellus.storage.sqlite import SQLiteDatabase
from tests.reliability.faulty_disk import FaultyVFS

TABLE = Migration(1, "facts", "-", "CREATE TABLE facts (k BIGINT PRIMARY KEY, v TEXT NOT NULL);")


class Facts:
    """A hot kind that stores numbers."""

    name = "facts"

    def apply_many(self, tx: Tx, operations: Sequence[Any]) -> list[Any]:
        tx.insert_many("INSERT INTO facts (k, v)", [(k, "hot") for k in operations])
        return list(operations)

    def after_commit(self, operations: Sequence[Any], outcomes: Sequence[Any]) -> None: ...


def insert_fact(tx: Tx, k: int) -> None:
    """Insert one fact through the cold door."""
    tx.execute("INSERT INTO facts (k, v) VALUES ($1, $2)", k, "cold")


def count_facts(tx: Tx) -> int:
    """Return how many facts there are."""
    row = tx.row("SELECT count(*) FROM facts")
    assert row is not None
    return int(row[0])


def open_on(vfs: FaultyVFS, folder: Path) -> SQLiteDatabase:
    """Describe a store in ``folder`` on the faulty disk."""
    return SQLiteDatabase.open(folder / "tellus.db", vfs=vfs.vfs_name, migrations=(TABLE,))


def test_store__disk_full__writes_are_unavailable_reads_answer_and_it_recovers(
    tmp_path: Path,
) -> None:
    """While the disk is full writes fail with 503 and reads go on; with space again all works."""

    async def scenario() -> None:
        vfs = FaultyVFS()
        hot = Facts()
        async with open_on(vfs, tmp_path) as database:
            for k in range(20):
                await database.submit(hot, k)
            vfs.fault = "full"
            outcomes = await asyncio.gather(
                *(database.submit(hot, k) for k in range(100, 150)),
                *(database.write(insert_fact, k) for k in range(200, 210)),
                return_exceptions=True,
            )
            assert [type(outcome) for outcome in outcomes] == [Unavailable] * 60
            assert vfs.refused > 0
            assert await database.read(count_facts) == 20
            assert not database.failed.is_set()
            vfs.fault = None
            assert await database.submit(hot, 300) == 300
            await database.write(insert_fact, 301)
            assert await database.read(count_facts) == 22
            assert database.stats.lost_batches["full"] >= 1
        async with open_on(vfs, tmp_path) as database:
            assert await database.read(count_facts) == 22
        vfs.unregister()

    asyncio.run(scenario())


def test_store__no_space_to_grow__goes_on_in_the_space_it_has(tmp_path: Path) -> None:
    """A log that cannot grow is copied and written from its start again."""

    def touch_all(tx: Tx, text: str) -> int:
        return tx.execute("UPDATE facts SET v = $1", text)

    async def scenario() -> None:
        vfs = FaultyVFS()
        async with open_on(vfs, tmp_path) as database:
            rows = [(k, "a" * 500) for k in range(500)]
            await database.write(lambda tx: tx.insert_many("INSERT INTO facts (k, v)", rows))
        async with open_on(vfs, tmp_path) as database:
            for letter in "bcd":
                assert await database.write(touch_all, letter * 500) == 500
            vfs.fault = "growth"
            with pytest.raises(Unavailable):
                await database.write(touch_all, "e" * 500)
            for letter in "fg":
                assert await database.write(touch_all, letter * 500) == 500
            values = await database.read(lambda tx: tx.rows("SELECT DISTINCT v FROM facts"))
            assert values == [("g" * 500,)]
            vfs.fault = None
        vfs.unregister()

    asyncio.run(scenario())


@pytest.mark.parametrize("fault", ["write", "sync"])
def test_store__disk_broken__it_gives_up_writing_and_says_so(tmp_path: Path, fault: str) -> None:
    """After an I/O error nothing is retried: writes stay refused until a restart recovers."""

    async def scenario() -> None:
        vfs = FaultyVFS()
        hot = Facts()
        async with open_on(vfs, tmp_path) as database:
            await database.submit(hot, 1)
            vfs.fault = fault
            with pytest.raises(Unavailable):
                await database.submit(hot, 2)
            await asyncio.wait_for(database.failed.wait(), 5)
            refused = vfs.refused
            vfs.fault = None
            with pytest.raises(Unavailable):
                await database.submit(hot, 3)
            with pytest.raises(Unavailable):
                await database.write(insert_fact, 4)
            assert vfs.refused == refused
            assert database.failure is not None
            assert await database.read(count_facts) >= 1
        async with open_on(vfs, tmp_path) as database:
            present = {
                row[0] for row in await database.read(lambda tx: tx.rows("SELECT k FROM facts"))
            }
            # The write whose outcome is unknown may be there; the refused ones may not.
            assert present in ({1}, {1, 2})
            assert await database.submit(hot, 5) == 5
        vfs.unregister()

    asyncio.run(scenario())


def test_store__waiting_writes_when_the_disk_breaks__all_are_answered(tmp_path: Path) -> None:
    """Nobody waits for ever behind a broken disk."""

    async def scenario() -> None:
        vfs = FaultyVFS()
        hot = Facts()
        async with open_on(vfs, tmp_path) as database:
            vfs.fault = "sync"
            calls = (database.submit(hot, k) for k in range(2_000))
            outcomes = await asyncio.wait_for(asyncio.gather(*calls, return_exceptions=True), 10)
            assert {type(outcome) for outcome in outcomes} == {Unavailable}
        vfs.unregister()

    asyncio.run(scenario())
