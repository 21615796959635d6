"""Whatever chargers, people, time and crashes do, a rollout keeps its promises.

Two worlds live through the same: in one the engine crashes between any two of its writes and starts
again, in the other it never does. The decisions are those of the package; store, commands and
chargers are a model of a few lines.
"""

import contextlib
from typing import Any

import pytest
from hypothesis import Phase as Step
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from msgspec.structs import replace

from tellus.firmware import rules_members, rules_rollouts
from tellus.firmware.model_rollouts import (
    ACTIONS,
    IN_FLIGHT,
    Cohort,
    Member,
    MemberState,
    Reason,
    Rollout,
    RolloutState,
    Wave,
)
from tellus.firmware.rules_cohort import wave_ends
from tests.property.rollout_world import NEW, OLD, Crash, World

LIMITS = settings(max_examples=150, stateful_step_count=50, deadline=None)
QUICK = settings(
    LIMITS, max_examples=3_000, database=None, phases=[Step.generate], report_multiple_bugs=False
)
WAVES = st.lists(
    st.builds(
        Wave,
        success_percent=st.sampled_from([50.0, 80.0, 100.0]),
        max_failure_percent=st.sampled_from([0.0, 20.0, 50.0]),
        percent=st.none(),
        count=st.integers(1, 4),
        soak_s=st.sampled_from([0, 0, 600]),
    ),
    min_size=1,
    max_size=3,
)


class RolloutMachine(RuleBasedStateMachine):
    """A rollout in a world with crashes and in one without."""

    @initialize(
        devices=st.integers(1, 8), waves=WAVES, in_flight=st.sampled_from([None, None, 1, 2])
    )
    def plan(self, devices: int, waves: list[Wave], in_flight: int | None) -> None:
        self.now_ms = 1_742_031_000_000
        self.waves = waves
        rollout = Rollout(
            rollout_id="rol_1", operator_id="op_1", client_id="cl_1", name=None,
            firmware_version=NEW, rollback_version=None, allow_downgrade=False,
            max_in_flight=in_flight, cohort=Cohort(), waves=tuple(waves),
            created_ms=self.now_ms, updated_ms=self.now_ms,
        )  # fmt: skip
        ends = wave_ends(waves, devices)
        members = [
            Member(
                device_no=no, device_id=f"dvc_{no}", model="M", position=no,
                wave=sum(end <= no for end in ends), updated_ms=self.now_ms,
            )
            for no in range(ends[-1])
        ]  # fmt: skip
        self.worlds = (World(rollout, members), World(rollout, list(members)))
        self.in_flight = in_flight
        self.turned = False

    @property
    def calm(self) -> World:
        return self.worlds[0]

    @rule(crashes=st.lists(st.integers(0, 9), max_size=3), seconds=st.sampled_from([1, 1, 60]))
    def turn(self, crashes: list[int], seconds: int) -> None:
        """Both take a turn; in one world the engine crashes first, as often as it is told to."""
        self.now_ms += 1_000 * seconds
        before = self.calm.rollout
        calm, crashing = self.worlds
        calm.turn(self.now_ms)
        self.check_halt(before)
        for writes in crashes:
            with contextlib.suppress(Crash):
                crashing.turn(self.now_ms, writes)
        for world in self.worlds:
            world.come_to_rest(self.now_ms)
        self.turned = True

    def check_halt(self, before: Rollout) -> None:
        """It halted if and only if a wave that had begun failed too often."""
        after = self.calm.rollout
        if before.state is not RolloutState.RUNNING or before.ended_ms is not None:
            assert after.state is not RolloutState.HALTED or before.state is RolloutState.HALTED
            return
        exceeded = False
        for number, wave in enumerate(self.waves[: after.wave + 1]):
            mates = [
                one
                for one in self.calm.members.values()
                if one.wave == number and one.state is not MemberState.SKIPPED and not one.excused
            ]
            failed = sum(one.state is MemberState.FAILED for one in mates)
            most = min(wave.max_failure_percent, 100 - wave.success_percent)
            exceeded |= failed * 100 > most * len(mates)
        assert (after.state is RolloutState.HALTED) is exceeded

    @rule(
        device=st.integers(0, 7),
        word=st.sampled_from(
            ["fetch", "accept", "complete", "fail", "vanish", "pretend", "cancel"]
        ),
    )
    def answer(self, device: int, word: str) -> None:
        for world in self.worlds:
            if device in world.members:
                world.answer(device, word, self.now_ms)
        self.turned = False

    @rule(words=st.lists(st.sampled_from(["complete"] * 4 + ["fail", "vanish"]), min_size=8))
    def answer_all(self, words: list[str]) -> None:
        """Every charger with a command carries it out, more or less well."""
        for world in self.worlds:
            for device_no in world.members:
                for word in ("fetch", "accept", words[device_no]):
                    world.answer(device_no, word, self.now_ms)
        self.turned = False

    @rule(device=st.integers(0, 7), what=st.sampled_from(["online", "idle", "fault"]))
    def disturb(self, device: int, what: str) -> None:
        for world in self.worlds:
            charger = world.chargers.get(device)
            if charger is not None and what == "fault":
                charger.faults.add("F-0421")
            elif charger is not None:
                setattr(charger, what, not getattr(charger, what))
        self.turned = False

    @rule(action=st.sampled_from(sorted(ACTIONS)))
    def act(self, action: str) -> None:
        for world in self.worlds:
            world.act(action, self.now_ms)
        self.turned = False

    @precondition(lambda self: self.turned)
    @invariant()
    def a_crash_changes_nothing(self) -> None:
        """After the turn that follows, the world with crashes is the world without."""
        calm, crashing = self.worlds
        assert calm.picture() == crashing.picture()

    @invariant()
    def nobody_is_upgraded_twice(self) -> None:
        for device_no, charger in self.calm.chargers.items():
            assert charger.installs <= 1
            kept = [
                order
                for order in self.calm.orders.values()
                if (order.device_no, order.version) == (device_no, NEW)
                and not (order.why == "cancelled" and not order.delivered)
            ]
            assert len(kept) <= 1

    @invariant()
    def no_more_are_under_way_than_may_be(self) -> None:
        rollout, members = self.calm.rollout, self.calm.members.values()
        flying = [member for member in members if member.state in IN_FLIGHT]
        assert self.in_flight is None or len(flying) <= self.in_flight
        assert all(member.wave is not None and member.wave <= rollout.wave for member in flying)

    @invariant()
    def what_is_over_is_settled(self) -> None:
        rollout, members = self.calm.rollout, self.calm.members.values()
        if rollout.ended_ms is None:
            return
        unsettled = IN_FLIGHT | {MemberState.WAITING, MemberState.ROLLBACK_WAITING}
        assert not [member for member in members if member.state in unsettled]
        if rollout.state is RolloutState.ROLLED_BACK:
            for member in members:
                came_back = self.calm.chargers[member.device_no].version == OLD
                gave_up = member.state is MemberState.ROLLBACK_FAILED
                assert came_back or gave_up or member.state is MemberState.SKIPPED

    @invariant()
    def what_is_said_of_devices_is_true(self) -> None:
        for member in self.calm.members.values():
            if member.state is MemberState.UPGRADED:
                assert self.calm.chargers[member.device_no].version == NEW
            if member.reason is Reason.CANCELLED:
                assert member.device_no in self.calm.cancelled
            if member.reason is Reason.FAULT:
                assert self.calm.chargers[member.device_no].faults


def test_rollouts__any_history__keep_the_promises() -> None:
    """Halts exactly when it must, sends once, and a crash anywhere leaves no trace."""
    run_state_machine_as_test(RolloutMachine, settings=LIMITS)


def _never_halt(*_: Any) -> None:
    return None


def _halt_late(waves: Any, members: Any, last: int) -> Any:
    return FIND_HALT(waves, members, last - 1)


def _all_ready(rollout: Rollout, members: Any, seen: Any) -> Any:
    return CHOOSE(replace(rollout, max_in_flight=None), members, seen)


def _forget(member: Member, *_: Any) -> Member:
    return member


def _keep(rollout: Rollout, member: Member, now_ms: int) -> Member:
    return member


FIND_HALT = rules_rollouts.find_halt
CHOOSE = rules_rollouts._choose


@pytest.mark.parametrize(
    ("module", "name", "mutant"),
    [
        (rules_rollouts, "find_halt", _never_halt),
        (rules_rollouts, "find_halt", _halt_late),
        (rules_rollouts, "_choose", _all_ready),
        (rules_rollouts, "_is_recallable", lambda *_: True),
        (rules_rollouts, "_turn_back", _forget),
        (rules_members, "sent", _forget),
        (rules_members, "recalled", _keep),
    ],
)
def test_rollouts__broken_rule__is_found(
    monkeypatch: pytest.MonkeyPatch, module: Any, name: str, mutant: Any
) -> None:
    """The machine is no decoration: each seeded mistake is caught by it."""
    monkeypatch.setattr(module, name, mutant)
    with pytest.raises((AssertionError, KeyError, ExceptionGroup)):
        run_state_machine_as_test(RolloutMachine, settings=QUICK)
