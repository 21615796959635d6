"""What becomes of one device of a rollout: by what is seen of it, and by what was sent to it."""

from collections.abc import Iterable, Mapping
from typing import Final

from msgspec.structs import replace

from tellus.commands.model import Phase
from tellus.firmware.model import Patience
from tellus.firmware.model_rollouts import (
    STILL,
    Member,
    MemberState,
    Reason,
    Rollout,
    RolloutState,
    Sight,
)

_FINAL: Final = frozenset(
    {
        MemberState.SKIPPED,
        MemberState.LEFT,
        MemberState.ROLLED_BACK,
        MemberState.ROLLBACK_FAILED,
    }
)
_PLATFORMS: Final = frozenset({Reason.NO_RESPONSE, Reason.EXPIRED})
_WORDS: Final[Mapping[str, Reason]] = {
    "rejected": Reason.REJECTED,
    "expired": Reason.EXPIRED,
    "no_response": Reason.NO_RESPONSE,
    "superseded": Reason.SUPERSEDED,
    "cancelled": Reason.CANCELLED,
}


def can_move(rollout: Rollout, member: Member) -> bool:
    """Tell whether anything can follow from what is seen of a device."""
    if member.state in _FINAL:
        return False
    going_back = rollout.state is RolloutState.ROLLING_BACK
    return member.state is not MemberState.UPGRADED or going_back or member.wave == rollout.wave


def sent(member: Member, command_id: str, version: str, fault: str | None, now_ms: int) -> Member:
    """Return a waiting device as it is once its command is stored.

    ``version`` is what it runs at that moment, ``fault`` what it reports.
    """
    if member.state is MemberState.ROLLBACK_WAITING:
        return replace(
            member,
            state=MemberState.ROLLBACK_QUEUED,
            rollback_command_id=command_id,
            updated_ms=now_ms,
        )
    return replace(
        member,
        state=MemberState.QUEUED,
        command_id=command_id,
        previous_version=version,
        fault_before=fault,
        updated_ms=now_ms,
    )


def recalled(rollout: Rollout, member: Member, now_ms: int) -> Member:
    """Return a device whose command was taken back before it left."""
    if member.state is MemberState.ROLLBACK_QUEUED:
        state = MemberState.ROLLBACK_WAITING
        return replace(member, state=state, rollback_command_id=None, updated_ms=now_ms)
    ended = rollout.state not in STILL
    state = MemberState.LEFT if ended else MemberState.WAITING
    return replace(member, state=state, command_id=None, updated_ms=now_ms)


def excuse(members: Iterable[Member], now_ms: int) -> list[Member]:
    """Return the devices that change when a person resumes: failures so far count no more.

    Those that wait have their whole time again.
    """
    changed = []
    for member in members:
        if member.state is MemberState.FAILED and not member.excused:
            changed.append(replace(member, excused=True, updated_ms=now_ms))
        elif member.state is MemberState.WAITING and member.due_ms is not None:
            changed.append(replace(member, due_ms=now_ms, updated_ms=now_ms))
    return changed


def follow(
    rollout: Rollout, member: Member, sight: Sight, now_ms: int, patience: Patience
) -> Member:
    """Return a device as it stands by what is seen of it."""
    state, reason, message = member.state, member.reason, member.message
    if state is MemberState.WAITING:
        running = rollout.state is RolloutState.RUNNING
        life_ms = patience.life_ms if running else None
        state, reason = _follow_waiting(member, sight, now_ms, life_ms)
    elif state in {MemberState.QUEUED, MemberState.UPGRADING}:
        state, reason, message = _follow_command(sight, now_ms, patience, runs=sight.runs_new)
    elif state is MemberState.UPGRADED and member.wave == rollout.wave:
        state, reason, message = _follow_soak(member, sight, patience)
    elif state is MemberState.FAILED and reason in _PLATFORMS:
        if sight.phase is Phase.COMPLETED and sight.runs_new:
            state, reason = MemberState.UPGRADED, None
    elif state is MemberState.ROLLBACK_WAITING:
        state, reason = _follow_rollback_waiting(member, sight, now_ms, patience)
    elif state is MemberState.ROLLBACK_QUEUED:
        state, reason, message = _follow_rollback(sight, now_ms, patience)
    if (state, reason, message) == (member.state, member.reason, member.message):
        return member
    return replace(member, state=state, reason=reason, message=message, updated_ms=now_ms)


def _follow_waiting(
    member: Member, sight: Sight, now_ms: int, life_ms: int | None
) -> tuple[MemberState, Reason | None]:
    if not sight.owned:
        return MemberState.SKIPPED, Reason.GONE
    if not sight.agreed:
        return MemberState.SKIPPED, Reason.NO_CONSENT
    if sight.runs_new:
        return MemberState.SKIPPED, Reason.ALREADY_CURRENT
    since_ms = member.due_ms
    if since_ms is not None and life_ms is not None and now_ms >= since_ms + life_ms:
        return MemberState.FAILED, Reason.EXPIRED
    return MemberState.WAITING, None


def _follow_command(
    sight: Sight, now_ms: int, patience: Patience, *, runs: bool
) -> tuple[MemberState, Reason | None, str | None]:
    """Say what the command sent last means; ``runs``: the device reports the version it was for."""
    if sight.phase in {None, Phase.QUEUED}:
        return MemberState.QUEUED, None, None
    if sight.phase is Phase.COMPLETED and runs:
        return MemberState.UPGRADED, None, None
    if sight.phase is Phase.COMPLETED and now_ms >= sight.moved_ms + patience.installing_ms:
        return MemberState.FAILED, Reason.VERSION_UNCHANGED, None
    if sight.phase in {Phase.ACCEPTED, Phase.COMPLETED}:
        return MemberState.UPGRADING, None, None
    reason = _WORDS.get(sight.why or "", Reason.FAILED)
    # Somebody took it back, who did not want it: that is no failure of the version.
    cancelled = reason is Reason.CANCELLED
    return MemberState.SKIPPED if cancelled else MemberState.FAILED, reason, sight.message


def _follow_soak(
    member: Member, sight: Sight, patience: Patience
) -> tuple[MemberState, Reason | None, str | None]:
    fresh = sorted(sight.faults - {member.fault_before})
    if fresh:
        return MemberState.FAILED, Reason.FAULT, ", ".join(fresh)
    if sight.owned and sight.offline_ms >= patience.installing_ms:
        return MemberState.FAILED, Reason.NOT_BACK_ONLINE, None
    return MemberState.UPGRADED, None, None


def _follow_rollback_waiting(
    member: Member, sight: Sight, now_ms: int, patience: Patience
) -> tuple[MemberState, Reason | None]:
    if not sight.owned:
        return MemberState.ROLLBACK_FAILED, Reason.GONE
    if sight.runs_old:
        return MemberState.ROLLED_BACK, None
    if sight.rollback_refusal is not None:
        return MemberState.ROLLBACK_FAILED, sight.rollback_refusal
    if member.due_ms is not None and now_ms >= member.due_ms + patience.life_ms:
        return MemberState.ROLLBACK_FAILED, Reason.EXPIRED
    return MemberState.ROLLBACK_WAITING, None


def _follow_rollback(
    sight: Sight, now_ms: int, patience: Patience
) -> tuple[MemberState, Reason | None, str | None]:
    state, reason, message = _follow_command(sight, now_ms, patience, runs=sight.runs_old)
    if state is MemberState.UPGRADED:
        return MemberState.ROLLED_BACK, None, None
    if state in {MemberState.FAILED, MemberState.SKIPPED}:
        return MemberState.ROLLBACK_FAILED, reason, message
    return MemberState.ROLLBACK_QUEUED, None, None
