"""What follows in a rollout: one pure function from what is known to what is to be done.

``next_step`` may be asked again and again, and after a crash anywhere: what it decides depends on
the rollout as stored and on what is seen of its devices alone. It never marks a device as sent;
that is ``rules_members.sent``, in the transaction that stores the command.
"""

from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Final

from msgspec.structs import replace

from tellus.firmware.model import Patience
from tellus.firmware.model_rollouts import (
    IN_FLIGHT,
    Halt,
    HaltReason,
    Member,
    MemberState,
    Rollout,
    RolloutState,
    Sight,
    Step,
    Wave,
)
from tellus.firmware.rules_members import follow

_UNSEEN: Final = Sight(owned=False, online=False)
_WHOLE_PCT: Final = 100.0
_PENDING: Final = frozenset({MemberState.WAITING, MemberState.ROLLBACK_WAITING})
_UNSETTLED: Final = _PENDING | IN_FLIGHT


def next_step(
    rollout: Rollout,
    members: Sequence[Member],
    seen: Mapping[int, Sight],
    now_ms: int,
    patience: Patience,
) -> Step:
    """Return what follows now; ``members`` are all of the rollout, ``seen`` by device number."""
    before = {member.device_no: member for member in members}
    after, current = rollout, list(members)
    # Until nothing follows any more, so that a turn repeated at once would decide nothing new.
    while True:
        sights = [(one, seen.get(one.device_no, _UNSEEN)) for one in current]
        followed = [follow(after, one, sight, now_ms, patience) for one, sight in sights]
        further, moved = _advance(after, followed, seen, now_ms)
        if (further, moved) == (after, current):
            break
        after, current = further, moved
    changed = tuple(one for one in current if one != before[one.device_no])
    if after != rollout:
        after = replace(after, updated_ms=now_ms)
    send = _choose(after, current, seen)
    withdraw: tuple[Member, ...] = ()
    if after.state is not RolloutState.RUNNING:
        withdraw = tuple(
            one
            for one in current
            if _is_recallable(after, one) and seen.get(one.device_no, _UNSEEN).undelivered
        )
    return Step(after, changed, send, withdraw)


def is_in_flight(member: Member) -> bool:
    """Tell whether a command of the device is under way."""
    return member.state in IN_FLIGHT


def counted(members: Iterable[Member], wave: int) -> list[Member]:
    """Return the devices of a wave that count: neither skipped nor excused."""
    return [
        member
        for member in members
        if member.wave == wave and member.state is not MemberState.SKIPPED and not member.excused
    ]


def find_halt(waves: Sequence[Wave], members: Sequence[Member], last: int) -> Halt | None:
    """Say why a rollout has to halt, looking at its waves up to ``last``; None if it need not."""
    for number, wave in enumerate(waves[: last + 1]):
        counting = counted(members, number)
        failed = sum(member.state is MemberState.FAILED for member in counting)
        for limit_pct, reason in (
            (wave.max_failure_percent, HaltReason.MAX_FAILURE_EXCEEDED),
            (_WHOLE_PCT - wave.success_percent, HaltReason.SUCCESS_OUT_OF_REACH),
        ):
            if failed * _WHOLE_PCT > limit_pct * len(counting):
                return Halt(reason, number, failed, len(counting))
    return None


# ------------------------------------------------------------------ what follows for all of them


def _advance(
    rollout: Rollout, members: list[Member], seen: Mapping[int, Sight], now_ms: int
) -> tuple[Rollout, list[Member]]:
    """Return the rollout one or more waves further, halted, or ended; and its devices with it."""
    if rollout.state is RolloutState.RUNNING:
        rollout = _run_waves(rollout, members, seen, now_ms)
        members = _begin_turns(rollout, members, now_ms)
    elif rollout.state is RolloutState.ROLLING_BACK:
        members = [_turn_back(one, seen.get(one.device_no, _UNSEEN), now_ms) for one in members]
        if _is_settled(members):
            return replace(rollout, state=RolloutState.ROLLED_BACK, ended_ms=now_ms), members
    elif rollout.state is RolloutState.CANCELLED:
        members = [_stop(one, now_ms) for one in members]
        if rollout.ended_ms is None and not any(map(is_in_flight, members)):
            rollout = replace(rollout, ended_ms=now_ms)
    return rollout, members


def _run_waves(
    rollout: Rollout, members: Sequence[Member], seen: Mapping[int, Sight], now_ms: int
) -> Rollout:
    while rollout.wave < len(rollout.waves):
        halt = find_halt(rollout.waves, members, rollout.wave) or _find_withdrawn(
            rollout, members, seen
        )
        if halt is not None:
            return replace(rollout, state=RolloutState.HALTED, halt=halt, reached_ms=None)
        wave = rollout.waves[rollout.wave]
        counting = counted(members, rollout.wave)
        upgraded = sum(member.state is MemberState.UPGRADED for member in counting)
        if upgraded * _WHOLE_PCT < wave.success_percent * len(counting):
            return replace(rollout, reached_ms=None)
        reached_ms = now_ms if rollout.reached_ms is None else rollout.reached_ms
        if counting and now_ms < reached_ms + 1_000 * wave.soak_s:
            return replace(rollout, reached_ms=reached_ms)
        rollout = replace(rollout, wave=rollout.wave + 1, reached_ms=None)
    halt = find_halt(rollout.waves, members, rollout.wave) or _find_withdrawn(
        rollout, members, seen
    )
    if halt is not None:
        return replace(rollout, state=RolloutState.HALTED, halt=halt)
    if _is_settled(members):
        return replace(rollout, state=RolloutState.COMPLETED, ended_ms=now_ms)
    return rollout


def _is_settled(members: Iterable[Member]) -> bool:
    return not any(member.state in _UNSETTLED for member in members)


def _find_withdrawn(
    rollout: Rollout, members: Sequence[Member], seen: Mapping[int, Sight]
) -> Halt | None:
    """Halt before anybody is sent a release that is not to be sent any more."""
    for member in members:
        waits = member.state is MemberState.WAITING
        if waits and seen.get(member.device_no, _UNSEEN).refusal is not None:
            number = min(rollout.wave, len(rollout.waves) - 1)
            size = len(counted(members, number))
            return Halt(HaltReason.RELEASE_WITHDRAWN, number, 0, size)
    return None


def _begin_turns(rollout: Rollout, members: list[Member], now_ms: int) -> list[Member]:
    """Note for the devices of the waves that have begun that it is their turn."""
    if rollout.state is not RolloutState.RUNNING:
        return members
    return [
        replace(one, due_ms=now_ms, updated_ms=now_ms)
        if one.state is MemberState.WAITING
        and one.due_ms is None
        and one.wave is not None
        and one.wave <= rollout.wave
        else one
        for one in members
    ]


def _turn_back(member: Member, sight: Sight, now_ms: int) -> Member:
    """Return a device of a rollout that rolls back: it goes back if it runs the new version."""
    if member.state is MemberState.WAITING:
        return replace(member, state=MemberState.LEFT, updated_ms=now_ms)
    failed = member.state is MemberState.FAILED and member.command_id is not None
    if member.state is not MemberState.UPGRADED and not (failed and sight.runs_new):
        return member
    state = MemberState.ROLLBACK_WAITING
    return replace(member, state=state, reason=None, message=None, due_ms=now_ms, updated_ms=now_ms)


def _stop(member: Member, now_ms: int) -> Member:
    """Return a device of a rollout that was cancelled: what was not sent anything stays."""
    if member.state is MemberState.WAITING:
        return replace(member, state=MemberState.LEFT, updated_ms=now_ms)
    if member.state is MemberState.ROLLBACK_WAITING:
        return replace(member, state=MemberState.UPGRADED, updated_ms=now_ms)
    return member


# ------------------------------------------------------------------ whom to send to


def _choose(
    rollout: Rollout, members: Sequence[Member], seen: Mapping[int, Sight]
) -> tuple[Member, ...]:
    """Return who is sent its version now: online, idle, in order, and no more than may be."""
    wanted = {
        RolloutState.RUNNING: MemberState.WAITING,
        RolloutState.ROLLING_BACK: MemberState.ROLLBACK_WAITING,
    }.get(rollout.state)
    ready = [
        member
        for member in members
        if member.state is wanted
        and member.due_ms is not None
        and _can_take(seen.get(member.device_no, _UNSEEN), member)
    ]
    ready.sort(key=attrgetter("position"))
    if rollout.max_in_flight is None:
        return tuple(ready)
    under_way = sum(map(is_in_flight, members))
    return tuple(ready[: max(0, rollout.max_in_flight - under_way)])


def _can_take(sight: Sight, member: Member) -> bool:
    back = member.state is MemberState.ROLLBACK_WAITING
    refusal = sight.rollback_refusal if back else sight.refusal
    return sight.owned and sight.online and sight.idle and refusal is None


def _is_recallable(rollout: Rollout, member: Member) -> bool:
    """Tell whether the command of a device is none that this rollout still wants."""
    if member.state is MemberState.ROLLBACK_QUEUED:
        return rollout.state is not RolloutState.ROLLING_BACK
    return member.state is MemberState.QUEUED
