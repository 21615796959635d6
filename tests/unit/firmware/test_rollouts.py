"""Rollouts over a real store: waves, halts, people, and what happens to each device."""

from collections.abc import Awaitable, Callable

import pytest

from tellus.firmware.model_rollouts import Cohort, Wave
from tellus.firmware.rollouts import NotPossible
from tellus.kernel.errors import NotFound
from tests.unit.firmware.conftest import ALL, BY, FirmwareBench

Run = Callable[[Callable[[FirmwareBench], Awaitable[None]]], None]

ONE_THEN_REST = (Wave(100, 0, count=1), Wave(50, 50))


def test_rollout__wave_that_succeeds__lets_the_next_begin_until_all_is_done(
    run_bench: Run,
) -> None:
    """One device first, then the others; the rollout is over when all are settled."""

    async def check(bench: FirmwareBench) -> None:
        await bench.fleet(4)
        rollout_id = await bench.roll_out(*ONE_THEN_REST)
        await bench.turn()
        first = await bench.first_of(rollout_id)
        await bench.obey(first)
        await bench.turn()
        assert (await bench.states(rollout_id))[first] == "upgraded"
        others = await bench.fly(rollout_id)
        assert len(others) == 3
        for device_no in others:
            await bench.obey(device_no)
        await bench.turn()
        rollout = await bench.rollout(rollout_id)
        assert (rollout.state, rollout.wave) == ("completed", 2)
        assert rollout.ended_ms == bench.clock.now_ms()
        assert {bench.device(no).firmware_version for no in range(1, 5)} == {"3.2.0"}
        await bench.turn()
        commands = await bench.rows("SELECT count(*) FROM commands")
        assert commands == [(4,)]

    run_bench(check)


def test_rollout__soak__is_waited_for(run_bench: Run) -> None:
    """The next wave begins when the time after the last success is over, not before."""

    async def check(bench: FirmwareBench) -> None:
        await bench.fleet(2)
        rollout_id = await bench.roll_out(Wave(100, 0, count=1, soak_s=60), ALL)
        await bench.turn()
        first = await bench.first_of(rollout_id)
        await bench.obey(first)
        await bench.turn()
        await bench.turn(59)
        assert await bench.fly(rollout_id) == []
        await bench.turn(1)
        assert len(await bench.fly(rollout_id)) == 1

    run_bench(check)


def test_rollout__more_failures_than_may_be__halts_and_takes_back_what_has_not_left(
    run_bench: Run,
) -> None:
    """A halt says why; nobody is sent anything any more, also who had it waiting."""

    async def check(bench: FirmwareBench) -> None:
        await bench.fleet(5)
        rollout_id = await bench.roll_out(Wave(60, 20))
        await bench.turn()
        flying = await bench.fly(rollout_id)
        for device_no in flying[:2]:
            await bench.obey(device_no, "failed")
        await bench.turn()
        rollout = await bench.rollout(rollout_id)
        assert rollout.state == "halted"
        assert rollout.halt is not None
        assert (rollout.halt.reason, rollout.halt.failed, rollout.halt.devices) == (
            "max_failure_exceeded", 2, 5,
        )  # fmt: skip
        states = await bench.states(rollout_id)
        assert sorted(states.values()) == ["failed", "failed", "waiting", "waiting", "waiting"]
        assert await bench.fetch(flying[2]) == []
        await bench.turn(1_000)
        assert (await bench.rollout(rollout_id)).state == "halted"
        [(actor, details)] = await bench.rows(
            "SELECT actor, details FROM audit_log WHERE action = 'firmware_rollout.halted'"
        )
        assert actor == "platform"
        assert "max_failure_exceeded" in details

    run_bench(check)


def test_rollout__success_that_cannot_be_reached__halts(run_bench: Run) -> None:
    """Failures that are allowed but leave too few to succeed halt as well."""

    async def check(bench: FirmwareBench) -> None:
        await bench.fleet(2)
        rollout_id = await bench.roll_out(Wave(100, 50))
        await bench.turn()
        await bench.obey(1, "failed")
        await bench.turn()
        rollout = await bench.rollout(rollout_id)
        assert rollout.halt is not None
        assert rollout.halt.reason == "success_out_of_reach"

    run_bench(check)


def test_rollout__resumed_after_a_halt__goes_on_without_the_failures(run_bench: Run) -> None:
    """Only a person resumes; failures so far count no more, and those devices are left alone."""

    async def check(bench: FirmwareBench) -> None:
        await bench.fleet(3)
        rollout_id = await bench.roll_out(Wave(100, 0, count=1), ALL)
        await bench.turn()
        first = await bench.first_of(rollout_id)
        await bench.obey(first, "failed")
        await bench.turn()
        await bench.act("resume", rollout_id)
        await bench.turn()
        others = await bench.fly(rollout_id)
        assert len(others) == 2
        for device_no in others:
            await bench.obey(device_no)
        await bench.turn()
        assert (await bench.rollout(rollout_id)).state == "completed"
        members = await bench.members(rollout_id)
        assert (members[first].state, members[first].excused) == ("failed", True)
        assert await bench.fetch(first) == []

    run_bench(check)


def test_rollout__paused__sends_nothing_until_it_is_resumed(run_bench: Run) -> None:
    """What is under way goes on; what waits, waits."""

    async def check(bench: FirmwareBench) -> None:
        await bench.fleet(3)
        rollout_id = await bench.roll_out(max_in_flight=1)
        await bench.turn()
        first = await bench.first_of(rollout_id)
        await bench.fetch(first)
        await bench.act("pause", rollout_id)
        await bench.say("success", first)
        await bench.turn()
        await bench.turn()
        assert await bench.fly(rollout_id) == []
        assert (await bench.states(rollout_id))[first] == "upgraded"
        await bench.act("resume", rollout_id)
        await bench.turn()
        assert len(await bench.fly(rollout_id)) == 1

    run_bench(check)


def test_rollout__cancelled__ends_when_the_last_upgrade_under_way_has(run_bench: Run) -> None:
    """What has not left is taken back, what is under way is followed to its end."""

    async def check(bench: FirmwareBench) -> None:
        await bench.fleet(3)
        rollout_id = await bench.roll_out()
        await bench.turn()
        await bench.obey(1, "silence")
        await bench.act("cancel", rollout_id)
        await bench.turn()
        await bench.turn()
        assert await bench.states(rollout_id) == {1: "upgrading", 2: "left", 3: "left"}
        assert (await bench.rollout(rollout_id)).ended_ms is None
        await bench.say("success")
        await bench.turn()
        assert (await bench.states(rollout_id))[1] == "upgraded"
        assert (await bench.rollout(rollout_id)).ended_ms is not None

    run_bench(check)


@pytest.mark.parametrize("action", ["resume", "pause", "cancel"])
def test_act__that_does_not_go_with_the_state__is_refused(run_bench: Run, action: str) -> None:
    """What is over can only be rolled back, and what runs cannot be resumed."""

    async def check(bench: FirmwareBench) -> None:
        await bench.fleet(1)
        rollout_id = await bench.roll_out(cohort=Cohort(models=("none",)))
        await bench.turn()
        assert (await bench.rollout(rollout_id)).state == "completed"
        with pytest.raises(NotPossible):
            await bench.act(action, rollout_id)
        with pytest.raises(NotFound):
            await bench.rollouts.act(action, rollout_id, "op_2", BY, bench.clock.now_ms())

    run_bench(check)


def test_rollout__release_withdrawn__halts_before_anybody_else_gets_it(run_bench: Run) -> None:
    """A bad release stops its rollouts, and commands that have not left are taken back."""

    async def check(bench: FirmwareBench) -> None:
        await bench.release("3.1.0")
        release = await bench.release()
        bench.add_device(2)
        rollout_id = await bench.roll_out(max_in_flight=1)
        await bench.turn()
        first = await bench.first_of(rollout_id)
        await bench.withdraw(release)
        await bench.turn()
        rollout = await bench.rollout(rollout_id)
        assert rollout.halt is not None
        assert (rollout.state, rollout.halt.reason) == ("halted", "release_withdrawn")
        assert await bench.fetch(first) == []

    run_bench(check)


def test_rollout__restarted_after_every_turn__sends_each_device_one_command(
    run_bench: Run,
) -> None:
    """All that a rollout knows is in the store: a new process goes on where the old one was."""

    async def check(bench: FirmwareBench) -> None:
        await bench.fleet(6)
        rollout_id = await bench.roll_out(Wave(100, 0, count=2), ALL, max_in_flight=2)
        for _ in range(30):
            await bench.restart()
            await bench.turn()
            for device_no in await bench.fly(rollout_id):
                if (await bench.states(rollout_id))[device_no] == "queued":
                    await bench.obey(device_no)
        assert (await bench.rollout(rollout_id)).state == "completed"
        counts = await bench.rows("SELECT device_no, count(*) FROM commands GROUP BY device_no")
        assert counts == [(number, 1) for number in range(1, 7)]

    run_bench(check)
