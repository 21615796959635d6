"""Buckets of time: hours, days and months, in UTC or in a zone of the IANA database.

Buckets are half-open and follow one another without a gap. A local day starts with the first moment
of its date, so that it lasts 23, 24 or 25 hours where clocks change, and is left out where a place
skipped the date. A local hour ends with the clock's full hour or where the clock changes, whichever
comes first: where clocks change by half an hour, two hours of that day are half as long.
"""

from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from tellus.energy.model_series import Granularity
from tellus.kernel.units import DAY_MS, HOUR_MS

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_NAIVE = datetime(1970, 1, 1)  # noqa: DTZ001 - the wall clock of whichever zone
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_MILLISECOND = timedelta(milliseconds=1)
_MONTHS = 12
_LONGEST_MS = {"hour": HOUR_MS, "day": 3 * DAY_MS, "month": 34 * DAY_MS}
_FIRST_YEAR, _LAST_YEAR = 2, 9998


class Buckets(NamedTuple):
    """Buckets in order: the k-th is ``[edges[k], edges[k + 1])`` in ms, called ``labels[k]``."""

    edges: list[int]
    labels: list[str]


def find_first_ms() -> int:
    """Return the first moment (ms) that has buckets in every zone."""
    return (datetime(_FIRST_YEAR, 1, 1, tzinfo=UTC) - _EPOCH) // _MILLISECOND


def find_last_ms() -> int:
    """Return the moment (ms) up to which there are buckets in every zone."""
    return (datetime(_LAST_YEAR + 1, 1, 1, tzinfo=UTC) - _EPOCH) // _MILLISECOND


def cut_buckets(
    granularity: Granularity, from_ms: int, to_ms: int, zone: ZoneInfo | None, most: int
) -> Buckets | None:
    """Return all buckets that meet ``[from_ms, to_ms)``, or None if they are more than ``most``.

    ``zone`` None means UTC. The times lie between ``find_first_ms`` and ``find_last_ms``.
    """
    if (to_ms - from_ms) // _LONGEST_MS[granularity] > most:
        return None
    if granularity is Granularity.HOUR:
        return _cut_hours(from_ms, to_ms, zone, most)
    return _cut_dates(granularity, from_ms, to_ms, zone, most)


# ---------------------------------------------------------------- hours


def _cut_hours(from_ms: int, to_ms: int, zone: ZoneInfo | None, most: int) -> Buckets | None:
    if zone is None:
        hours = range(from_ms // HOUR_MS * HOUR_MS, to_ms + HOUR_MS, HOUR_MS)
        count = len(hours) - 1
        return Buckets(list(hours), _hour_labels(hours[0], count, "Z")) if count <= most else None
    edges: list[int] = [_hour_before(from_ms, zone)]
    labels: list[str] = []
    while edges[-1] < to_ms and len(labels) <= most:
        start_ms = edges[-1]
        offset_ms = _offset_ms(start_ms, zone)
        suffix = _offset_text(offset_ms)
        ends = _even_hours(start_ms, to_ms, offset_ms, zone) or [_hour_after(start_ms, zone)]
        edges += ends
        labels += _hour_labels(start_ms + offset_ms, len(ends), suffix)
    return Buckets(edges, labels) if _fits(edges, most) else None


def _even_hours(start_ms: int, to_ms: int, offset_ms: int, zone: ZoneInfo) -> list[int]:
    """Return the ends of the next hours, up to a day of them, if no clock changes meanwhile."""
    if (start_ms + offset_ms) % HOUR_MS or _offset_ms(start_ms + DAY_MS, zone) != offset_ms:
        return []
    last_ms = min(start_ms + DAY_MS, to_ms + HOUR_MS - 1)
    return list(range(start_ms + HOUR_MS, last_ms + 1, HOUR_MS))


def _hour_before(time_ms: int, zone: ZoneInfo) -> int:
    """Return the start of the hour that ``time_ms`` lies in."""
    offset_ms = _offset_ms(time_ms, zone)
    start_ms = (time_ms + offset_ms) // HOUR_MS * HOUR_MS - offset_ms
    if _offset_ms(start_ms, zone) == offset_ms:
        return start_ms
    return _find_change(start_ms, time_ms, zone)


def _hour_after(start_ms: int, zone: ZoneInfo) -> int:
    """Return the end of the hour that starts at ``start_ms``."""
    offset_ms = _offset_ms(start_ms, zone)
    end_ms = ((start_ms + offset_ms) // HOUR_MS + 1) * HOUR_MS - offset_ms
    if _offset_ms(end_ms, zone) == offset_ms:
        return end_ms
    return _find_change(start_ms, end_ms, zone)


# ---------------------------------------------------------------- days and months


def _cut_dates(
    granularity: Granularity, from_ms: int, to_ms: int, zone: ZoneInfo | None, most: int
) -> Buckets | None:
    is_month = granularity is Granularity.MONTH
    start_of = _month_start if is_month else _day_start
    number = _day_of(from_ms, zone)
    if is_month:
        first = date.fromordinal(number + _EPOCH_DAY)
        number = first.year * _MONTHS + first.month - 1
    start_ms = start_of(number, zone)
    edges: list[int] = []
    labels: list[str] = []
    while start_ms < to_ms and len(labels) <= most:
        end_ms = start_of(number + 1, zone)
        if end_ms > max(start_ms, from_ms):  # a date that a place skipped has no length
            edges.append(start_ms)
            labels.append(_month_label(number) if is_month else _day_label(number))
        start_ms, number = end_ms, number + 1
    edges.append(start_ms)
    return Buckets(edges, labels) if _fits(edges, most) else None


def _day_of(time_ms: int, zone: ZoneInfo | None) -> int:
    """Return the local date at ``time_ms`` as days since 1970-01-01."""
    return (time_ms + (0 if zone is None else _offset_ms(time_ms, zone))) // DAY_MS


def _day_start(day: int, zone: ZoneInfo | None) -> int:
    """Return the first moment of a local date: midnight, the first of two, or after the gap."""
    if zone is None:
        return day * DAY_MS
    midnight = (_EPOCH_NAIVE + timedelta(days=day)).replace(tzinfo=zone)
    first_ms = (midnight - _EPOCH) // _MILLISECOND
    second_ms = (midnight.replace(fold=1) - _EPOCH) // _MILLISECOND
    # In a gap, PEP 495 reads the wall clock once as before and once as after the change.
    return first_ms if first_ms <= second_ms else _find_change(second_ms, first_ms, zone)


def _month_start(month: int, zone: ZoneInfo | None) -> int:
    year, before = divmod(month, _MONTHS)
    return _day_start(date(year, before + 1, 1).toordinal() - _EPOCH_DAY, zone)


def _day_label(day: int) -> str:
    return date.fromordinal(day + _EPOCH_DAY).isoformat()


def _month_label(month: int) -> str:
    year, before = divmod(month, _MONTHS)
    return f"{year:04}-{before + 1:02}"


# ---------------------------------------------------------------- zones


def _offset_ms(time_ms: int, zone: ZoneInfo) -> int:
    """Return how far the zone's clocks are ahead of UTC at ``time_ms``."""
    ahead = (_EPOCH + timedelta(milliseconds=time_ms)).astimezone(zone).utcoffset()
    return 0 if ahead is None else ahead // _MILLISECOND


def _find_change(before_ms: int, after_ms: int, zone: ZoneInfo) -> int:
    """Return the moment in ``(before_ms, after_ms]`` from which the later offset holds."""
    later_ms = _offset_ms(after_ms, zone)
    while after_ms - before_ms > 1:
        middle_ms = (before_ms + after_ms) // 2
        if _offset_ms(middle_ms, zone) == later_ms:
            after_ms = middle_ms
        else:
            before_ms = middle_ms
    return after_ms


def _hour_labels(wall_ms: int, count: int, suffix: str) -> list[str]:
    """Return what ``count`` hours are called, of which the first starts when the wall says so."""
    if wall_ms % HOUR_MS:  # where clocks have just changed
        return [(_EPOCH_NAIVE + timedelta(milliseconds=wall_ms)).isoformat() + suffix]
    endings = [f"T{hour:02}:00:00{suffix}" for hour in range(24)]
    first = wall_ms // HOUR_MS
    days = {day: _day_label(day) for day in range(first // 24, (first + count) // 24 + 1)}
    return [days[hour // 24] + endings[hour % 24] for hour in range(first, first + count)]


def _offset_text(offset_ms: int) -> str:
    """Return an offset as RFC 3339 has it; the seconds of old local times as in ISO 8601."""
    minutes, seconds = divmod(abs(offset_ms) // 1_000, 60)
    text = f"{'-' if offset_ms < 0 else '+'}{minutes // 60:02}:{minutes % 60:02}"
    return f"{text}:{seconds:02}" if seconds else text


def _fits(edges: list[int], most: int) -> bool:
    return len(edges) - 1 <= most
