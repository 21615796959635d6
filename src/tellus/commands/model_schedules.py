"""The words of schedules: plans, their slots, and the windows that follow from them."""

from typing import Final, Literal, NamedTuple

import msgspec

Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
WEEKDAYS: Final[tuple[Weekday, ...]] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
"""The days as they are written, in the order of ``date.weekday``."""

Recurrence = Literal["once", "daily", "weekly"]
Action = Literal["charge", "discharge", "idle"]

SLOTS_MOST: Final = 48
SCHEDULES_MOST: Final = 16
"""How many schedules, disabled ones included, one connector may have."""


class Slot(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A span of the local clock, ``start`` and ``end`` as HH:MM; an earlier end is the next day's.

    ``days`` are those on which it starts, none for every day. ``power_limit_kw`` None is no limit.
    """

    start: str
    end: str
    action: Action
    days: tuple[Weekday, ...] = ()
    power_limit_kw: float | None = None


class Plan(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A schedule as its charger gets it: ``zone`` is an IANA name, the range is ``[from, until)``.

    A plan that runs once always has ``effective_from_ms``.
    """

    schedule_id: str
    enabled: bool
    recurrence: Recurrence
    slots: tuple[Slot, ...]
    zone: str = "UTC"
    target_soc: int | None = None
    effective_from_ms: int | None = None
    effective_until_ms: int | None = None


class Window(NamedTuple):
    """One time that a slot takes place, ``[start_ms, end_ms)``."""

    start_ms: int
    end_ms: int
    slot: Slot


class Schedule(NamedTuple):
    """A stored plan; ``command_id`` is the command that last took it to the charger."""

    plan: Plan
    command_id: str
    created_ms: int
    updated_ms: int
