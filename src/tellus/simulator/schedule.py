"""Charging plans: which slot holds when, by the clock on the wall of the charger's zone.

A slot over midnight belongs to the day it starts. When clocks go forward, a time in the skipped
hour means its end, so that a slot wholly inside it vanishes; when they go back, a time that comes
twice means its first occurrence, so that a slot runs once. Pure: time is epoch milliseconds.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Literal, NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from tellus.simulator.agenda import NEVER_MS

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_LOOK_AHEAD_DAYS = 9
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
        return min(_AS_GOOD_AS_FULL_PCT, float(self.target_soc_pct or 100))

    def window_at(self, now_ms: int) -> Window | None:
        """Return the window in which ``now_ms`` lies."""
        for window in self._windows(now_ms):
            if window.start_ms <= now_ms < window.end_ms:
                return window
        return None

    def next_change_ms(self, now_ms: int) -> int:
        """Return when the next window begins or ends after ``now_ms``."""
        edges = (edge for window in self._windows(now_ms) for edge in window[:2] if edge > now_ms)
        return min(edges, default=NEVER_MS)

    def _windows(self, now_ms: int) -> list[Window]:
        """Return the windows from yesterday to a week ahead, cut to when the plan is in force."""
        first = self.from_ms if self.is_once else now_ms
        windows: list[Window] = []
        for window in sorted(_raw_windows(self, first), key=lambda one: one.start_ms):
            if self.is_once and (
                window.start_ms < self.from_ms or any(one.slot == window.slot for one in windows)
            ):
                continue
            start_ms = max(window.start_ms, self.from_ms)
            end_ms = min(window.end_ms, self.until_ms)
            if start_ms < end_ms:
                windows.append(Window(start_ms, end_ms, window.slot))
        return windows


def _raw_windows(plan: Plan, around_ms: int) -> Iterator[Window]:
    today = datetime.fromtimestamp(around_ms / 1000, UTC).astimezone(plan.zone).date()
    for ahead in range(-1, _LOOK_AHEAD_DAYS):
        day = today + timedelta(days=ahead)
        for slot in plan.slots:
            if day.weekday() in slot.weekdays:
                last = day if slot.start < slot.end else day + timedelta(days=1)
                start_ms = wall_ms(day, slot.start, plan.zone)
                yield Window(start_ms, wall_ms(last, slot.end, plan.zone), slot)


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
