"""How a charging record settles what the samples of a session say (rule 6 of energy)."""

from tellus.energy.model import RecordSpan
from tellus.energy.rules_bins import MINUTES, Bins, Grid, spread

Spans = list[tuple[int, int]]
"""Spans of time ``[from, to)`` (ms), ascending, none touching the next."""


def settle(
    charge: Bins, discharge: Bins, covered: Spans, record: RecordSpan, grid: Grid = MINUTES
) -> tuple[Bins, Bins]:
    """Return energy in and out by bins, so that together they sum to the record's exactly.

    ``charge`` and ``discharge`` are what the samples say, ``covered`` the time between counters.
    What is missing goes evenly to the time of the record that is not covered, if it has the sign of
    the session; else each energy is changed in proportion to its size; and where the samples say
    nothing the record's energy is spread evenly over its time.
    """
    energy_in, energy_out = sum(charge.values()), sum(discharge.values())
    rest = record.energy_nkwh - energy_in + energy_out
    charge, discharge = dict(charge), dict(discharge)
    if rest == 0:
        return charge, discharge
    if energy_in == energy_out == 0:
        gaps = [(record.start_ms, record.end_ms)]
    else:
        gaps = _gaps(covered, record)
        if not gaps or rest * record.energy_nkwh <= 0:
            return _scale(charge, discharge, rest)
    _fill(charge if rest > 0 else discharge, gaps, abs(rest), grid)
    return charge, discharge


def cover(covered: Spans, from_ms: int, to_ms: int) -> None:
    """Add a span that starts no earlier than the last one."""
    if to_ms <= from_ms:
        return
    if covered and from_ms <= covered[-1][1]:
        covered[-1] = (covered[-1][0], max(to_ms, covered[-1][1]))
    else:
        covered.append((from_ms, to_ms))


def _gaps(covered: Spans, record: RecordSpan) -> Spans:
    gaps: Spans = []
    upto_ms = record.start_ms
    for from_ms, to_ms in covered:
        if upto_ms < from_ms:
            gaps.append((upto_ms, from_ms))
        upto_ms = max(upto_ms, to_ms)
    if upto_ms < record.end_ms:
        gaps.append((upto_ms, record.end_ms))
    return gaps


def _fill(bins: Bins, gaps: Spans, nkwh: int, grid: Grid) -> None:
    span_ms = sum(to_ms - from_ms for from_ms, to_ms in gaps)
    passed_ms = before = 0
    for from_ms, to_ms in gaps:
        passed_ms += to_ms - from_ms
        upto = nkwh * passed_ms // span_ms if span_ms else nkwh
        spread(bins, grid, from_ms, to_ms, upto - before)
        before = upto


def _scale(charge: Bins, discharge: Bins, rest: int) -> tuple[Bins, Bins]:
    """Change each energy by its share of the rest; one that changes its sign changes sides."""
    moved = sum(charge.values()) + sum(discharge.values())
    energy_in: Bins = {}
    energy_out: Bins = {}
    passed = before = 0
    for start_ms in sorted(charge.keys() | discharge.keys()):
        for sign, bins in ((1, charge), (-1, discharge)):
            nkwh = bins.get(start_ms, 0)
            passed += nkwh
            upto = rest * passed // moved
            net = sign * nkwh + upto - before
            before = upto
            side = energy_in if net >= 0 else energy_out
            side[start_ms] = side.get(start_ms, 0) + abs(net)
    return energy_in, energy_out
