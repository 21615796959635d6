"""What was deleted from a SQLite store is in none of its files, once it has been scrubbed."""

import asyncio
from pathlib import Path

from tellus.storage.database import Tx
from tellus.storage.sqlite import SQLiteDatabase

CANARY = b"a canary that is to be forgotten " * 4


def _keep(tx: Tx) -> None:
    tx.execute("INSERT INTO instance (name, value) VALUES ($1, $2)", "canary", CANARY.decode())


def _forget(tx: Tx) -> None:
    tx.execute("DELETE FROM instance WHERE name = $1", "canary")


def _is_anywhere(folder: Path) -> bool:
    return any(CANARY in path.read_bytes() for path in folder.iterdir())


def test_scrub__after_a_deletion__leaves_nothing_in_file_or_log(tmp_path: Path) -> None:
    """Control first: what was only deleted is still in the write-ahead log; scrubbed, nowhere."""

    async def scenario() -> None:
        async with SQLiteDatabase.open(tmp_path / "tellus.db") as database:
            await database.write(_keep)
            await database.write(_forget)
            assert _is_anywhere(tmp_path)
            assert await database.scrub()
            assert not _is_anywhere(tmp_path)

    asyncio.run(scenario())


def test_scrub__while_a_reader_is_in_an_old_snapshot__succeeds_once_it_has_gone(
    tmp_path: Path,
) -> None:
    """A long query keeps the log; writes go on meanwhile, and the log is emptied after it."""

    async def scenario() -> None:
        async with SQLiteDatabase.open(tmp_path / "tellus.db") as database:
            await database.write(_keep)
            loop = asyncio.get_running_loop()
            begun, ended = asyncio.Event(), asyncio.Event()

            def look(tx: Tx) -> None:
                tx.row("SELECT count(*) FROM instance")
                loop.call_soon_threadsafe(begun.set)
                asyncio.run_coroutine_threadsafe(ended.wait(), loop).result(10)

            looking = asyncio.create_task(database.read(look))
            await begun.wait()
            await database.write(_forget)
            scrubbing = asyncio.create_task(database.scrub())
            await asyncio.sleep(0.2)
            assert not scrubbing.done()
            assert await database.write(lambda tx: tx.row("SELECT 1")) == (1,)
            ended.set()
            await looking
            assert await scrubbing
            assert not _is_anywhere(tmp_path)

    asyncio.run(scenario())
