"""What follows from an attempt, which pushes go next, when a receiver is left alone for a while."""

from collections.abc import Collection, Sequence
from typing import Final, Generic, NamedTuple, TypeVar

from msgspec.structs import replace

from tellus.delivery.model import (
    HISTORY_KEPT,
    IN_FLIGHT_LARGEST,
    Attempt,
    Outcome,
    Owed,
    PushState,
    Schedule,
)

VERDICTS: Final = {Outcome.ACCEPTED: PushState.ACCEPTED, Outcome.REJECTED: PushState.REJECTED}
"""The outcomes that end a push, and how."""

FAILURES_LARGEST: Final = 5
"""After how many attempts in a row without a verdict a receiver is left alone."""

PAUSE_S: Final = 30.0
PAUSE_LONGEST_S: Final = 300.0
"""For how long: twice as long after each further failure, up to the longest."""


P = TypeVar("P", bound=Owed)


class Breaker(NamedTuple):
    """What recent attempts say of a receiver; ``until_s`` (monotonic) is when it is tried again."""

    failures: int = 0
    until_s: float = 0.0

    @property
    def is_open(self) -> bool:
        """Tell whether the receiver counts as gone: it is tried with one push, and rarely."""
        return self.failures >= FAILURES_LARGEST


class Choice(NamedTuple, Generic[P]):
    """Which of the pushes that are due are sent now, and which are not to be sent any more."""

    sent: list[P]
    superseded: list[P]


# ------------------------------------------------------------------ a push


def settle(push: P, attempt: Attempt, now_ms: int, intervals_ms: Schedule) -> P:
    """Return what an attempt makes of a push.

    A verdict ends it. Without one it waits for its next attempt, counted from when this one began;
    it is given up after the last of ``intervals_ms``, and at once where a newer one makes it
    needless.
    """
    made = push.attempts + 1
    tried = replace(
        push,
        attempts=made,
        history=(*push.history, attempt)[-HISTORY_KEPT:],
        last_status=attempt.http_status,
        last_error=None if attempt.outcome is Outcome.ACCEPTED else attempt.outcome.value,
        lease_id=None,
        updated_ms=now_ms,
    )
    state = VERDICTS.get(attempt.outcome)
    if state is None and push.has_newer:
        state = PushState.SUPERSEDED
    if state is None and made > len(intervals_ms):
        state = PushState.GIVEN_UP
    if state is None:
        return replace(tried, due_ms=attempt.begun_ms + intervals_ms[made - 1])
    return end(tried, state, now_ms)


def is_news(push: Owed, lease_id: str, attempt: Attempt) -> bool:
    """Tell whether an attempt made under ``lease_id`` still says something about a push."""
    return attempt.outcome in VERDICTS or push.lease_id == lease_id


def end(push: P, state: PushState, now_ms: int) -> P:
    """Return the push as it has ended."""
    return replace(
        push, state=state, due_ms=None, lease_id=None, updated_ms=now_ms, ended_ms=now_ms
    )


def drive_again(push: P, now_ms: int) -> P:
    """Return the push due at once, with all attempts of the schedule before it if it had ended."""
    attempts = push.attempts if push.state is PushState.WAITING else 0
    return replace(
        push,
        state=PushState.WAITING,
        attempts=attempts,
        due_ms=now_ms,
        lease_id=None,
        updated_ms=now_ms,
        ended_ms=None,
    )


# ------------------------------------------------------------------ the pushes of a receiver


def choose(due: Sequence[P], busy: Collection[tuple[str, ...]], room: int) -> Choice[P]:
    """Return which pushes of a receiver go now, at most ``room``, the longest due first.

    What has a newer one behind it does not go any more. What is of a ``busy`` line, one with a push
    on its way, waits for that.
    """
    taken = set(busy)
    choice = Choice[P]([], [])
    for push in due:
        if push.has_newer:
            choice.superseded.append(push)
        elif push.line not in taken and len(choice.sent) < room:
            taken.add(push.line)
            choice.sent.append(push)
    return choice


def room_for(breaker: Breaker, in_flight: int, now_s: float) -> int:
    """Return how many more pushes may go to a receiver that has ``in_flight`` on their way."""
    if not breaker.is_open:
        return max(0, IN_FLIGHT_LARGEST - in_flight)
    return int(in_flight == 0 and now_s >= breaker.until_s)


def follow(breaker: Breaker, outcome: Outcome, now_s: float) -> Breaker:
    """Return what is thought of a receiver after an attempt: any verdict shows that it is well."""
    if outcome in VERDICTS:
        return Breaker()
    failures = breaker.failures + 1
    if failures < FAILURES_LARGEST:
        return Breaker(failures)
    if breaker.is_open and now_s < breaker.until_s:
        # It had left before the receiver was given up: this says nothing new.
        return breaker
    doublings = min(failures - FAILURES_LARGEST, 10)
    return Breaker(failures, now_s + min(PAUSE_LONGEST_S, PAUSE_S * 2**doublings))
