"""Charging plans: which slot holds when, by the clock on the wall of the charger's zone.

A slot over midnight belongs to the day it starts. When clocks go forward, a time in the skipped
hour means its end, so that a slot wholly inside it vanishes; when they go back, a time that comes
twice means its first occurrence, so that a slot runs once. Pure: time is epoch milliseconds.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from itertools import islice
from typing import Any, Literal, NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from tellus.simulator.agenda import NEVER_MS

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_ONE_DAY = timedelta(days=1)
# A slot lasts less than a day, and one day of a zone may have been skipped altogether.
_LOOK_BACK = timedelta(days=2)
_LAST_DAY = date(9999, 12, 1)
_LAST_MS = 86_400_000 * (_LAST_DAY - date(1970, 1, 1)).days
_AS_GOOD_AS_FULL_PCT = 99.5


class BadPlan(Exception):
    """The plan cannot be executed; the text says why."""


class _SlotItem(msgspec.Struct):
    start: str
    end: str
    action: Literal["charge", "discharge", "idle"] = "charge"
    power_limit: float | None = None
    day_of_week: list[str] | None = None


class _PlanRequest(msgspec.Struct):
    schedule_id: str
    enabled: bool
    type: Literal["once", "daily", "weekly"]
    time_slots: list[_SlotItem]
    target_soc: int | None = None
    effective_from: str | None = None
    effective_until: str | None = None
    timezone: str | None = None


class Slot(NamedTuple):
    """A part of the day by local time; ``weekdays`` are those on which it starts, 0 = Monday."""

    start: time
    end: time
    action: str
    limit_kw: float
    weekdays: frozenset[int]


class Window(NamedTuple):
    """A slot of one day as a span of time."""

    start_ms: int
    end_ms: int
    slot: Slot


class Plan(NamedTuple):
    """One stored schedule."""

    schedule_id: str
    zone: ZoneInfo
    slots: tuple[Slot, ...]
    is_once: bool
    from_ms: int
    until_ms: int
    target_soc_pct: int | None

    @property
    def target_or_full_pct(self) -> float:
        """Return the charge at which there is nothing to start for."""
        target_pct = 100 if self.target_soc_pct is None else self.target_soc_pct
        return min(_AS_GOOD_AS_FULL_PCT, float(target_pct))

    def window_at(self, now_ms: int) -> Window | None:
        """Return the window in which ``now_ms`` lies."""
        first = next(self._windows_after(now_ms), None)
        return first if first is not None and first.start_ms <= now_ms else None

    def next_change_ms(self, now_ms: int) -> int:
        """Return when the next window begins or ends after ``now_ms``."""
        first = next(self._windows_after(now_ms), None)
        if first is None:
            return NEVER_MS
        return first.start_ms if first.start_ms > now_ms else first.end_ms

    def _windows_after(self, now_ms: int) -> Iterator[Window]:
        """Yield the windows that end after ``now_ms``, in order, cut to when the plan is in force.

        A slot of a plan for once has one: its first that is not over when the plan begins.
        """
        if self.is_once:
            each = [_raw_windows(self.zone, (slot,), self.from_ms) for slot in self.slots]
            firsts = [window for found in each for window in islice(found, 1)]
            windows: Iterator[Window] = iter(sorted(firsts, key=lambda one: one.start_ms))
        else:
            windows = _raw_windows(self.zone, self.slots, max(now_ms, self.from_ms))
        for window in windows:
            start_ms = max(window.start_ms, self.from_ms)
            end_ms = min(window.end_ms, self.until_ms)
            if start_ms >= self.until_ms:
                return
            if end_ms > now_ms:
                yield Window(start_ms, end_ms, window.slot)


def _raw_windows(zone: ZoneInfo, slots: tuple[Slot, ...], after_ms: int) -> Iterator[Window]:
    """Yield what the clock makes of the slots from ``after_ms`` on, in order."""
    in_order = sorted(slots, key=lambda one: one.start)
    held_s = min(max(0, after_ms), _LAST_MS) / 1000
    day = datetime.fromtimestamp(held_s, UTC).astimezone(zone).date() - _LOOK_BACK
    while day < _LAST_DAY:
        for slot in in_order:
            if day.weekday() in slot.weekdays:
                last = day if slot.start < slot.end else day + _ONE_DAY
                start_ms = wall_ms(day, slot.start, zone)
                window = Window(start_ms, wall_ms(last, slot.end, zone), slot)
                if start_ms < window.end_ms and window.end_ms > after_ms:
                    yield window
        day += _ONE_DAY


def wall_ms(day: date, clock: time, zone: ZoneInfo) -> int:
    """Return when the wall clock of a zone shows a time: its first occurrence, or after a gap."""
    wall = datetime.combine(day, clock, zone)
    shown = wall.astimezone(UTC).astimezone(zone)
    if shown.replace(tzinfo=None) == wall.replace(tzinfo=None):
        return round(1000 * wall.timestamp())
    # Skipped: the clocks changed between what the offset after and the offset before make of it.
    before_s = int(wall.replace(fold=1).timestamp())
    after_s = int(wall.timestamp())
    old = datetime.fromtimestamp(before_s, zone).utcoffset()
    while after_s - before_s > 1:
        middle_s = (before_s + after_s) // 2
        if datetime.fromtimestamp(middle_s, zone).utcoffset() == old:
            before_s = middle_s
        else:
            after_s = middle_s
    return 1000 * after_s


def read_plan(params: dict[str, Any], now_ms: int, zone_name: str) -> tuple[str, Plan | None]:
    """Return the id and plan of a schedule request; None as plan where it is disabled.

    ``zone_name`` holds where the request names none. Raises BadPlan.
    """
    try:
        request = msgspec.convert(params, _PlanRequest)
        zone = ZoneInfo(request.timezone or zone_name)
        from_ms = now_ms if request.effective_from is None else _moment_ms(request.effective_from)
        until_ms = NEVER_MS
        if request.effective_until is not None:
            until_ms = _moment_ms(request.effective_until)
        slots = tuple(_read_slot(item, request.type) for item in request.time_slots)
    except (msgspec.ValidationError, ValueError, KeyError, OSError) as error:
        raise BadPlan(f"the schedule is not understood: {error}") from error
    if not request.enabled:
        return request.schedule_id, None
    if not slots:
        raise BadPlan("the schedule has no slots")
    is_once = request.type == "once"
    # A daily plan holds for what is left of a window that has begun.
    begin_ms = from_ms if is_once or request.effective_from is not None else 0
    plan = Plan(
        request.schedule_id, zone, slots, is_once, begin_ms, until_ms, request.target_soc
    )  # fmt: skip
    return request.schedule_id, plan


def _read_slot(item: _SlotItem, kind: str) -> Slot:
    start, end = time.fromisoformat(item.start), time.fromisoformat(item.end)
    if start == end:
        raise BadPlan("a slot begins when it ends")
    names = item.day_of_week or ([] if kind == "weekly" else list(_DAYS))
    if not names:
        raise BadPlan("a weekly slot names no day")
    limit_kw = math.inf if item.power_limit is None else item.power_limit
    if limit_kw < 0.0:
        raise BadPlan("power_limit is negative")
    return Slot(start, end, item.action, limit_kw, frozenset(map(_DAYS.index, names)))


def _moment_ms(text: str) -> int:
    moment = datetime.fromisoformat(text)
    return round(1000 * (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
