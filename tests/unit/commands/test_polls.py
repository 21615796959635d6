"""Polls wait in memory, are woken at once, and end in time whatever happens."""

import asyncio
import gc
import tracemalloc
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tellus.bus.port import COMMAND_PENDING
from tellus.kernel.errors import InvalidParameter, TooManyRequests
from tests.unit.commands.conftest import CommandBench

Run = Callable[[Callable[[CommandBench], Awaitable[None]]], None]


class Caller:
    """The other end of a poll, as the server tells of it."""

    def __init__(self) -> None:
        self._gone = asyncio.Event()

    def leave(self) -> None:
        self._gone.set()

    async def __call__(self) -> None:
        await self._gone.wait()


def test_poll__command_waiting__comes_at_once(run_bench: Run) -> None:
    """The oldest command of the connector, and no other's."""

    async def check(bench: CommandBench) -> None:
        await bench.start(2)
        first = (await bench.start(1)).command_id
        await bench.start(1)
        item = await bench.poll(1)
        assert item is not None
        assert item["command_id"] == first
        assert bench.service.parked == 0

    run_bench(check)


def test_poll__command_issued_meanwhile__wakes_it(run_bench: Run) -> None:
    """A parked poll gets the command without any clock moving; its neighbour stays parked."""

    async def check(bench: CommandBench) -> None:
        polls = [await bench.park(1), await bench.park(2)]
        assert bench.service.parked == 2
        issued = await bench.stop(2)
        item = await polls[1]
        assert item["command_id"] == issued.command_id
        assert (bench.service.parked, polls[0].done()) == (1, False)
        bench.service.release_all()
        assert await polls[0] is None

    run_bench(check)


def test_poll__time_is_up__answers_nothing(run_bench: Run) -> None:
    """A poll ends within half a second after its wait and never before it."""

    async def check(bench: CommandBench) -> None:
        poll = await bench.park(1, wait_s=5)
        bench.clock.advance(4.99)
        bench.service.tick()
        await asyncio.sleep(0)
        assert not poll.done()
        bench.clock.advance(0.26)
        bench.service.tick()
        assert await poll is None
        assert bench.service.parked == 0

    run_bench(check)


@pytest.mark.parametrize("wait_s", [0, 61])
def test_poll__wait_out_of_bounds__is_refused(run_bench: Run, wait_s: int) -> None:
    """The wait is 1 to 60 seconds."""

    async def check(bench: CommandBench) -> None:
        with pytest.raises(InvalidParameter):
            await bench.poll(1, wait_s=wait_s)

    run_bench(check)


def test_poll__newer_one_of_the_same_place__takes_over(run_bench: Run) -> None:
    """The older is answered with nothing; the newer gets what comes."""

    async def check(bench: CommandBench) -> None:
        older = await bench.park(1)
        newer = asyncio.ensure_future(bench.poll(1))
        await asyncio.sleep(0)
        bench.service.tick()
        assert await older is None
        assert bench.service.parked == 1
        issued = await bench.start(1)
        assert (await newer)["command_id"] == issued.command_id

    run_bench(check)


def test_poll__caller_that_left__leases_nothing(run_bench: Run) -> None:
    """A command issued after the charger hung up waits for its next contact."""

    async def check(bench: CommandBench) -> None:
        caller = Caller()
        poll = await bench.park(1, left=caller)
        caller.leave()
        assert await poll is None
        command_id = (await bench.start(1)).command_id
        shown = await bench.read(command_id)
        assert shown["deliveries"] == 0
        assert (await bench.poll(1, left=Caller()))["command_id"] == command_id

    run_bench(check)


def test_poll__lease_runs_out__is_woken_for_the_repeat(run_bench: Run) -> None:
    """A poll parked while a command is on its way gets it again when no answer came."""

    async def check(bench: CommandBench) -> None:
        command_id = (await bench.start(1)).command_id
        await bench.heartbeat()
        poll = await bench.park(1, wait_s=60)
        bench.service.tick()
        bench.clock.advance(29)
        bench.service.tick()
        await asyncio.sleep(0)
        assert not poll.done()
        bench.clock.advance(1)
        bench.service.tick()
        assert (await poll)["command_id"] == command_id

    run_bench(check)


def test_poll__message_from_elsewhere__makes_it_look(run_bench: Run) -> None:
    """A wake-up from another node for a device of which nothing is known here is followed."""

    async def check(bench: CommandBench) -> None:
        command_id = (await bench.start(1)).command_id
        bench.service._pending.put(1, None)
        poll = await bench.park(1)
        bench.bus.publish(COMMAND_PENDING, [1])
        assert (await poll)["command_id"] == command_id

    run_bench(check)


def test_poll__unknown_connector__comes_into_being(run_bench: Run) -> None:
    """A connector exists from its first poll on, and can be commanded."""

    async def check(bench: CommandBench) -> None:
        poll = await bench.park(7)
        issued = await bench.start(7)
        assert (await poll)["command_id"] == issued.command_id
        rows = await bench.rows("SELECT device_no, connector_id FROM connectors")
        assert rows == [(1, 7)]

    run_bench(check)


def test_release_all__parked_polls__end_and_new_ones_do_not_wait(run_bench: Run) -> None:
    """A server that stops holds nobody."""

    async def check(bench: CommandBench) -> None:
        polls = [await bench.park(1), await bench.park(2)]
        bench.service.release_all()
        assert [await poll for poll in polls] == [None, None]
        assert await bench.poll(1) is None

    run_bench(check)


def test_poll__cancelled__leaves_nothing_behind(run_bench: Run) -> None:
    """A poll that is torn down is forgotten, with its watcher."""

    async def check(bench: CommandBench) -> None:
        before = len(asyncio.all_tasks())
        poll = await bench.park(1, left=Caller())
        poll.cancel()
        with pytest.raises(asyncio.CancelledError):
            await poll
        await asyncio.sleep(0)
        assert (bench.service.parked, len(asyncio.all_tasks())) == (0, before)
        assert bench.service._parked._slots == {}

    run_bench(check)


def test_poll__issuer_that_is_cancelled__still_has_its_command_delivered(run_bench: Run) -> None:
    """A stored command is known as pending even when its caller vanished before the answer."""

    async def check(bench: CommandBench) -> None:
        issuing = asyncio.ensure_future(bench.start(1))
        await asyncio.sleep(0)
        issuing.cancel()
        item = await bench.poll(1)
        assert item is not None
        assert item["command"] == "start_charging"

    run_bench(check)


def test_poll__a_thousand_parked__take_little_memory_and_no_store(run_bench: Run) -> None:
    """Waiting costs a few kilobytes each, watcher included, and not one transaction."""

    async def check(bench: CommandBench) -> None:
        for number in range(2, 1_002):
            bench.add_device(number)
        before = bench.database.stats.operations
        gc.collect()
        tracemalloc.start()
        base, _ = tracemalloc.get_traced_memory()
        polls = [await bench.park(1, device_no=number, left=Caller()) for number in range(2, 1_002)]
        used, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert bench.service.parked == 1_000
        assert bench.database.stats.operations == before
        print(f"{(used - base) / 1_000:.0f} bytes per parked poll")
        assert (used - base) / 1_000 < 8_192
        bench.service.release_all()
        assert await asyncio.gather(*polls) == [None] * 1_000

    run_bench(check)


def test_poll__too_many_writes_wait__looks_again_and_is_not_sent_away(
    run_bench: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full queue of writes delays a command by a sweep or two; the poll stays where it is."""

    async def check(bench: CommandBench) -> None:
        issued = await bench.start(1)
        genuine, refusals = bench.database.submit, 2

        async def submit(*arguments: Any) -> Any:
            nonlocal refusals
            refusals -= 1
            if refusals >= 0:
                raise TooManyRequests(5)
            return await genuine(*arguments)

        monkeypatch.setattr(bench.database, "submit", submit)
        poll = await bench.park(1)
        for _ in range(8):
            bench.clock.advance(0.25)
            bench.service.tick()
            await asyncio.sleep(0.01)
        assert (await poll)["command_id"] == issued.command_id
        assert bench.service._parked._soon == {}

    run_bench(check)
