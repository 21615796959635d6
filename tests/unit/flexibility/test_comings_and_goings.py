"""Chargers that are away, come back, join, move or are deleted while a control runs."""

from collections.abc import Awaitable, Callable

from tellus.kernel.units import to_text
from tests.unit.flexibility.conftest import OTHER, ControlBench, limits_kw

Run = Callable[[Callable[[ControlBench], Awaitable[None]]], None]


def test_control__charger_comes_back_late__is_told_what_still_holds(run_bench: Run) -> None:
    """Its command expired while it was away; it gets another, and the control has not failed."""

    async def test(bench: ControlBench) -> None:
        bench.add_charger(1, "TP-AC22", connectors=1)
        control_id = await bench.control(50, 7_200)
        await bench.flexibility.sweep()
        await bench.pass_time(901)
        assert (await bench.show_targets(control_id))["dvc_1"]["status"] == "queued"
        await bench.pass_time(3_600)
        assert await bench.fetch() == {}
        await bench.flexibility.sweep()
        assert limits_kw(await bench.fetch()) == {1: [11.0]}
        assert (await bench.show_targets(control_id))["dvc_1"]["status"] == "completed"
        await bench.pass_time(1_800)
        assert await bench.fetch() == {}

    run_bench(test)


def test_control__charger_is_there_but_did_not_fetch__is_told_again(run_bench: Run) -> None:
    """A charger that speaks to the platform gets a new command as soon as the last expired."""

    async def test(bench: ControlBench) -> None:
        device = bench.add_charger(1, "TP-AC22", connectors=1)
        await bench.control(50, 7_200)
        await bench.flexibility.sweep()
        bench.clock.advance(901)
        assert device.principal is not None
        device.principal.last_seen_ms = bench.clock.now_ms()
        await bench.pass_time(0)
        assert limits_kw(await bench.fetch()) == {1: [11.0]}

    run_bench(test)


def test_cancel__charger_is_away__is_lifted_when_it_is_back(run_bench: Run) -> None:
    """It holds the limit until it hears of the cancellation, however late that is."""

    async def test(bench: ControlBench) -> None:
        bench.add_charger(1, "TP-AC22", connectors=1)
        control_id = await bench.control(50, 7_200)
        await bench.flexibility.sweep()
        await bench.fetch()
        await bench.pass_time(600)
        await bench.cancel_control(control_id)
        await bench.pass_time(901)
        await bench.pass_time(901)
        assert await bench.fetch() == {}
        await bench.flexibility.sweep()
        assert await bench.fetch() == {1: []}

    run_bench(test)


def test_control__new_charger_at_the_site__joins(run_bench: Run) -> None:
    """Who appears while a control runs is limited from then on, and the outcome says so."""

    async def test(bench: ControlBench) -> None:
        bench.add_charger(1)
        control_id = await bench.control(50, 600)
        await bench.flexibility.sweep()
        bench.add_charger(2, "TP-AC22", connectors=1)
        bench.add_charger(3, site_id="site_2")
        await bench.pass_time(5)
        (command,) = await bench.heartbeat(2)
        (limit,) = command["params"]["limits"]
        assert limit["power_limit_kw"] == 11.0
        shown = await bench.show(control_id)
        assert limit["until"] == shown["ends_at"]
        targets = await bench.show_targets(control_id)
        assert targets["dvc_2"]["joined"] is True
        assert "joined" not in targets["dvc_1"]
        assert shown["chargers"] == 1
        assert set(targets) == {"dvc_1", "dvc_2"}

    run_bench(test)


def test_control__second_connector_appears__takes_its_part_from_the_first(run_bench: Run) -> None:
    """The connectors of a unit share what the unit may take, also those seen later."""

    async def test(bench: ControlBench) -> None:
        device = bench.add_charger(1, connectors=1)
        control_id = await bench.control(50, 600)
        await bench.flexibility.sweep()
        assert limits_kw(await bench.fetch()) == {1: [90.0]}
        more = bench.add_device(9, connectors=2)
        device.connectors[2] = more.connectors[2]
        await bench.pass_time(5)
        assert limits_kw(await bench.fetch()) == {1: [45.0], 2: [45.0]}
        target = (await bench.show_targets(control_id))["dvc_1"]
        assert (target["status"], target["power_limit_kw"]) == ("completed", 90.0)
        assert target["joined"] is True

    run_bench(test)


def test_control__charger_without_connectors__waits_for_the_first(run_bench: Run) -> None:
    """Of a charger that said nothing yet there is nothing to limit; its first connector is."""

    async def test(bench: ControlBench) -> None:
        device = bench.add_charger(1, "TP-AC22", connectors=0)
        control_id = await bench.control(50, 600)
        target = (await bench.show_targets(control_id))["dvc_1"]
        assert (target["status"], target["reason"]) == ("failed", "no_connectors")
        assert target["connectors"] == []
        device.connectors |= bench.add_device(9, connectors=1).connectors
        await bench.pass_time(5)
        assert limits_kw(await bench.fetch()) == {1: [11.0]}
        target = (await bench.show_targets(control_id))["dvc_1"]
        assert (target["status"], target["joined"]) == ("completed", True)

    run_bench(test)


def test_control__charger_goes_to_another_operator__is_released_there(run_bench: Run) -> None:
    """The limit of its former operator is lifted; that operator is told that it moved."""

    async def test(bench: ControlBench) -> None:
        device = bench.add_charger(1, "TP-AC22", connectors=1)
        bench.add_charger(2, "TP-AC22", connectors=1)
        control_id = await bench.control(50, 600)
        await bench.flexibility.sweep()
        await bench.fetch(1)
        for moved in (device, bench.directory.by_no(2)):
            assert moved is not None
            bench.directory.move(moved, OTHER, "site_9")
        await bench.pass_time(5)
        assert await bench.fetch(1) == {1: []}
        assert await bench.fetch(2) in ({}, {1: []})
        targets = await bench.show_targets(control_id)
        assert (targets["dvc_1"]["status"], targets["dvc_1"]["left"]) == ("completed", "moved")
        assert (targets["dvc_2"]["status"], targets["dvc_2"]["reason"]) == ("failed", "moved")
        await bench.pass_time(300)
        assert await bench.fetch(1) == {}

    run_bench(test)


def test_control__charger_moves_with_a_limit_of_its_new_operator__keeps_that(
    run_bench: Run,
) -> None:
    """What is lifted is what the former operator asked for, and nothing else."""

    async def test(bench: ControlBench) -> None:
        device = bench.add_charger(1, "TP-AC22", connectors=1)
        await bench.control(50, 600)
        await bench.flexibility.sweep()
        await bench.fetch()
        bench.directory.move(device, OTHER, "site_9")
        whole = {
            "target_type": "all",
            "command": "set_power_limit",
            "params": {"power_limit_percent": 75, "duration": 300},
        }
        theirs = await bench.post(whole, operator_id=OTHER)
        await bench.pass_time(5)
        await bench.fetch()
        held = bench.twins[1].limits[1]
        assert [(one["control_id"], one["power_limit_kw"]) for one in held] == [(theirs, 16.5)]

    run_bench(test)


def test_control__charger_goes_to_another_site_and_back__is_released_and_limited_again(
    run_bench: Run,
) -> None:
    """A control of a site holds for who is at the site."""

    async def test(bench: ControlBench) -> None:
        device = bench.add_charger(1, "TP-AC22", connectors=1)
        control_id = await bench.control(50, 600)
        await bench.flexibility.sweep()
        await bench.fetch()
        bench.directory.move(device, device.operator_id, "site_2")
        await bench.pass_time(5)
        assert await bench.fetch() == {1: []}
        bench.directory.move(device, device.operator_id, "site_1")
        await bench.pass_time(5)
        assert limits_kw(await bench.fetch()) == {1: [11.0]}
        assert "left" not in (await bench.show_targets(control_id))["dvc_1"]

    run_bench(test)


def test_control__charger_is_deleted__is_an_outcome(run_bench: Run) -> None:
    """Nobody can be told any more; the charger lifts the limit by itself at its end."""

    async def test(bench: ControlBench) -> None:
        device = bench.add_charger(1)
        control_id = await bench.control(50, 600)
        await bench.flexibility.sweep()
        bench.directory.remove(device)
        await bench.pass_time(5)
        target = (await bench.show_targets(control_id))["dvc_1"]
        assert (target["status"], target["reason"]) == ("failed", "deleted")
        await bench.pass_time(600)
        assert (await bench.show(control_id))["command_status"] == "failed"

    run_bench(test)


def test_control__charger_with_fifty_commands_pending__is_told_when_there_is_room(
    run_bench: Run,
) -> None:
    """A full queue delays a limit; it does not lose it."""

    async def test(bench: ControlBench) -> None:
        bench.add_charger(1, "TP-AC22", connectors=1)
        for _ in range(50):
            await bench.diagnose("reboot")
        await bench.control(50, 600)
        await bench.flexibility.sweep()
        commands = await bench.heartbeat()
        assert {command["command"] for command in commands} == {"reboot"}
        for command in commands:
            await bench.say(command["command_id"], "completed")
        await bench.pass_time(6)
        assert limits_kw(await bench.fetch()) == {1: [11.0]}

    run_bench(test)


def test_stagger__four_chargers__begin_and_end_one_after_the_other(run_bench: Run) -> None:
    """Each holds the limit as long as the others, a quarter of the stagger later."""

    async def test(bench: ControlBench) -> None:
        for number in range(1, 5):
            bench.add_charger(number, "TP-AC22", connectors=1)
        begun_ms = bench.clock.now_ms()
        control_id = await bench.control(50, 600, params={"stagger_seconds": 40})
        await bench.flexibility.sweep()
        for number in range(1, 5):
            offset_ms = 10_000 * (number - 1)
            told = await bench.fetch(number)
            assert [one["until"] for one in told[1]] == [to_text(begun_ms + 600_000 + offset_ms)]
            assert all([await bench.fetch(later) == {} for later in range(number + 1, 5)])
            await bench.pass_time(10)
        shown = await bench.show(control_id)
        assert shown["ends_at"] == to_text(begun_ms + 630_000)
        assert shown["params"]["stagger_seconds"] == 40
        bench.clock.advance(580)
        assert (await bench.show(control_id))["status"] == "executing"
        bench.clock.advance(10)
        assert (await bench.show(control_id))["status"] == "ended"

    run_bench(test)


def test_stagger__cancelled_half_way__releases_in_turn_and_begins_no_more(run_bench: Run) -> None:
    """Chargers that hold the limit are released one after the other; the others never begin."""

    async def test(bench: ControlBench) -> None:
        for number in range(1, 5):
            bench.add_charger(number, "TP-AC22", connectors=1)
        control_id = await bench.control(50, 600, params={"stagger_seconds": 40})
        await bench.pass_time(15)
        for number in range(1, 5):
            await bench.fetch(number)
        now_ms = bench.clock.now_ms()
        await bench.cancel_control(control_id)
        assert await bench.fetch(1) == {1: []}
        (limit,) = (await bench.fetch(2))[1]
        assert limit["until"] == to_text(now_ms + 10_000)
        await bench.pass_time(60)
        assert await bench.fetch(3) == await bench.fetch(4) == {}

    run_bench(test)
