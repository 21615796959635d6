"""What the definitions of energy say, worked out a second time: all facts at once, in fractions.

No split is rounded, nothing is kept from one sample to the next: each stretch is a list of samples
and each session a list of intervals, from which its minutes follow.
"""

from fractions import Fraction
from itertools import pairwise
from typing import NamedTuple

from tellus.energy.model import Basis, Doubt, Facts, RecordSpan
from tests.unit.energy.oracle_stretches import (
    Interval,
    Reading,
    Stretch,
    cut_into_stretches,
    read_stretch,
)


class Outcome(NamedTuple):
    """A session: its intervals, and what is known of it.

    ``stretched`` is by how much the record changes what the samples say.
    """

    start_ms: int
    end_ms: int | None
    last_ms: int
    record_id: str | None
    basis: Basis
    intervals: list[Interval]
    samples: int
    soc_start_pct: int | None
    soc_end_pct: int | None
    stretched: Fraction = Fraction(1)

    @property
    def minutes(self) -> dict[int, tuple[Fraction, Fraction]]:
        """Return energy in and out by minute, without empty ones."""
        return _by_minute(self.intervals)

    def moved_between(self, from_ms: int, to_ms: int) -> tuple[Fraction, Fraction]:
        """Return energy in and out in a span."""
        charge = discharge = Fraction(0)
        for held in self.intervals:
            share = _share(held, from_ms, to_ms)
            charge += max(held.energy, 0) * share
            discharge += max(-held.energy, 0) * share
        return charge, discharge


def work_out(facts: Facts, limit_mw: int | None) -> tuple[list[Outcome], list[Doubt]]:
    """Work out the sessions of a connector and the samples that cannot be believed."""
    read = [(stretch, read_stretch(stretch, limit_mw)) for stretch in cut_into_stretches(facts)]
    outcomes = []
    for stretch, reading in read:
        if stretch.record is None:
            outcome = _unsettled(stretch, reading)
            if outcome is not None:
                outcomes.append(outcome)
    outcomes += [
        _settled(record, [reading for stretch, reading in read if stretch.record == record])
        for record in {record.record_id: record for record in facts.records}.values()
    ]
    doubts = [doubt for _, reading in read for doubt in reading.doubts]
    return (
        sorted(outcomes, key=lambda outcome: (outcome.start_ms, outcome.record_id or "")),
        sorted(doubts),
    )


def _of_counter(readings: list[Reading]) -> bool:
    return any(interval.energy for reading in readings for interval in reading.by_counter)


def _unsettled(stretch: Stretch, reading: Reading) -> Outcome | None:
    intervals = reading.by_counter if _of_counter([reading]) else reading.by_power
    has_energy = any(held.energy for held in intervals)
    start_ms, last_ms = reading.start_ms, reading.last_ms
    if stretch.is_opened_over and not has_energy:
        return None
    if (
        not stretch.is_started
        and not has_energy
        and not (reading.has_heading and start_ms != last_ms)
    ):
        return None
    assert start_ms is not None
    socs = [held.soc_pct for held in reading.believed if held.soc_pct is not None]
    return Outcome(
        start_ms,
        stretch.end_ms,
        start_ms if last_ms is None else last_ms,
        None,
        Basis.POWER if has_energy and not _of_counter([reading]) else Basis.COUNTER,
        intervals,
        len(reading.believed),
        socs[0] if socs else None,
        socs[-1] if socs else None,
    )


def _settled(record: RecordSpan, readings: list[Reading]) -> Outcome:
    if _of_counter(readings):
        intervals = [held for reading in readings for held in reading.by_counter]
        known = [span for reading in readings for span in reading.counter_known]
    else:
        intervals = [held for reading in readings for held in reading.by_power]
        known = [span for reading in readings for span in reading.power_known]
    size = sum((abs(held.energy) for held in intervals), Fraction(0))
    rest = record.energy_nkwh - sum((held.energy for held in intervals), Fraction(0))
    unknown = _without(record, known)
    if size == 0:
        settled = _evenly([(record.start_ms, record.end_ms)], rest)
    elif unknown and rest * record.energy_nkwh > 0:
        settled = intervals + _evenly(unknown, rest)
    else:
        settled = [
            held._replace(energy=held.energy + rest * abs(held.energy) / size) for held in intervals
        ]
    believed = [held for reading in readings for held in reading.believed]
    socs = [held.soc_pct for held in believed if held.soc_pct is not None]
    first = record.soc_start_pct
    last = record.soc_end_pct
    return Outcome(
        record.start_ms,
        record.end_ms,
        record.end_ms,
        record.record_id,
        Basis.RECORD,
        settled,
        len(believed),
        first if first is not None or not socs else socs[0],
        last if last is not None or not socs else socs[-1],
        1 + abs(rest) / size if size else Fraction(1),
    )


def _without(record: RecordSpan, known: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the parts of a record's time between neighbouring ends that no known span covers."""
    ends = sorted({record.start_ms, record.end_ms, *(end for span in known for end in span)})
    return [
        (one, two)
        for one, two in pairwise(ends)
        if record.start_ms <= one < record.end_ms
        and not any(start <= one and two <= end for start, end in known)
    ]


def _evenly(spans: list[tuple[int, int]], energy: Fraction) -> list[Interval]:
    length = sum(end - start for start, end in spans)
    if length == 0:
        return [Interval(start, end, energy) for start, end in spans]
    return [Interval(start, end, energy * (end - start) / length) for start, end in spans]


def _share(interval: Interval, from_ms: int, to_ms: int) -> Fraction:
    """Return how much of an interval lies in a span."""
    start_ms, end_ms, _ = interval
    if start_ms == end_ms:
        return Fraction(from_ms <= start_ms < to_ms)
    return Fraction(max(0, min(end_ms, to_ms) - max(start_ms, from_ms)), end_ms - start_ms)


def _by_minute(intervals: list[Interval]) -> dict[int, tuple[Fraction, Fraction]]:
    minutes: dict[int, tuple[Fraction, Fraction]] = {}
    for held in intervals:
        for minute in range(held.start_ms // 60_000, held.end_ms // 60_000 + 1):
            charge, discharge = minutes.get(minute, (Fraction(0), Fraction(0)))
            moved = held.energy * _share(held, minute * 60_000, (minute + 1) * 60_000)
            minutes[minute] = (charge + max(moved, 0), discharge + max(-moved, 0))
    return {minute: moved for minute, moved in minutes.items() if any(moved)}
