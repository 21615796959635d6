"""The rolling-window oracle: its own laws, and limiters with a bug that it tells apart."""

from hypothesis import given
from hypothesis import strategies as st

from tests.contract.oracle_ratelimit import RollingWindowOracle

_STEPS = st.lists(st.integers(min_value=0, max_value=4_000), min_size=1, max_size=60)
_LIMITS = st.integers(min_value=1, max_value=6)


def _times(steps: list[int]) -> list[int]:
    times = [1_000_000]
    for step in steps:
        times.append(times[-1] + step)
    return times


def test_offer__window_boundary__is_half_open() -> None:
    """A request counts until just before the window's length has passed."""
    oracle = RollingWindowOracle(limit=1, window_ms=1_000)
    assert oracle.offer("a", 0).allowed
    assert not oracle.offer("a", 999).allowed
    assert oracle.offer("a", 1_000).allowed


def test_offer__refused__says_whole_seconds_of_at_least_one() -> None:
    """The wait is rounded up to whole seconds and is never 0."""
    oracle = RollingWindowOracle(limit=1, window_ms=60_000)
    oracle.offer("a", 0)
    waits = [oracle.offer("a", now).retry_after_s for now in (0, 1, 1_000, 58_001, 59_999)]
    assert waits == [60, 60, 59, 2, 1]


def test_offer__other_key__is_not_touched() -> None:
    """Keys have windows of their own."""
    oracle = RollingWindowOracle(limit=1, window_ms=1_000)
    assert oracle.offer("a", 0).allowed
    assert oracle.offer("b", 0).allowed
    assert not oracle.offer("a", 1).allowed


def test_offer__limit_of_zero__lets_nothing_through() -> None:
    """A limit of zero is a closed door."""
    verdict = RollingWindowOracle(limit=0, window_ms=60_000).offer("a", 0)
    assert (verdict.allowed, verdict.retry_after_s) == (False, 60)


@given(steps=_STEPS, limit=_LIMITS)
def test_offer__any_requests__no_window_holds_more_than_the_limit(
    steps: list[int], limit: int
) -> None:
    """However requests come, no window of the given length ever holds more than the limit."""
    oracle = RollingWindowOracle(limit, 5_000)
    admitted = [now for now in _times(steps) if oracle.offer("a", now).allowed]
    for start in admitted:
        assert sum(start <= at < start + 5_000 for at in admitted) <= limit


@given(steps=_STEPS, limit=_LIMITS)
def test_offer__refused_requests__leave_no_trace(steps: list[int], limit: int) -> None:
    """Leaving the refused requests out changes nothing for the others."""
    oracle, again = RollingWindowOracle(limit, 5_000), RollingWindowOracle(limit, 5_000)
    admitted = [now for now in _times(steps) if oracle.offer("a", now).allowed]
    assert all(again.offer("a", now).allowed for now in admitted)


@given(steps=_STEPS, limit=_LIMITS)
def test_offer__waiting_as_told__is_let_through(steps: list[int], limit: int) -> None:
    """A client alone on its key that waits as told is let through; a second less is too soon."""
    oracle = RollingWindowOracle(limit, 5_000)
    for now in _times(steps):
        verdict = oracle.offer("a", now)
        if verdict.allowed:
            continue
        early = now + (verdict.retry_after_s - 1) * 1_000
        if verdict.retry_after_s > 1:
            assert not oracle.offer("a", early).allowed
        assert oracle.offer("a", now + verdict.retry_after_s * 1_000).allowed
        return


class _FixedWindow:
    """The classic mistake: counts restart at the turn of each window."""

    def __init__(self, limit: int, window_ms: int) -> None:
        self.limit, self.window_ms, self.counts = limit, window_ms, dict[int, int]()

    def offer(self, now_ms: int) -> bool:
        bucket = now_ms // self.window_ms
        self.counts[bucket] = self.counts.get(bucket, 0) + 1
        return self.counts[bucket] <= self.limit


def test_oracle__fixed_window_limiter__is_told_apart() -> None:
    """Negative control: a limiter that lets a double load through at a turn differs."""
    fixed, oracle = _FixedWindow(2, 1_000), RollingWindowOracle(2, 1_000)
    times = (900, 950, 1_000, 1_050)
    assert [fixed.offer(now) for now in times] == [True] * 4
    assert [oracle.offer("a", now).allowed for now in times] == [True, True, False, False]


def test_oracle__limiter_that_counts_refusals__is_told_apart() -> None:
    """Negative control: a limiter whose refusals prolong the wait differs."""
    seen: list[int] = []
    punishing, exact = [], []
    oracle = RollingWindowOracle(1, 1_000)
    for now in (0, 500, 1_000):
        seen = [at for at in seen if at > now - 1_000]
        punishing.append(not seen)
        seen.append(now)
        exact.append(oracle.offer("a", now).allowed)
    assert (punishing, exact) == ([True, False, False], [True, False, True])
