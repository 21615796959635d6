"""Schedules against an oracle that looks at the wall clock of every minute."""

from bisect import bisect_left
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import settings as tuned
from hypothesis import strategies as st

from tellus.commands.model_schedules import WEEKDAYS, Plan, Slot
from tellus.commands.rules_schedules import (
    HORIZON_MS,
    find_collision,
    find_overlap,
    instant_of,
    list_windows,
)
from tellus.kernel.units import DAY_MS, MINUTE_MS

MINUTES = 24 * 60
CHANGES = [
    ("Europe/Berlin", date(2026, 3, 29)),
    ("Europe/Berlin", date(2026, 10, 25)),
    ("Europe/London", date(2026, 3, 29)),
    ("America/New_York", date(2026, 3, 8)),
    ("America/New_York", date(2026, 11, 1)),
    ("Australia/Lord_Howe", date(2026, 4, 5)),
    ("Australia/Lord_Howe", date(2026, 10, 4)),
    ("Africa/Cairo", date(2026, 4, 24)),
    ("Africa/Cairo", date(2026, 10, 29)),
    ("America/Havana", date(2026, 3, 8)),
    ("America/Havana", date(2026, 11, 1)),
    ("America/Sao_Paulo", date(2019, 2, 16)),
    ("Pacific/Apia", date(2011, 12, 30)),
    ("Asia/Kolkata", date(2026, 3, 29)),
    ("UTC", date(2026, 3, 29)),
]
"""Days on which clocks change by an hour, by half of one, at midnight, by a whole day, or not."""

clock_minutes = st.integers(0, MINUTES - 1) | st.integers(0, 4 * 60) | st.sampled_from([0, 120])


def text_of(minute: int) -> str:
    """The minute of a day as HH:MM."""
    return f"{minute // 60:02}:{minute % 60:02}"


@st.composite
def slots(draw: st.DrawFn, *, weekly: bool) -> Slot:
    """A slot of any length under a day, often in the early hours, when clocks change."""
    start = draw(clock_minutes)
    end = (start + draw(st.integers(1, MINUTES - 1) | st.integers(1, 60))) % MINUTES
    days = draw(st.sets(st.sampled_from(WEEKDAYS), min_size=1)) if weekly else set()
    return Slot(start=text_of(start), end=text_of(end), action="charge", days=tuple(sorted(days)))


@st.composite
def plans(draw: st.DrawFn, recurrence: str = "") -> Plan:
    """A plan whose slots do not overlap."""
    kind = recurrence or draw(st.sampled_from(["daily", "weekly"]))
    weekly = kind == "weekly" or (kind == "once" and draw(st.booleans()))
    chosen: list[Slot] = []
    for slot in draw(st.lists(slots(weekly=weekly), min_size=1, max_size=4)):
        if find_collision([*chosen, slot]) is None:
            chosen.append(slot)
    return Plan(
        schedule_id="plan",
        enabled=True,
        recurrence=kind,
        slots=tuple(chosen),  # type: ignore[arg-type]
    )


# ---------------------------------------------------------------------------- the oracle


@cache
def wall_clock(zone: str, around: date) -> tuple[int, list[datetime]]:
    """The first minute (since 1970), and the latest that the clock has shown by each from then."""
    first = datetime(around.year, around.month, around.day, tzinfo=UTC) - timedelta(days=14)
    shown, latest = [], datetime.min  # noqa: DTZ901 - local times have no zone here
    for minute in range(35 * MINUTES):
        local = (first + timedelta(minutes=minute)).astimezone(ZoneInfo(zone)).replace(tzinfo=None)
        latest = max(latest, local)
        shown.append(latest)
    return int(first.timestamp()) // 60, shown


def oracle_instant(zone: str, around: date, wall: datetime) -> int:
    """The first minute (since 1970) at which the clock has come as far as ``wall``."""
    first, shown = wall_clock(zone, around)
    return first + bisect_left(shown, wall)


def oracle_windows(plan: Plan, zone: str, around: date) -> list[tuple[int, int, Slot]]:
    """The windows of all slots that start within ten days of the day, in minutes since 1970."""
    found = []
    for slot in plan.slots:
        for ahead in range(-10, 11):
            day = datetime(around.year, around.month, around.day) + timedelta(days=ahead)  # noqa: DTZ001
            if slot.days and WEEKDAYS[day.weekday()] not in slot.days:
                continue
            hours, minutes = map(int, slot.start.split(":"))
            start = day + timedelta(hours=hours, minutes=minutes)
            hours, minutes = map(int, slot.end.split(":"))
            end = day + timedelta(hours=hours, minutes=minutes)
            end += timedelta(days=1) if end < start else timedelta()
            span = tuple(oracle_instant(zone, around, wall) for wall in (start, end))
            if span[0] < span[1]:
                found.append((*span, slot))
    return sorted(found, key=lambda window: window[0])


def minutes_of(windows: Sequence[tuple[int, int, Slot]], begin: int, end: int) -> set[int]:
    """The minutes in ``[begin, end)`` during which a window is open."""
    return {
        minute for start, stop, _ in windows for minute in range(max(start, begin), min(stop, end))
    }


def noon(day: date, ahead: int) -> int:
    """A minute (since 1970): noon UTC some days from ``day``."""
    return (day.toordinal() - date(1970, 1, 1).toordinal() + ahead) * MINUTES + MINUTES // 2


# ---------------------------------------------------------------------------- the promises


@pytest.mark.parametrize(("zone", "day"), CHANGES)
def test_instant__of_every_minute_of_such_a_day__is_when_the_clock_first_got_there(
    zone: str, day: date
) -> None:
    """Skipped times are the moment of the skip, repeated ones the first of the two."""
    for ahead in (-1, 0, 1):
        one = day + timedelta(days=ahead)
        midnight = datetime(one.year, one.month, one.day)  # noqa: DTZ001
        for minute in range(MINUTES):
            wall = midnight + timedelta(minutes=minute)
            expected = oracle_instant(zone, day, wall) * MINUTE_MS
            assert instant_of(one.toordinal(), minute, ZoneInfo(zone)) == expected, wall


@tuned(max_examples=300)
@given(change=st.sampled_from(CHANGES), plan=plans(), begin=st.integers(-4 * MINUTES, 4 * MINUTES))
def test_windows__around_a_change_of_clocks__are_those_of_the_oracle(
    change: tuple[str, date], plan: Plan, begin: int
) -> None:
    """Daily and weekly plans, whatever their slots, from any minute on."""
    zone, day = change
    from_minute = noon(day, 0) + begin
    until_minute = from_minute + 4 * MINUTES
    expected = [
        window
        for window in oracle_windows(plan, zone, day)
        if window[1] > from_minute and window[0] < until_minute
    ]
    found = list_windows(plan, ZoneInfo(zone), from_minute * MINUTE_MS, until_minute * MINUTE_MS)
    assert [(w.start_ms // MINUTE_MS, w.end_ms // MINUTE_MS, w.slot) for w in found] == expected


@tuned(max_examples=300)
@given(
    change=st.sampled_from(CHANGES),
    plan=plans("once"),
    begin=st.integers(-3 * MINUTES, 2 * MINUTES),
    lasts=st.integers(1, 8 * MINUTES),
)
def test_windows__of_a_plan_for_once__are_the_first_of_each_slot(
    change: tuple[str, date], plan: Plan, begin: int, lasts: int
) -> None:
    """The first that is not over when the plan begins, cut to when the plan holds."""
    zone, day = change
    start = noon(day, 0) + begin
    until = start + lasts
    firsts = {}
    for window in oracle_windows(plan, zone, day):
        if window[1] > start:
            firsts.setdefault(window[2], window)
    expected = [
        (max(one, start), min(other, until))
        for one, other, _ in sorted(firsts.values(), key=lambda window: window[0])
        if one < until
    ]
    held = Plan(
        schedule_id="plan",
        enabled=True,
        recurrence="once",
        slots=plan.slots,
        effective_from_ms=start * MINUTE_MS,
        effective_until_ms=until * MINUTE_MS,
    )
    found = list_windows(held, ZoneInfo(zone), 0, (until + MINUTES) * MINUTE_MS)
    assert [(w.start_ms // MINUTE_MS, w.end_ms // MINUTE_MS) for w in found] == expected


def held_for(plan: Plan, begin: int, end: int) -> Plan:
    """The plan, effective from one minute to another."""
    return Plan(
        schedule_id=plan.schedule_id,
        enabled=True,
        recurrence=plan.recurrence,
        slots=plan.slots,
        effective_from_ms=begin * MINUTE_MS,
        effective_until_ms=end * MINUTE_MS,
    )


NEAR = [change for change in CHANGES if change[1].year == 2026 and change[1].month in {3, 4}]


@tuned(max_examples=200)
@given(
    zones=st.tuples(st.sampled_from(NEAR), st.sampled_from(NEAR)),
    pair=st.tuples(plans(), plans()),
    edges=st.tuples(*[st.integers(-2 * MINUTES, 3 * MINUTES)] * 4),
    now=st.integers(-2 * MINUTES, 2 * MINUTES),
)
def test_overlap__of_plans_in_any_two_zones__is_the_first_minute_of_both(
    zones: tuple[tuple[str, date], tuple[str, date]],
    pair: tuple[Plan, Plan],
    edges: tuple[int, int, int, int],
    now: int,
) -> None:
    """Found where there is one from now on while both are effective, and not elsewhere."""
    (one_zone, day), (other_zone, _) = zones
    middle = noon(day, 0)
    ranges = [(middle + low, middle + max(low + 1, high)) for low, high in (edges[:2], edges[2:])]
    both: set[int] | None = None
    for plan, zone, (begin, end) in zip(pair, (one_zone, other_zone), ranges, strict=True):
        open_in = minutes_of(oracle_windows(plan, zone, day), max(begin, middle + now), end)
        both = open_in if both is None else both & open_in
    assert both is not None
    held = [held_for(plan, *span) for plan, span in zip(pair, ranges, strict=True)]
    found = find_overlap(
        (held[0], ZoneInfo(one_zone)),
        (held[1], ZoneInfo(other_zone)),
        (middle + now) * MINUTE_MS,
    )
    assert found == (min(both) * MINUTE_MS if both else None)


@tuned(max_examples=60, deadline=None)
@given(
    zones=st.tuples(*[st.sampled_from([zone for zone, _ in CHANGES])] * 2),
    pair=st.tuples(plans(), plans()),
    day=st.integers(0, 400),
)
def test_overlap__of_plans_without_end__is_found_in_whichever_season_it_is(
    zones: tuple[str, str], pair: tuple[Plan, Plan], day: int
) -> None:
    """Passing over weeks that are like others passes over no overlap within 400 days."""
    now_ms = noon(date(2026, 1, 1), day) * MINUTE_MS
    until_ms = now_ms + HORIZON_MS
    all_windows = [
        (max(window.start_ms, now_ms), min(window.end_ms, until_ms), owner)
        for owner, (plan, zone) in enumerate(zip(pair, zones, strict=True))
        for window in list_windows(plan, ZoneInfo(zone), now_ms, until_ms)
    ]
    expected, ends = None, [0, 0]
    for start_ms, end_ms, owner in sorted(all_windows):
        if start_ms < ends[1 - owner]:
            expected = start_ms
            break
        ends[owner] = end_ms
    found = find_overlap((pair[0], ZoneInfo(zones[0])), (pair[1], ZoneInfo(zones[1])), now_ms)
    assert found == expected


@tuned(max_examples=200)
@given(given_slots=st.lists(slots(weekly=True) | slots(weekly=False), min_size=1, max_size=4))
def test_collision__of_slots_on_the_clock__is_a_minute_of_the_week_taken_twice(
    given_slots: list[Slot],
) -> None:
    """Also across midnight, and from the end of Sunday to the begin of Monday."""
    taken: set[int] = set()
    collides = False
    for slot in given_slots:
        start, end = (int(text[:2]) * 60 + int(text[3:]) for text in (slot.start, slot.end))
        length = (end - start) % MINUTES
        for weekday in range(7):
            if not slot.days or WEEKDAYS[weekday] in slot.days:
                minutes = {
                    (weekday * MINUTES + start + passed) % (7 * MINUTES) for passed in range(length)
                }
                collides = collides or bool(minutes & taken)
                taken |= minutes
    assert (find_collision(given_slots) is not None) == collides


def test_horizon__of_comparison__covers_every_season() -> None:
    """A year and a month: plans that meet in summer alone are found in winter."""
    assert HORIZON_MS > 366 * DAY_MS
