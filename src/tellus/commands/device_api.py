"""Commands as chargers see them: heartbeat, long-poll, what they report."""

from datetime import datetime
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from tellus.commands.model import (
    Command,
    Effect,
    FirmwareReport,
    HeartbeatMore,
    Report,
    Running,
    Signal,
)
from tellus.commands.service import CommandService
from tellus.fleet.model import ConnectorId
from tellus.fleet.model_metadata import ConnectivityReport, link_of
from tellus.kernel.call import Call, Nothing
from tellus.kernel.decoding import BodyDecoder
from tellus.kernel.units import to_ms, to_text
from tellus.kernel.vins import replace_vins

FaultCode = (
    Annotated[int, Meta(ge=-1_000_000_000, le=1_000_000_000)] | Annotated[str, Meta(max_length=64)]
)
Message = Annotated[str, Meta(max_length=2_048)]


class HeartbeatRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A sign of life, about every 30 s; ``fault_code`` 0 for none.

    ``config_profile_id`` and ``running_config_hash`` name the configuration the charger runs,
    ``connectivity`` how it is connected.
    """

    timestamp: datetime
    status: Literal["online", "offline", "fault"]
    fault_code: FaultCode
    config_profile_id: Annotated[str, Meta(max_length=128)] | UnsetType = UNSET
    running_config_hash: Annotated[str, Meta(max_length=256)] | UnsetType = UNSET
    connectivity: ConnectivityReport | UnsetType = UNSET


class LenientHeartbeatRequest(HeartbeatRequest, frozen=True, kw_only=True):
    """A heartbeat that may lack the fault code."""

    fault_code: FaultCode | UnsetType = UNSET  # type: ignore[assignment]


class PendingCommandItem(msgspec.Struct, frozen=True):
    """What the charger is to do, unless ``expiry`` has passed; known again by ``command_id``."""

    command_id: str
    command: str
    params: dict[str, Any]
    expiry: str


class HeartbeatResponse(msgspec.Struct, frozen=True):
    """What the charger is to do, oldest first."""

    commands: list[PendingCommandItem]


class CommandPollQuery(msgspec.Struct, frozen=True, kw_only=True):
    """For which connector, and how long to wait at most (s)."""

    connector_id: ConnectorId
    wait: Annotated[int, Meta(ge=1, le=60)] = 30


class DeviceCommandStatusRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a command, at the charger's time."""

    command_id: Annotated[str, Meta(min_length=1, max_length=64)]
    status: Literal["accepted", "rejected", "completed", "failed"]
    timestamp: datetime
    message: Message | UnsetType = UNSET
    details: dict[str, Any] | UnsetType = UNSET


class FirmwareUpgradeStatusRequest(msgspec.Struct, frozen=True, kw_only=True):
    """How far the upgrade to ``firmware_version`` has come, percent."""

    firmware_version: Annotated[str, Meta(min_length=1, max_length=64)]
    status: Literal["downloading", "upgrading", "success", "failed"]
    progress: Annotated[int, Meta(ge=0, le=100)] | UnsetType = UNSET
    message: Message | UnsetType = UNSET


decode_heartbeat_leniently: Final = BodyDecoder(LenientHeartbeatRequest).decode


async def report_heartbeat(
    commands: CommandService, call: Call[HeartbeatRequest, Nothing]
) -> HeartbeatResponse:
    """Take a sign of life and hand out what is pending."""
    body: HeartbeatRequest = call.body
    leased = await commands.heartbeat(
        call.principal.device_no,
        body.status,
        _known(body.fault_code),
        to_ms(body.timestamp),
        call.now_ms,
        _more_of(body),
    )
    return HeartbeatResponse([_to_item(commands, command) for command in leased])


async def fetch_command(
    commands: CommandService, call: Call[Nothing, CommandPollQuery]
) -> PendingCommandItem | None:
    """Hand out the next command, waiting for one if there is none."""
    command = await commands.wait_for_command(
        call.principal.device_no, call.query.connector_id, call.query.wait, call.left
    )
    return None if command is None else _to_item(commands, command)


async def report_command_status(
    commands: CommandService, call: Call[DeviceCommandStatusRequest, Nothing]
) -> None:
    """Take what became of a command; saying it again changes nothing."""
    body = call.body
    said = Report(
        body.command_id,
        Signal(body.status),
        to_ms(body.timestamp),
        call.now_ms,
        Effect.APPLIED,
        replace_vins(_known(body.message)),
        replace_vins(_known(body.details)),
    )
    await commands.report(call.principal.device_no, said)


async def report_firmware_status(
    commands: CommandService, call: Call[FirmwareUpgradeStatusRequest, Nothing]
) -> None:
    """Take how far a firmware upgrade has come."""
    body = call.body
    said = FirmwareReport(
        call.principal.device_no,
        body.firmware_version,
        body.status,
        _known(body.progress),
        replace_vins(_known(body.message)),
        call.now_ms,
    )
    await commands.report_firmware(said)


def _to_item(commands: CommandService, command: Command) -> PendingCommandItem:
    return PendingCommandItem(
        command.command_id,
        command.command,
        commands.completions.params_of(command),
        to_text(command.expires_ms),
    )


def _more_of(body: HeartbeatRequest) -> HeartbeatMore | None:
    profile_id, config_hash = body.config_profile_id, body.running_config_hash
    running = None
    if profile_id is not UNSET or config_hash is not UNSET:
        running = Running(profile_id or "", config_hash or "")
    elif body.connectivity is UNSET:
        return None
    return HeartbeatMore(running, link_of(body.connectivity))


def _known(value: Any) -> Any:
    return None if value is UNSET else value
