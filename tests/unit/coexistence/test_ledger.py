"""The ledger: what is counted reaches the store once, whatever happens meanwhile."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tellus.coexistence import store
from tellus.coexistence.ledger import ReadLedger
from tellus.coexistence.model import ReadCount, ReadGroup, ReadsWanted
from tellus.kernel.clock import ManualClock
from tellus.kernel.errors import Unavailable
from tellus.kernel.units import DAY_MS
from tellus.storage.database import Database
from tellus.storage.sqlite import SQLiteDatabase

NOW_MS = 20_000 * DAY_MS + 5_000
ME = ReadGroup("cli_1", "telemetry", "device", "op_1", "client")
ALL = ReadsWanted("dvc_1", "site_1", "op_1", 0, 100_000)


def run(path: Path, work: Callable[[Database, ManualClock], Any]) -> Any:
    """Do ``work`` over a real store."""

    async def whole() -> Any:
        clock = ManualClock()
        database = SQLiteDatabase.open(path / "tellus.db", clock=clock)
        await database.start()
        try:
            return await work(database, clock)
        finally:
            await database.stop()

    return asyncio.run(whole())


async def stored(database: Database) -> list[ReadCount]:
    """All counts of the device."""
    _, found = await database.read(store.list_counts, ALL, (0, 100))
    return found


def test_count__same_day__is_new_once(tmp_path: Path) -> None:
    """The first read of a device, by a reader, of a kind, on a day is new, and no other."""

    async def work(database: Database, clock: ManualClock) -> None:
        ledger = ReadLedger(database, clock)
        assert ledger.count(ME, ["dvc_1"], NOW_MS)
        assert not ledger.count(ME, ["dvc_1"], NOW_MS + 1)
        assert ledger.count(ME, ["dvc_1", "dvc_2"], NOW_MS + 2)
        assert ledger.count(ME._replace(kind="events"), ["dvc_1"], NOW_MS + 3)
        assert ledger.count(ME._replace(reader_id="cli_2"), ["dvc_1"], NOW_MS + 4)
        assert not ledger.count(ME, ["dvc_2"], NOW_MS + 5)
        assert ledger.count(ME, ["dvc_1"], NOW_MS + DAY_MS)

    run(tmp_path, work)


def test_flush__again_and_again__adds_up(tmp_path: Path) -> None:
    """Counts of one day add up in the store, also those of two nodes."""

    async def work(database: Database, clock: ManualClock) -> list[ReadCount]:
        ledgers = [ReadLedger(database, clock), ReadLedger(database, clock)]
        for number, ledger in enumerate((*ledgers, *ledgers)):
            ledger.count(ME, ["dvc_1"], NOW_MS + number)
            ledger.count(ME, ["dvc_1"], NOW_MS + number, seconds=10)
            await ledger.flush()
            await ledger.flush()
        return await stored(database)

    assert run(tmp_path, work) == [
        ReadCount("dvc_1", 20_000, ME, 4, 40, NOW_MS, NOW_MS + 3),
    ]


def test_flush__store_refuses__keeps_what_was_counted(tmp_path: Path) -> None:
    """What the store does not take is kept with what is counted meanwhile, and told once."""

    async def work(database: Database, clock: ManualClock) -> list[ReadCount]:
        ledger = ReadLedger(database, clock)
        ledger.count(ME, ["dvc_1"], NOW_MS)
        write = database.write

        async def refuse(*_: Any) -> None:
            ledger.count(ME, ["dvc_1"], NOW_MS + 7)  # a read meanwhile
            raise Unavailable("The disk is full", 1)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(database, "write", refuse)
            await ledger.flush()
        assert database.write == write
        assert await stored(database) == []
        await ledger.flush()
        return await stored(database)

    assert run(tmp_path, work) == [ReadCount("dvc_1", 20_000, ME, 2, 0, NOW_MS, NOW_MS + 7)]


def test_prune__old_days__go_and_young_ones_stay(tmp_path: Path) -> None:
    """Counts are deleted once their day is longer ago than they are kept for."""

    async def work(database: Database, clock: ManualClock) -> list[int]:
        ledger = ReadLedger(database, clock, kept_days=10)
        clock.advance(max(0, (NOW_MS - clock.now_ms()) / 1000))
        today = clock.now_ms() // DAY_MS
        for ago in (12, 11, 10, 0):
            ledger.count(ME, ["dvc_1"], (today - ago) * DAY_MS)
            await ledger.flush()
        for _ in range(3):
            await ledger.prune()
        return [today - one.day for one in await stored(database)]

    assert run(tmp_path, work) == [0, 10]


def test_list_counts__another_operator__is_left_out(tmp_path: Path) -> None:
    """Reads of a device by a former operator's clients are not the present one's to see."""

    async def work(database: Database, clock: ManualClock) -> list[ReadCount]:
        ledger = ReadLedger(database, clock)
        ledger.count(ME._replace(operator_id="op_2", reader_id="cli_9"), ["dvc_1"], NOW_MS)
        await ledger.flush()
        return await stored(database)

    assert run(tmp_path, work) == []
