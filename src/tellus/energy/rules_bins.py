"""Energy by bins of time: minutes, or whatever lies between two edges.

A bin is known by the instant at which it starts (ms). An energy that spans several bins is split
linearly in time: what lies before a boundary is rounded down, so that the parts sum to the whole
and an additional boundary moves nothing across the others.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from tellus.energy.model import MinuteEnergies

MINUTE_MS = 60_000

Bins = dict[int, int]
"""Energy (nano-kWh, at least 0) by the start of the bin (ms)."""


class Grid(NamedTuple):
    """The boundaries of bins: every multiple of ``bin_ms``, and ``edges`` (ascending, ms)."""

    bin_ms: int = MINUTE_MS
    edges: tuple[int, ...] = ()

    def start_of(self, time_ms: int) -> int:
        """Return the start of the bin that holds an instant."""
        start_ms = time_ms - time_ms % self.bin_ms
        if self.edges:
            found = bisect_right(self.edges, time_ms)
            if found:
                start_ms = max(start_ms, self.edges[found - 1])
        return start_ms

    def end_of(self, time_ms: int) -> int:
        """Return the end of the bin that holds an instant."""
        end_ms = time_ms - time_ms % self.bin_ms + self.bin_ms
        if self.edges:
            found = bisect_right(self.edges, time_ms)
            if found < len(self.edges):
                end_ms = min(end_ms, self.edges[found])
        return end_ms

    def between(self, first_ms: int, last_ms: int) -> Iterable[int]:
        """Return the boundaries after one instant and before another, ascending."""
        multiples = range(first_ms - first_ms % self.bin_ms + self.bin_ms, last_ms, self.bin_ms)
        edges = [edge_ms for edge_ms in self.edges if first_ms < edge_ms < last_ms]
        return sorted({*multiples, *edges}) if edges else multiples


MINUTES = Grid()


def spread(bins: Bins, grid: Grid, from_ms: int, to_ms: int, nkwh: int) -> None:
    """Add an energy that was moved evenly from one instant to another."""
    start_ms, end_ms = grid.start_of(from_ms), grid.end_of(from_ms)
    if to_ms <= end_ms:
        bins[start_ms] = bins.get(start_ms, 0) + nkwh
        return
    span_ms, before = to_ms - from_ms, 0
    while end_ms < to_ms:
        upto = nkwh * (end_ms - from_ms) // span_ms
        if upto > before:
            bins[start_ms] = bins.get(start_ms, 0) + upto - before
        start_ms, end_ms, before = end_ms, grid.end_of(end_ms), upto
    if nkwh > before:
        bins[start_ms] = bins.get(start_ms, 0) + nkwh - before


def spread_run(bins: Bins, grid: Grid, times_ms: Sequence[int], counters: Sequence[int]) -> None:
    """Add at once what a counter that never falls says, as ``spread`` does for each interval."""
    start_ms = grid.start_of(times_ms[0])
    before, after = counters[0], 0
    for end_ms in grid.between(times_ms[0], times_ms[-1]):
        after = bisect_left(times_ms, end_ms, after)
        from_ms, from_nkwh = times_ms[after - 1], counters[after - 1]
        upto = from_nkwh + (counters[after] - from_nkwh) * (end_ms - from_ms) // (
            times_ms[after] - from_ms
        )
        if upto > before:
            bins[start_ms] = bins.get(start_ms, 0) + upto - before
        start_ms, before = end_ms, upto
    if counters[-1] > before:
        bins[start_ms] = bins.get(start_ms, 0) + counters[-1] - before


def merged(charge: Bins, discharge: Bins, bin_ms: int = MINUTE_MS) -> MinuteEnergies:
    """Return both directions by number of the bin, in order of time, without empty ones."""
    if not discharge:
        return {start_ms // bin_ms: (nkwh, 0) for start_ms, nkwh in sorted(charge.items()) if nkwh}
    return {
        start_ms // bin_ms: (charge.get(start_ms, 0), discharge.get(start_ms, 0))
        for start_ms in sorted(charge.keys() | discharge.keys())
        if charge.get(start_ms, 0) or discharge.get(start_ms, 0)
    }
