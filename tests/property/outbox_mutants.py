"""Mistakes in the rules of the outbox, each of which the state machine has to find."""

from collections.abc import Collection, Sequence
from typing import Any

from msgspec.structs import replace

from tellus.delivery import rules
from tellus.delivery.model import Attempt, Outcome, PushState, Schedule
from tellus.kernel.units import MINUTE_MS
from tellus.legacy.model_outbox import OwedPush

_settle, _choose, _drive_again, _is_news = (
    rules.settle,
    rules.choose,
    rules.drive_again,
    rules.is_news,
)


def _count_from_the_end(push: OwedPush, attempt: Attempt, now_ms: int, by: Schedule) -> OwedPush:
    return _settle(push, replace(attempt, begun_ms=now_ms), now_ms, by)


def _always_a_minute(push: OwedPush, attempt: Attempt, now_ms: int, by: Schedule) -> OwedPush:
    settled = _settle(push, attempt, now_ms, by)
    if settled.state is PushState.WAITING:
        return replace(settled, due_ms=attempt.begun_ms + MINUTE_MS)
    return settled


def _never_give_up(push: OwedPush, attempt: Attempt, now_ms: int, by: Schedule) -> OwedPush:
    return _settle(replace(push, attempts=min(push.attempts, 3)), attempt, now_ms, by)


def _give_up_early(push: OwedPush, attempt: Attempt, now_ms: int, by: Schedule) -> OwedPush:
    settled = _settle(push, attempt, now_ms, by)
    if settled.state is PushState.WAITING and settled.attempts > 2:
        return rules.end(settled, PushState.GIVEN_UP, now_ms)
    return settled


def _keep_the_lease(push: OwedPush, attempt: Attempt, now_ms: int, by: Schedule) -> OwedPush:
    return replace(_settle(push, attempt, now_ms, by), lease_id=push.lease_id)


def _send_the_old(
    due: Sequence[OwedPush], busy: Collection[Any], room: int
) -> rules.Choice[OwedPush]:
    return _choose([replace(push, has_newer=False) for push in due], busy, room)


def _do_not_wait(
    due: Sequence[OwedPush], busy: Collection[Any], room: int
) -> rules.Choice[OwedPush]:
    return _choose(due, (), room)


def _send_them_all(
    due: Sequence[OwedPush], busy: Collection[Any], room: int
) -> rules.Choice[OwedPush]:
    return _choose(due, busy, 100)


def _skip_the_longest_due(
    due: Sequence[OwedPush], busy: Collection[Any], room: int
) -> rules.Choice[OwedPush]:
    return _choose(due[1:], busy, room)


def _go_on_where_it_stood(push: OwedPush, now_ms: int) -> OwedPush:
    return replace(_drive_again(push, now_ms), attempts=push.attempts)


MUTANTS: list[tuple[str, Any]] = [
    ("settle", _count_from_the_end),
    ("settle", _always_a_minute),
    ("settle", _never_give_up),
    ("settle", _give_up_early),
    ("settle", _keep_the_lease),
    ("choose", _send_the_old),
    ("choose", _do_not_wait),
    ("choose", _send_them_all),
    ("choose", _skip_the_longest_due),
    ("room_for", lambda _breaker, _in_flight, _now_s: 5),
    ("is_news", lambda _push, _lease_id, _attempt: True),
    ("is_news", lambda push, lease_id, _attempt: push.lease_id == lease_id),
    ("drive_again", _go_on_where_it_stood),
    ("VERDICTS", {Outcome.ACCEPTED: PushState.ACCEPTED}),
    ("VERDICTS", {Outcome.REJECTED: PushState.REJECTED}),
    ("VERDICTS", {**rules.VERDICTS, Outcome.TIMEOUT: PushState.REJECTED}),
]
"""What is replaced in ``delivery.rules``, and by what."""
