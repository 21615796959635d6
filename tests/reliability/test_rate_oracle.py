"""The limiter against the exact oracle, and whether limiters with a bug would be seen."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tellus.kernel.call import Audience, Principal
from tellus.kernel.errors import TooManyRequests
from tellus.kernel.limits import RATES
from tellus.surfaces.ratelimit import Limiter
from tellus.surfaces.routes import LimitClass
from tests.contract.oracle_ratelimit import RollingWindowOracle, Verdict
from tests.reliability.arrivals import Arrival, contradictions

EIGHTHS = st.lists(st.integers(0, 64), min_size=1, max_size=150)


@given(steps=EIGHTHS, limit_class=st.sampled_from(sorted(RATES)), limit=st.integers(1, 8))
@settings(max_examples=300, deadline=None)
def test_limiter__any_arrivals__decides_and_waits_like_the_oracle(
    steps: list[int], limit_class: str, limit: int
) -> None:
    """The limiter's every answer, and how long it says to wait, is the oracle's."""
    principal = Principal(Audience.OPERATOR, "cli_1", "op_1")
    principal.limits = {limit_class: limit}
    window_ms = round(RATES[limit_class].period_s * 1000)
    limiter, oracle = Limiter(), RollingWindowOracle(limit, window_ms)
    now_ms = 1_000_000
    for step in steps:
        now_ms += step * (window_ms // 40 // 125 * 125 or 125)  # eighths of a second are exact
        try:
            limiter.check_principal(principal, LimitClass(limit_class), now_ms / 1000)
            told = Verdict(allowed=True)
        except TooManyRequests as refused:
            told = Verdict(allowed=False, retry_after_s=refused.retry_after_s)
        assert told == oracle.offer("cli_1", now_ms)


class FixedWindows(RollingWindowOracle):
    """A bug: counts by the clock's minutes, so that twice the limit passes around their ends."""

    def offer(self, key: str, now_ms: int) -> Verdict:
        began_ms = now_ms // self.window_ms * self.window_ms
        self._admitted[key] = [at for at in self._admitted[key] if at >= began_ms]
        return super().offer(key, now_ms)


class CountingRefusals(RollingWindowOracle):
    """A bug: a refused request takes a slot too."""

    def offer(self, key: str, now_ms: int) -> Verdict:
        verdict = super().offer(key, now_ms)
        if not verdict.allowed:
            self._admitted[key].append(now_ms)
        return verdict


class OneMore(RollingWindowOracle):
    """A bug: off by one."""

    def offer(self, key: str, now_ms: int) -> Verdict:
        self.limit, kept = self.limit + 1, self.limit
        try:
            return super().offer(key, now_ms)
        finally:
            self.limit = kept


def watched(limiter: RollingWindowOracle, seed: int = 1) -> list[Arrival]:
    """What would be seen of a limiter from outside, over several of its windows."""
    rng = random.Random(seed)
    now_ms, arrivals = 10_500, []
    for _ in range(200):
        now_ms += rng.randint(5, 60)
        verdict = limiter.offer("a", now_ms)
        sent_s, got_s = now_ms / 1000 - rng.random() / 200, now_ms / 1000 + rng.random() / 200
        arrivals.append(Arrival(sent_s, got_s, verdict.allowed, verdict.retry_after_s))
    return arrivals


@given(seed=st.integers(0, 1000))
@settings(max_examples=50, deadline=None)
def test_contradictions__of_a_true_limiter__are_none(seed: int) -> None:
    """Whatever the delays on the way, an exact limiter is not accused."""
    assert contradictions(watched(RollingWindowOracle(10, 1000), seed), 10, 1.0) == []


@pytest.mark.parametrize("kind", [FixedWindows, CountingRefusals, OneMore])
def test_contradictions__of_a_limiter_with_a_bug__are_found(
    kind: type[RollingWindowOracle],
) -> None:
    """Each planted bug shows in the answers."""
    assert contradictions(watched(kind(10, 1000)), 10, 1.0) != []
