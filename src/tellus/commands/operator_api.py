"""Commands as operators issue and follow them."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from tellus.commands.model import START, STOP, Command, Report, Status
from tellus.commands.service import CommandService
from tellus.kernel.call import Call, Nothing
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


class CommandStatusResponse(msgspec.Struct, frozen=True, kw_only=True):
    """A command: where it stands, what came of it, and how it went.

    ``result.reason`` says why it failed where the charger did not: ``expired``, ``no_response``,
    ``superseded``; or that the charger ``rejected`` it. ``contradicted`` is there when the charger
    said different things; the first stands.
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


async def get_command(
    commands: CommandService, call: Call[Nothing, Nothing]
) -> CommandStatusResponse:
    """Return where a command stands."""
    command, reports = await commands.read_command(
        call.path["command_id"], call.principal.operator_id, call.now_ms
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
    issued = await commands.issue_command(
        name,
        call.path["device_id"],
        call.path["connector_id"],
        params,
        (call.principal.principal_id, call.principal.operator_id),
        call.now_ms,
    )
    expires_at = to_text(issued.command.expires_ms)
    return CommandQueuedResponse(
        issued.command.command_id, "queued", expires_at, issued.device_online
    )


def _to_response(command: Command, reports: list[Report]) -> CommandStatusResponse:
    return CommandStatusResponse(
        command_id=command.command_id,
        status=command.status,
        created_at=to_text(command.created_ms),
        updated_at=to_text(command.updated_ms),
        result=UNSET if command.result is None else command.result,
        device_id=command.device_id,
        connector_id=command.connector_id,
        command=command.command,
        params=msgspec.json.decode(command.params),
        expires_at=to_text(command.expires_ms),
        delivered_at=UNSET if command.delivered_ms is None else to_text(command.delivered_ms),
        deliveries=command.deliveries,
        contradicted=True if command.contradicted else UNSET,
        reports=[_to_report(report) for report in reports],
    )


def _to_report(report: Report) -> CommandReportItem:
    return CommandReportItem(
        status=report.status,
        timestamp=to_text(report.time_ms),
        received_at=to_text(report.received_ms),
        effect=report.effect,
        message=UNSET if report.message is None else report.message,
        details=UNSET if report.details is None else report.details,
    )
