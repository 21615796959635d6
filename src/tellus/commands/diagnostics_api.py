"""Diagnostic commands, as operators issue them."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, Final, Generic, Literal, TypeVar

import msgspec
from msgspec import UNSET, Meta, UnsetType

from tellus.commands.model import DEVICE_LEVEL, KINDS, Risk, Terms
from tellus.commands.operator_api import CommandQueuedResponse, by_of, to_queued
from tellus.commands.repeats import make_key
from tellus.commands.service import CommandService
from tellus.fleet.model import ConnectorId
from tellus.kernel.call import Call, Nothing
from tellus.kernel.decoding import BodyDecoder
from tellus.kernel.errors import InvalidParameter, MissingParameter, PermissionDenied

SCOPE: Final = "diagnostics"
"""What a client needs beside ``write`` for commands of medium risk."""

Params = TypeVar("Params")
DiagnosticName = Literal[
    "reboot",
    "soft_reset",
    "force_reconnect",
    "fetch_logs",
    "run_self_test",
    "calibrate_sensor",
    "reset_contactor_counter",
    "reset_fan_counter",
    "reset_power_module",
    "trigger_message",
    "unlock_connector",
    "clear_cache",
    "reset_connector",
]


class DiagnosticCommandRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What to do, for the device or one connector of it.

    ``params`` belong to the command: ``calibrate_sensor`` takes ``sensor`` (``temperature``,
    ``current``, ``voltage``), ``reset_power_module`` ``module_index`` from 0, ``trigger_message``
    the ``message`` to send. ``confirm`` has to be true for what takes the charger out of service.
    """

    command: DiagnosticName
    params: dict[str, Any] = {}
    connector_id: ConnectorId | UnsetType = UNSET
    confirm: bool | UnsetType = UNSET


class _NoParams(msgspec.Struct, frozen=True):
    """A command that takes no parameters."""


class _CalibrateSensorParams(msgspec.Struct, frozen=True):
    """Which sensor to calibrate."""

    sensor: Literal["temperature", "current", "voltage"]


class _ResetPowerModuleParams(msgspec.Struct, frozen=True):
    """Which power module to reset, counted from 0."""

    module_index: Annotated[int, Meta(ge=0, le=255)]


class _TriggerMessageParams(msgspec.Struct, frozen=True):
    """Which message the charger is to send, such as ``StatusNotification``."""

    message: Annotated[str, Meta(min_length=1, max_length=64, pattern="^[A-Za-z][A-Za-z0-9._]*$")]


class _Holder(msgspec.Struct, Generic[Params], frozen=True):
    """Parameters in their place, so that errors name them as the caller wrote them."""

    params: Params


_PARAMS: Final[Mapping[str, BodyDecoder[Any]]] = MappingProxyType(
    {
        "calibrate_sensor": BodyDecoder(_Holder[_CalibrateSensorParams]),
        "reset_power_module": BodyDecoder(_Holder[_ResetPowerModuleParams]),
        "trigger_message": BodyDecoder(_Holder[_TriggerMessageParams]),
    }
)
_NO_PARAMS: Final[BodyDecoder[Any]] = BodyDecoder(_Holder[_NoParams])
_FOR_A_CONNECTOR: Final = frozenset({"unlock_connector", "reset_connector"})


async def issue_diagnostic_command(
    commands: CommandService, call: Call[DiagnosticCommandRequest, Nothing]
) -> CommandQueuedResponse:
    """Ask a device, or a connector of it, to look after itself."""
    body, principal = call.body, call.principal
    params = _read_params(body)
    if KINDS[body.command].risk is Risk.MEDIUM:
        _check_allowed(body, principal.scopes)
    key = make_key(principal.principal_id, call.idempotency_key, "commands", call.path, body)
    issued = await commands.issue_command(
        body.command,
        call.path["device_id"],
        DEVICE_LEVEL if body.connector_id is UNSET else body.connector_id,
        params,
        (principal.principal_id, principal.operator_id),
        call.now_ms,
        Terms(key, by_of(call)),
    )
    return to_queued(issued)


def _check_allowed(body: DiagnosticCommandRequest, scopes: frozenset[str]) -> None:
    """Refuse a command of medium risk that the client may not give, or did not confirm."""
    if SCOPE not in scopes:
        raise PermissionDenied(f"This needs the scope '{SCOPE}'", scope=SCOPE)
    if body.confirm is UNSET:
        raise MissingParameter("confirm")
    if not body.confirm:
        message = "Parameter 'confirm' must be true: the charger goes out of service for a while"
        raise InvalidParameter(message, "confirm", body.confirm)


def _read_params(body: DiagnosticCommandRequest) -> dict[str, Any]:
    """Return the parameters as they go out.

    Raises:
        InvalidParameter, MissingParameter: they are not those of the command.
    """
    if body.command in _FOR_A_CONNECTOR and body.connector_id is UNSET:
        raise MissingParameter("connector_id")
    decoder = _PARAMS.get(body.command, _NO_PARAMS)
    held = decoder.decode(msgspec.json.encode({"params": body.params}))
    params: dict[str, Any] = msgspec.to_builtins(held.params)
    return params
