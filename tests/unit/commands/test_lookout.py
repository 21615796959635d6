"""What the bus never told is found in the store: it costs latency, not the command."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest

from tellus.bus.memory import MemoryBus
from tellus.bus.port import Keys
from tellus.commands import lookout, store
from tellus.commands.lookout import OVERLAP_S
from tellus.kernel.errors import Unavailable
from tellus.storage.database import Tx
from tests.unit.commands.conftest import CommandBench

Run = Callable[[Callable[[CommandBench], Awaitable[None]]], None]


class SilentBus(MemoryBus):
    """Takes every message and delivers none."""

    def publish(self, topic: str, keys: Keys) -> None:
        del topic, keys


@pytest.fixture(autouse=True)
def silence(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the benches of this module a bus that drops everything."""
    monkeypatch.setattr("tests.unit.commands.conftest.MemoryBus", SilentBus)


async def issue_elsewhere(bench: CommandBench, connector_id: int = 1, device_no: int = 1) -> str:
    """Issue a stop by another service over the same store: this one's memory knows nothing."""
    here, bench.service = bench.service, bench._make_service()
    try:
        return (await bench.stop(connector_id, f"dvc_{device_no}")).command_id
    finally:
        bench.service.stop()
        bench.service = here


async def turns() -> None:
    """Let everything run that can."""
    for _ in range(5):
        await asyncio.sleep(0)


def test_look__command_of_another_process__wakes_the_poll(run_bench: Run) -> None:
    """A parked poll gets what was issued elsewhere by the next look, and nothing before."""

    async def check(bench: CommandBench) -> None:
        poll = await bench.park(1)
        command_id = await issue_elsewhere(bench)
        bench.service.tick()
        await turns()
        assert not poll.done()
        await bench.service.look()
        assert (await poll)["command_id"] == command_id

    run_bench(check)


def test_look__command_of_another_process__comes_with_the_next_heartbeat(run_bench: Run) -> None:
    """A charger that does not poll is told too."""

    async def check(bench: CommandBench) -> None:
        command_id = await issue_elsewhere(bench, 2)
        assert await bench.heartbeat() == []
        await bench.service.look()
        assert [item["command_id"] for item in await bench.heartbeat()] == [command_id]

    run_bench(check)


def test_look__another_command_is_on_its_way__does_not_hide_the_new_one(run_bench: Run) -> None:
    """What is known of a device's leases does not stand for what was issued since elsewhere."""

    async def check(bench: CommandBench) -> None:
        await bench.start(1)
        assert len(await bench.heartbeat()) == 1
        poll = await bench.park(2)
        command_id = await issue_elsewhere(bench, 2)
        await bench.service.look()
        assert (await poll)["command_id"] == command_id

    run_bench(check)


def test_look__leased_elsewhere__comes_again_here_when_the_lease_is_over(run_bench: Run) -> None:
    """A charger that changes processes in the middle of a lease is told again after it."""

    async def check(bench: CommandBench) -> None:
        elsewhere = bench._make_service()
        await elsewhere.start()
        command_id = await issue_elsewhere(bench)
        await elsewhere.look()
        assert len(await elsewhere.take_all(1, bench.clock.now_ms())) == 1
        poll = await bench.park(1, wait_s=60)
        await bench.service.look()
        await turns()
        assert not poll.done()
        bench.clock.advance(30)
        bench.service.tick()
        assert (await poll)["command_id"] == command_id
        elsewhere.stop()

    run_bench(check)


def test_tick__own_command_whose_wake_up_was_lost__wakes_the_poll(run_bench: Run) -> None:
    """What this process issued itself waits for no look: the next tick is enough."""

    async def check(bench: CommandBench) -> None:
        poll = await bench.park(1)
        bench.service.tick()
        issued = await bench.start(1)
        await turns()
        assert not poll.done()
        bench.service.tick()
        assert (await poll)["command_id"] == issued.command_id

    run_bench(check)


def test_look__nothing_new__reads_nothing_old(run_bench: Run) -> None:
    """What waits for absent chargers is not read again and again."""

    async def check(bench: CommandBench) -> None:
        for _ in range(5):
            await issue_elsewhere(bench)
        assert await bench.service._lookout.look() >= 1
        bench.clock.advance(OVERLAP_S)
        await bench.service.look()
        bench.clock.advance(OVERLAP_S)
        assert await bench.service._lookout.look() == 0
        command_id = await issue_elsewhere(bench, 2)
        assert await bench.service._lookout.look() == 1
        handed = await bench.heartbeat()
        assert handed[-1]["command_id"] == command_id

    run_bench(check)


def test_look__number_that_could_be_read_later_only__is_found(
    run_bench: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A command whose transaction ended after that of a higher number is not passed over."""

    async def check(bench: CommandBench) -> None:
        for number in (2, 3):
            bench.add_device(number)
        poll = await bench.park(1, device_no=2)
        command_id = await issue_elsewhere(bench, device_no=2)
        await issue_elsewhere(bench, device_no=3)
        genuine = store.list_queued_after

        def read(tx: Any, after_no: int, limit: int) -> Any:
            return [one for one in genuine(tx, after_no, limit) if one[1].device_no != 2]

        with monkeypatch.context() as late:
            late.setattr(store, "list_queued_after", read)
            await bench.service.look()
        assert not poll.done()
        bench.clock.advance(OVERLAP_S - 1)
        await bench.service.look()
        assert (await poll)["command_id"] == command_id

    run_bench(check)


def test_look__memory_that_forgot__is_set_right_in_turn(
    run_bench: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was queued long ago is found although memory knows nothing of it, page by page."""
    monkeypatch.setattr(lookout, "_REVIEWED_AT_ONCE", 4)

    async def check(bench: CommandBench) -> None:
        for number in range(2, 12):
            bench.add_device(number)
            await issue_elsewhere(bench, 1, number)
            await issue_elsewhere(bench, 2, number)
        for _ in range(2):
            bench.clock.advance(OVERLAP_S)
            await bench.service.look()
        for number in range(2, 12):
            bench.service._pending.put(number, None)
        polls = [await bench.park(2, device_no=number) for number in range(2, 12)]
        for _ in range(6):
            assert await bench.service._lookout.look() == 0
            await turns()
        assert None not in await asyncio.gather(*polls)

    run_bench(check)


def test_review__of_many_devices__goes_along_the_index(run_bench: Run) -> None:
    """Neither look sorts or reads through the commands that are over."""

    async def check(bench: CommandBench) -> None:
        statements: list[str] = []

        class Listing:
            def rows(self, sql: str, *_parameters: Any) -> list[Any]:
                statements.append(sql)
                return []

        listing = cast("Tx", Listing())
        store.list_queued_after(listing, 5, 10)
        store.list_queued_behind(listing, 5, 5, 10)
        plans = [
            await bench.rows("EXPLAIN QUERY PLAN " + re.sub(r"\$\d", "5", sql))
            for sql in statements
        ]
        steps = [[row[3] for row in plan] for plan in plans]
        assert steps[0] == ["SEARCH commands USING INTEGER PRIMARY KEY (rowid>?)"]
        (step,) = steps[1]
        assert step.startswith("SEARCH commands USING INDEX commands_queued")

    run_bench(check)


def test_look__many_at_once__are_read_in_pages(
    run_bench: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many were issued, each is found once."""
    monkeypatch.setattr(lookout, "_READ_AT_ONCE", 3)

    async def check(bench: CommandBench) -> None:
        for number in range(2, 12):
            bench.add_device(number)
            await issue_elsewhere(bench, device_no=number)
        assert await bench.service._lookout.look() == 10
        assert len(bench.service._pending) == 10

    run_bench(check)


def test_look__store_cannot_be_read__is_made_up_for_by_the_next(
    run_bench: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A look that fails forgets nothing of what it was to find."""

    async def check(bench: CommandBench) -> None:
        poll = await bench.park(1)
        command_id = await issue_elsewhere(bench)

        def refuse(*_arguments: Any) -> None:
            raise Unavailable("The disk does not answer")

        for name in ("find_newest_no", "list_queued_after"):
            with monkeypatch.context() as broken:
                broken.setattr(store, name, refuse)
                with pytest.raises(Unavailable):
                    await bench.service.look()
        assert not poll.done()
        await bench.service.look()
        assert (await poll)["command_id"] == command_id

    run_bench(check)


def test_run__store_that_does_not_answer__ends_polls_in_time(
    run_bench: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A poll is answered when its wait is over although nothing can be read or written."""

    async def check(bench: CommandBench) -> None:
        async def hang(*_arguments: Any) -> None:
            await asyncio.Event().wait()

        poll = await bench.park(1, wait_s=1)
        for door in ("submit", "write", "read"):
            monkeypatch.setattr(bench.database, door, hang)
        stuck = [asyncio.ensure_future(bench.service.look())]
        running = asyncio.ensure_future(bench.service.run())
        bench.clock.advance(1.25)
        assert await poll is None
        for task in (running, *stuck):
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    run_bench(check)
