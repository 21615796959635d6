"""Rolling back: who goes back to what, and what cannot."""

from collections.abc import Awaitable, Callable

import pytest

from tellus.firmware.model_rollouts import Cohort, Wave
from tellus.firmware.service import CannotUpgrade
from tests.unit.firmware.conftest import FirmwareBench

Run = Callable[[Callable[[FirmwareBench], Awaitable[None]]], None]


def test_rollout__rolled_back__sends_each_what_it_ran_before(run_bench: Run) -> None:
    """Those that run the new version go back, the others are left as they are."""

    async def check(bench: FirmwareBench) -> None:
        await bench.fleet(4)
        await bench.release("3.0.0")
        bench.device(2).firmware_version = "3.0.0"
        rollout_id = await bench.roll_out(Wave(50, 50))
        await bench.turn()
        for device_no in (1, 2):
            await bench.obey(device_no)
        await bench.obey(3, "failed")
        await bench.turn()
        bench.touch(4)
        await bench.act("rollback", rollout_id)
        await bench.turn()
        assert await bench.states(rollout_id) == {
            1: "rollback_queued", 2: "rollback_queued", 3: "failed", 4: "left",
        }  # fmt: skip
        await bench.obey(1, version="3.1.0")
        await bench.obey(2, "failed", version="3.0.0")
        await bench.turn()
        rollout = await bench.rollout(rollout_id)
        assert (rollout.state, rollout.ended_ms) == ("rolled_back", bench.clock.now_ms())
        assert (await bench.states(rollout_id))[1] == "rolled_back"
        assert (await bench.states(rollout_id))[2] == "rollback_failed"
        assert bench.device(1).firmware_version == "3.1.0"

    run_bench(check)


def test_rollback__under_way_when_it_began__waits_for_the_end_and_then_goes_back(
    run_bench: Run,
) -> None:
    """A charger in the middle of its upgrade is not disturbed; afterwards it goes back."""

    async def check(bench: FirmwareBench) -> None:
        await bench.fleet(1)
        rollout_id = await bench.roll_out()
        await bench.turn()
        await bench.obey(1, "silence")
        await bench.act("rollback", rollout_id)
        await bench.turn()
        assert await bench.states(rollout_id) == {1: "upgrading"}
        await bench.say("success")
        await bench.turn()
        assert await bench.states(rollout_id) == {1: "rollback_queued"}

    run_bench(check)


def test_rollback__of_one_that_was_over__leaves_devices_of_another_rollout_alone(
    run_bench: Run,
) -> None:
    """A later rollout has them; they are told apart from those that go back."""

    async def check(bench: FirmwareBench) -> None:
        await bench.fleet(2)
        await bench.release("3.3.0")
        first = await bench.roll_out()
        await bench.turn()
        for device_no in (1, 2):
            await bench.obey(device_no)
        await bench.turn()
        later = await bench.roll_out(version="3.3.0", cohort=Cohort(device_ids=("dvc_1",)))
        await bench.act("rollback", first)
        await bench.turn()
        members = await bench.members(first)
        assert (members[1].state, members[1].reason) == ("rollback_failed", "in_another_rollout")
        assert members[2].state == "rollback_queued"
        assert await bench.states(later) == {1: "queued"}

    run_bench(check)


def test_rollback__without_a_release_to_go_back_to__says_so(run_bench: Run) -> None:
    """What is not in the catalogue, or was withdrawn, cannot be sent."""

    async def check(bench: FirmwareBench) -> None:
        await bench.release()
        rollout_id = await bench.roll_out()
        await bench.turn()
        await bench.obey(1)
        await bench.turn()
        await bench.act("rollback", rollout_id)
        await bench.turn()
        await bench.turn()
        members = await bench.members(rollout_id)
        assert (members[1].state, members[1].reason) == ("rollback_failed", "no_release")
        assert (await bench.rollout(rollout_id)).state == "rolled_back"

    run_bench(check)


def test_rollback_version__of_the_plan__is_what_is_sent(run_bench: Run) -> None:
    """A plan may name where all go back to; it must be there for each model."""

    async def check(bench: FirmwareBench) -> None:
        await bench.fleet(1)
        await bench.release("3.0.9")
        bench.add_device(2, model="TP-DC60")
        await bench.release(models=("TP-DC60",))
        with pytest.raises(CannotUpgrade) as refused:
            await bench.roll_out(rollback_version="3.0.9")
        assert refused.value.details["model"] == "TP-DC60"
        cohort = Cohort(models=("TP-DC180",))
        rollout_id = await bench.roll_out(rollback_version="3.0.9", cohort=cohort)
        await bench.turn()
        await bench.obey(1)
        await bench.turn()
        await bench.act("rollback", rollout_id)
        await bench.turn()
        await bench.obey(1, version="3.0.9")

    run_bench(check)
