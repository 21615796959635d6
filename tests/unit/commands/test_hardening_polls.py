"""Polls that replace each other cannot go round faster than the sweep."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from tests.unit.commands.conftest import CommandBench

Run = Callable[[Callable[[CommandBench], Awaitable[None]]], None]


async def park_again(bench: CommandBench) -> asyncio.Task[Any]:
    """Another poll of connector 1, which takes the place of the one before."""
    poll = asyncio.ensure_future(bench.poll(1))
    for _ in range(5):
        await asyncio.sleep(0)
    return poll


def test_poll__replaced_over_and_over__is_answered_by_the_sweep_alone(run_bench: Run) -> None:
    """However many polls of one place follow each other, none is answered before the next sweep."""

    async def check(bench: CommandBench) -> None:
        polls = [await bench.park(1), *[await park_again(bench) for _ in range(4)]]
        assert [poll.done() for poll in polls] == [False] * 5
        assert bench.service.parked == 1
        bench.service.tick()
        assert await asyncio.gather(*polls[:4]) == [None] * 4
        assert not polls[4].done()
        bench.service.release_all()
        assert await polls[4] is None

    run_bench(check)


def test_poll__replaced__takes_no_command_that_comes_before_the_sweep(run_bench: Run) -> None:
    """What comes meanwhile goes to the newest poll, and is leased once."""

    async def check(bench: CommandBench) -> None:
        older, newer = await bench.park(1), await park_again(bench)
        issued = await bench.start(1)
        assert (await newer)["command_id"] == issued.command_id
        bench.service.tick()
        assert await older is None
        assert (await bench.read(issued.command_id))["deliveries"] == 1

    run_bench(check)


def test_release_all__replaced_poll_not_swept_yet__ends_too(run_bench: Run) -> None:
    """A stop waits for no sweep."""

    async def check(bench: CommandBench) -> None:
        polls = [await bench.park(1), await park_again(bench)]
        bench.service.release_all()
        assert await asyncio.gather(*polls) == [None, None]

    run_bench(check)
