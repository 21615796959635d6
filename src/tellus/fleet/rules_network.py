"""How a connection is judged: availability over a span, and one score from 0 to 100.

The score has three parts. ``explanation/presence-and-states`` says the same in words.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from tellus.fleet.model_network import Availability, Change, NetworkFacts
from tellus.kernel.units import HOUR_MS

AVAILABILITY_POINTS: Final = 60
STEADINESS_POINTS: Final = 30
RECOVERY_POINTS: Final = 10

AVAILABILITY_WORST: Final = 0.90
"""The availability, and everything below it, that earns no points."""

RECONNECTS_WORST: Final = 20
"""How many reconnects in 24 hours, or more, earn no points for steadiness."""

STORM_ABOVE: Final = 5
"""More reconnects than this in 10 minutes are a storm (F-0302), which is not steady at all."""

OUTAGE_WORST_MS: Final = 4 * HOUR_MS
"""How long an outage in 7 days, or a longer one, earns no points for recovery."""

OFFLINE_MOST: Final = 30
"""The highest score of a device that is offline without having said that it goes."""


def measure(changes: Sequence[Change], from_ms: int, until_ms: int) -> Availability:
    """Return how available a device was in ``[from_ms, until_ms)``.

    ``changes`` are in order and say all that is known; the first may lie before the span. What was
    before it is not known, and counts neither for nor against the device.
    """
    known_ms = online_ms = longest_ms = 0
    outage_ms = 0
    for change, following in pairwise([*changes, Change(until_ms, online=False)]):
        begin_ms = max(change.time_ms, from_ms)
        span_ms = max(0, min(following.time_ms, until_ms) - begin_ms)
        known_ms += span_ms
        if change.online:
            online_ms += span_ms
            outage_ms = 0
        else:
            outage_ms += span_ms
            longest_ms = max(longest_ms, outage_ms)
    return Availability(known_ms, online_ms, longest_ms)


def health_score(facts: NetworkFacts) -> int | None:
    """Return how well a device is connected, from 0 to 100; None before it ever was."""
    day, week = facts.day.share, facts.week.share
    if week is None:
        return None
    share = (week + (week if day is None else day)) / 2
    score = (
        AVAILABILITY_POINTS * _clamp((share - AVAILABILITY_WORST) / (1 - AVAILABILITY_WORST))
        + STEADINESS_POINTS * _steadiness(facts)
        + RECOVERY_POINTS * _clamp(1 - facts.week.longest_outage_ms / OUTAGE_WORST_MS)
    )
    if not facts.online and not facts.announced:
        score = min(score, OFFLINE_MOST)
    return round(score)


def _steadiness(facts: NetworkFacts) -> float:
    if facts.reconnects.last_10_minutes > STORM_ABOVE:
        return 0.0
    return _clamp(1 - facts.reconnects.last_24_hours / RECONNECTS_WORST)


def _clamp(value: float) -> float:
    return min(1.0, max(0.0, value))
