"""Who asks for commands at the same time is served together, and each as if alone."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tellus.kernel.errors import Unavailable
from tests.unit.commands.conftest import CommandBench

Run = Callable[[Callable[[CommandBench], Awaitable[None]]], None]
MANY = 600


async def add_many(bench: CommandBench) -> dict[int, str]:
    """Add devices and issue a stop to each; return the commands by device."""
    issued = {}
    for number in range(2, MANY + 2):
        bench.add_device(number)
        issued[number] = (await bench.stop(1, f"dvc_{number}")).command_id
    return issued


def count_submits(bench: CommandBench, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Return a list that grows with every operation that goes through the hot door."""
    genuine, seen = bench.database.submit, []

    async def submit(kind: Any, operation: Any) -> Any:
        seen.append(operation)
        return await genuine(kind, operation)

    monkeypatch.setattr(bench.database, "submit", submit)
    return seen


def test_poll__hundreds_at_once__get_theirs_in_a_few_writes(
    run_bench: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A whole fleet that asks does not fill the queue of writes, and nobody gets another's."""

    async def check(bench: CommandBench) -> None:
        issued = await add_many(bench)
        submits = count_submits(bench, monkeypatch)
        items = await asyncio.gather(*(bench.poll(1, device_no=number) for number in issued))
        assert [item and item["command_id"] for item in items] == list(issued.values())
        assert len(submits) <= 10
        rows = await bench.rows("SELECT deliveries, count(*) FROM commands GROUP BY deliveries")
        assert rows == [(1, MANY)]

    run_bench(check)


def test_ask__places_of_one_device_together__share_what_there_is(run_bench: Run) -> None:
    """Each place gets its own; what is for the whole device goes to one of them, once."""

    async def check(bench: CommandBench) -> None:
        whole = (await bench.diagnose("reboot")).command_id
        first = (await bench.stop(1)).command_id
        second = (await bench.stop(2)).command_id
        polls = await asyncio.gather(bench.poll(1), bench.poll(2), bench.poll(1), bench.heartbeat())
        items = [*(poll for poll in polls[:3] if poll is not None), *polls[3]]
        assert sorted(item["command_id"] for item in items) == sorted([whole, first, second])
        assert {item["command_id"]: item["params"]["connector_id"] for item in items} == {
            whole: 0, first: 1, second: 2,
        }  # fmt: skip

    run_bench(check)


def test_ask__one_of_a_group_leaves__the_others_are_served(run_bench: Run) -> None:
    """Who is cancelled takes nobody along; what was leased to him comes again after the lease."""

    async def check(bench: CommandBench) -> None:
        bench.add_device(2)
        left = (await bench.stop(1)).command_id
        kept = (await bench.stop(1, "dvc_2")).command_id
        leaving = asyncio.ensure_future(bench.poll(1))
        staying = asyncio.ensure_future(bench.poll(1, device_no=2))
        await asyncio.sleep(0)
        leaving.cancel()
        assert (await staying or {})["command_id"] == kept
        with pytest.raises(asyncio.CancelledError):
            await leaving
        assert await bench.heartbeat() == []
        bench.clock.advance(30)
        assert [item["command_id"] for item in await bench.heartbeat()] == [left]

    run_bench(check)


def test_ask__store_refuses__tells_everybody_and_serves_the_next(
    run_bench: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of a group learn that the store is away; nothing is stuck afterwards."""

    async def check(bench: CommandBench) -> None:
        bench.add_device(2)
        commands = [await bench.stop(1), await bench.stop(1, "dvc_2")]

        async def refuse(*_arguments: Any) -> None:
            await asyncio.sleep(0)
            raise Unavailable("The disk does not answer")

        with monkeypatch.context() as broken:
            broken.setattr(bench.database, "submit", refuse)
            asked = [bench.poll(1), bench.poll(1, device_no=2)]
            ended = await asyncio.gather(*asked, return_exceptions=True)
        assert [type(one) for one in ended] == [Unavailable, Unavailable]
        assert bench.service.parked == 0
        items = await asyncio.gather(bench.poll(1), bench.poll(1, device_no=2))
        assert [item and item["command_id"] for item in items] == [
            command.command_id for command in commands
        ]

    run_bench(check)


def test_hand_out__wakes_nobody__whose_queue_did_not_come_nearer(run_bench: Run) -> None:
    """A delivery to one connector does not stir the poll of the other one."""

    async def check(bench: CommandBench) -> None:
        told: list[Any] = []
        bench.bus.subscribe("command_pending", told.append)
        polls = [await bench.park(1), await bench.park(2)]
        issued = await bench.stop(1)
        assert (await polls[0])["command_id"] == issued.command_id
        assert told == [[1]]
        bench.service.release_all()
        assert await polls[1] is None

    run_bench(check)
