"""Runs of samples in which nothing happens but that the counter moves one way.

They make up nearly all of what is folded, so they are counted as a whole, by minutes; the result is
that of the samples one by one.
"""

from collections.abc import Sequence
from itertools import islice
from operator import lt, neg, sub
from typing import NamedTuple

from tellus.energy.model import Point
from tellus.energy.rules_account import Account
from tellus.energy.rules_bins import Grid, spread_run
from tellus.energy.rules_judge import SOC_JUMP_PCT, most_nkwh
from tellus.energy.rules_segment import Segment

RUN_LENGTH = 64
_SHORTEST_RUN = 8


class Columns(NamedTuple):
    """Samples by column; ``idle`` are the positions of the idle ones."""

    times_ms: Sequence[int] = ()
    energies_nkwh: Sequence[int] = ()
    powers_mw: Sequence[int] = ()
    headings: Sequence[int] = ()
    socs_pct: Sequence[int | None] = ()
    idle: Sequence[int] = ()


def columns_of(points: list[Point]) -> Columns:
    """Turn samples into columns."""
    if not points:
        return Columns()
    times_ms, _, energies_nkwh, powers_mw, headings, are_idle, socs_pct = zip(*points, strict=True)
    idle = [at for at, is_idle in enumerate(are_idle) if is_idle] if any(are_idle) else []
    return Columns(times_ms, energies_nkwh, powers_mw, headings, socs_pct, idle)


def add_run(
    segment: Segment,
    account: Account,
    columns: Columns,
    run: tuple[int, int],
    grid: Grid,
    limit_mw: int | None,
) -> bool:
    """Add samples as a whole; return False, having done nothing, where that could err."""
    start, stop = run
    if stop - start < _SHORTEST_RUN or not segment.is_under_way or segment.base_ms is None:
        return False
    times_ms = (segment.base_ms, *columns.times_ms[start:stop])
    counters = (segment.base_nkwh, *columns.energies_nkwh[start:stop])
    steps = list(map(sub, islice(counters, 1, None), counters))
    is_growing = min(steps) >= 0
    if not (is_growing or (segment.heading < 0 and max(steps) <= 0)):
        return False
    if counters[-1] == counters[0] and not account.has_moved:
        return False
    socs_pct = columns.socs_pct[start:stop]
    if not (
        _heads_alike(columns.headings[start:stop], segment.heading)
        and _is_steady(socs_pct, segment.soc_pct)
        and all(map(lt, times_ms, islice(times_ms, 1, None)))
        and (
            limit_mw is None or _is_within(times_ms, steps, columns.powers_mw[start:stop], limit_mw)
        )
    ):
        return False
    account.decide()
    bins = account.charge if segment.heading > 0 else account.discharge
    spread_run(bins, grid, times_ms, counters if is_growing else tuple(map(neg, counters)))
    account.cover(times_ms[0], times_ms[-1])
    account.notice(times_ms[-1], stop - start, socs_pct[0], socs_pct[-1])
    segment.top_nkwh = max(segment.top_nkwh, counters[0])
    _move(segment, times_ms[-1], counters[-1], columns.powers_mw[stop - 1], socs_pct[-1])
    return True


def _move(
    segment: Segment, time_ms: int, energy_nkwh: int, power_mw: int, soc_pct: int | None
) -> None:
    """Let the stretch stand at the last sample of the run."""
    segment.base_ms, segment.base_nkwh = time_ms, energy_nkwh
    segment.top_nkwh = max(segment.top_nkwh, energy_nkwh)
    segment.sample_ms, segment.sample_mw = time_ms, power_mw
    if soc_pct is not None:
        segment.soc_ms, segment.soc_pct = time_ms, soc_pct


def _heads_alike(headings: Sequence[int], heading: int) -> bool:
    return min(headings) >= 0 if heading > 0 else max(headings) <= 0


def _is_steady(socs_pct: Sequence[int | None], before_pct: int | None) -> bool:
    """Whether the states of charge, all sent or none, cannot be doubted."""
    sent = [soc_pct for soc_pct in socs_pct if soc_pct is not None]
    if not sent:
        return True
    if len(sent) < len(socs_pct):
        return False
    if before_pct is not None:
        sent.insert(0, before_pct)
    jumps = list(map(sub, islice(sent, 1, None), sent))
    return not jumps or (max(jumps) <= SOC_JUMP_PCT and min(jumps) >= -SOC_JUMP_PCT)


def _is_within(
    times_ms: Sequence[int], steps: Sequence[int], powers_mw: Sequence[int], limit_mw: int
) -> bool:
    """Whether neither power nor counter can be doubted, whatever the highest counter was."""
    if max(powers_mw) > limit_mw or min(powers_mw) < -limit_mw:
        return False
    gaps_ms = list(map(sub, islice(times_ms, 1, None), times_ms))
    largest = max(map(abs, steps))
    if largest <= most_nkwh(limit_mw, min(gaps_ms)):
        return True
    return all(
        abs(step) <= most_nkwh(limit_mw, gap_ms)
        for step, gap_ms in zip(steps, gaps_ms, strict=True)
    )
