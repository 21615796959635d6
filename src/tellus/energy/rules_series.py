"""How a range of buckets is read from the sums: which days, hours, quarters and minutes.

Days and hours of the sums are those of UTC. What of a bucket is a whole day is read from the days,
what is left of it from the hours, whose quarters fit every zone in use today, and what does not
even fill a quarter is a *cut*, for which the sessions themselves have to be asked. ``fine`` spans
are those in which the sums do not hold the largest power, so that it comes from the minutes.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from tellus.energy.model import MinuteEnergies
from tellus.energy.model_series import HourSlice
from tellus.kernel.units import DAY_MS, HOUR_MS, MINUTE_MS

QUARTER_MS = 15 * MINUTE_MS
QUARTERS = HOUR_MS // QUARTER_MS


class Span(NamedTuple):
    """``[from_ms, to_ms)``, all of it in one bucket."""

    from_ms: int
    to_ms: int
    bucket: int


class Plan(NamedTuple):
    """What to read: whole days, slices of hours, minutes for the peaks alone, and cuts."""

    days: list[Span]
    slices: list[HourSlice]
    fine: list[Span]
    cuts: list[Span]


class _Run:
    """Spans of one length that follow one another, one for each bucket from ``bucket`` on."""

    __slots__ = ("bucket", "from_ms", "has_peaks", "next", "stride_ms", "to_ms")

    def __init__(self, span: Span, *, has_peaks: bool) -> None:
        self.from_ms, self.to_ms, self.bucket = span
        self.stride_ms = span.to_ms - span.from_ms
        self.next = span.bucket + 1
        self.has_peaks = has_peaks


def plan_reading(buckets: Sequence[Span], fine: Sequence[tuple[int, int]]) -> Plan:
    """Return how to read buckets, of which the first and the last may be cut short.

    ``fine`` are spans of whole hours, in order and apart from one another.
    """
    plan = Plan([], [], [], [])
    runs: list[_Run] = []
    number = 0
    while number < len(buckets):
        _plan_bucket(plan, runs, buckets[number], fine)
        if number == 1:
            number = _skip_hours(runs, buckets, fine)
        number += 1
    plan.slices.extend(one for run in runs for one in _slices(run))
    return plan


def _plan_bucket(
    plan: Plan, runs: list[_Run], bucket: Span, fine: Sequence[tuple[int, int]]
) -> None:
    begin_ms, end_ms, number = bucket
    first_ms = -(-begin_ms // QUARTER_MS) * QUARTER_MS
    last_ms = end_ms // QUARTER_MS * QUARTER_MS
    if first_ms > last_ms:
        plan.cuts.append(bucket)
        return
    if begin_ms < first_ms:
        plan.cuts.append(Span(begin_ms, first_ms, number))
    if last_ms < end_ms:
        plan.cuts.append(Span(last_ms, end_ms, number))
    for part, is_fine in _split(Span(first_ms, last_ms, number), fine):
        if is_fine:
            plan.fine.append(part)
            _extend(runs, part, has_peaks=False)
        else:
            _take_days(plan.days, runs, part)


def _skip_hours(runs: list[_Run], buckets: Sequence[Span], fine: Sequence[tuple[int, int]]) -> int:
    """Let the run of the second bucket have all that follow, if they are plain hours up to a point.

    Returns the number of the last bucket that it has. Buckets are all of them either at most an
    hour long or all longer, so that where their mean is an hour each of them is.
    """
    last = len(buckets) - 2
    if fine:
        last = min(last, bisect_right(buckets, fine[0][0], key=lambda span: span.to_ms) - 1)
    from_ms = buckets[1].from_ms
    is_plain = from_ms % QUARTER_MS == 0 and bool(runs) and runs[-1].stride_ms == HOUR_MS
    if last > 1 and is_plain and buckets[last].to_ms - from_ms == last * HOUR_MS:
        runs[-1].to_ms = buckets[last].to_ms
        runs[-1].next = last + 1
        return last
    return 1


def _split(span: Span, fine: Sequence[tuple[int, int]]) -> Iterator[tuple[Span, bool]]:
    """Yield the parts of a span, and of each whether it is fine."""
    position_ms, to_ms, bucket = span
    for fine_from_ms, fine_to_ms in fine[bisect_left(fine, position_ms, key=lambda one: one[1]) :]:
        if fine_from_ms >= to_ms:
            break
        begin_ms, end_ms = max(position_ms, fine_from_ms), min(to_ms, fine_to_ms)
        if position_ms < begin_ms:
            yield Span(position_ms, begin_ms, bucket), False
        if begin_ms < end_ms:
            yield Span(begin_ms, end_ms, bucket), True
            position_ms = end_ms
    if position_ms < to_ms:
        yield Span(position_ms, to_ms, bucket), False


def _take_days(days: list[Span], runs: list[_Run], span: Span) -> None:
    """Take the whole days of a span, and what is left of it as runs of hours."""
    first_ms, last_ms = -(-span.from_ms // DAY_MS) * DAY_MS, span.to_ms // DAY_MS * DAY_MS
    if first_ms >= last_ms:
        _extend(runs, span, has_peaks=True)
        return
    days.append(Span(first_ms, last_ms, span.bucket))
    for left in (span._replace(to_ms=first_ms), span._replace(from_ms=last_ms)):
        if left.from_ms < left.to_ms:
            _extend(runs, left, has_peaks=True)


def _extend(runs: list[_Run], span: Span, *, has_peaks: bool) -> None:
    """Add a span to the last run where it goes on with it, else as a new one."""
    from_ms, to_ms, bucket = span
    last = runs[-1] if runs else None
    if (
        last is not None
        and last.to_ms == from_ms
        and last.stride_ms == to_ms - from_ms
        and last.next == bucket
        and last.has_peaks == has_peaks
        and last.stride_ms % HOUR_MS == 0
    ):
        last.to_ms = to_ms
        last.next += 1
    else:
        runs.append(_Run(span, has_peaks=has_peaks))


def _slices(run: _Run) -> Iterator[HourSlice]:
    """Yield a run as slices of hours: one where it begins and ends with full hours."""
    from_ms, to_ms, stride_ms = run.from_ms, run.to_ms, run.stride_ms
    bucket, has_peaks = run.bucket, run.has_peaks
    first = from_ms % HOUR_MS // QUARTER_MS
    if first == 0 and to_ms % HOUR_MS == 0:
        yield HourSlice(from_ms, to_ms, 0, QUARTERS, from_ms, stride_ms, bucket, has_peaks)
    elif stride_ms % HOUR_MS == 0:
        hour_ms, last_ms = from_ms - from_ms % HOUR_MS, to_ms - to_ms % HOUR_MS
        yield HourSlice(hour_ms, last_ms, first, QUARTERS, hour_ms, stride_ms, bucket, has_peaks)
        begin_ms, end_ms = hour_ms + HOUR_MS, last_ms + HOUR_MS
        yield HourSlice(begin_ms, end_ms, 0, first, begin_ms, stride_ms, bucket, has_peaks)
    else:
        yield from _pieces(Span(from_ms, to_ms, bucket), has_peaks=has_peaks)


def _pieces(span: Span, *, has_peaks: bool) -> Iterator[HourSlice]:
    """Yield the quarters of a span before the first full hour, the full hours, and those after."""
    position_ms, to_ms, bucket = span
    while position_ms < to_ms:
        hour_ms = position_ms - position_ms % HOUR_MS
        first = (position_ms - hour_ms) // QUARTER_MS
        end_ms = to_ms - to_ms % HOUR_MS
        if first == 0 and position_ms < end_ms:
            last = QUARTERS
        else:
            end_ms = hour_ms + HOUR_MS
            last = (min(to_ms, end_ms) - hour_ms) // QUARTER_MS
        yield HourSlice(
            hour_ms, end_ms, first, last, hour_ms, span.to_ms - hour_ms, bucket, has_peaks
        )
        position_ms = end_ms


# ---------------------------------------------------------------- summing


class Series:
    """The sums of one scope by bucket, nano-kWh: in, out, and the largest of one minute."""

    __slots__ = ("charge", "discharge", "peak")

    def __init__(self, buckets: int) -> None:
        self.charge = [0] * buckets
        self.discharge = [0] * buckets
        self.peak = [0] * buckets

    def add(self, bucket: int, charge_nkwh: int, discharge_nkwh: int, peak_nkwh: int) -> None:
        """Add energy to a bucket, and let its peak reach ``peak_nkwh``."""
        self.charge[bucket] += charge_nkwh
        self.discharge[bucket] += discharge_nkwh
        self.peak[bucket] = max(self.peak[bucket], peak_nkwh)

    def raise_peak(self, bucket: int, peak_nkwh: int) -> None:
        """Let a bucket's peak reach ``peak_nkwh``."""
        self.peak[bucket] = max(self.peak[bucket], peak_nkwh)


def sum_series(parts: Iterable[Series], buckets: int) -> Series:
    """Return the energy of several scopes together; peaks do not add up and are left 0."""
    total = Series(buckets)
    held = list(parts)
    if held:
        total.charge = [sum(values) for values in zip(*(one.charge for one in held), strict=True)]
        total.discharge = [
            sum(values) for values in zip(*(one.discharge for one in held), strict=True)
        ]
    return total


def clip_spans(edges: Sequence[int], from_ms: int, to_ms: int) -> list[Span]:
    """Return what of each bucket lies in the range; all of them meet it."""
    spans = [Span(edges[k], edges[k + 1], k) for k in range(len(edges) - 1)]
    if spans:
        spans[0] = spans[0]._replace(from_ms=max(spans[0].from_ms, from_ms))
        spans[-1] = spans[-1]._replace(to_ms=min(spans[-1].to_ms, to_ms))
    return spans


def add_minutes(series: Series, minutes: MinuteEnergies, spans: Sequence[Span]) -> None:
    """Add the energy of the minutes that lie in one of these spans each, but not their peaks."""
    for minute, (charge, discharge) in minutes.items():
        time_ms = minute * MINUTE_MS
        number = bisect_right(spans, time_ms, key=lambda span: span.from_ms) - 1
        if number >= 0 and time_ms + MINUTE_MS <= spans[number].to_ms:
            series.add(spans[number].bucket, charge, discharge, 0)


def peaks_within(
    hour_ms: int, nets: Sequence[int], spans: Sequence[Span]
) -> Iterator[tuple[int, int]]:
    """Yield bucket and largest net energy of one minute, both ways, of an hour's part of ``spans``.

    ``nets`` are the net energies of its sixty minutes; only whole minutes of a span count.
    """
    begin = bisect_right(spans, hour_ms, key=lambda span: span.to_ms)
    for from_ms, to_ms, bucket in spans[begin : begin + 62]:
        if from_ms >= hour_ms + HOUR_MS:
            break
        first = max(0, -(-(from_ms - hour_ms) // MINUTE_MS))
        last = min(60, (to_ms - hour_ms) // MINUTE_MS)
        if first < last:
            part = nets[first:last]
            yield bucket, max(*part, -min(part))


def rank_hours(
    highest: Mapping[int, Sequence[int]], spans: Sequence[Span]
) -> list[list[tuple[int, int]]]:
    """Return for each span, of a bucket each, its hours with the highest peak that they may have.

    ``highest`` tells it by hour for each quarter. The lowest come first, so that the highest can be
    taken from the end.
    """
    ranked: list[list[tuple[int, int]]] = [[] for _ in spans]
    for hour_ms, quarters in highest.items():
        number = bisect_right(spans, hour_ms, key=lambda span: span.to_ms)
        while number < len(spans) and spans[number].from_ms < hour_ms + HOUR_MS:
            from_ms, to_ms, _ = spans[number]
            first = max(0, (from_ms - hour_ms) // QUARTER_MS)
            last = min(QUARTERS, -(-(to_ms - hour_ms) // QUARTER_MS))
            ranked[number].append((max(quarters[first:last], default=0), hour_ms))
            number += 1
    for hours in ranked:
        hours.sort()
    return ranked


def merge_hours(times_ms: Iterable[int]) -> list[tuple[int, int]]:
    """Return the clock hours of some times as spans that do not touch one another."""
    spans: list[tuple[int, int]] = []
    for hour_ms in sorted({time_ms // HOUR_MS * HOUR_MS for time_ms in times_ms}):
        if spans and spans[-1][1] == hour_ms:
            spans[-1] = (spans[-1][0], hour_ms + HOUR_MS)
        else:
            spans.append((hour_ms, hour_ms + HOUR_MS))
    return spans
