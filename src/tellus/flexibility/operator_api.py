"""Controls as operators issue, follow and cancel them."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Annotated, Any, Final, Generic, Literal, TypeVar

import msgspec
from msgspec import UNSET, Meta, UnsetType

from tellus.audit.model import Actor
from tellus.commands.model import Aggregate, Status
from tellus.flexibility.model import (
    ChargerOutcome,
    ConnectorOutcome,
    Control,
    ControlCommand,
    ControlFilter,
    Outcome,
    State,
    TargetType,
    Wanted,
)
from tellus.flexibility.service import ControlView, FlexibilityService
from tellus.kernel.call import Call, Nothing
from tellus.kernel.decoding import BodyDecoder
from tellus.kernel.errors import MissingParameter
from tellus.kernel.paging import Page, PageQuery
from tellus.kernel.units import SECOND_MS, to_text

TARGETS_MOST: Final = 10_000
_SHOWN_AT_ONCE: Final = 50
_AS_COMMAND: Final = "flexibility"

Params = TypeVar("Params")
TargetId = Annotated[str, Meta(min_length=1, max_length=64)]
ControlDurationS = Annotated[int, Meta(gt=0, le=31_536_000)]
StaggerS = Annotated[int, Meta(ge=0, le=31_536_000)]
ControlReason = Annotated[str, Meta(max_length=255)]
PowerLimitPercent = Annotated[int, Meta(ge=0, le=100)]


class FlexibilityRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Which chargers to limit, and how.

    ``target_ids`` are sites, or the operator itself; ``all`` needs none and is the caller's fleet.
    ``params`` belong to the command: ``set_power_limit`` takes ``power_limit_percent`` (of the
    rated power), both take ``duration`` (s) and may take ``reason`` and ``stagger_seconds``, the
    time over which the chargers begin one after the other, and are released.
    """

    target_type: TargetType
    target_ids: Annotated[list[TargetId], Meta(max_length=TARGETS_MOST)] | UnsetType = UNSET
    command: ControlCommand
    params: dict[str, Any]


class FlexibilityResponse(msgspec.Struct, frozen=True):
    """The control is stored and on its way to the chargers."""

    control_id: str
    status: Literal["executing"]


class ControlsQuery(PageQuery, frozen=True, kw_only=True):
    """Which controls: those under way, or those that are over."""

    active: bool | UnsetType = UNSET


class ControlParamsItem(msgspec.Struct, frozen=True, kw_only=True):
    """How chargers are limited; a pause has no percentage."""

    power_limit_percent: int | UnsetType = UNSET
    duration: int
    reason: str | UnsetType = UNSET
    stagger_seconds: int | UnsetType = UNSET


class ControlItem(msgspec.Struct, frozen=True, kw_only=True):
    """A control: whom it limits, how, and until when; ``chargers`` as counted when it was issued.

    ``ends_at`` is when the last charger is released, unless it is cancelled before.
    """

    control_id: str
    status: State
    target_type: TargetType
    target_ids: list[str]
    command: ControlCommand
    params: ControlParamsItem
    chargers: int
    created_at: str
    ends_at: str
    cancelled_at: str | UnsetType = UNSET


class ConnectorTargetItem(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a control at a connector; ``power_limit_kw`` is what it was to hold."""

    connector_id: int
    status: Status
    reason: str | UnsetType = UNSET
    message: str | UnsetType = UNSET
    power_limit_kw: float | UnsetType = UNSET
    command_id: str | UnsetType = UNSET


class ControlTargetItem(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a control at a charger.

    ``reason`` says why it failed: those of commands, ``unknown_rating``, ``no_connectors``,
    ``moved``, ``deleted``. ``joined`` marks a charger, or one with a connector, that was not there
    when the control was issued; ``left`` says that it is a target no more.
    """

    device_id: str
    status: Status
    reason: str | UnsetType = UNSET
    message: str | UnsetType = UNSET
    power_limit_kw: float | UnsetType = UNSET
    joined: bool | UnsetType = UNSET
    left: Literal["moved", "deleted", "no_consent"] | UnsetType = UNSET
    connectors: list[ConnectorTargetItem]


class ControlResponse(ControlItem, frozen=True, kw_only=True):
    """A control as in the list, what became of it, and of each charger of it.

    ``command_status`` is the status that ``getCommand`` shows for the control.
    """

    command_status: Status
    reason: str | UnsetType = UNSET
    updated_at: str
    targets: list[ControlTargetItem]


class _SetPowerLimitParams(msgspec.Struct, frozen=True, kw_only=True):
    """A limit in percent of the rated power."""

    power_limit_percent: PowerLimitPercent
    duration: ControlDurationS
    reason: ControlReason | UnsetType = UNSET
    stagger_seconds: StaggerS = 0


class _PauseChargingParams(msgspec.Struct, frozen=True, kw_only=True):
    """How long to pause."""

    duration: ControlDurationS
    reason: ControlReason | UnsetType = UNSET
    stagger_seconds: StaggerS = 0

    @property
    def power_limit_percent(self) -> int:
        """Return what a pause amounts to."""
        return 0


class _Holder(msgspec.Struct, Generic[Params], frozen=True):
    """Parameters in their place, so that errors name them as the caller wrote them."""

    params: Params


_PARAMS: Final[Mapping[str, BodyDecoder[Any]]] = MappingProxyType(
    {
        "set_power_limit": BodyDecoder(_Holder[_SetPowerLimitParams]),
        "pause_charging": BodyDecoder(_Holder[_PauseChargingParams]),
    }
)


async def control_flexibility(
    flexibility: FlexibilityService, call: Call[FlexibilityRequest, Nothing]
) -> FlexibilityResponse:
    """Limit the power of many chargers for a while."""
    control_id = await flexibility.issue_control(
        _to_wanted(call.body),
        _actor(call),
        call.principal.operator_id,
        call.now_ms,
        call.idempotency_key,
    )
    return FlexibilityResponse(control_id, "executing")


async def list_controls(
    flexibility: FlexibilityService, call: Call[Nothing, ControlsQuery]
) -> Page[ControlItem]:
    """Return a page of the operator's controls, newest first."""
    query = call.query
    active = None if query.active is UNSET else query.active
    wanted = ControlFilter(call.principal.operator_id, active)
    total, controls = await flexibility.list_controls(
        wanted, (query.offset, query.size), call.now_ms
    )
    items = [ControlItem(**_to_fields(control, call.now_ms)) for control in controls]
    return Page(total, query.page, query.size, items)


async def get_control(
    flexibility: FlexibilityService, call: Call[Nothing, Nothing]
) -> ControlResponse:
    """Return where a control stands, and what became of it at each charger."""
    view = await flexibility.read_control(
        call.path["control_id"], call.principal.operator_id, call.now_ms, encode_targets
    )
    return ControlResponse(
        **_to_fields(view.control, call.now_ms),
        command_status=view.verdict.outcome.status,
        reason=_known(view.verdict.outcome.reason),
        updated_at=to_text(view.verdict.updated_ms),
        targets=_to_list(view.targets),
    )


async def cancel_control(
    flexibility: FlexibilityService, call: Call[Nothing, Nothing]
) -> ControlItem:
    """Take a control back."""
    control = await flexibility.cancel_control(
        call.path["control_id"], call.principal.operator_id, _actor(call), call.now_ms
    )
    return ControlItem(**_to_fields(control, call.now_ms))


class ControlAggregates:
    """Controls as those who look for a command by a control's id see them (rule C10)."""

    def __init__(self, flexibility: FlexibilityService) -> None:
        self._flexibility = flexibility

    async def read_aggregate(self, control_id: str, operator_id: str, now_ms: int) -> Aggregate:
        """Return a control in the shape of a command, its chargers under ``result.targets``.

        Raises:
            NotFound: it is absent or another operator's.
        """
        view = await self._flexibility.read_control(control_id, operator_id, now_ms, encode_targets)
        return _to_aggregate(view)

    async def cancel_aggregate(
        self, control_id: str, operator_id: str, by: Actor, now_ms: int
    ) -> Aggregate:
        """Take a control back and return it in the shape of a command.

        Raises:
            NotFound: it is absent or another operator's.
            ControlEnded: it was over in its time.
        """
        await self._flexibility.cancel_control(control_id, operator_id, by, now_ms)
        return await self.read_aggregate(control_id, operator_id, now_ms)


def encode_targets(outcomes: Sequence[ChargerOutcome]) -> bytes:
    """Return targets as JSON, without the brackets of the list; in steps that hold up nobody."""
    return b",".join(
        msgspec.json.encode([_to_target(one) for one in outcomes[start : start + _SHOWN_AT_ONCE]])[
            1:-1
        ]
        for start in range(0, len(outcomes), _SHOWN_AT_ONCE)
    )


def _to_list(pieces: Sequence[bytes]) -> Any:
    return msgspec.Raw(b"[%b]" % b",".join(pieces))


def _to_wanted(body: FlexibilityRequest) -> Wanted:
    """Return what a request asks for.

    Raises:
        InvalidParameter, MissingParameter: targets or parameters are not those of the command.
    """
    target_ids = [] if body.target_ids is UNSET else body.target_ids
    if body.target_type != "all" and not target_ids:
        raise MissingParameter("target_ids")
    held = _PARAMS[body.command].decode(msgspec.json.encode({"params": body.params}))
    params = held.params
    return Wanted(
        target_type=body.target_type,
        target_ids=() if body.target_type == "all" else tuple(dict.fromkeys(target_ids)),
        command=body.command,
        limit_pct=params.power_limit_percent,
        duration_s=params.duration,
        stagger_s=params.stagger_seconds,
        reason=None if params.reason is UNSET else params.reason,
    )


def _actor(call: Call[Any, Any]) -> Actor:
    principal = call.principal
    return Actor(principal.principal_id, call.request_id or None, principal.scopes)


def _to_fields(control: Control, now_ms: int) -> dict[str, Any]:
    return {
        "control_id": control.control_id,
        "status": control.state_at(now_ms),
        "target_type": control.target_type,
        "target_ids": list(control.target_ids),
        "command": control.command,
        "params": _to_params(control),
        "chargers": control.chargers,
        "created_at": to_text(control.created_ms),
        "ends_at": to_text(control.until_ms),
        "cancelled_at": _known(
            None if control.cancelled_ms is None else to_text(control.cancelled_ms)
        ),
    }


def _to_params(control: Control) -> ControlParamsItem:
    is_pause = control.command == "pause_charging"
    return ControlParamsItem(
        power_limit_percent=UNSET if is_pause else control.limit_pct,
        duration=control.duration_ms // SECOND_MS,
        reason=_known(control.reason),
        stagger_seconds=control.stagger_ms // SECOND_MS or UNSET,
    )


def _to_aggregate(view: ControlView) -> Aggregate:
    control, verdict = view.control, view.verdict
    result = {"targets": _to_list(view.targets)}
    if verdict.outcome.reason is not None:
        result["reason"] = verdict.outcome.reason
    return Aggregate(
        command_id=control.control_id,
        status=verdict.outcome.status,
        created_ms=control.created_ms,
        updated_ms=verdict.updated_ms,
        expires_ms=control.until_ms,
        command=_AS_COMMAND,
        params={"command": control.command, **msgspec.to_builtins(_to_params(control))},
        result=result,
    )


def _to_target(one: ChargerOutcome) -> ControlTargetItem:
    return ControlTargetItem(
        device_id=one.device_id,
        power_limit_kw=_known(one.limit_kw),
        joined=True if one.joined else UNSET,
        left=UNSET if one.gone is None else one.gone.value,
        connectors=[_to_connector(connector) for connector in one.connectors],
        **_to_outcome(one.outcome),
    )


def _to_connector(one: ConnectorOutcome) -> ConnectorTargetItem:
    return ConnectorTargetItem(
        connector_id=one.connector_id,
        power_limit_kw=_known(one.limit_kw),
        command_id=_known(one.command_id),
        **_to_outcome(one.outcome),
    )


def _to_outcome(outcome: Outcome) -> dict[str, Any]:
    return {
        "status": outcome.status,
        "reason": _known(outcome.reason),
        "message": _known(outcome.message),
    }


def _known(value: Any) -> Any:
    return UNSET if value is None else value
