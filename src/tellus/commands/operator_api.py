"""Commands as operators issue and follow them."""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from tellus.audit.model import Actor
from tellus.commands.model import (
    DISCHARGE,
    START,
    STOP,
    Aggregate,
    Command,
    CommandFilter,
    Issued,
    Report,
    Status,
    Terms,
)
from tellus.commands.repeats import make_key
from tellus.commands.service import CommandService
from tellus.fleet.model import ConnectorId
from tellus.kernel.call import Call, Nothing
from tellus.kernel.errors import NotFound
from tellus.kernel.paging import Page, PageQuery
from tellus.kernel.spans import read_span
from tellus.kernel.units import to_text

DurationS = Annotated[int, Meta(ge=0, le=31_536_000)]


class RemoteStartRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of the session: ``charge_power`` kW, ``duration`` s, ``target_soc`` percent.

    ``transaction_id`` is the caller's own; the same one within 24 hours starts nothing twice.
    """

    charge_power: Annotated[float, Meta(ge=0, le=1e6)] | UnsetType = UNSET
    duration: DurationS | UnsetType = UNSET
    target_soc: Annotated[int, Meta(ge=0, le=100)] | UnsetType = UNSET
    transaction_id: Annotated[str, Meta(min_length=1, max_length=128)] | UnsetType = UNSET


class RemoteStopRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Why, such as ``user_request``, ``time_limit`` or ``fault``."""

    reason: Annotated[str, Meta(max_length=255)] | UnsetType = UNSET


class RemoteDischargeRequest(msgspec.Struct, frozen=True, kw_only=True):
    """How much to take out of the vehicle (kW), how long (s), and where to end (percent)."""

    discharge_power: Annotated[float, Meta(ge=0, le=1e6)]
    duration: DurationS | UnsetType = UNSET
    min_soc: Annotated[int, Meta(ge=0, le=100)] | UnsetType = UNSET


class CommandsQuery(PageQuery, frozen=True, kw_only=True):
    """Which commands: times bound when they were issued, ``[start_time, end_time)``."""

    device_id: Annotated[str, Meta(min_length=1, max_length=64)] | UnsetType = UNSET
    connector_id: ConnectorId | UnsetType = UNSET
    status: Status | UnsetType = UNSET
    command: Annotated[str, Meta(min_length=1, max_length=64)] | UnsetType = UNSET
    start_time: datetime | UnsetType = UNSET
    end_time: datetime | UnsetType = UNSET


class CommandQueuedResponse(msgspec.Struct, frozen=True):
    """The command waits for its charger until ``expires_at``; an offline one may come in time."""

    command_id: str
    status: Literal["queued"]
    expires_at: str
    device_online: bool


class CommandReportItem(msgspec.Struct, frozen=True, kw_only=True):
    """What the charger said, when by its own clock, and what that did.

    ``effect`` is ``applied``, ``late`` (it corrected a failure that the platform had declared),
    ``repeat`` or ``contradiction``.
    """

    status: str
    timestamp: str
    received_at: str
    effect: str
    message: str | UnsetType = UNSET
    details: dict[str, Any] | UnsetType = UNSET


class CommandItem(msgspec.Struct, frozen=True, kw_only=True):
    """A command: where it stands and what came of it.

    ``result.reason`` says why it failed where the charger did not: ``expired``, ``no_response``,
    ``superseded``, ``cancelled``; or that the charger ``rejected`` it. ``contradicted`` is there
    when the charger said different things; the first stands. ``connector_id`` 0 is the device.
    """

    command_id: str
    status: Status
    created_at: str
    updated_at: str
    result: dict[str, Any] | UnsetType = UNSET
    device_id: str
    connector_id: int
    command: str
    params: dict[str, Any]
    expires_at: str
    delivered_at: str | UnsetType = UNSET
    deliveries: int
    contradicted: bool | UnsetType = UNSET


class CommandStatusResponse(CommandItem, frozen=True, kw_only=True):
    """A command as in the list, with all that its charger said of it.

    Of a control of many chargers, found by its ``control_id``, ``result.targets`` tells what became
    of it at each; it has no device, connector, deliveries or reports of its own.
    """

    device_id: str | UnsetType = UNSET  # type: ignore[assignment]
    connector_id: int | UnsetType = UNSET  # type: ignore[assignment]
    deliveries: int | UnsetType = UNSET  # type: ignore[assignment]
    reports: list[CommandReportItem]


async def start_charging(
    commands: CommandService, call: Call[RemoteStartRequest, Nothing]
) -> CommandQueuedResponse:
    """Ask a connector to start."""
    return await _issue(commands, call, START)


async def stop_charging(
    commands: CommandService, call: Call[RemoteStopRequest, Nothing]
) -> CommandQueuedResponse:
    """Ask a connector to stop."""
    return await _issue(commands, call, STOP)


async def discharge(
    commands: CommandService, call: Call[RemoteDischargeRequest, Nothing]
) -> CommandQueuedResponse:
    """Ask a connector to take energy out of the vehicle."""
    return await _issue(commands, call, DISCHARGE)


async def list_commands(
    commands: CommandService, call: Call[Nothing, CommandsQuery]
) -> Page[CommandItem]:
    """Return a page of the operator's commands, newest first."""
    query = call.query
    wanted = await _to_filter(commands, call)
    total, found = await commands.list_commands(wanted, query.offset, query.size, call.now_ms)
    items = [CommandItem(**_to_fields(command)) for command in found]
    return Page(total, query.page, query.size, items)


async def cancel_command(
    commands: CommandService, call: Call[Nothing, Nothing]
) -> CommandStatusResponse:
    """Give up a command that its charger has not answered yet, or take a control back."""
    command_id, principal = call.path["command_id"], call.principal
    try:
        command, reports = await commands.cancel_command(
            command_id, principal.operator_id, call.now_ms
        )
    except NotFound:
        if commands.aggregates is None:
            raise
        aggregate = await commands.aggregates.cancel_aggregate(
            command_id, principal.operator_id, by_of(call), call.now_ms
        )
        return _to_whole(aggregate)
    return _to_response(command, reports)


async def get_command(
    commands: CommandService, call: Call[Nothing, Nothing]
) -> CommandStatusResponse:
    """Return where a command stands, or a control of many chargers."""
    command_id, operator_id = call.path["command_id"], call.principal.operator_id
    try:
        command, reports = await commands.read_command(command_id, operator_id, call.now_ms)
    except NotFound:
        if commands.aggregates is None:
            raise
        return _to_whole(
            await commands.aggregates.read_aggregate(command_id, operator_id, call.now_ms)
        )
    return _to_response(command, reports)


async def _issue(
    commands: CommandService, call: Call[Any, Nothing], name: str
) -> CommandQueuedResponse:
    params = {
        field: value
        for field in call.body.__struct_fields__
        if (value := getattr(call.body, field)) is not UNSET
    }
    key = make_key(call.principal.principal_id, call.idempotency_key, name, call.path, call.body)
    issued = await commands.issue_command(
        name,
        call.path["device_id"],
        call.path["connector_id"],
        params,
        (call.principal.principal_id, call.principal.operator_id),
        call.now_ms,
        Terms(key, by_of(call)),
    )
    return to_queued(issued)


def by_of(call: Call[Any, Any]) -> Actor:
    """Return who is named in the audit log as having asked for this."""
    principal = call.principal
    return Actor(principal.principal_id, call.request_id or None, principal.scopes)


def to_queued(issued: Issued) -> CommandQueuedResponse:
    """Return the answer for a command that was issued, now or by the same request before."""
    command = issued.command
    expires_at = to_text(command.expires_ms)
    return CommandQueuedResponse(command.command_id, "queued", expires_at, issued.device_online)


async def _to_filter(commands: CommandService, call: Call[Nothing, CommandsQuery]) -> CommandFilter:
    query, operator_id = call.query, call.principal.operator_id
    from_ms, until_ms = read_span(query.start_time, query.end_time)
    device_no = None
    if query.device_id is not UNSET:
        device_no = await commands.find_device_no(query.device_id, operator_id)
    return CommandFilter(
        operator_id,
        device_no,
        None if query.connector_id is UNSET else query.connector_id,
        None if query.status is UNSET else query.status,
        None if query.command is UNSET else query.command,
        from_ms,
        until_ms,
    )


def _to_response(command: Command, reports: list[Report]) -> CommandStatusResponse:
    said = [_to_report(report) for report in reports]
    return CommandStatusResponse(**_to_fields(command), reports=said)


def _to_whole(aggregate: Aggregate) -> CommandStatusResponse:
    return CommandStatusResponse(
        command_id=aggregate.command_id,
        status=aggregate.status,
        created_at=to_text(aggregate.created_ms),
        updated_at=to_text(aggregate.updated_ms),
        result=aggregate.result,
        command=aggregate.command,
        params=aggregate.params,
        expires_at=to_text(aggregate.expires_ms),
        reports=[],
    )


def _to_fields(command: Command) -> dict[str, Any]:
    return {
        "command_id": command.command_id,
        "status": command.status,
        "created_at": to_text(command.created_ms),
        "updated_at": to_text(command.updated_ms),
        "result": UNSET if command.result is None else command.result,
        "device_id": command.device_id,
        "connector_id": command.connector_id,
        "command": command.command,
        "params": msgspec.json.decode(command.params),
        "expires_at": to_text(command.expires_ms),
        "delivered_at": UNSET if command.delivered_ms is None else to_text(command.delivered_ms),
        "deliveries": command.deliveries,
        "contradicted": True if command.contradicted else UNSET,
    }


def _to_report(report: Report) -> CommandReportItem:
    return CommandReportItem(
        status=report.status,
        timestamp=to_text(report.time_ms),
        received_at=to_text(report.received_ms),
        effect=report.effect,
        message=UNSET if report.message is None else report.message,
        details=UNSET if report.details is None else report.details,
    )
