"""What becomes of a device of a rollout: away, busy, faulty, silent, late, or gone."""

from collections.abc import Awaitable, Callable

import pytest

from tellus.firmware.model_rollouts import Wave
from tellus.firmware.service import CannotUpgrade
from tellus.fleet.model import ConnectorState
from tests.unit.firmware.conftest import OPERATOR, FirmwareBench

Run = Callable[[Callable[[FirmwareBench], Awaitable[None]]], None]


def test_rollout__device_that_is_away_or_charging__waits_up_to_a_week(run_bench: Run) -> None:
    """It is sent the upgrade when it is online and idle; after seven days it has failed."""

    async def check(bench: FirmwareBench) -> None:
        await bench.fleet(3)
        bench.set_state(2, ConnectorState.CHARGING)
        rollout_id = await bench.roll_out(Wave(30, 70))
        bench.clock.advance(300)
        bench.touch(1)
        bench.touch(2)
        await bench.turn()
        assert await bench.states(rollout_id) == {1: "queued", 2: "waiting", 3: "waiting"}
        bench.set_state(2, ConnectorState.IDLE)
        await bench.turn()
        assert (await bench.states(rollout_id))[2] == "queued"
        await bench.turn(7 * 86_400)
        members = await bench.members(rollout_id)
        assert (members[3].state, members[3].reason) == ("failed", "expired")

    run_bench(check)


def test_rollout__fault_after_the_upgrade__is_a_failure(run_bench: Run) -> None:
    """A fault that the charger did not have before counts until the wave has passed."""

    async def check(bench: FirmwareBench) -> None:
        await bench.fleet(3)
        for device_no in (1, 2):
            await bench.fault(device_no, "F-0601")
        bench.clock.advance(60)
        rollout_id = await bench.roll_out(Wave(100, 50, soak_s=600))
        bench.touch(1)
        bench.touch(2)
        bench.touch(3)
        await bench.turn()
        for device_no in (1, 2, 3):
            await bench.obey(device_no)
        await bench.turn()
        await bench.fault(1, "F-0601")
        await bench.fault(2, "F-0421")
        await bench.turn()
        members = await bench.members(rollout_id)
        assert members[1].state == "upgraded"
        assert (members[2].state, members[2].reason, members[2].message) == (
            "failed", "fault", "F-0421",
        )  # fmt: skip
        assert (await bench.rollout(rollout_id)).state == "halted"
        await bench.act("rollback", rollout_id)
        await bench.turn()
        assert (await bench.states(rollout_id))[2] == "rollback_queued"

    run_bench(check)


def test_rollout__fault_in_the_heartbeat__counts_unless_it_was_there_before(
    run_bench: Run,
) -> None:
    """What the charger said it had when it was sent the upgrade is not the upgrade's doing."""

    async def check(bench: FirmwareBench) -> None:
        await bench.fleet(2)
        bench.device(1).fault_code = "F-0203"
        rollout_id = await bench.roll_out(Wave(50, 50, soak_s=600))
        await bench.turn()
        for device_no in (1, 2):
            await bench.obey(device_no)
        bench.device(1).fault_code = "F-0203"
        bench.device(2).fault_code = "F-0203"
        await bench.turn()
        assert await bench.states(rollout_id) == {1: "upgraded", 2: "failed"}

    run_bench(check)


def test_rollout__charger_that_goes_away_after_its_success__has_failed(run_bench: Run) -> None:
    """A device that is not back online within the limit has failed."""

    async def check(bench: FirmwareBench) -> None:
        await bench.fleet(1)
        rollout_id = await bench.roll_out(Wave(100, 0, soak_s=10_000))
        await bench.turn()
        await bench.obey(1)
        await bench.turn()
        await bench.turn(1_700)
        assert await bench.states(rollout_id) == {1: "upgraded"}
        await bench.turn(200)
        members = await bench.members(rollout_id)
        assert (members[1].state, members[1].reason) == ("failed", "not_back_online")

    run_bench(check)


def test_rollout__completed_by_word_alone__needs_the_version_too(run_bench: Run) -> None:
    """A charger that says completed and goes on reporting the old version has failed."""

    async def check(bench: FirmwareBench) -> None:
        await bench.fleet(1)
        rollout_id = await bench.roll_out()
        await bench.turn()
        [order] = await bench.fetch()
        await bench.report(order["id"], "completed")
        await bench.turn()
        assert await bench.states(rollout_id) == {1: "upgrading"}
        await bench.turn(1_800)
        members = await bench.members(rollout_id)
        assert (members[1].state, members[1].reason) == ("failed", "version_unchanged")

    run_bench(check)


def test_rollout__charger_given_up_that_comes_back__is_upgraded_after_all(run_bench: Run) -> None:
    """The late word of a charger corrects what the platform declared."""

    async def check(bench: FirmwareBench) -> None:
        await bench.fleet(3)
        rollout_id = await bench.roll_out(Wave(60, 40))
        await bench.turn()
        await bench.obey(1, "silence")
        await bench.turn(2_000)
        await bench.turn()
        members = await bench.members(rollout_id)
        assert (members[1].state, members[1].reason) == ("failed", "no_response")
        await bench.say("success", 1)
        await bench.turn()
        assert (await bench.states(rollout_id))[1] == "upgraded"

    run_bench(check)


def test_rollout__device_of_another_one__is_skipped_and_cannot_be_upgraded_alone(
    run_bench: Run,
) -> None:
    """A device is in one rollout at a time, and single upgrades stay out of its way."""

    async def check(bench: FirmwareBench) -> None:
        await bench.fleet(1)
        await bench.release("3.3.0")
        first = await bench.roll_out()
        second = await bench.roll_out(version="3.3.0")
        members = await bench.members(second)
        assert (members[1].state, members[1].reason) == ("skipped", "in_another_rollout")
        with pytest.raises(CannotUpgrade) as refused:
            await bench.upgrade("3.3.0")
        assert refused.value.details == {"reason": "in_rollout", "rollout_id": first}

    run_bench(check)


def test_rollout__command_that_a_person_cancelled__is_no_failure(run_bench: Run) -> None:
    """Who takes a device's command back takes the device out of the rollout."""

    async def check(bench: FirmwareBench) -> None:
        await bench.fleet(1)
        rollout_id = await bench.roll_out()
        await bench.turn()
        members = await bench.members(rollout_id)
        await bench.commands.cancel_command(
            members[1].command_id or "", OPERATOR, bench.clock.now_ms()
        )
        await bench.turn()
        members = await bench.members(rollout_id)
        assert (members[1].state, members[1].reason) == ("skipped", "cancelled")
        assert (await bench.rollout(rollout_id)).state == "completed"

    run_bench(check)


def test_rollout__device_that_left_the_operator__is_skipped(run_bench: Run) -> None:
    """Who moved away before its turn is no failure, and gets nothing."""

    async def check(bench: FirmwareBench) -> None:
        await bench.fleet(2)
        rollout_id = await bench.roll_out()
        bench.directory.move(bench.device(2), "op_2", "site_2")
        await bench.turn()
        members = await bench.members(rollout_id)
        assert (members[2].state, members[2].reason) == ("skipped", "gone")
        assert await bench.fetch(2) == []

    run_bench(check)
