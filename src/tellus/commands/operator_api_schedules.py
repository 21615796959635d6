"""Schedules as operators set, list and remove them."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from tellus.commands.model import SET_SCHEDULE, Issued, Status
from tellus.commands.model_schedules import (
    SLOTS_MOST,
    Action,
    Plan,
    Recurrence,
    Slot,
    Weekday,
    Window,
)
from tellus.commands.operator_api import by_of
from tellus.commands.repeats import make_key
from tellus.commands.schedules import ScheduleService, ScheduleView
from tellus.kernel.call import Call, Nothing
from tellus.kernel.units import to_ms, to_text

ScheduleId = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[^\x00-\x1f\x7f]*$")]
ClockTime = Annotated[str, Meta(pattern=r"^(?:[01][0-9]|2[0-3]):[0-5][0-9]\Z", max_length=5)]


class TimeSlot(msgspec.Struct, frozen=True, kw_only=True):
    """A span of the local clock (HH:MM); one that ends before it starts ends the day after.

    ``day_of_week`` are the days on which it starts. ``power_limit`` in kW.
    """

    day_of_week: Annotated[list[Weekday], Meta(max_length=7)] | UnsetType = UNSET
    start: ClockTime
    end: ClockTime
    power_limit: Annotated[float, Meta(ge=0, le=1e6)] | UnsetType = UNSET
    action: Action


class ScheduleRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A plan that the charger runs by itself; the same ``schedule_id`` replaces it."""

    schedule_id: ScheduleId
    enabled: bool
    type: Recurrence
    time_slots: Annotated[list[TimeSlot], Meta(min_length=1, max_length=SLOTS_MOST)]
    target_soc: Annotated[int, Meta(ge=0, le=100)] | UnsetType = UNSET
    effective_from: datetime | UnsetType = UNSET
    effective_until: datetime | UnsetType = UNSET
    timezone: Annotated[str, Meta(min_length=1, max_length=64)] | UnsetType = UNSET


class ScheduleQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which schedule of the connector is meant."""

    schedule_id: ScheduleId


class ScheduleQueuedResponse(msgspec.Struct, frozen=True):
    """The change is stored and waits for its charger until ``expires_at``."""

    schedule_id: str
    command_id: str
    status: Literal["queued"]
    expires_at: str
    device_online: bool


class PlannedSlotItem(msgspec.Struct, frozen=True, kw_only=True):
    """A slot on a day to come, or under way."""

    start_at: str
    end_at: str
    action: Action
    power_limit: float | UnsetType = UNSET


class ScheduleItem(msgspec.Struct, frozen=True, kw_only=True):
    """A schedule as stored, and its next slots as moments, at most ten.

    ``command_status`` says whether the charger has it: that of the command which took it there.
    """

    schedule_id: str
    enabled: bool
    type: Recurrence
    time_slots: list[TimeSlot]
    target_soc: int | UnsetType = UNSET
    effective_from: str | UnsetType = UNSET
    effective_until: str | UnsetType = UNSET
    timezone: str
    command_id: str
    command_status: Status | UnsetType = UNSET
    created_at: str
    updated_at: str
    next_slots: list[PlannedSlotItem]


class ScheduleListResponse(msgspec.Struct, frozen=True):
    """The schedules of a connector in the order of their ids."""

    items: list[ScheduleItem]


async def set_schedule(
    schedules: ScheduleService, call: Call[ScheduleRequest, Nothing]
) -> ScheduleQueuedResponse:
    """Store a schedule and send it to its charger."""
    issued = await schedules.set_schedule(
        call.path["device_id"],
        call.path["connector_id"],
        _to_plan(call.body),
        None if call.body.timezone is UNSET else call.body.timezone,
        (call.principal.principal_id, call.principal.operator_id),
        call.now_ms,
        make_key(
            call.principal.principal_id, call.idempotency_key, SET_SCHEDULE, call.path, call.body
        ),
        by_of(call),
    )
    return _to_queued(call.body.schedule_id, issued)


async def list_schedules(
    schedules: ScheduleService, call: Call[Nothing, Nothing]
) -> ScheduleListResponse:
    """Return the schedules of a connector."""
    views = await schedules.list_schedules(
        call.path["device_id"],
        call.path["connector_id"],
        call.principal.operator_id,
        call.now_ms,
    )
    return ScheduleListResponse([_to_item(view) for view in views])


async def delete_schedule(
    schedules: ScheduleService, call: Call[Nothing, ScheduleQuery]
) -> ScheduleQueuedResponse:
    """Remove a schedule and have its charger disable it."""
    issued = await schedules.remove_schedule(
        call.path["device_id"],
        call.path["connector_id"],
        call.query.schedule_id,
        (call.principal.principal_id, call.principal.operator_id),
        call.now_ms,
        by_of(call),
    )
    return _to_queued(call.query.schedule_id, issued)


def _to_plan(body: ScheduleRequest) -> Plan:
    return Plan(
        schedule_id=body.schedule_id,
        enabled=body.enabled,
        recurrence=body.type,
        slots=tuple(_to_slot(slot) for slot in body.time_slots),
        target_soc=None if body.target_soc is UNSET else body.target_soc,
        effective_from_ms=_to_moment(body.effective_from),
        effective_until_ms=_to_moment(body.effective_until),
    )


def _to_slot(slot: TimeSlot) -> Slot:
    return Slot(
        start=slot.start,
        end=slot.end,
        action=slot.action,
        days=() if slot.day_of_week is UNSET else tuple(dict.fromkeys(slot.day_of_week)),
        power_limit_kw=None if slot.power_limit is UNSET else slot.power_limit,
    )


def _to_moment(moment: datetime | UnsetType) -> int | None:
    return None if moment is UNSET else to_ms(moment)


def _to_queued(schedule_id: str, issued: Issued) -> ScheduleQueuedResponse:
    command = issued.command
    return ScheduleQueuedResponse(
        schedule_id,
        command.command_id,
        "queued",
        to_text(command.expires_ms),
        issued.device_online,
    )


def _to_item(view: ScheduleView) -> ScheduleItem:
    schedule, plan = view.schedule, view.schedule.plan
    return ScheduleItem(
        schedule_id=plan.schedule_id,
        enabled=plan.enabled,
        type=plan.recurrence,
        time_slots=[_to_time_slot(slot) for slot in plan.slots],
        target_soc=UNSET if plan.target_soc is None else plan.target_soc,
        effective_from=_to_time(plan.effective_from_ms),
        effective_until=_to_time(plan.effective_until_ms),
        timezone=plan.zone,
        command_id=schedule.command_id,
        command_status=UNSET if view.status is None else view.status,
        created_at=to_text(schedule.created_ms),
        updated_at=to_text(schedule.updated_ms),
        next_slots=[_to_planned(window) for window in view.upcoming],
    )


def _to_time_slot(slot: Slot) -> TimeSlot:
    return TimeSlot(
        day_of_week=list(slot.days) if slot.days else UNSET,
        start=slot.start,
        end=slot.end,
        power_limit=_to_limit(slot),
        action=slot.action,
    )


def _to_planned(window: Window) -> PlannedSlotItem:
    return PlannedSlotItem(
        start_at=to_text(window.start_ms),
        end_at=to_text(window.end_ms),
        action=window.slot.action,
        power_limit=_to_limit(window.slot),
    )


def _to_limit(slot: Slot) -> float | UnsetType:
    return UNSET if slot.power_limit_kw is None else slot.power_limit_kw


def _to_time(time_ms: int | None) -> str | UnsetType:
    return UNSET if time_ms is None else to_text(time_ms)
