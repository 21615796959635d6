"""Controls from the call to the charger: what it is told, and what is said of it afterwards."""

from collections.abc import Awaitable, Callable

import pytest

from tellus.commands.repeats import KeyReused
from tellus.flexibility.service import ControlEnded
from tellus.kernel.errors import NotFound
from tellus.kernel.units import SECOND_MS, to_text
from tests.unit.flexibility.conftest import OTHER, ControlBench, limits_kw

Run = Callable[[Callable[[ControlBench], Awaitable[None]]], None]


def test_control__of_a_site__tells_each_connector_its_part_of_the_unit(run_bench: Run) -> None:
    """Half of a unit is shared by its connectors; the command names the control and its end."""

    async def test(bench: ControlBench) -> None:
        bench.add_charger(1)
        bench.add_charger(2, "TP-AC22", connectors=1)
        bench.add_charger(3, site_id="site_2")
        control_id = await bench.control(50, 1_800)
        await bench.flexibility.sweep()
        until = to_text(bench.clock.now_ms() + 1_800 * SECOND_MS)
        (first, second) = await bench.heartbeat(1)
        limit = {"control_id": control_id, "power_limit_kw": 45.0, "until": until}
        assert first["params"] == {"connector_id": 1, "limits": [limit]}
        assert second["params"] == {"connector_id": 2, "limits": [limit]}
        assert first["expiry"] == to_text(bench.clock.now_ms() + 900 * SECOND_MS)
        assert limits_kw(await bench.fetch(2)) == {1: [11.0]}
        assert await bench.heartbeat(3) == []

    run_bench(test)


def test_control__short__is_carried_by_a_command_that_lives_no_longer(run_bench: Run) -> None:
    """A limit's command expires with the limit."""

    async def test(bench: ControlBench) -> None:
        bench.add_charger(1)
        await bench.control(50, 60)
        await bench.flexibility.sweep()
        (first, _) = await bench.heartbeat(1)
        assert first["expiry"] == first["params"]["limits"][0]["until"]

    run_bench(test)


def test_pause__of_all__is_a_limit_of_nothing(run_bench: Run) -> None:
    """Nothing needs no rating: chargers of unknown models pause too."""

    async def test(bench: ControlBench) -> None:
        bench.add_charger(1, "Unheard-of", site_id="site_9")
        bench.add_charger(2)
        await bench.control(None, 60, target_type="all", target_ids=[])
        await bench.flexibility.sweep()
        assert limits_kw(await bench.fetch(1)) == {1: [0.0], 2: [0.0]}
        assert limits_kw(await bench.fetch(2)) == {1: [0.0], 2: [0.0]}

    run_bench(test)


def test_control__while_it_runs_and_after__is_judged_by_its_chargers(run_bench: Run) -> None:
    """Queued while all are, accepted until the end, then completed if any charger completed."""

    async def test(bench: ControlBench) -> None:
        bench.add_charger(1)
        bench.add_charger(2)
        control_id = await bench.control(50, 60)
        assert (await bench.show(control_id))["command_status"] == "queued"
        await bench.flexibility.sweep()
        assert (await bench.show(control_id))["command_status"] == "queued"
        await bench.fetch(1)
        shown = await bench.show(control_id)
        assert (shown["status"], shown["command_status"]) == ("executing", "accepted")
        targets = await bench.show_targets(control_id)
        assert targets["dvc_1"]["status"] == "completed"
        assert targets["dvc_1"]["power_limit_kw"] == 90.0
        assert targets["dvc_2"]["status"] == "queued"
        await bench.pass_time(60)
        shown = await bench.show(control_id)
        assert (shown["status"], shown["command_status"]) == ("ended", "completed")
        targets = await bench.show_targets(control_id)
        assert (targets["dvc_2"]["status"], targets["dvc_2"]["reason"]) == ("failed", "expired")
        assert await bench.heartbeat(1) == []
        whole = await bench.read(control_id)
        assert (whole["status"], whole["command"]) == ("completed", "flexibility")
        params = {"power_limit_percent": 50, "duration": 60}
        assert whole["params"] == {"command": "set_power_limit"} | params
        assert whole["result"]["targets"] == list(targets.values())
        assert whole["updated_at"] == whole["expires_at"] == to_text(bench.clock.now_ms())

    run_bench(test)


def test_control__no_charger_ever_answers__has_failed(run_bench: Run) -> None:
    """At its end a control that reached nobody says so, and why."""

    async def test(bench: ControlBench) -> None:
        bench.add_charger(1)
        control_id = await bench.control(50, 60)
        await bench.pass_time(60)
        whole = await bench.read(control_id)
        assert (whole["status"], whole["result"]["reason"]) == ("failed", "expired")

    run_bench(test)


def test_control__charger_rejects__is_that_chargers_outcome(run_bench: Run) -> None:
    """What a charger says is kept, it is not told again, and the others go on."""

    async def test(bench: ControlBench) -> None:
        bench.add_charger(1, "TP-AC22", connectors=1)
        control_id = await bench.control(50, 3_600)
        await bench.flexibility.sweep()
        (command,) = await bench.heartbeat()
        await bench.say(command["command_id"], "rejected", message="No such thing")
        target = (await bench.show_targets(control_id))["dvc_1"]
        assert (target["status"], target["reason"]) == ("failed", "rejected")
        assert target["message"] == "No such thing"
        assert target["connectors"][0]["command_id"] == command["command_id"]
        await bench.pass_time(1_800)
        assert await bench.heartbeat() == []

    run_bench(test)


def test_control__unknown_rating__is_an_outcome_until_power_is_seen(run_bench: Run) -> None:
    """Without a rating there is nothing to take a percentage of; the first power seen is one."""

    async def test(bench: ControlBench) -> None:
        device = bench.add_charger(1, "Unheard-of", connectors=1)
        control_id = await bench.control(50, 3_600)
        await bench.flexibility.sweep()
        assert await bench.heartbeat() == []
        target = (await bench.show_targets(control_id))["dvc_1"]
        assert (target["status"], target["reason"]) == ("failed", "unknown_rating")
        device.connectors[1].peak_power_kw = 40.0
        await bench.pass_time(5)
        assert limits_kw(await bench.fetch()) == {1: [20.0]}
        assert (await bench.show_targets(control_id))["dvc_1"]["status"] == "completed"

    run_bench(test)


def test_control__newer_one__replaces_the_command_and_carries_both_limits(run_bench: Run) -> None:
    """The charger gets one command with the whole set; the older control has not failed by that."""

    async def test(bench: ControlBench) -> None:
        bench.add_charger(1, "TP-AC22", connectors=1)
        older = await bench.control(50, 3_600)
        await bench.flexibility.sweep()
        newer = await bench.control(25, 60)
        await bench.flexibility.sweep()
        (command,) = await bench.heartbeat()
        told = {one["control_id"]: one["power_limit_kw"] for one in command["params"]["limits"]}
        assert told == {older: 11.0, newer: 5.5}
        assert (await bench.show_targets(older))["dvc_1"]["status"] == "queued"
        await bench.say(command["command_id"], "completed")
        for control_id in (older, newer):
            target = (await bench.show_targets(control_id))["dvc_1"]
            assert target["status"] == "completed"
            assert target["connectors"][0]["command_id"] == command["command_id"]
        await bench.pass_time(60)
        assert await bench.heartbeat() == []
        assert (await bench.show(newer))["command_status"] == "completed"
        assert (await bench.show(older))["status"] == "executing"

    run_bench(test)


def test_control__completed_before_a_newer_one__stays_completed(run_bench: Run) -> None:
    """A limit that was applied is not open again because a newer command carries it too."""

    async def test(bench: ControlBench) -> None:
        bench.add_charger(1)
        older = await bench.control(50, 3_600)
        await bench.flexibility.sweep()
        await bench.fetch()
        await bench.control(25, 3_600)
        await bench.flexibility.sweep()
        assert (await bench.show_targets(older))["dvc_1"]["status"] == "completed"

    run_bench(test)


def test_cancel__one_of_two__leaves_the_other_in_force(run_bench: Run) -> None:
    """Each connector is told at once what remains; nothing, where nothing does."""

    async def test(bench: ControlBench) -> None:
        bench.add_charger(1, "TP-AC22", connectors=1)
        older = await bench.control(50, 3_600)
        newer = await bench.control(25, 3_600)
        await bench.flexibility.sweep()
        assert limits_kw(await bench.fetch()) == {1: [11.0, 5.5]}
        shown = await bench.cancel_control(newer)
        assert shown["status"] == "cancelled"
        assert limits_kw(await bench.fetch()) == {1: [11.0]}
        whole = await bench.read(newer)
        assert (whole["status"], whole["result"]["reason"]) == ("completed", "cancelled")
        bench.clock.advance(1)
        assert await bench.cancel_control(newer) == shown
        assert await bench.heartbeat() == []
        await bench.cancel_control(older)
        assert limits_kw(await bench.fetch()) == {1: []}

    run_bench(test)


def test_cancel__before_any_charger_fetched__takes_the_command_back(run_bench: Run) -> None:
    """What was never delivered is replaced by what holds now, and its outcome is cancelled."""

    async def test(bench: ControlBench) -> None:
        bench.add_charger(1, "TP-AC22", connectors=1)
        control_id = await bench.control(50, 3_600)
        await bench.flexibility.sweep()
        await bench.cancel_control(control_id)
        assert limits_kw(await bench.fetch()) == {1: []}
        target = (await bench.show_targets(control_id))["dvc_1"]
        assert (target["status"], target["reason"]) == ("failed", "cancelled")
        assert (await bench.show(control_id))["command_status"] == "failed"

    run_bench(test)


def test_cancel__over_foreign_or_absent__is_refused(run_bench: Run) -> None:
    """A control that is over is a conflict; another operator's looks like none."""

    async def test(bench: ControlBench) -> None:
        bench.add_charger(1)
        control_id = await bench.control(50, 60)
        with pytest.raises(NotFound):
            await bench.cancel_control(control_id, OTHER)
        with pytest.raises(NotFound):
            await bench.cancel_control("ctl_absent")
        with pytest.raises(NotFound):
            await bench.show(control_id, OTHER)
        with pytest.raises(NotFound):
            await bench.read(control_id, OTHER)
        assert await bench.list_of(OTHER) == []
        bench.clock.advance(60)
        with pytest.raises(ControlEnded):
            await bench.cancel_control(control_id)

    run_bench(test)


def test_cancel__by_the_commands_door__is_the_same(run_bench: Run) -> None:
    """A control found as a command can be cancelled as one."""

    async def test(bench: ControlBench) -> None:
        bench.add_charger(1)
        control_id = await bench.control(50, 60)
        assert (await bench.cancel(control_id))["status"] == "failed"
        assert (await bench.show(control_id))["status"] == "cancelled"

    run_bench(test)


def test_control__integral_floats__are_whole_numbers(run_bench: Run) -> None:
    """``50.0`` percent for ``60.0`` seconds are 50 and 60."""

    async def test(bench: ControlBench) -> None:
        bench.add_charger(1)
        control_id = await bench.control(50.0, 60.0)
        params = (await bench.show(control_id))["params"]
        assert params == {"power_limit_percent": 50, "duration": 60}

    run_bench(test)


def test_control__repeated_under_its_key__is_done_once(run_bench: Run) -> None:
    """The same call is answered with the first control, another one under the key refused."""

    async def test(bench: ControlBench) -> None:
        bench.add_charger(1)
        first = await bench.control(50, 60, key="k1")
        assert await bench.control(50.0, 60, key="k1") == first
        with pytest.raises(KeyReused):
            await bench.control(40, 60, key="k1")
        with pytest.raises(NotFound):
            await bench.control(50, 60, key="k2", target_ids=["site_9"])
        second = await bench.control(50, 60, key="k2")
        assert await bench.list_of() == [second, first]

    run_bench(test)


def test_control__what_operators_do__is_in_the_audit_log(run_bench: Run) -> None:
    """Issuing and cancelling are recorded once each, with who did it."""

    async def test(bench: ControlBench) -> None:
        bench.add_charger(1)
        control_id = await bench.control(50, 60)
        await bench.cancel_control(control_id)
        await bench.cancel_control(control_id)
        assert await bench.read_log() == [
            ("control.issued", "cl_1", control_id),
            ("control.cancelled", "cl_1", control_id),
        ]

    run_bench(test)


def test_list__by_whether_they_run__follows_the_clock(run_bench: Run) -> None:
    """Newest first; what is over is not active, though nothing has touched it since."""

    async def test(bench: ControlBench) -> None:
        short = await bench.control(50, 60)
        long = await bench.control(50, 600)
        gone = await bench.control(50, 600)
        await bench.cancel_control(gone)
        assert await bench.list_of() == [gone, long, short]
        assert await bench.list_of(active="true") == [long, short]
        bench.clock.advance(60)
        assert await bench.list_of(active="true") == [long]
        assert await bench.list_of(active="false") == [gone, short]
        assert await bench.list_of(active="false", size="1", page="2") == [short]

    run_bench(test)
