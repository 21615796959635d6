"""Assignments: sent, compared with what the charger says, followed until they have arrived."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from tellus.configuration.model import ProfileChange, SyncState
from tellus.configuration.profiles import ProfileAssigned
from tellus.configuration.service import NothingAssigned, WrongModel
from tellus.fleet.administration import DeviceMoved
from tellus.kernel.errors import NotFound
from tests.unit.configuration.conftest import (
    BY,
    CLIENT,
    OPERATOR,
    VALUES,
    ConfigBench,
)

Run = Callable[[Callable[[ConfigBench], Any]], Any]
_DAY_S = 86_400


def test_assignment__sent__carries_id_hash_and_values(run_bench: Run) -> None:
    """The charger gets what it is to run, and what it is to call it."""

    async def check(bench: ConfigBench) -> None:
        profile = (await bench.profile()).profile
        command_id = await bench.assign(profile.profile_id)
        (command,) = await bench.node.heartbeat()
        assert command["command_id"] == command_id
        assert command["command"] == "apply_config_profile"
        assert command["params"] == {
            "connector_id": 0,
            "config_profile_id": profile.profile_id,
            "running_config_hash": profile.hash,
            "values": VALUES,
        }

    run_bench(check)


def test_standing__from_assignment_to_drift__says_each_state_and_since_when(
    run_bench: Run,
) -> None:
    """Unknown, applying, in sync, drifted, applying again: each with its beginning."""

    async def check(bench: ConfigBench) -> None:
        assert (await bench.standing()).judgement == (SyncState.UNKNOWN, None)
        profile = (await bench.profile()).profile
        sent_ms = bench.clock.now_ms()
        command_id = await bench.assign(profile.profile_id)
        assert (await bench.standing()).judgement == (SyncState.APPLYING, sent_ms)
        bench.clock.advance(10)
        await bench.node.heartbeat(config_profile_id="cfg_other", running_config_hash="00")
        assert (await bench.standing()).judgement == (SyncState.APPLYING, sent_ms)
        await bench.say(command_id, "completed")
        bench.clock.advance(30)
        told_ms = bench.clock.now_ms()
        says = {"config_profile_id": profile.profile_id, "running_config_hash": profile.hash}
        await bench.node.heartbeat(**says)
        assert (await bench.standing()).judgement == (SyncState.IN_SYNC, told_ms)
        bench.clock.advance(_DAY_S)
        drifted_ms = bench.clock.now_ms()
        await bench.node.heartbeat(**says | {"running_config_hash": "00"})
        assert (await bench.standing()).judgement == (SyncState.DRIFTED, drifted_ms)
        now_ms = bench.clock.now_ms()
        issuer = (CLIENT, OPERATOR)
        await bench.node.configuration.apply_again("dvc_1", issuer, now_ms, None, BY)
        view = await bench.standing()
        assert view.judgement == (SyncState.APPLYING, now_ms)
        assert view.standing.assignment is not None
        assert view.standing.assignment.assigned_ms == sent_ms

    run_bench(check)


def test_standing__charger_refuses__has_drifted_at_once(run_bench: Run) -> None:
    """A rejected profile is not on its way any more, and whoever follows is told within a turn."""

    async def check(bench: ConfigBench) -> None:
        profile = (await bench.profile()).profile
        await bench.node.heartbeat(running_config_hash="00")
        command_id = await bench.assign(profile.profile_id)
        bench.clock.advance(20)
        refused_ms = bench.clock.now_ms()
        await bench.say(command_id, "rejected")
        assert (await bench.standing()).judgement == (SyncState.DRIFTED, refused_ms)
        (config,) = await bench.running(1)
        assert (config.settled_ms, config.reported_hash) == (refused_ms, "00")
        bench.node.told.clear()
        bench.clock.advance(60)
        await bench.node.configuration.turn()
        await bench.node.configuration.turn()
        assert bench.node.told == [1]

    run_bench(check)


def test_standing__charger_takes_it_and_says_nothing__drifts_after_a_while(
    run_bench: Run,
) -> None:
    """A profile that was handed out is on its way for a quarter of an hour, not for a week."""

    async def check(bench: ConfigBench) -> None:
        profile = (await bench.profile()).profile
        await bench.node.heartbeat(running_config_hash="00")
        bench.clock.advance(60)
        await bench.assign(profile.profile_id)
        (config,) = await bench.running()
        assert config.settled_ms - bench.clock.now_ms() == 7 * _DAY_S * 1_000
        assert len(await bench.node.heartbeat(running_config_hash="00")) == 1
        delivered_ms = bench.clock.now_ms()
        (config,) = await bench.running()
        assert config.settled_ms - delivered_ms == 15 * 60 * 1_000
        bench.node.told.clear()
        for _ in range(17):
            bench.clock.advance(60)
            await bench.node.configuration.turn()
        assert bench.node.told == [1, 1]
        judgement = (await bench.standing()).judgement
        assert judgement == (SyncState.DRIFTED, delivered_ms + 15 * 60 * 1_000)

    run_bench(check)


def test_standing__profile_changed_since__stays_with_what_was_assigned(run_bench: Run) -> None:
    """New values drift nobody: a device is compared with the version that it was sent."""

    async def check(bench: ConfigBench) -> None:
        profile = (await bench.profile()).profile
        await bench.assign(profile.profile_id)
        await bench.node.heartbeat(running_config_hash=profile.hash.upper())
        change = ProfileChange(values={"heartbeat_s": 10})
        await bench.profiles.change_profile(profile.profile_id, OPERATOR, change, BY, 5)
        view = await bench.standing()
        assert view.judgement.state is SyncState.IN_SYNC
        assert view.standing.assignment is not None
        versions = (view.standing.assignment.version, view.standing.assignment.newest_version)
        assert versions == (1, 2)
        await bench.assign(profile.profile_id)
        view = await bench.standing()
        assert view.judgement.state is SyncState.APPLYING
        (command,) = await bench.node.heartbeat()
        assert command["params"]["values"] == {"heartbeat_s": 10}

    run_bench(check)


def test_assignment__model_it_is_not_for__is_refused(run_bench: Run) -> None:
    """A profile that names models goes to those alone."""

    async def check(bench: ConfigBench) -> None:
        view = await bench.profile(models=("TP-AC22",))
        with pytest.raises(WrongModel):
            await bench.assign(view.profile.profile_id)
        assert await bench.running() == []
        now_ms = bench.clock.now_ms()
        with pytest.raises(NothingAssigned):
            await bench.node.configuration.apply_again(
                "dvc_1", (CLIENT, OPERATOR), now_ms, None, BY
            )

    run_bench(check)


def test_assignment__taken_away__is_not_delivered(run_bench: Run) -> None:
    """What was still queued is given up; whoever follows is told; nothing is left to compare."""

    async def check(bench: ConfigBench) -> None:
        profile = (await bench.profile()).profile
        await bench.assign(profile.profile_id)
        now_ms = bench.clock.now_ms()
        await bench.node.configuration.unassign("dvc_1", OPERATOR, now_ms, BY)
        assert await bench.node.heartbeat() == []
        assert bench.node.told == [1, 1]
        assert await bench.running() == []
        await bench.node.configuration.unassign("dvc_1", OPERATOR, now_ms, BY)

    run_bench(check)


def test_assignment__taken_away_while_another_is_made__leaves_none_on_its_way(
    run_bench: Run,
) -> None:
    """Whoever takes the assignment away takes the one that there is, with its command."""

    async def check(bench: ConfigBench) -> None:
        first, second = (await bench.profile()).profile, (await bench.profile("Other")).profile
        await bench.assign(first.profile_id)
        cancel, commands = bench.node.commands.cancel_command, bench.node.commands

        async def meanwhile(*asked: Any) -> Any:
            commands.cancel_command = cancel
            await bench.assign(second.profile_id)
            return await cancel(*asked)

        commands.cancel_command = meanwhile
        await bench.node.configuration.unassign("dvc_1", OPERATOR, bench.clock.now_ms(), BY)
        assert await bench.running() == []
        assert await bench.node.heartbeat() == []

    run_bench(check)


def test_assignment__device_goes_to_another_operator__ends(run_bench: Run) -> None:
    """The new operator is shown what the charger says it runs, never what it was assigned."""

    async def check(bench: ConfigBench) -> None:
        profile = (await bench.profile()).profile
        await bench.assign(profile.profile_id)
        moved = DeviceMoved(1, "dvc_1", "op_2", bench.clock.now_ms())
        await bench.database.write(bench.node.configuration.clear, moved)
        assert await bench.running() == []
        assert (await bench.rows("SELECT COUNT(*) FROM config_assignments")) == [(0,)]

    run_bench(check)


def test_running__of_a_few__leaves_out_who_was_assigned_nothing(run_bench: Run) -> None:
    """Those who follow get the assigned devices they ask for, in the order of their numbers."""

    async def check(bench: ConfigBench) -> None:
        profile = (await bench.profile()).profile
        for device_no in (3, 2, 4):
            await bench.add_device(device_no)
        for device_no in (3, 1, 2):
            await bench.assign(profile.profile_id, f"dvc_{device_no}")
        await bench.node.heartbeat(4, running_config_hash="00")
        assert [one.device_no for one in await bench.running()] == [1, 2, 3]
        assert [one.device_no for one in await bench.running(4, 3, 1)] == [1, 3]
        (config,) = await bench.running(2)
        assert config[1:3] == (profile.profile_id, profile.hash)
        assert config[4:] == (None, None, None)

    run_bench(check)


def test_profile__assigned_and_deleted_at_once__is_one_or_the_other(run_bench: Run) -> None:
    """Whichever comes first, no device is left with a profile that does not exist."""

    async def check(bench: ConfigBench) -> None:
        for turn in range(8):
            profile_id = (await bench.profile(f"Profile {turn}")).profile.profile_id
            now_ms = bench.clock.now_ms()
            racing = [
                bench.assign(profile_id),
                bench.profiles.delete_profile(profile_id, OPERATOR, BY, now_ms),
            ]
            if turn % 2:
                racing.reverse()
            outcomes = await asyncio.gather(*racing, return_exceptions=True)
            refused = [one for one in outcomes if isinstance(one, Exception)]
            assert [type(one) for one in refused] in ([NotFound], [ProfileAssigned])
            assigned = {one.assigned_profile_id for one in await bench.running()}
            assert (profile_id in assigned) == isinstance(refused[0], ProfileAssigned)

    run_bench(check)
