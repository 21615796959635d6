"""Use cases of schedules: set, list, remove. Each change goes to the charger as a command.

Plan and command are stored in one transaction, so that the platform never believes in a plan that
is not on its way.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from msgspec.structs import replace

from tellus.audit.model import Actor
from tellus.commands import rules, store, store_schedules
from tellus.commands.model import (
    SET_SCHEDULE,
    Command,
    Issued,
    NotBidirectional,
    RequestKey,
    Status,
    Terms,
)
from tellus.commands.model_schedules import SCHEDULES_MOST, Plan, Schedule, Window
from tellus.commands.rules_schedules import (
    check_plan,
    find_overlap,
    has_action,
    params_of,
    plan_next,
)
from tellus.commands.service import CommandService
from tellus.fleet.catalogue import Catalogue
from tellus.fleet.directory import Device, Directory
from tellus.fleet.sites import check_timezone
from tellus.kernel.errors import Conflict, NotFound
from tellus.kernel.units import to_text
from tellus.storage.database import Database, Tx

_NEXT_WINDOWS: Final = 10
_DEFAULT_ZONE: Final = "UTC"
_Change = Callable[[Plan, tuple[str, int], Tx, Command], None]


class ScheduleOverlaps(Conflict):
    """4001: another enabled schedule of the connector has a slot at the same time."""

    def __init__(self, schedule_id: str, at_ms: int) -> None:
        message = "The schedule overlaps another one of this connector"
        super().__init__(message, schedule_id=schedule_id, at=to_text(at_ms))


class ScheduleView(NamedTuple):
    """A stored schedule, where its last command stands (None if unknown), and what comes next."""

    schedule: Schedule
    status: Status | None
    upcoming: list[Window]


class ScheduleService:
    """Schedules of connectors; an operator sees its own and nothing else exists for it."""

    def __init__(
        self,
        database: Database,
        directory: Directory,
        catalogue: Catalogue,
        commands: CommandService,
    ) -> None:
        self._database = database
        self._directory = directory
        self._catalogue = catalogue
        self._commands = commands

    async def set_schedule(
        self,
        device_id: str,
        connector_id: int,
        plan: Plan,
        zone: str | None,
        issuer: tuple[str, str],
        now_ms: int,
        key: RequestKey | None = None,
        by: Actor | None = None,
    ) -> Issued:
        """Store a plan in place of any of the same id and send it to its charger.

        ``zone`` None stands for that of the site. A plan that runs once and has no begin begins
        now. ``issuer`` is the client and its operator, ``by`` who is named in the audit log.

        Raises:
            InvalidParameter: the plan contradicts itself, or the zone is unknown.
            MissingParameter: a weekly slot names no day.
            NotFound: the device or connector is absent or another operator's.
            NotBidirectional: a slot discharges, and the hardware cannot.
            ScheduleOverlaps: it overlaps an enabled schedule under another id.
            Conflict: the connector has 16 schedules under other ids.
            TooManyRequests: too many commands of the device are pending.
        """
        check_plan(plan)
        if zone is not None:
            check_timezone(zone)
        device = self._owned(device_id, connector_id, issuer[1])
        if has_action(plan, "discharge") and not self._catalogue.is_v2g(device):
            raise NotBidirectional(device.model)
        if zone is None:
            zone = await self._database.read(store_schedules.find_zone, device.site_id)
        begin_ms = plan.effective_from_ms
        if begin_ms is None and plan.recurrence == "once":
            begin_ms = now_ms
        plan = replace(plan, zone=zone or _DEFAULT_ZONE, effective_from_ms=begin_ms)
        return await self._issue(device, connector_id, plan, issuer, now_ms, _put, Terms(key, by))

    async def list_schedules(
        self, device_id: str, connector_id: int, operator_id: str, now_ms: int
    ) -> list[ScheduleView]:
        """Return the schedules of a connector in the order of their ids.

        Raises:
            NotFound: the device or connector is absent or another operator's.
        """
        device = self._owned(device_id, connector_id, operator_id)
        owner = (operator_id, device.owned_since_ms)
        stored = await self._database.read(_load, device.device_no, connector_id, owner)
        return [
            ScheduleView(
                schedule,
                None if command is None else rules.settle(command, now_ms).status,
                plan_next(schedule.plan, ZoneInfo(schedule.plan.zone), now_ms, _NEXT_WINDOWS),
            )
            for schedule, command in stored
        ]

    async def remove_schedule(
        self,
        device_id: str,
        connector_id: int,
        schedule_id: str,
        issuer: tuple[str, str],
        now_ms: int,
        by: Actor | None = None,
    ) -> Issued:
        """Remove a schedule and have its charger disable it.

        Raises:
            NotFound: device, connector or schedule is absent or another operator's.
            TooManyRequests: too many commands of the device are pending.
        """
        device = self._owned(device_id, connector_id, issuer[1])
        owner = (issuer[1], device.owned_since_ms)
        stored = await self._database.read(
            store_schedules.list_schedules, device.device_no, connector_id, owner
        )
        schedule = _find(stored, schedule_id)
        if schedule is None:
            raise NotFound
        plan = replace(schedule.plan, enabled=False)
        return await self._issue(device, connector_id, plan, issuer, now_ms, _remove, Terms(by=by))

    async def _issue(
        self,
        device: Device,
        connector_id: int,
        plan: Plan,
        issuer: tuple[str, str],
        now_ms: int,
        change: _Change,
        terms: Terms,
    ) -> Issued:
        along = partial(change, plan, (issuer[1], device.owned_since_ms))
        return await self._commands.issue_command(
            SET_SCHEDULE,
            device.device_id,
            connector_id,
            params_of(plan),
            issuer,
            now_ms,
            terms._replace(along=along),
        )

    def _owned(self, device_id: str, connector_id: int, operator_id: str) -> Device:
        device = self._directory.owned(device_id, operator_id)
        if device is None or connector_id not in device.connectors:
            raise NotFound
        return device


def _put(plan: Plan, owner: tuple[str, int], tx: Tx, command: Command) -> None:
    stored = store_schedules.list_schedules(tx, command.device_no, command.connector_id, owner)
    before = _find(stored, plan.schedule_id)
    others = [schedule for schedule in stored if schedule is not before]
    if len(others) >= SCHEDULES_MOST:
        message = f"The connector has {SCHEDULES_MOST} schedules"
        raise Conflict(message)
    if plan.enabled:
        _check_overlap(plan, [other.plan for other in others], command.created_ms)
    created_ms = command.created_ms if before is None else before.created_ms
    store_schedules.put_schedule(
        tx,
        command.device_no,
        command.connector_id,
        owner[0],
        Schedule(plan, command.command_id, created_ms, command.created_ms),
    )


def _check_overlap(plan: Plan, others: Sequence[Plan], now_ms: int) -> None:
    own = (plan, ZoneInfo(plan.zone))
    for other in others:
        if other.enabled:
            at_ms = find_overlap(own, (other, ZoneInfo(other.zone)), now_ms)
            if at_ms is not None:
                raise ScheduleOverlaps(other.schedule_id, at_ms)


def _remove(plan: Plan, owner: tuple[str, int], tx: Tx, command: Command) -> None:
    stored = store_schedules.list_schedules(tx, command.device_no, command.connector_id, owner)
    if _find(stored, plan.schedule_id) is None:
        raise NotFound
    store_schedules.remove_schedule(tx, command.device_no, command.connector_id, plan.schedule_id)


def _find(schedules: Sequence[Schedule], schedule_id: str) -> Schedule | None:
    return next((one for one in schedules if one.plan.schedule_id == schedule_id), None)


def _load(
    tx: Tx, device_no: int, connector_id: int, owner: tuple[str, int]
) -> list[tuple[Schedule, Command | None]]:
    return [
        (schedule, store.find_command(tx, schedule.command_id))
        for schedule in store_schedules.list_schedules(tx, device_no, connector_id, owner)
    ]
