"""Robust statistics: what a few wild values do not move."""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
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


class Crowd:
    """Values in order, to be asked about all but a few of them, each time without another sort."""

    def __init__(self, values: Iterable[float]) -> None:
        self._ordered = sorted(values)

    def without(self, few: Iterable[float]) -> "Rest":
        """Return the others, of which there has to be one at least; ``few`` are of the crowd."""
        places: list[int] = []
        for value in sorted(few):
            place = bisect_left(self._ordered, value)
            # Of equal values each is left out in its turn.
            places.append(max(place, places[-1] + 1) if places else place)
        return Rest(self._ordered, places)


class Rest:
    """A crowd without a few of it: says of them what ``median`` and ``robust_z`` do of a list."""

    def __init__(self, ordered: Sequence[float], left_out: Sequence[int]) -> None:
        self._ordered = ordered
        self._left_out = left_out
        self._size = len(ordered) - len(left_out)

    def __len__(self) -> int:
        return self._size

    def median(self) -> float:
        """Return the median."""
        below, above, share = self._middle()
        low = self._value(below)
        return low + (self._value(above) - low) * share

    def robust_z(self, value: float, floor: float) -> float:
        """Return how many robust standard deviations ``value`` lies above the median."""
        middle = self.median()
        below, above, share = self._middle()
        low = self._deviation(below, middle)
        deviation = low + (self._deviation(above, middle) - low) * share
        return (value - middle) / max(NORMAL_PER_MAD * deviation, floor)

    def _middle(self) -> tuple[int, int, float]:
        position = 0.5 * (self._size - 1)
        below = int(position)
        return below, min(below + 1, self._size - 1), position - below

    def _value(self, number: int) -> float:
        """Return the value of that number in order, from 0."""
        for place in self._left_out:
            if place > number:
                break
            number += 1
        return self._ordered[number]

    def _deviation(self, number: int, middle: float) -> float:
        """Return the absolute deviation from ``middle`` of that number in order, from 0.

        Those below it and those above it are in order, each from ``middle`` on; found is how many
        of the first ``number + 1`` lie below.
        """
        ends = bisect_right(self._ordered, middle)
        below = ends - bisect_left(self._left_out, ends)
        fewest, most = max(0, number + 1 - (self._size - below)), min(number + 1, below)
        while fewest < most:
            taken = (fewest + most) // 2
            farthest_above = self._value(below + number - taken) - middle
            if middle - self._value(below - 1 - taken) < farthest_above:
                fewest = taken + 1
            else:
                most = taken
        found = [middle - self._value(below - fewest)] if fewest else []
        if fewest <= number:
            found.append(self._value(below + number - fewest) - middle)
        return max(found)


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
