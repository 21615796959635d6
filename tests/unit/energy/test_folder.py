"""The folder over real services: whatever the order, and wherever it stops, the sums are right."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tellus.audit.model import PLATFORM
from tellus.energy import store_marks
from tellus.energy.sums import SumsDiffer, check_sums
from tellus.fleet.model import EventType
from tellus.kernel.clock import ManualClock
from tellus.kernel.errors import Unavailable
from tellus.kernel.units import HOUR_MS, MINUTE_MS
from tellus.storage.database import Tx
from tests.databases import POSTGRES, Choice, postgres_server
from tests.unit.energy.folder_facts import make_facts
from tests.unit.energy.folder_world import NOON_MS, FolderWorld, run_world

Outcome = tuple[list[tuple[Any, ...]], Any, list[Any]]

SEEDS = (2, 7)


async def finish(world: FolderWorld) -> Outcome:
    """Let the folder fold all that there is; return sessions, sums and doubts."""
    while world.clock.now_ms() < NOON_MS + 7 * HOUR_MS // 2:
        await world.fold(after_s=590.0)
    await world.fold()
    doubts = await world.database.read(_list_doubts)
    assert (await world.energy.read_status()).marks == 0
    return await world.told(), await world.sums(), doubts


def _list_doubts(tx: Tx) -> list[Any]:
    columns = "device_no, connector_id, time_ms, digest, reason"
    return sorted(tx.rows(f"SELECT {columns} FROM implausible_samples"))


def run(path: Path, start_ms: int, test: Callable[[FolderWorld], Awaitable[Any]]) -> Any:
    """Run a world whose clock begins at a time."""

    async def whole() -> Any:
        world = FolderWorld(path, ManualClock(start_ms))
        await world.start()
        try:
            await world.add_device(connectors=2)
            return await test(world)
        finally:
            await world.database.stop()

    return asyncio.run(whole())


async def all_at_once(world: FolderWorld, seed: int, hours: float) -> Outcome:
    """Upload everything, then fold."""
    for _, upload in make_facts(seed, hours):
        await upload(world)
    return await finish(world)


async def in_any_order(world: FolderWorld, seed: int, hours: float) -> Outcome:
    """Upload everything shuffled, some of it twice, with folds between."""
    chance = Random(seed)
    facts = make_facts(seed, hours)
    facts += [chance.choice(facts) for _ in range(20)]
    chance.shuffle(facts)
    for _, upload in facts:
        await upload(world)
        if chance.random() < 0.05:
            await world.settled()
        if chance.random() < 0.02:
            await world.fold(after_s=chance.choice((1.0, 20.0)))
    return await finish(world)


async def as_they_come(world: FolderWorld, seed: int, hours: float) -> Outcome:
    """Upload everything in its time or a little late, with folds and restarts between."""
    chance = Random(seed)
    for at_ms, upload in make_facts(seed, hours):
        late_ms = chance.choice((0, 0, 0, 2_000, 40_000))
        while world.clock.now_ms() < at_ms + late_ms:
            left_s = (at_ms + late_ms - world.clock.now_ms()) / 1000
            world.clock.advance(min(20.0, left_s))
            if chance.random() < 0.5:
                await world.energy.turn()
            if chance.random() < 0.02:
                await world.restart()
        await upload(world)
    return await finish(world)


@pytest.mark.parametrize("seed", SEEDS)
def test_folder__facts_in_any_order_repeated_or_live__end_in_the_same(
    tmp_path: Path, seed: int
) -> None:
    """Uploaded at once, shuffled with repeats, or as time goes by: the same sessions and sums."""
    check_orders(tmp_path, seed)


def test_folder__facts_in_any_order_on_postgres__end_in_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where several processes may share the store, too."""
    postgres_server()
    monkeypatch.setattr(Choice, "kind", POSTGRES)
    check_orders(tmp_path, 11, hours=0.1)


def check_orders(tmp_path: Path, seed: int, hours: float = 1.0) -> None:
    """Compare what becomes of the same facts uploaded in three ways."""
    later_ms, before_ms = NOON_MS + 3 * HOUR_MS, NOON_MS - round(hours * HOUR_MS)
    wanted = run(tmp_path / "1.db", later_ms, lambda world: all_at_once(world, seed, hours))
    shuffled = run(tmp_path / "2.db", later_ms, lambda world: in_any_order(world, seed, hours))
    assert shuffled == wanted
    live = run(tmp_path / "3.db", before_ms, lambda world: as_they_come(world, seed, hours))
    assert live == wanted


@pytest.mark.usefixtures("database_kind")
def test_recompute__all_of_a_store__changes_no_byte(tmp_path: Path) -> None:
    """Rows and sums after a full recompute are those before it, byte for byte."""

    async def test(world: FolderWorld) -> None:
        await all_at_once(world, 7, 0.5)
        rows, sums = await world.rows(), await world.sums()
        assert len(rows) > 2
        await world.energy.recompute(PLATFORM)
        assert (await world.energy.read_status()).marks == 2
        await world.fold()
        assert (await world.energy.read_status()).marks == 0
        assert await world.rows() == rows
        assert await world.sums() == sums

    run(tmp_path / "tellus.db", NOON_MS + 3 * HOUR_MS, test)


def test_round__ended_between_any_two_steps__counts_nothing_twice(tmp_path: Path) -> None:
    """A process that dies after any write of a round goes on where it was."""

    async def test(world: FolderWorld) -> None:
        for device_no in range(2, 5):
            await world.add_device(device_no)
        for step in range(24):
            now_ms = world.clock.now_ms()
            kwh = step * 0.05
            samples = [world.sample(now_ms, kwh, device_no=no) for no in range(1, 5)]
            if step % 8 == 7:
                samples = [world.sample(now_ms, kwh, 0.0, "idle", device_no=no) for no in (1, 2)]
            await world.send(*samples)
            world.clock.advance(15.0)
            await dies_after(world, step % 5)
        await world.fold()
        assert (await world.settled()).minutes == {}
        interrupted = await world.told(), await world.sums()
        await world.energy.recompute(PLATFORM)
        await world.fold()
        assert (await world.told(), await world.sums()) == interrupted

    run(tmp_path / "tellus.db", NOON_MS, test)


async def dies_after(world: FolderWorld, writes: int) -> None:
    """Turn, but end the process after a number of writes, with slices of one connector each."""
    left = writes

    class Died(Exception):
        pass

    database = world.database
    write = database.write

    async def counted(*args: Any, **more: Any) -> Any:
        nonlocal left
        if left == 0:
            raise Died
        left -= 1
        return await write(*args, **more)

    world.energy.folder.connectors_at_once = 1
    database.write = counted  # type: ignore[method-assign]
    try:
        await world.energy.turn()
    except Died:
        database.write = write  # type: ignore[method-assign]
        await world.restart()
    else:
        database.write = write  # type: ignore[method-assign]


@pytest.mark.usefixtures("database_kind")
def test_settle__record_on_a_session_under_way__is_in_the_next_answer(tmp_path: Path) -> None:
    """What was uploaded before a query is in its answer: the tail, a late sample, a record."""

    async def test(world: FolderWorld) -> None:
        await world.add_device()
        now_ms = world.clock.now_ms()
        await world.send(world.sample(now_ms, 0.0, 0.0, "idle"))
        for step in range(1, 25):
            world.clock.advance(5.0)
            at_ms = world.clock.now_ms()
            await world.send(world.sample(at_ms, round(step / 120, 9)))
            await world.energy.turn()
        assert await world.total_kwh() == pytest.approx((0.2, 0.0), abs=1e-9)
        await world.record(now_ms, world.clock.now_ms(), 0.3)
        assert await world.total_kwh() == pytest.approx((0.3, 0.0), abs=1e-9)
        (session,) = (await world.settled()).sessions
        assert (session.record_id, session.charge_nkwh) == ("r1", 300_000_000)
        await world.fold()
        assert (await world.settled()).sessions == []
        (row,) = await world.rows()
        assert (row.session_id, row.charge_nkwh) == (session.session_id, 300_000_000)
        late = world.charge(now_ms - 2 * HOUR_MS, now_ms - HOUR_MS, 6.0)
        await world.send(*late)
        assert await world.total_kwh() == pytest.approx((6.3, 0.0), abs=1e-9)

    run_world(tmp_path / "tellus.db", test)


def test_settle__nothing_folded_in_time__is_unavailable(tmp_path: Path) -> None:
    """A query that would wait too long for what came late is turned away, and never wrong."""

    async def test(world: FolderWorld) -> None:
        await world.add_device()
        await world.send(*world.charge(NOON_MS - 2 * HOUR_MS, NOON_MS - HOUR_MS))
        world.energy.folder.patience_s = 0.0
        with pytest.raises(Unavailable):
            await world.settled()
        world.energy.folder.patience_s = 10.0
        assert await world.total_kwh() == pytest.approx((6.0, 0.0))

    run_world(tmp_path / "tellus.db", test)


def test_settle__from_two_nodes_at_once__folds_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two processes that fold the same marks while facts come in count nothing twice."""
    postgres_server()
    monkeypatch.setattr(Choice, "kind", POSTGRES)

    async def test(first: FolderWorld) -> None:
        second = FolderWorld(first.path, first.clock)
        await second.start()
        try:
            for device_no in range(1, 9):
                await first.add_device(device_no)
                second.know_device(device_no)
            for at in range(3):
                begin_ms = NOON_MS - (6 - 2 * at) * HOUR_MS
                for no in range(1, 9):
                    world = (first, second)[no % 2]
                    await world.send(*world.charge(begin_ms, begin_ms + HOUR_MS, device_no=no))
                await asyncio.gather(
                    first.settled(),
                    second.settled(),
                    first.energy.turn(),
                    second.record(begin_ms, begin_ms + HOUR_MS, 7.0, f"r{at}"),
                )
            assert await first.total_kwh() == pytest.approx((3 * (7 * 6.0 + 7.0), 0.0))
            assert await second.total_kwh() == await first.total_kwh()
        finally:
            await second.database.stop()

    run_world(tmp_path / "tellus.db", test)


@pytest.mark.usefixtures("database_kind")
def test_start__store_with_facts_of_an_older_release__folds_them(tmp_path: Path) -> None:
    """What was stored before there was a folder is folded at the first start, and after a stop."""

    async def test(world: FolderWorld) -> None:
        await world.add_device()
        await world.send(*world.charge(NOON_MS - 2 * HOUR_MS, NOON_MS - HOUR_MS))
        await world.database.write(_forget_all)
        await world.restart()
        assert await world.total_kwh() == pytest.approx((6.0, 0.0))
        await world.fold()
        # The folder stands still for half an hour, and the log is packed meanwhile.
        begin_ms = world.clock.now_ms()
        for sample in world.charge(begin_ms, begin_ms + 30 * MINUTE_MS, step_ms=5 * MINUTE_MS):
            world.clock.advance((sample.time_ms - world.clock.now_ms()) / 1000)
            await world.send(sample)
        world.clock.advance(HOUR_MS / 1000)
        assert await world.telemetry.compact() > 0
        await world.fold()
        assert await world.total_kwh() == pytest.approx((9.0, 0.0))
        assert (await world.settled()).minutes == {}

    run_world(tmp_path / "tellus.db", test)


def _forget_all(tx: Tx) -> None:
    tx.execute("DELETE FROM energy_marks")
    tx.execute("DELETE FROM instance WHERE name IN ('energy_folded_to_ms', 'energy_round_to_ms')")


def test_live__lone_sample_then_idle_with_more__counts(tmp_path: Path) -> None:
    """A sample alone is no session; an idle one in a later round that counts on makes it one."""

    async def test(world: FolderWorld) -> None:
        await world.add_device()
        await world.send(world.sample(NOON_MS, 0.0, 0.0, "idle"))
        await world.fold()
        at_ms = world.clock.now_ms()
        await world.report(EventType.STOP, at_ms - 5_000)
        await world.send(world.sample(at_ms, 1.0))
        for _ in range(8):
            await world.fold()
        assert await world.total_kwh() == (0.0, 0.0)
        idle_ms = world.clock.now_ms()
        await world.send(world.sample(idle_ms, 1.5, 0.0, "idle"))
        await world.fold()
        await world.fold()
        assert await world.total_kwh() == pytest.approx((0.5, 0.0))
        assert (await world.energy.read_status()).marks == 0

    run_world(tmp_path / "tellus.db", test)


def test_check_sums__an_hour_that_was_tampered_with__is_found(tmp_path: Path) -> None:
    """The comparison of sums and sessions sees what it is for."""

    async def test(world: FolderWorld) -> None:
        await world.add_device()
        await world.send(*world.charge(NOON_MS - 2 * HOUR_MS, NOON_MS - HOUR_MS))
        await world.settled()
        assert await world.database.read(check_sums) == 2
        await world.database.write(_tamper)
        with pytest.raises(SumsDiffer):
            await world.database.read(check_sums)

    run_world(tmp_path / "tellus.db", test)


def _tamper(tx: Tx) -> None:
    tx.execute("UPDATE energy_hours SET charge_0 = charge_0 + 1 WHERE scope_id = 'site_1'")


def test_marks__mark_that_grows_while_it_is_folded__survives(tmp_path: Path) -> None:
    """A fact that comes between reading and writing leaves its mark standing."""

    async def test(world: FolderWorld) -> None:
        await world.add_device()
        samples = world.charge(NOON_MS - 2 * HOUR_MS, NOON_MS - HOUR_MS)
        await world.send(*samples[:20])
        database = world.database
        read = database.read

        async def slow_read(work: Any, *args: Any, **more: Any) -> Any:
            found = await read(work, *args, **more)
            if getattr(work, "__name__", "") == "_read_batch":
                await world.send(*samples[20:])
            return found

        database.read = slow_read  # type: ignore[method-assign]
        await world.energy.folder.settle("op_1")
        database.read = read  # type: ignore[method-assign]
        assert await database.read(store_marks.list_marked) == {(1, 1)}
        assert await world.total_kwh() == pytest.approx((6.0, 0.0))

    run_world(tmp_path / "tellus.db", test)
