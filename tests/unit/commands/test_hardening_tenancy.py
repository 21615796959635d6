"""A device that moved to another operator obeys that one alone."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from tellus.commands.model import Phase
from tests.unit.commands.conftest import CommandBench

Run = Callable[[Callable[[CommandBench], Awaitable[None]]], None]


@pytest.mark.parametrize("way", ["heartbeat", "poll"])
def test_command__of_the_operator_before__never_reaches_the_device(
    run_bench: Run, way: str
) -> None:
    """What was queued before the move is given up when the device asks, and shown as cancelled."""

    async def check(bench: CommandBench) -> None:
        issued = await bench.start(1)
        bench.directory.move(bench.directory.by_id("dvc_1"), "op_2", "site_2")
        if way == "heartbeat":
            assert await bench.heartbeat() == []
        else:
            poll = await bench.park(1)
            while (await bench.read(issued.command_id))["status"] == "queued":  # noqa: ASYNC110
                await asyncio.sleep(0)
            bench.service.release_all()
            assert await poll is None
        shown = await bench.read(issued.command_id)
        assert (shown["status"], shown["result"]) == ("failed", {"reason": "cancelled"})
        assert shown["deliveries"] == 0

    run_bench(check)


def test_command__of_the_operator_after__is_not_held_up(run_bench: Run) -> None:
    """Commands of the operator before take no room in the queue of the one after."""

    async def check(bench: CommandBench) -> None:
        for _ in range(50):
            await bench.start(1)
        bench.directory.move(bench.directory.by_id("dvc_1"), "op_2", "site_2")
        issued = await bench.start(1, client=("cl_2", "op_2"))
        (item,) = await bench.heartbeat()
        assert item["command_id"] == issued.command_id
        phases = await bench.database.read(
            lambda tx: tx.rows("SELECT phase, count(*) FROM commands GROUP BY phase ORDER BY phase")
        )
        assert phases == [(Phase.LAPSED, 50), (Phase.QUEUED, 1)]

    run_bench(check)
