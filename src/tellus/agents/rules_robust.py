"""Robust statistics: what a few wild values do not move."""

import math
from collections.abc import Sequence
from typing import Final

NORMAL_PER_MAD: Final = 1.4826
"""By this the median absolute deviation of normal values is their standard deviation."""


def quantile(values: Sequence[float], share: float) -> float:
    """Return the ``share`` quantile of ``values`` (at least one), interpolated linearly."""
    ordered = sorted(values)
    position = share * (len(ordered) - 1)
    below = int(position)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (position - below)


def median(values: Sequence[float]) -> float:
    """Return the median of ``values`` (at least one)."""
    return quantile(values, 0.5)


def spread(values: Sequence[float], floor: float) -> float:
    """Return the robust standard deviation, at least ``floor``: a flat series is not all-sure."""
    middle = median(values)
    deviation = median([abs(value - middle) for value in values])
    return max(NORMAL_PER_MAD * deviation, floor)


def robust_z(value: float, others: Sequence[float], floor: float) -> float:
    """Return how many robust standard deviations ``value`` lies above the median of ``others``."""
    return (value - median(others)) / spread(others, floor)


def poisson_tail(count: int, mean: float) -> float:
    """Return the probability of ``count`` or more where ``mean`` (> 0) are expected."""
    if count <= 0:
        return 1.0
    below = math.fsum(
        math.exp(k * math.log(mean) - mean - math.lgamma(k + 1)) for k in range(count)
    )
    if below < 1 - 1e-9:
        return 1.0 - below
    # The sum has no digits left for the tail: add the tail itself.
    terms = (
        math.exp(k * math.log(mean) - mean - math.lgamma(k + 1)) for k in range(count, count + 200)
    )
    return math.fsum(terms)
