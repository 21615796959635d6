"""What becomes of commands and schedules when a device goes to another operator."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tellus.commands.handover import Handover
from tellus.commands.model import PLATFORM
from tellus.fleet.administration import DeviceMoved
from tellus.kernel.errors import NotFound
from tellus.kernel.units import DAY_MS
from tests.unit.commands.conftest import CommandBench
from tests.unit.commands.planning import NIGHT, NOON, Planner

Run = Callable[[Callable[[CommandBench], Awaitable[None]]], None]


async def move(bench: CommandBench, operator_id: str = "op_2") -> None:
    """Let the device go to another operator, as an administrator does."""
    handover = Handover(bench.service, bench.bus, {"set_schedule": 7 * DAY_MS})
    moved = DeviceMoved(1, "dvc_1", operator_id, bench.clock.now_ms())
    await bench.database.write(handover.clear, moved)
    device = bench.directory.by_id("dvc_1")
    assert device is not None
    device.owned_since_ms = moved.now_ms
    bench.directory.move(device, operator_id, "site_2")
    handover.tell(moved)


def told(commands: list[dict[str, Any]]) -> list[tuple[int, str, bool]]:
    """What the charger is told of schedules: connector, id, whether enabled."""
    return [
        (one["params"]["connector_id"], one["params"]["schedule_id"], one["params"]["enabled"])
        for one in commands
        if one["command"] == "set_schedule"
    ]


def test_move__enabled_schedules__are_disabled_at_the_charger_and_dropped(run_bench: Run) -> None:
    """Each plan that the charger runs is disabled there; of those it does not, nothing is said."""

    async def check(bench: CommandBench) -> None:
        planner = Planner(bench)
        await planner.put(NIGHT, schedule_id="night", target_soc=80)
        await planner.put(NOON, schedule_id="noon", connector_id=2)
        await planner.put(NOON, schedule_id="off", enabled=False)
        for command in await bench.heartbeat():
            await bench.say(command["command_id"], "completed")
        await move(bench)
        orders = await bench.heartbeat()
        assert told(orders) == [(1, "night", False), (2, "noon", False)]
        assert orders[0]["params"]["time_slots"] == [NIGHT]
        assert orders[0]["params"]["target_soc"] == 80
        assert await bench.rows("SELECT * FROM schedules") == []
        for order in orders:
            await bench.say(order["command_id"], "completed")

    run_bench(check)


def test_move__parked_poll__gets_the_order_at_once(run_bench: Run) -> None:
    """A charger that waits for a command need not wait for its next poll to be set free."""

    async def check(bench: CommandBench) -> None:
        await Planner(bench).put(NIGHT)
        (command,) = await bench.heartbeat()
        await bench.say(command["command_id"], "completed")
        poll = await bench.park(1)
        await move(bench)
        order = await poll
        assert told([order]) == [(1, "s1", False)]

    run_bench(check)


def test_move__removal_under_way__is_not_lost(run_bench: Run) -> None:
    """A plan that its operator had just removed is disabled at the charger all the same."""

    async def check(bench: CommandBench) -> None:
        planner = Planner(bench)
        await planner.put(NIGHT)
        (command,) = await bench.heartbeat()
        await bench.say(command["command_id"], "completed")
        await planner.delete()
        await move(bench)
        assert told(await bench.heartbeat()) == [(1, "s1", False)]

    run_bench(check)


def test_move__what_was_queued__is_cancelled_at_once(run_bench: Run) -> None:
    """The operator before sees it without the charger having asked; what was accepted goes on."""

    async def check(bench: CommandBench) -> None:
        taken = await bench.start(2)
        await bench.heartbeat()
        await bench.say(taken.command_id, "accepted", device_no=1)
        queued = await bench.start(1)
        await move(bench)
        shown = await bench.read(queued.command_id)
        assert (shown["status"], shown["result"]) == ("failed", {"reason": "cancelled"})
        assert (await bench.read(taken.command_id))["status"] == "accepted"
        assert await bench.heartbeat() == []

    run_bench(check)


@pytest.mark.parametrize("operator_id", ["op_1", "op_2"])
def test_order_of_the_platform__is_nobody_s_to_see_or_cancel(
    run_bench: Run, operator_id: str
) -> None:
    """Neither operator finds, reads or calls off what the platform told the charger by itself."""

    async def check(bench: CommandBench) -> None:
        await Planner(bench).put(NIGHT)
        await move(bench)
        (found,) = await bench.rows(
            f"SELECT command_id FROM commands WHERE operator_id = '{PLATFORM}'"
        )
        for attempt in (bench.read, bench.cancel):
            with pytest.raises(NotFound):
                await attempt(found[0], operator_id=operator_id)
        listed = await bench.list_page(operator_id)
        assert found[0] not in {item["command_id"] for item in listed["items"]}

    run_bench(check)


def test_move__many_schedules__leave_the_next_operator_its_whole_queue(run_bench: Run) -> None:
    """The platform's own orders are none of the 50 that may wait, and come before them."""

    async def check(bench: CommandBench) -> None:
        planner = Planner(bench)
        for number in range(16):
            slot = {"start": f"{number:02}:00", "end": f"{number:02}:30", "action": "charge"}
            await planner.put(slot, schedule_id=f"s{number}")
        await move(bench)
        for _ in range(50):
            await bench.start(1, client=("cl_2", "op_2"))
        commands = await bench.heartbeat()
        assert len(told(commands[:16])) == 16
        assert len(commands) == 66

    run_bench(check)


def test_move__same_id_set_by_the_next_operator__is_what_the_charger_ends_up_with(
    run_bench: Run,
) -> None:
    """A plan under the same id takes the order's place: nothing disables it afterwards."""

    async def check(bench: CommandBench) -> None:
        await Planner(bench).put(NIGHT)
        await move(bench)
        await Planner(bench, "op_2").put(NOON)
        assert told(await bench.heartbeat()) == [(1, "s1", True)]
        bench.clock.advance(31)
        assert told(await bench.heartbeat()) == [(1, "s1", True)]

    run_bench(check)


def test_move__again_before_the_charger_came__keeps_the_orders(run_bench: Run) -> None:
    """Two moves while the charger is away leave one order for each plan that it may run."""

    async def check(bench: CommandBench) -> None:
        await Planner(bench).put(NIGHT, schedule_id="first")
        await move(bench)
        await Planner(bench, "op_2").put(NOON, schedule_id="second")
        await move(bench, "op_1")
        orders = told(await bench.heartbeat())
        assert sorted(orders) == [(1, "first", False), (1, "second", False)]

    run_bench(check)
