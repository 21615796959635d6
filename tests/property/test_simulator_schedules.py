"""What a simulated charger makes of a plan, against a clock read minute by minute."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import settings as tuned
from hypothesis import strategies as st

from tellus.commands.model_schedules import WEEKDAYS, Plan, Recurrence, Slot
from tellus.commands.rules_schedules import find_collision, list_windows, params_of
from tellus.kernel.units import MINUTE_MS
from tellus.simulator.agenda import NEVER_MS
from tellus.simulator.bounds import Bounds
from tellus.simulator.schedule import read_plan

DAY_MINUTES = 24 * 60
CHANGES = [
    ("Europe/Berlin", date(2026, 3, 29)),
    ("Europe/Berlin", date(2026, 10, 25)),
    ("America/New_York", date(2026, 3, 8)),
    ("America/New_York", date(2026, 11, 1)),
    ("Australia/Lord_Howe", date(2026, 4, 5)),
    ("Australia/Lord_Howe", date(2026, 10, 4)),
    ("Africa/Cairo", date(2026, 4, 24)),
    ("America/Havana", date(2026, 11, 1)),
    ("America/Sao_Paulo", date(2019, 2, 16)),
    ("Pacific/Apia", date(2011, 12, 30)),
    ("UTC", date(2026, 2, 28)),
]
"""Days on which clocks change by an hour, by half of one, at midnight, by a whole day, or not."""

SPAN_DAYS = 22
"""How many days around a change are read: a week before the plan begins, and two after it."""

clock_minutes = st.integers(0, DAY_MINUTES - 1) | st.integers(0, 240) | st.sampled_from([0, 120])


@st.composite
def plans(draw: st.DrawFn) -> tuple[str, int, Plan]:
    """A zone, the first minute that is read, and a plan whose range lies around a change."""
    zone, change = draw(st.sampled_from(CHANGES))
    kind: Recurrence = draw(st.sampled_from(["once", "daily", "weekly"]))
    has_days = kind == "weekly" or (kind == "once" and draw(st.booleans()))
    slots: list[Slot] = []
    for _ in range(draw(st.integers(1, 4))):
        start = draw(clock_minutes)
        lasts = draw(st.integers(1, DAY_MINUTES - 1) | st.integers(1, 60))
        days = draw(st.sets(st.sampled_from(WEEKDAYS), min_size=1)) if has_days else set()
        slot = Slot(
            start=text_of(start),
            end=text_of((start + lasts) % DAY_MINUTES),
            action=draw(st.sampled_from(["charge", "idle"])),
            days=tuple(sorted(days)),
        )
        if find_collision([*slots, slot]) is None:
            slots.append(slot)
    first = (change.toordinal() - date(1970, 1, 1).toordinal() - 10) * DAY_MINUTES
    begin = first + draw(st.integers(7 * DAY_MINUTES, 12 * DAY_MINUTES))
    is_bound = kind == "once" or draw(st.booleans())
    until = begin + draw(st.integers(1, 9 * DAY_MINUTES)) if draw(st.booleans()) else None
    plan = Plan(
        schedule_id="plan",
        enabled=True,
        recurrence=kind,
        slots=tuple(slots),
        zone=zone,
        effective_from_ms=begin * MINUTE_MS if is_bound else None,
        effective_until_ms=None if until is None else until * MINUTE_MS,
    )
    return zone, first, plan


def text_of(minute: int) -> str:
    """The minute of a day as HH:MM."""
    return f"{minute // 60:02}:{minute % 60:02}"


# ---------------------------------------------------------------------------- the oracle


@cache
def furthest_clock(zone: str, first: int) -> list[datetime]:
    """How far the clock on the wall has come by each minute: put back, it has come no further."""
    shown, furthest = [], datetime.min  # noqa: DTZ901 - local times have no zone here
    begin = datetime.fromtimestamp(first * 60, UTC)
    for minute in range(SPAN_DAYS * DAY_MINUTES):
        local = (begin + timedelta(minutes=minute)).astimezone(ZoneInfo(zone)).replace(tzinfo=None)
        furthest = max(furthest, local)
        shown.append(furthest)
    return shown


def slot_days(slot: Slot, furthest: datetime) -> Iterator[datetime]:
    """Return the midnights of the days whose slot the clock is in."""
    start, end = (timedelta(hours=int(t[:2]), minutes=int(t[3:])) for t in (slot.start, slot.end))
    end += timedelta(days=1) if end < start else timedelta()
    midnight = datetime(furthest.year, furthest.month, furthest.day)  # noqa: DTZ001
    for day in (midnight - timedelta(days=1), midnight):
        on_this_day = not slot.days or WEEKDAYS[day.weekday()] in slot.days
        if on_this_day and day + start <= furthest < day + end:
            yield day


def oracle(plan: Plan, first: int) -> list[str | None]:
    """What the plan says in each minute: the start of the slot that is on, or None."""
    begin = (plan.effective_from_ms or 0) // MINUTE_MS
    until = (plan.effective_until_ms or NEVER_MS) // MINUTE_MS
    chosen: dict[str, datetime] = {}
    said: list[str | None] = []
    for minute, furthest in enumerate(furthest_clock(plan.zone, first), first):
        on = None
        for slot in plan.slots:
            for day in slot_days(slot, furthest):
                if minute < begin:
                    continue
                first_day = chosen.setdefault(f"{slot.start} {slot.days}", day)
                if plan.recurrence != "once" or first_day == day:
                    on = slot.start
        said.append(on if begin <= minute < until else None)
    return said


# ---------------------------------------------------------------------------- the promises


@tuned(max_examples=60, deadline=None)
@given(drawn=plans())
def test_stored_plan__of_any_kind_around_a_change_of_clocks__runs_by_the_minute(
    drawn: tuple[str, int, Plan],
) -> None:
    """A charger that looks at its plan only when it said it would is in the right slot throughout.

    The plan goes the way of the wire, and the platform tells its operator the same windows.
    """
    _, first, plan = drawn
    expected = oracle(plan, first)
    bounds = Bounds()
    now_ms = first * MINUTE_MS
    _, stored = read_plan({"connector_id": 1, **params_of(plan)}, now_ms, "Asia/Tokyo")
    bounds.store("plan", stored, now_ms)
    found: list[str | None] = []
    for minute in range(first, first + len(expected)):
        if bounds.due_ms <= minute * MINUTE_MS:
            assert bounds.due_ms == minute * MINUTE_MS
            bounds.refresh(minute * MINUTE_MS)
        window = bounds.window
        found.append(None if window is None else f"{window.slot.start:%H:%M}")
    assert found == expected
    told: list[str | None] = [None] * len(expected)
    until_ms = (first + len(expected)) * MINUTE_MS
    for shown in list_windows(plan, ZoneInfo(plan.zone), now_ms, until_ms):
        begin, end = shown.start_ms // MINUTE_MS - first, shown.end_ms // MINUTE_MS - first
        for index in range(max(0, begin), min(end, len(told))):
            told[index] = shown.slot.start
    assert told == expected
