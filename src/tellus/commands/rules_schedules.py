"""Decisions about schedules: what a plan may be, when its slots take place, which plans collide.

A slot is a span of the local clock. Its two ends become instants one by one: a time that the clock
skips is the moment of the skip, a time that it shows twice is the first of the two. Both keep the
order of the clock, so slots that do not overlap on its face never overlap in fact.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from typing import Any, Final
from zoneinfo import ZoneInfo

from tellus.commands.model_schedules import WEEKDAYS, Plan, Slot, Window
from tellus.kernel.errors import InvalidParameter, MissingParameter
from tellus.kernel.units import DAY_MS, MINUTE_MS, SECOND_MS, to_text

HORIZON_MS: Final = 400 * DAY_MS
"""How far ahead two plans are compared: longer than a year, so that each season is met."""

_DAY_MINUTES: Final = 24 * 60
_WEEK_MINUTES: Final = 7 * _DAY_MINUTES
_WEEK_MS: Final = 7 * DAY_MS
_EPOCH: Final = date(1970, 1, 1).toordinal()
_LAST_DAY: Final = date(9999, 12, 1).toordinal()
_LAST_MS: Final = (_LAST_DAY - _EPOCH) * DAY_MS


def check_plan(plan: Plan) -> None:
    """Check what can be judged of a plan by itself.

    Raises:
        MissingParameter: a slot of a weekly plan names no day.
        InvalidParameter: a slot is empty, slots overlap on the clock, a daily plan names days, or
            its range ends before it begins.
    """
    for number, slot in enumerate(plan.slots):
        field = f"time_slots[{number}]"
        if slot.start == slot.end:
            message = "A slot must not end at the minute it starts"
            raise InvalidParameter(message, f"{field}.end", slot.end)
        if plan.recurrence == "weekly" and not slot.days:
            raise MissingParameter(f"{field}.day_of_week")
        if plan.recurrence == "daily" and slot.days:
            message = "A daily schedule has no days; choose weekly"
            raise InvalidParameter(message, f"{field}.day_of_week")
    collision = find_collision(plan.slots)
    if collision is not None:
        message = f"Slot {collision + 1} overlaps another one"
        raise InvalidParameter(message, "time_slots")
    begin_ms, end_ms = plan.effective_from_ms, plan.effective_until_ms
    if begin_ms is not None and end_ms is not None and begin_ms >= end_ms:
        message = "effective_until must be later than effective_from"
        raise InvalidParameter(message, "effective_until", to_text(end_ms))


def find_collision(slots: Sequence[Slot]) -> int | None:
    """Return the index of a slot that overlaps an earlier one of the week's clock, or None."""
    spans: list[tuple[int, int, int]] = []
    for index, slot in enumerate(slots):
        for start, end in _face(slot):
            spans += [(start + turn, end + turn, index) for turn in (0, _WEEK_MINUTES)]
    spans.sort()
    last_end, last_index = -1, 0
    for start, end, index in spans:
        if start < last_end:
            return max(index, last_index)
        last_end, last_index = end, index
    return None


def has_action(plan: Plan, action: str) -> bool:
    """Tell whether an enabled plan asks for ``action``."""
    return plan.enabled and any(slot.action == action for slot in plan.slots)


def instant_of(day: int, minute: int, zone: ZoneInfo) -> int:
    """Return when (ms) the clock of ``zone`` shows a minute of a day (an ordinal).

    A time that it skips is the moment after the skip; one that it shows twice is the first.
    """
    wall = datetime.fromordinal(day) + timedelta(minutes=minute)
    first = wall.replace(tzinfo=zone, fold=0)
    moment_ms = _to_ms(first)
    if datetime.fromtimestamp(moment_ms // SECOND_MS, zone).replace(tzinfo=None) == wall:
        return moment_ms
    # Read with the offset before the skip a skipped time lies behind it, with the one after before.
    low_s = _to_ms(wall.replace(tzinfo=zone, fold=1)) // SECOND_MS
    before = _offset_s(zone, low_s)
    seconds = range(low_s, moment_ms // SECOND_MS + 1)
    return seconds[bisect_left(seconds, True, key=lambda s: _offset_s(zone, s) != before)] * 1000


def list_windows(plan: Plan, zone: ZoneInfo, from_ms: int, until_ms: int) -> Iterator[Window]:
    """Yield the windows of a plan that end after ``from_ms`` and start before ``until_ms``.

    They come in order, cut to the plan's effective range; a slot that lies wholly in a skipped hour
    is none. Whether the plan is enabled does not matter.
    """
    begin_ms = plan.effective_from_ms
    end_ms = plan.effective_until_ms
    found = (
        _of_once(plan, zone)
        if plan.recurrence == "once"
        else _recurring(plan.slots, zone, max(from_ms, begin_ms or 0))
    )
    for window in found:
        start = window.start_ms if begin_ms is None else max(window.start_ms, begin_ms)
        end = window.end_ms if end_ms is None else min(window.end_ms, end_ms)
        if start >= until_ms or (end_ms is not None and start >= end_ms):
            return
        if start < end and end > from_ms:
            yield Window(start, end, window.slot)


def find_overlap(
    one: tuple[Plan, ZoneInfo], other: tuple[Plan, ZoneInfo], now_ms: int
) -> int | None:
    """Return the first moment (ms) after ``now_ms`` at which both plans have a window, or None.

    Looked for in the time both are effective, for 400 days from its begin.
    """
    (plan, zone), (second, second_zone) = one, other
    start_ms = max(now_ms, plan.effective_from_ms or 0, second.effective_from_ms or 0)
    until_ms = min(
        start_ms + HORIZON_MS, *(p.effective_until_ms or _LAST_MS for p in (plan, second))
    )
    if zone.key == second_zone.key and find_collision((*plan.slots, *second.slots)) is None:
        return None
    if "once" in {plan.recurrence, second.recurrence}:
        return _meet(one, other, start_ms, until_ms)
    for week_ms in _telling_weeks(zone, second_zone, start_ms, until_ms):
        found = _meet(one, other, week_ms, min(week_ms + _WEEK_MS, until_ms))
        if found is not None:
            return found
    return None


def params_of(plan: Plan) -> dict[str, Any]:
    """Return the plan as its charger gets it: the request with zone, and begin, where settled."""
    params: dict[str, Any] = {
        "schedule_id": plan.schedule_id,
        "enabled": plan.enabled,
        "type": plan.recurrence,
        "time_slots": [slot_params_of(slot) for slot in plan.slots],
        "timezone": plan.zone,
    }
    if plan.target_soc is not None:
        params["target_soc"] = plan.target_soc
    if plan.effective_from_ms is not None:
        params["effective_from"] = to_text(plan.effective_from_ms)
    if plan.effective_until_ms is not None:
        params["effective_until"] = to_text(plan.effective_until_ms)
    return params


def slot_params_of(slot: Slot) -> dict[str, Any]:
    """Return a slot as it is written on the wire."""
    params: dict[str, Any] = {"start": slot.start, "end": slot.end, "action": slot.action}
    if slot.days:
        params["day_of_week"] = list(slot.days)
    if slot.power_limit_kw is not None:
        params["power_limit"] = slot.power_limit_kw
    return params


def plan_next(plan: Plan, zone: ZoneInfo, now_ms: int, most: int) -> list[Window]:
    """Return the next windows of an enabled plan, one that is under way included."""
    if not plan.enabled:
        return []
    return list(islice(list_windows(plan, zone, now_ms, _LAST_MS), most))


# ---------------------------------------------------------------------------- private


def _minute(text: str) -> int:
    return int(text[:2]) * 60 + int(text[3:])


def _span(slot: Slot) -> tuple[int, int]:
    """Return the minutes of a slot, counted from the midnight of the day it starts."""
    start, end = _minute(slot.start), _minute(slot.end)
    return start, end if end > start else end + _DAY_MINUTES


def _face(slot: Slot) -> Iterator[tuple[int, int]]:
    """Yield the minutes that a slot takes of the week's clock; the last may reach beyond it."""
    start, end = _span(slot)
    for weekday in _weekdays(slot):
        yield weekday * _DAY_MINUTES + start, weekday * _DAY_MINUTES + end


def _weekdays(slot: Slot) -> Sequence[int]:
    if not slot.days:
        return range(7)
    return sorted({WEEKDAYS.index(day) for day in slot.days})


def _to_ms(moment: datetime) -> int:
    return (moment.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


def _offset_s(zone: ZoneInfo, at_s: int) -> int:
    offset = datetime.fromtimestamp(at_s, zone).utcoffset()
    return 0 if offset is None else int(offset.total_seconds())


def _day_of(moment_ms: int, zone: ZoneInfo) -> int:
    """Return the local day (an ordinal) of a moment, held inside what dates can say."""
    held_s = max(0, min(moment_ms, _LAST_MS)) // SECOND_MS
    return datetime.fromtimestamp(held_s, zone).toordinal()


class _Clock:
    """The clock of a zone, with the offset of days on which nothing happens to it remembered."""

    def __init__(self, zone: ZoneInfo) -> None:
        self._zone = zone
        self._midnights: dict[int, int] = {}

    def at(self, day: int, minute: int) -> int:
        over, minute = divmod(minute, _DAY_MINUTES)
        begin_ms = self._midnight(day + over)
        if self._midnight(day + over + 1) - begin_ms == DAY_MS:
            return begin_ms + minute * MINUTE_MS
        return instant_of(day + over, minute, self._zone)

    def _midnight(self, day: int) -> int:
        if day not in self._midnights:
            self._midnights[day] = instant_of(day, 0, self._zone)
        return self._midnights[day]


def _recurring(slots: Sequence[Slot], zone: ZoneInfo, from_ms: int) -> Iterator[Window]:
    """Yield all windows from about ``from_ms`` on, in order."""
    clock = _Clock(zone)
    by_weekday: list[list[tuple[int, int, Slot]]] = [[] for _ in WEEKDAYS]
    for slot in slots:
        for weekday in _weekdays(slot):
            by_weekday[weekday].append((*_span(slot), slot))
    for entries in by_weekday:
        entries.sort(key=lambda entry: entry[0])
    for day in range(_day_of(from_ms, zone) - 2, _LAST_DAY):
        for start, end, slot in by_weekday[(day - 1) % 7]:
            window = Window(clock.at(day, start), clock.at(day, end), slot)
            if window.start_ms < window.end_ms and window.end_ms > from_ms:
                yield window


def _of_once(plan: Plan, zone: ZoneInfo) -> list[Window]:
    """Return the first window of each slot that is not over when the plan begins."""
    from_ms = plan.effective_from_ms or 0
    found = []
    for slot in plan.slots:
        soon = _recurring([slot], zone, from_ms)
        first = next(soon, None)
        if first is not None:
            found.append(first)
    return sorted(found, key=lambda window: window.start_ms)


def _meet(
    one: tuple[Plan, ZoneInfo], other: tuple[Plan, ZoneInfo], from_ms: int, until_ms: int
) -> int | None:
    """Return the first moment from ``from_ms`` on at which both have a window, or None."""
    left, right = (list_windows(plan, zone, from_ms, until_ms) for plan, zone in (one, other))
    a, b = next(left, None), next(right, None)
    while a is not None and b is not None:
        start_ms = max(a.start_ms, b.start_ms, from_ms)
        if start_ms < min(a.end_ms, b.end_ms):
            return start_ms
        if a.end_ms <= b.end_ms:
            a = next(left, None)
        else:
            b = next(right, None)
    return None


def _telling_weeks(one: ZoneInfo, other: ZoneInfo, start_ms: int, until_ms: int) -> Iterator[int]:
    """Yield the begins of those weeks that may differ from the ones before.

    Where neither zone changes its offset, a week is like every other one with these offsets.
    """
    seen = set()
    for week_ms in range(start_ms, until_ms, _WEEK_MS):
        edges_s = (
            max(0, week_ms - 3 * DAY_MS) // SECOND_MS,
            min(week_ms + 10 * DAY_MS, _LAST_MS) // SECOND_MS,
        )
        offsets = tuple(_offset_s(zone, at_s) for zone in (one, other) for at_s in edges_s)
        if offsets not in seen:
            yield week_ms
        if offsets[0] == offsets[1] and offsets[2] == offsets[3]:
            seen.add(offsets)
