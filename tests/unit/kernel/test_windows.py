"""Rate windows against an oracle that remembers everything and counts."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tellus.kernel.windows import KeyedWindows, RollingWindow, TokenBucket, retry_after_s

# Steps in 64ths of a second: exact in binary, so that the very edges of a window are met.
STEPS = st.lists(st.integers(0, 40), max_size=120)


class CountingOracle:
    """Remembers every acceptance for ever and counts those in the last period."""

    def __init__(self, limit: int, period_64ths: int) -> None:
        self.limit = limit
        self.period = period_64ths
        self.accepted: list[int] = []

    def take(self, now: int) -> bool:
        if sum(1 for at in self.accepted if at > now - self.period) < self.limit:
            self.accepted.append(now)
            return True
        return False


@given(steps=STEPS, limit=st.integers(1, 6), period=st.integers(1, 200))
@settings(max_examples=400, deadline=None)
def test_rolling_window__any_arrivals__decides_like_the_oracle(
    steps: list[int], limit: int, period: int
) -> None:
    """A window accepts exactly what counting all acceptances of the last period would accept."""
    window, oracle = RollingWindow(limit, period / 64), CountingOracle(limit, period)
    now = 64_000
    for step in steps:
        now += step
        peeked_s = window.wait_s(now / 64)
        wait_s = window.take(now / 64)
        assert peeked_s == wait_s
        assert (wait_s == 0.0) == oracle.take(now)
        if wait_s > 0:
            free = now + round(wait_s * 64)
            assert window.wait_s(free / 64) == 0.0
            assert window.wait_s((free - 1) / 64) > 0.0


@given(steps=st.lists(st.floats(0, 3), max_size=120), limit=st.integers(1, 5))
@settings(max_examples=200, deadline=None)
def test_rolling_window__any_fractions__never_exceeds_its_limit(
    steps: list[float], limit: int
) -> None:
    """At most the limit is accepted in any period, and what was told to wait gets in after it."""
    window = RollingWindow(limit, 1.7)
    now_s, accepted = 1_000.0, []
    for step in steps:
        now_s += step
        wait_s = window.take(now_s)
        if wait_s == 0.0:
            accepted.append(now_s)
        else:
            assert window.wait_s(now_s + retry_after_s(wait_s)) == 0.0
    for position in range(len(accepted) - limit):
        assert accepted[position + limit] - accepted[position] >= 1.7 - 1e-9


@given(
    before=st.lists(st.integers(0, 40), max_size=40),
    after=st.lists(st.integers(0, 40), max_size=40),
    limits=st.tuples(st.integers(1, 6), st.integers(1, 6)),
)
@settings(max_examples=300, deadline=None)
def test_rolling_window__resized__goes_on_counting_what_it_accepted(
    before: list[int], after: list[int], limits: tuple[int, int]
) -> None:
    """A change of limit forgives nothing: the oracle with the new limit decides the same."""
    window, oracle = RollingWindow(limits[0], 2.0), CountingOracle(limits[0], 128)
    now = 64_000
    for position, step in enumerate([*before, *after]):
        if position == len(before):
            window.resize(limits[1])
            oracle.limit = limits[1]
        now += step
        assert (window.take(now / 64) == 0.0) == oracle.take(now)


def test_rolling_window__refusals__consume_nothing() -> None:
    """A caller that hammers while refused is let in when the first acceptance ages, not later."""
    window = RollingWindow(2, 10.0)
    assert [window.take(0.0), window.take(1.0)] == [0.0, 0.0]
    for tenth in range(20, 100):
        assert window.take(tenth / 10) == pytest.approx(10 - tenth / 10)
    assert window.take(10.0) == 0.0
    assert window.take(10.0) == 1.0


@pytest.mark.parametrize(("limit", "period_s"), [(0, 1.0), (1, 0.0), (-1, 1.0)])
def test_rolling_window__senseless_figures__are_refused(limit: int, period_s: float) -> None:
    """A window that could never accept, or never age, cannot be made."""
    with pytest.raises(ValueError):
        RollingWindow(limit, period_s)


def test_token_bucket__after_a_rest__takes_the_burst_then_the_rate() -> None:
    """A full bucket takes its burst at once, then one per tick of its rate, refusals for free."""
    bucket = TokenBucket(50.0, 500.0)
    assert bucket.idle(0.0)
    assert [bucket.take(100.0) for _ in range(500)] == [0.0] * 500
    assert not bucket.idle(100.0)
    for _ in range(10):
        assert bucket.take(100.0) == pytest.approx(0.02)
    assert bucket.wait_s(100.01) == pytest.approx(0.01)
    taken = sum(bucket.take(100.0 + k / 1000) == 0.0 for k in range(1, 1001))
    assert taken == 50
    assert bucket.idle(111.1)


def test_keyed_windows__idle_keys__go_by_themselves() -> None:
    """Keys that no longer count are dropped while new ones come in; the map stays small."""
    windows = KeyedWindows(lambda: RollingWindow(3, 10.0))
    for number in range(1000):
        assert windows.take(f"key {number}", float(number)) == 0.0
    assert len(windows) <= 12


def test_keyed_windows__at_capacity__forgets_the_key_used_least_recently() -> None:
    """The map never grows past its bound, and a key in constant use is not the one to go."""
    windows = KeyedWindows(lambda: RollingWindow(1, 1000.0), capacity=10)
    assert windows.take("busy", 0.0) == 0.0
    for number in range(100):
        windows.take(number, 1.0 + number / 100)
        assert windows.take("busy", 1.0 + number / 100) > 0.0
        assert len(windows) <= 10
    assert windows.wait_s("busy", 3.0) > 0.0
    assert windows.wait_s(0, 3.0) == 0.0


def test_retry_after__any_wait__is_whole_seconds_rounded_up_from_one() -> None:
    """Callers are told whole seconds that are enough, at least one."""
    assert [retry_after_s(wait) for wait in (0.0, 0.001, 1.0, 1.001, 59.5)] == [1, 1, 1, 2, 60]
    assert math.isfinite(retry_after_s(1e12))
