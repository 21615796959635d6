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

        async def is_new(group: ReadGroup, devices: list[str], now_ms: int) -> bool:
            found = ledger.count(group, devices, now_ms)
            await ledger.settle()
            return found

        assert await is_new(ME, ["dvc_1"], NOW_MS)
        assert not await is_new(ME, ["dvc_1"], NOW_MS + 1)
        assert await is_new(ME, ["dvc_1", "dvc_2"], NOW_MS + 2)
        assert await is_new(ME._replace(kind="events"), ["dvc_1"], NOW_MS + 3)
        assert await is_new(ME._replace(reader_id="cli_2"), ["dvc_1"], NOW_MS + 4)
        assert not await is_new(ME, ["dvc_2"], NOW_MS + 5)
        assert await is_new(ME, ["dvc_1"], NOW_MS + DAY_MS)

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


def test_count__first_read_is_being_stored__others_wait_for_it(tmp_path: Path) -> None:
    """A read at the same time as the first of the day is not answered before that is on disk."""

    async def work(database: Database, clock: ManualClock) -> list[ReadCount]:
        ledger = ReadLedger(database, clock)
        write, gate = database.write, asyncio.Event()

        async def slowly(*given: Any) -> Any:
            await gate.wait()
            return await write(*given)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(database, "write", slowly)
            assert ledger.count(ME, ["dvc_1"], NOW_MS)
            first = asyncio.create_task(ledger.settle())
            await asyncio.sleep(0)
            assert ledger.count(ME, ["dvc_1"], NOW_MS + 1)
            assert ledger.count_again(("cli_1", "telemetry", "dvc_1"), NOW_MS + 2)
            second = asyncio.create_task(ledger.settle())
            await asyncio.sleep(0.01)
            assert not second.done()
            gate.set()
            await asyncio.gather(first, second)
        assert not ledger.count(ME, ["dvc_1"], NOW_MS + 3)
        assert ledger.count_again(("cli_1", "telemetry", "dvc_1"), NOW_MS + 4) is False
        assert ledger.count_again(("cli_1", "telemetry", "dvc_1"), NOW_MS + DAY_MS) is None
        await ledger.flush()
        return await stored(database)

    assert run(tmp_path, work) == [ReadCount("dvc_1", 20_000, ME, 5, 0, NOW_MS, NOW_MS + 4)]


def test_flush__reader_goes_away_meanwhile__counts_once(tmp_path: Path) -> None:
    """The write goes on when the request that began it is cancelled, and is not made again."""

    async def work(database: Database, clock: ManualClock) -> list[ReadCount]:
        ledger = ReadLedger(database, clock)
        ledger.count(ME, ["dvc_1"], NOW_MS)
        waiting = asyncio.create_task(ledger.settle())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await ledger.flush()
        await ledger.flush()
        return await stored(database)

    assert run(tmp_path, work) == [ReadCount("dvc_1", 20_000, ME, 1, 0, NOW_MS, NOW_MS)]


def test_settle__store_refuses__reads_do_not_try_again_at_once(tmp_path: Path) -> None:
    """Reads go on while nothing can be written: only the rounds, and a later read, try again."""

    async def work(database: Database, clock: ManualClock) -> int:
        ledger = ReadLedger(database, clock)
        tries = 0

        async def refuse(*_: Any) -> None:
            nonlocal tries
            tries += 1
            raise Unavailable("The disk is full", 1)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(database, "write", refuse)
            for number in range(5):
                assert ledger.count(ME, ["dvc_1"], NOW_MS + number)
                await ledger.settle()
            clock.advance(10)
            await ledger.settle()
        await ledger.flush()
        (count,) = await stored(database)
        assert count.times == 5
        return tries

    assert run(tmp_path, work) == 2


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
