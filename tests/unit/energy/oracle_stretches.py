"""A connector's samples, cut into stretches, and what each of them says by itself."""

from fractions import Fraction
from itertools import pairwise
from typing import NamedTuple

from tellus.energy.model import BoundaryKind, Doubt, Facts, Point, Reason, RecordSpan

BEFORE, AMONG, AFTER = 0, 1, 2
"""Where in an instant something stands relative to the samples of that instant."""


class Interval(NamedTuple):
    """An energy (nano-kWh, signed) that was moved evenly in a span (ms)."""

    start_ms: int
    end_ms: int
    energy: Fraction


class Stretch(NamedTuple):
    """Samples with nothing between, how they began and how they ended."""

    record: RecordSpan | None
    zero_ms: int | None
    is_started: bool
    samples: list[Point]
    idle: Point | None
    end_ms: int | None
    is_opened_over: bool


class Reading(NamedTuple):
    """What the samples of a stretch say."""

    by_counter: list[Interval]
    by_power: list[Interval]
    counter_known: list[tuple[int, int]]
    power_known: list[tuple[int, int]]
    believed: list[Point]
    doubts: list[Doubt]
    has_heading: bool
    last_ms: int | None
    start_ms: int | None


def _holder(records: list[RecordSpan], time_ms: int) -> RecordSpan | None:
    """Return the record to which a sample of an instant belongs."""
    holding = [held for held in records if held.start_ms <= time_ms <= held.end_ms]
    return min(holding, key=lambda held: (held.start_ms, held.record_id), default=None)


def _holder_of_later(records: list[RecordSpan], time_ms: int) -> RecordSpan | None:
    """Return the record to which what comes right after an instant belongs."""
    return _holder([held for held in records if held.end_ms > time_ms], time_ms)


def cut_into_stretches(facts: Facts) -> list[Stretch]:
    """Cut the samples wherever a start, stop, plug, idle sample or end of a record is between."""
    records = list({held.record_id: held for held in facts.records}.values())
    ends = {held.end_ms for held in records if _holder(records, held.end_ms) == held}
    starts = {
        event.time_ms for event in facts.boundaries if event.kind is BoundaryKind.START
    } - ends
    # (instant, where in it, what): whatever ends a stretch, and the samples themselves.
    happenings: list[tuple[int, int, int, str, Point | None]] = []
    for held in records:
        if _holder(records, held.start_ms) == held:
            happenings.append((held.start_ms, BEFORE, 0, "open", None))
        if held.end_ms in ends and _holder(records, held.end_ms) == held:
            happenings.append((held.end_ms, AFTER, 0, "end", None))
    for event in set(facts.boundaries):
        where = BEFORE if event.time_ms in starts else AFTER
        kind = "start" if event.kind is BoundaryKind.START else "end"
        happenings.append((event.time_ms, where, 1 if kind == "end" else 2, kind, None))
    samples = {(held.time_ms, held.is_idle, held.digest): held for held in facts.points}
    for rank, key in enumerate(sorted(samples)):
        happenings.append((key[0], AMONG, rank, "sample", samples[key]))
    return _cut(sorted(happenings, key=lambda happening: happening[:4]), records)


def _cut(
    happenings: list[tuple[int, int, int, str, Point | None]], records: list[RecordSpan]
) -> list[Stretch]:
    stretches: list[Stretch] = []
    zero_ms, is_started, samples = None, False, []
    for time_ms, _, _, kind, sample in happenings:
        if sample is not None and not sample.is_idle:
            samples.append(sample)
            continue
        inside = zero_ms if not samples else samples[0].time_ms
        if inside is not None or sample is not None:
            held_by = _holder_at(records, zero_ms, samples, sample, is_started=is_started)
            stretches.append(
                Stretch(held_by, zero_ms, is_started, samples, sample, time_ms, kind == "open")
            )
        is_started = kind == "start"
        zero_ms = time_ms if is_started or sample is not None else None
        samples = []
    if zero_ms is not None or samples:
        held_by = _holder_at(records, zero_ms, samples, None, is_started=is_started)
        stretches.append(Stretch(held_by, zero_ms, is_started, samples, None, None, False))
    return stretches


def _holder_at(
    records: list[RecordSpan],
    zero_ms: int | None,
    samples: list[Point],
    idle: Point | None,
    *,
    is_started: bool,
) -> RecordSpan | None:
    if samples:
        return _holder(records, samples[0].time_ms)
    if idle is not None:
        return _holder(records, idle.time_ms)
    if zero_ms is not None and is_started:
        return _holder_of_later(records, zero_ms)
    return _holder(records, zero_ms) if zero_ms is not None else None


def _headings(samples: list[Point]) -> list[int]:
    """Return the direction of each sample: its own, else the last one known."""
    return [
        next((earlier.heading for earlier in reversed(samples[: k + 1]) if earlier.heading), 0)
        for k in range(len(samples))
    ]


def _counting(zero_ms: int | None, samples: list[Point]) -> list[tuple[int, int, int, bool]]:
    """Return the counters that count: time, counter, direction, and whether counted to.

    A drop while charging is a dip, and left out, if the next sample is back; it is where counting
    starts again if the next is below as well; it is left out while there is no next.
    """
    counting: list[tuple[int, int, int, bool]] = []
    if zero_ms is not None:
        counting.append((zero_ms, 0, 0, False))
    told = [
        (sample.time_ms, sample.energy_nkwh, heading)
        for sample, heading in zip(samples, _headings(samples), strict=True)
    ]
    while told and zero_ms is not None and told[0][0] == zero_ms:
        del told[0]  # the counter is 0 at that instant
    for k, (time_ms, counter, heading) in enumerate(told):
        if counting and heading >= 0 and counter < counting[-1][1]:
            following = told[k + 1][1] if k + 1 < len(told) else None
            if following is not None and following < counting[-1][1]:
                counting.append((time_ms, counter, heading, False))
        else:
            counting.append((time_ms, counter, heading, bool(counting)))
    return counting


def _doubt(
    sample: Point, believed: list[Point], zero_ms: int | None, limit_mw: int | None
) -> Reason | None:
    if limit_mw is not None:
        if abs(sample.power_mw) > limit_mw:
            return Reason.POWER
        # The sample itself settles whether the last drop was one.
        known = _counting(zero_ms, [*believed, sample])[:-1]
        heading = _headings([*believed, sample])[-1]
        if known and sample.time_ms != zero_ms:
            told = [held.energy_nkwh for held in believed if held.time_ms != zero_ms]
            grown = sample.energy_nkwh - max([0] * (zero_ms is not None) + told)
            if heading < 0:
                grown = abs(sample.energy_nkwh - known[-1][1])
            span_ms = sample.time_ms - known[-1][0]
            if grown > Fraction(limit_mw * span_ms, 3600) + 1_000_000:
                return Reason.ENERGY
    charged = [held for held in believed if held.soc_pct is not None]
    if charged and sample.soc_pct is not None:
        is_near = sample.time_ms - charged[-1].time_ms <= 60_000
        if is_near and abs(sample.soc_pct - charged[-1].soc_pct) > 20:
            return Reason.SOC
    return None


def read_stretch(stretch: Stretch, limit_mw: int | None) -> Reading:
    """Read what a stretch says by its counter and by its power, without what is doubted."""
    believed: list[Point] = []
    doubts: list[Doubt] = []
    for sample in stretch.samples:
        reason = _doubt(sample, believed, stretch.zero_ms, limit_mw)
        if reason is None:
            believed.append(sample)
        else:
            doubts.append(Doubt(sample.time_ms, sample.digest, reason))
    counting = _counting(stretch.zero_ms, believed)
    last_ms = believed[-1].time_ms if believed else None
    if stretch.idle is not None:
        counting, reason, is_counted = _to_idle(stretch, believed, limit_mw)
        if reason is not None:
            doubts.append(Doubt(stretch.idle.time_ms, stretch.idle.digest, reason))
        if is_counted:
            last_ms = stretch.idle.time_ms
    pairs = [(one, two) for one, two in pairwise(believed) if two.time_ms - one.time_ms <= 15_000]
    return Reading(
        [
            Interval(t0, t1, Fraction(abs(e1 - e0) * heading))
            for (t0, e0, _, _), (t1, e1, heading, counts) in pairwise(counting)
            if counts
        ],
        [Interval(one.time_ms, two.time_ms, _trapezoid(one, two)) for one, two in pairs],
        [(one[0], two[0]) for one, two in pairwise(counting)],
        [(one.time_ms, two.time_ms) for one, two in pairs],
        believed,
        doubts,
        any(sample.heading for sample in believed),
        last_ms,
        _start(stretch, believed),
    )


def _to_idle(
    stretch: Stretch, believed: list[Point], limit_mw: int | None
) -> tuple[list[tuple[int, int, int, bool]], Reason | None, bool]:
    """Return what counts up to the idle sample, why that may be doubted, whether it counts."""
    idle = stretch.idle
    assert idle is not None
    if limit_mw is not None and abs(idle.power_mw) > limit_mw:
        return _counting(stretch.zero_ms, believed), Reason.POWER, False
    heading = _headings(believed)[-1] if believed else 0
    # As a charging sample: a growth counts, a drop does not. As a discharging one: both.
    counting = _counting(stretch.zero_ms, [*believed, idle._replace(heading=heading or 1)])
    is_grown = counting[-1][:2] == (idle.time_ms, idle.energy_nkwh)
    if not is_grown or idle.time_ms == stretch.zero_ms:
        return counting, None, False
    if len(counting) > 1 and idle.energy_nkwh == 0 != counting[-2][1]:
        return counting[:-1], None, False  # back at 0 it has begun anew
    if heading == 0:
        return [*counting[:-1], (idle.time_ms, idle.energy_nkwh, 0, True)], None, False
    asked = idle._replace(heading=heading, soc_pct=None)
    reason = _doubt(asked, believed, stretch.zero_ms, limit_mw)
    if reason is not None:
        return counting[:-1], reason, False
    counts = len(counting) > 1
    return [*counting[:-1], (idle.time_ms, idle.energy_nkwh, heading, counts)], None, True


def _trapezoid(one: Point, two: Point) -> Fraction:
    """Return the energy under the power between two samples in nano-kWh, rounded once."""
    sum_mw = one.power_mw + two.power_mw
    size = Fraction(abs(sum_mw) * (two.time_ms - one.time_ms), 7200) + Fraction(1, 2)
    return Fraction((1 if sum_mw > 0 else -1) * (size.numerator // size.denominator))


def _start(stretch: Stretch, believed: list[Point]) -> int | None:
    if stretch.is_started or not believed:
        return stretch.zero_ms
    first = believed[0]
    is_without_energy = first.energy_nkwh == 0 or (first.heading == 0 < first.energy_nkwh)
    if stretch.zero_ms is not None and not is_without_energy:
        return stretch.zero_ms
    return first.time_ms
