"""Decisions about controls: shares, staggering, what is in force, what to do next, outcomes."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, Final

from msgspec.structs import replace

from tellus.commands.model import STATUS_OF, Status
from tellus.commands.model import Phase as CommandPhase
from tellus.flexibility.model import (
    NO_CONNECTOR,
    ChargerOutcome,
    ConnectorOutcome,
    Control,
    Gone,
    Held,
    Limit,
    Outcome,
    Reason,
    Sent,
    Share,
    Stage,
    State,
    Step,
    Target,
    Verdict,
)

_WATTS: Final = 1_000
_EXPIRED: Final = "expired"
_SUPERSEDED: Final = "superseded"
_QUEUED: Final = Outcome("queued")


def share_out(
    ratings_kw: Mapping[int, float | None], unit_kw: float | None, limit_pct: int
) -> list[Share]:
    """Return what each connector may take under ``limit_pct`` of its rated power.

    Where the connectors together are rated higher than the unit that feeds them, each is counted
    with its part of the unit alone: whatever they all take stays below the percentage of the unit.
    Rounded down to a watt. Nothing is a percentage of any power, known or not.
    """
    total_kw = sum(rating_kw for rating_kw in ratings_kw.values() if rating_kw is not None)
    scale = 1.0
    if unit_kw is not None and total_kw > unit_kw:
        scale = unit_kw / total_kw
    shares = []
    for connector_id, rating_kw in sorted(ratings_kw.items()):
        limit_kw: float | None = 0.0
        if limit_pct > 0:
            limit_kw = None
            if rating_kw is not None:
                # The tiny addition keeps a figure that is exact on paper from losing a watt.
                watts = math.floor(rating_kw * scale * limit_pct / 100 * _WATTS + 1e-6)
                limit_kw = watts / _WATTS
        shares.append(Share(connector_id, limit_kw))
    return shares or [Share(NO_CONNECTOR, None)]


def stagger(position: int, chargers: int, stagger_ms: int) -> int:
    """Return how much later than the first charger (ms) the one at ``position`` begins and ends."""
    return position * stagger_ms // chargers


_BEYOND_REACH: Final = frozenset({Gone.DELETED, Gone.NO_CONSENT})


def is_lifting(held: Held) -> bool:
    """Tell whether a target's limit is to be taken back before its time."""
    return held.cancelled_ms is not None or held.target.gone is not None


def end_of(held: Held) -> int:
    """Return when a target's limit ends (ms): at its time, or before if it is taken back.

    One that had not begun when its control was cancelled, or whose charger is gone, is over.
    """
    target, cancelled_ms = held.target, held.cancelled_ms
    if target.gone is not None:
        return 0
    if cancelled_ms is None:
        return target.until_ms
    if target.begin_ms >= cancelled_ms:
        return 0
    return min(target.until_ms, cancelled_ms + target.offset_ms)


def limits_in_force(held: Iterable[Held], operator_id: str, now_ms: int) -> list[Limit]:
    """Return the limits that a connector of ``operator_id`` has to hold, oldest control first."""
    limits = [
        Limit(one.target.control_no, one.control_id, one.target.limit_kw, end_of(one))
        for one in held
        if one.operator_id == operator_id
        and one.target.limit_kw is not None
        and one.target.begin_ms <= now_ms < end_of(one)
    ]
    return sorted(limits)


def next_step(held: Held, now_ms: int, *, online: bool) -> Step:
    """Return what to do for a target whose moment has come."""
    target = held.target
    is_told = target.command_id is not None
    # From its end on the charger holds nothing, and of what it never heard nothing is to be lifted.
    if target.until_ms <= now_ms or (is_lifting(held) and not is_told):
        return Step.FINISH
    if target.gone in _BEYOND_REACH or target.limit_kw is None:
        return Step.FINISH
    if target.stage is Stage.DUE:
        return Step.TELL
    sent = held.lifting or held.carrying
    if sent is None:
        return Step.TELL
    if reason_of(sent, now_ms) == _EXPIRED:
        return Step.TELL if online else Step.AWAIT_RETURN
    return Step.WAIT if sent.phase is CommandPhase.QUEUED else Step.FINISH


def follow(
    held: Iterable[Held], limits: Iterable[Limit], command_id: str, expires_ms: int
) -> Iterator[Target]:
    """Yield the targets of a connector that change because a command with ``limits`` was sent.

    What the command carries is told; what it takes back, or carries with an earlier end, is lifted.
    """
    carried = {limit.control_no for limit in limits}
    for one in held:
        target = one.target
        applied = target.applied or (
            one.carrying is not None and one.carrying.phase is CommandPhase.COMPLETED
        )
        changes: dict[str, Any] = {"stage": Stage.TOLD, "due_ms": expires_ms, "applied": applied}
        if is_lifting(one):
            if target.command_id is None:
                changes |= {"stage": Stage.DONE, "due_ms": None, "lifted": True}
            else:
                changes |= {"lift_command_id": command_id, "lifted": True}
        elif target.control_no in carried:
            changes |= {"command_id": command_id, "lift_command_id": None, "lifted": False}
        else:
            continue
        yield replace(target, **changes)


def status_of(sent: Sent, now_ms: int) -> Status:
    """Return where a command stands at ``now_ms``, whether or not the store says so yet."""
    if sent.phase is CommandPhase.QUEUED and sent.expires_ms <= now_ms:
        return "failed"
    return STATUS_OF[sent.phase]


def reason_of(sent: Sent, now_ms: int) -> str | None:
    """Return why a command failed, None if it did not or its charger gave no reason."""
    if sent.phase is CommandPhase.QUEUED:
        return _EXPIRED if sent.expires_ms <= now_ms else None
    reason = (sent.result or {}).get("reason")
    return reason if isinstance(reason, str) else None


def outcome_at(held: Held, state: State, now_ms: int) -> Outcome:
    """Return what became of a control at one connector.

    While the control runs, a command that expired is no failure: its charger is told again when it
    is back. One that a newer command replaced is judged by that one.
    """
    target, sent = held.target, held.carrying
    status = None if sent is None else status_of(sent, now_ms)
    if target.applied or status == "completed":
        return Outcome("completed")
    obstacle = _obstacle_of(target)
    if obstacle is not None:
        return Outcome("failed", obstacle)
    if status == "accepted":
        return Outcome("accepted")
    if sent is not None and status == "failed":
        said = reason_of(sent, now_ms)
        if said not in {_EXPIRED, _SUPERSEDED}:
            message = (sent.result or {}).get("message")
            return Outcome("failed", said, message if isinstance(message, str) else None)
    if state == "executing" and target.until_ms > now_ms:
        return _QUEUED
    reason = Reason.CANCELLED if state == "cancelled" else Reason.EXPIRED
    return Outcome("failed", reason.value)


def _obstacle_of(target: Target) -> str | None:
    """Return why a control cannot reach a connector, None where it can."""
    if target.gone is not None:
        return target.gone.value
    if target.connector_id == NO_CONNECTOR:
        return Reason.NO_CONNECTORS.value
    return Reason.UNKNOWN_RATING.value if target.limit_kw is None else None


def combine(outcomes: Sequence[Outcome]) -> Outcome:
    """Return the outcome of a charger from those of its connectors: the first failure counts."""
    for outcome in outcomes:
        if outcome.status == "failed":
            return outcome
    statuses = {outcome.status for outcome in outcomes}
    return outcomes[0] if len(statuses) == 1 else Outcome("accepted")


def outcomes_of(held: Iterable[Held], state: State, now_ms: int) -> Iterator[ChargerOutcome]:
    """Yield what became of a control at each charger; ``held`` is in order of devices."""
    for _, group in groupby(held, key=lambda one: one.target.device_no):
        members = list(group)
        first = members[0].target
        connectors = [
            ConnectorOutcome(
                one.target.connector_id,
                one.target.limit_kw,
                one.target.command_id,
                outcome_at(one, state, now_ms),
            )
            for one in members
        ]
        limits = [one.limit_kw for one in connectors if one.limit_kw is not None]
        yield ChargerOutcome(
            first.device_id,
            combine([one.outcome for one in connectors]),
            round(sum(limits), 3) if len(limits) == len(connectors) else None,
            any(one.target.joined for one in members),
            first.gone,
            [one for one in connectors if one.connector_id != NO_CONNECTOR],
        )


class Tally:
    """What became of a control at its chargers, counted as they are looked through."""

    def __init__(self) -> None:
        self._statuses: Counter[Status] = Counter()
        self._reasons: Counter[str] = Counter()
        self._updated_ms = 0

    def add(self, outcome: Outcome) -> None:
        """Count a charger."""
        self._statuses[outcome.status] += 1
        if outcome.reason is not None:
            self._reasons[outcome.reason] += 1

    def note_change(self, held: Held) -> None:
        """Note when something last happened at a connector."""
        if held.carrying is not None:
            self._updated_ms = max(self._updated_ms, held.carrying.updated_ms)

    def judge(self, state: State) -> Outcome:
        """Return what became of the control (rule C16)."""
        if state == "executing":
            return _QUEUED if self._statuses.keys() <= {"queued"} else Outcome("accepted")
        reason = Reason.CANCELLED.value if state == "cancelled" else None
        if self._statuses["completed"]:
            return Outcome("completed", reason)
        if reason is None:
            most = self._reasons.most_common(1)
            reason = most[0][0] if most else Reason.EXPIRED.value
        return Outcome("failed", reason)

    def verdict_on(self, control: Control, now_ms: int) -> Verdict:
        """Return what became of the control, and when that last changed."""
        state = control.state_at(now_ms)
        end_ms = control.cancelled_ms or (control.until_ms if state == "ended" else 0)
        updated_ms = max(control.created_ms, self._updated_ms, end_ms)
        return Verdict(self.judge(state), updated_ms)
