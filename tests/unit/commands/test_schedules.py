"""A plan and the command that takes it to its charger are one thing; two plans do not collide."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from tellus.commands.model import NotBidirectional
from tellus.commands.model_schedules import SCHEDULES_MOST
from tellus.commands.repeats import KeyReused
from tellus.commands.schedules import ScheduleOverlaps
from tellus.kernel.errors import (
    Conflict,
    NotFound,
    TooManyRequests,
)
from tellus.kernel.units import DAY_MS
from tests.unit.commands.conftest import OPERATOR, CommandBench
from tests.unit.commands.planning import NIGHT, NOON, Planner

Run = Callable[[Callable[[CommandBench], Awaitable[None]]], None]


def test_set__a_plan__goes_out_whole_and_is_listed(run_bench: Run) -> None:
    """The charger gets the request with its zone; the list shows plan, command and next slots."""

    async def check(bench: CommandBench) -> None:
        planner = Planner(bench)
        slot = NIGHT | {"day_of_week": ["sat", "sun"]}
        issued = await planner.put(slot, type="weekly", target_soc=90, timezone="Europe/London")
        assert (issued.schedule_id, issued.status, issued.device_online) == ("s1", "queued", False)
        assert issued.expires_at == "2025-03-22T09:30:00Z"
        (command,) = await bench.heartbeat()
        assert command["command_id"] == issued.command_id
        assert command["command"] == "set_schedule"
        assert command["params"] == {
            "connector_id": 1,
            "schedule_id": "s1",
            "enabled": True,
            "type": "weekly",
            "time_slots": [slot],
            "target_soc": 90,
            "timezone": "Europe/London",
        }
        (item,) = await planner.list()
        assert (item["command_id"], item["command_status"]) == (issued.command_id, "queued")
        assert item["next_slots"][:2] == [
            {
                "start_at": f"2025-03-{day}T22:00:00Z",
                "end_at": f"2025-03-{day + 1}T08:00:00Z",
                "action": "charge",
                "power_limit": 7.0,
            }
            for day in (15, 16)
        ]
        assert len(item["next_slots"]) == 10
        await bench.say(issued.command_id, "completed")
        assert (await planner.list())[0]["command_status"] == "completed"
        assert await planner.list(connector_id=2) == []

    run_bench(check)


def test_set__without_begin_or_zone__are_settled_for_platform_and_charger_alike(
    run_bench: Run,
) -> None:
    """UTC where nobody says another; a plan for once begins when it was asked for."""

    async def check(bench: CommandBench) -> None:
        planner = Planner(bench)
        await planner.put(NOON, type="once")
        (command,) = await bench.heartbeat()
        assert command["params"]["timezone"] == "UTC"
        assert command["params"]["effective_from"] == "2025-03-15T09:30:00Z"
        bench.clock.advance(2 * DAY_MS / 1000)
        assert (await planner.list())[0]["next_slots"] == []

    run_bench(check)


def test_set__same_id__replaces_plan_and_waiting_command_of_that_id_alone(run_bench: Run) -> None:
    """The older version is superseded; another schedule of the connector still goes out."""

    async def check(bench: CommandBench) -> None:
        planner = Planner(bench)
        first = await planner.put(NIGHT)
        other = await planner.put(NOON, schedule_id="s2")
        beside = await planner.put(NIGHT, connector_id=2)
        bench.clock.advance(60)
        second = await planner.put(NIGHT | {"start": "23:00"})
        sent = [command["command_id"] for command in await bench.heartbeat()]
        assert sent == [other.command_id, beside.command_id, second.command_id]
        assert (await bench.read(first.command_id))["result"] == {"reason": "superseded"}
        one, two = await planner.list()
        assert one["time_slots"][0]["start"] == "23:00"
        assert (one["created_at"], one["updated_at"]) == (
            "2025-03-15T09:30:00Z",
            "2025-03-15T09:31:00Z",
        )
        assert two["schedule_id"] == "s2"

    run_bench(check)


def test_set__overlap_under_another_id__is_refused_and_changes_nothing(run_bench: Run) -> None:
    """Only enabled plans of the same connector collide, and the refusal says with what, when."""

    async def check(bench: CommandBench) -> None:
        planner = Planner(bench)
        await planner.put(NIGHT)
        early = {"start": "07:00", "end": "09:00", "action": "idle"}
        with pytest.raises(ScheduleOverlaps) as caught:
            await planner.put(early, schedule_id="s2")
        assert caught.value.details == {"schedule_id": "s1", "at": "2025-03-16T07:00:00Z"}
        assert [item["schedule_id"] for item in await planner.list()] == ["s1"]
        assert len(await bench.rows("SELECT 1 FROM commands")) == 1
        await planner.put(early, schedule_id="s2", enabled=False)
        await planner.put(early, schedule_id="s2", connector_id=2)
        with pytest.raises(ScheduleOverlaps):
            await planner.put(early, schedule_id="s2")
        await planner.put(NIGHT, enabled=False)
        await planner.put(early, schedule_id="s2")

    run_bench(check)


def test_set__discharge__needs_hardware_that_can(run_bench: Run) -> None:
    """409 unless the unit is bidirectional; a disabled plan asks nothing of it."""

    async def check(bench: CommandBench) -> None:
        planner = Planner(bench)
        slot = NIGHT | {"action": "discharge"}
        with pytest.raises(NotBidirectional):
            await planner.put(slot)
        await planner.put(slot, enabled=False)
        device = bench.directory.by_id("dvc_1")
        assert device is not None
        device.v2g = True
        await planner.put(slot)

    run_bench(check)


def test_set__more_than_a_connector_may_have__is_refused(run_bench: Run) -> None:
    """Sixteen under different ids, disabled ones included; replacing one is not one more."""

    async def check(bench: CommandBench) -> None:
        planner = Planner(bench)
        for number in range(SCHEDULES_MOST):
            await planner.put(NIGHT, schedule_id=f"s{number}", enabled=False)
        with pytest.raises(Conflict):
            await planner.put(NIGHT, schedule_id="more", enabled=False)
        await planner.put(NIGHT, schedule_id="s3", enabled=False)

    run_bench(check)


def test_set__full_queue__stores_no_plan(run_bench: Run) -> None:
    """Where the command finds no room the plan is not stored either: both or neither."""

    async def check(bench: CommandBench) -> None:
        planner = Planner(bench)
        for _ in range(50):
            await bench.start(2)
        with pytest.raises(TooManyRequests):
            await planner.put(NIGHT)
        assert await planner.list() == []

    run_bench(check)


def test_set__repeated_under_a_key__acts_once(run_bench: Run) -> None:
    """The first answer comes again, even when a later plan would now be in the way."""

    async def check(bench: CommandBench) -> None:
        planner = Planner(bench)
        first = await planner.put(NIGHT, key="k1")
        await planner.delete()
        await planner.put(NIGHT, schedule_id="s2")
        assert (await planner.put(NIGHT, key="k1")).command_id == first.command_id
        assert [item["schedule_id"] for item in await planner.list()] == ["s2"]
        with pytest.raises(KeyReused):
            await planner.put(NOON, key="k1")

    run_bench(check)


def test_set__two_at_once_that_collide__only_one_is_stored(run_bench: Run) -> None:
    """Plans are compared where they are written, so that a race has one winner."""

    async def check(bench: CommandBench) -> None:
        planner = Planner(bench)
        outcomes = await asyncio.gather(
            *(planner.put(NIGHT, schedule_id=f"s{number}") for number in range(5)),
            return_exceptions=True,
        )
        assert sum(isinstance(outcome, ScheduleOverlaps) for outcome in outcomes) == 4
        assert len(await planner.list()) == 1
        assert len(await bench.rows("SELECT 1 FROM commands")) == 1

    run_bench(check)


def test_delete__schedule__is_forgotten_here_and_disabled_there(run_bench: Run) -> None:
    """The charger gets the plan once more, disabled; a second time there is nothing to remove."""

    async def check(bench: CommandBench) -> None:
        planner = Planner(bench)
        stored = await planner.put(NIGHT)
        removed = await planner.delete()
        assert await planner.list() == []
        (command,) = await bench.heartbeat()
        assert command["command_id"] == removed.command_id != stored.command_id
        assert (command["params"]["schedule_id"], command["params"]["enabled"]) == ("s1", False)
        with pytest.raises(NotFound):
            await planner.delete()
        with pytest.raises(NotFound):
            await planner.delete("s9")

    run_bench(check)


def test_schedules__of_another_operator_or_before_a_move__do_not_exist(run_bench: Run) -> None:
    """Neither seen, nor in the way, nor to be removed; also when the device comes back."""

    async def check(bench: CommandBench) -> None:
        before = Planner(bench)
        await before.put(NIGHT)
        after = Planner(bench, "op_2")
        for attempt in (after.put(NIGHT), after.list(), after.delete()):
            with pytest.raises(NotFound):
                await attempt
        device = bench.directory.by_id("dvc_1")
        assert device is not None
        for operator_id, planner in (("op_2", after), (OPERATOR, before)):
            bench.clock.advance(60)
            bench.directory.move(device, operator_id, "site_2")
            device.owned_since_ms = bench.clock.now_ms()
            assert await planner.list() == []
            with pytest.raises(NotFound):
                await planner.delete()
            await planner.put(NIGHT, schedule_id="other")
            assert len(await planner.list()) == 1

    run_bench(check)


def test_schedules__of_a_restarted_platform__are_still_there(run_bench: Run) -> None:
    """Plan and command are on the disk when the operator is answered."""

    async def check(bench: CommandBench) -> None:
        await Planner(bench).put(NIGHT)
        await bench.restart()
        planner = Planner(bench)
        assert [item["schedule_id"] for item in await planner.list()] == ["s1"]
        assert [command["command"] for command in await bench.heartbeat()] == ["set_schedule"]

    run_bench(check)


def test_set__dates_at_the_edge_of_time__are_answered(run_bench: Run) -> None:
    """Ranges that reach to the first and last years are stored and listed like others."""

    async def check(bench: CommandBench) -> None:
        planner = Planner(bench)
        edges = {
            "effective_from": "0001-01-01T00:00:00+12:00",
            "effective_until": "9999-12-31T23:59:59-12:00",
        }
        for number, recurrence in enumerate(("once", "daily")):
            await planner.put(
                NIGHT, schedule_id=f"s{number}", type=recurrence, timezone="Asia/Tokyo", **edges
            )
        late = {"effective_from": "9999-12-31T23:00:00Z", "timezone": "Pacific/Auckland"}
        await planner.put(NOON, schedule_id="s2", **late)
        await planner.put(NOON, schedule_id="s3", type="once", **late)
        shown = [len(item["next_slots"]) for item in await planner.list()]
        assert shown == [0, 10, 0, 0]

    run_bench(check)
