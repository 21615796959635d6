"""Rollouts as operators plan, follow and steer them."""

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from tellus.audit.model import Actor
from tellus.firmware.model_rollouts import (
    IN_FLIGHT,
    Action,
    Cohort,
    Count,
    HaltReason,
    Member,
    MemberState,
    Reason,
    Rollout,
    RolloutState,
    Wave,
)
from tellus.firmware.operator_api import VersionText, Word
from tellus.firmware.rollouts import RolloutService, RolloutView
from tellus.firmware.service import key_of
from tellus.kernel.call import Call, Nothing
from tellus.kernel.ids import new_id
from tellus.kernel.paging import Page, PageQuery
from tellus.kernel.units import to_text

WAVES_MOST = 20
_NAMES_MOST = 1_000

Names = Annotated[list[Word], Meta(max_length=_NAMES_MOST)]
WaveNumber = Annotated[int, Meta(ge=1, le=WAVES_MOST)]


class CohortRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Which devices: those that fit all that is given; without anything all of the operator's."""

    models: Names | UnsetType = UNSET
    site_ids: Names | UnsetType = UNSET
    current_versions: Names | UnsetType = UNSET
    device_ids: Names | UnsetType = UNSET


class WaveRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A part of the cohort: ``percent`` of it, ``count`` devices, or with neither all the rest.

    The next wave begins ``soak_s`` after ``success_percent`` of this one are upgraded. More than
    ``max_failure_percent`` of failures halt the rollout.
    """

    percent: Annotated[float, Meta(gt=0, le=100)] | UnsetType = UNSET
    count: Annotated[int, Meta(ge=1, le=1_000_000)] | UnsetType = UNSET
    success_percent: Annotated[float, Meta(ge=1, le=100)]
    max_failure_percent: Annotated[float, Meta(ge=0, le=100)]
    soak_s: Annotated[int, Meta(ge=0, le=31_536_000)] = 0


class RolloutRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What to take whom to, in which waves.

    At most ``max_in_flight`` devices have an upgrade under way. A roll-back goes to
    ``rollback_version``, without one to what each device ran before. ``allow_downgrade`` takes
    devices along that run a newer version, or one that cannot be compared.
    """

    name: Annotated[str, Meta(max_length=200)] | UnsetType = UNSET
    firmware_version: VersionText
    cohort: CohortRequest
    waves: Annotated[list[WaveRequest], Meta(min_length=1, max_length=WAVES_MOST)]
    max_in_flight: Annotated[int, Meta(ge=1, le=1_000_000)] | UnsetType = UNSET
    rollback_version: VersionText | UnsetType = UNSET
    allow_downgrade: bool = False


class RolloutsQuery(PageQuery, frozen=True, kw_only=True):
    """Which rollouts to list."""

    status: RolloutState | UnsetType = UNSET


class RolloutDevicesQuery(PageQuery, frozen=True, kw_only=True):
    """Which devices of a rollout to list; waves count from 1."""

    wave: WaveNumber | UnsetType = UNSET
    status: MemberState | UnsetType = UNSET


class RolloutCounts(msgspec.Struct, frozen=True, kw_only=True):
    """Devices: ``in_flight`` have a command under way, ``excused`` failures count no more."""

    devices: int
    waiting: int
    in_flight: int
    upgraded: int
    failed: int
    excused: int
    skipped: int
    left: int
    rolled_back: int
    rollback_failed: int


class WaveItem(msgspec.Struct, frozen=True, kw_only=True):
    """A wave, counted from 1, with where its devices are.

    ``status``: ``pending``, ``running``, ``soaking`` or ``passed``.
    """

    wave: int
    status: str
    percent: float | UnsetType = UNSET
    count: int | UnsetType = UNSET
    success_percent: float
    max_failure_percent: float
    soak_s: int
    counts: RolloutCounts


class HaltItem(msgspec.Struct, frozen=True):
    """Why a rollout halted: in which wave, and how many of its devices had failed."""

    reason: HaltReason
    wave: int
    failed: int
    devices: int


class RolloutItem(msgspec.Struct, frozen=True, kw_only=True):
    """A rollout and how far it is; ``wave`` is the present one, absent once all have passed."""

    rollout_id: str
    name: str | UnsetType = UNSET
    status: RolloutState
    firmware_version: str
    rollback_version: str | UnsetType = UNSET
    wave: int | UnsetType = UNSET
    halted: HaltItem | UnsetType = UNSET
    counts: RolloutCounts
    created_at: str
    updated_at: str
    ended_at: str | UnsetType = UNSET


class RolloutResponse(RolloutItem, frozen=True, kw_only=True):
    """A rollout as in the list, with its plan and each wave."""

    cohort: Cohort
    max_in_flight: int | UnsetType = UNSET
    allow_downgrade: bool
    waves: list[WaveItem]


class RolloutDeviceItem(msgspec.Struct, frozen=True, kw_only=True):
    """A device of a rollout: where it stands, and why; without ``wave`` it takes no part."""

    device_id: str
    model: str
    wave: int | UnsetType = UNSET
    status: MemberState
    reason: Reason | UnsetType = UNSET
    message: str | UnsetType = UNSET
    excused: bool | UnsetType = UNSET
    previous_version: str | UnsetType = UNSET
    command_id: str | UnsetType = UNSET
    rollback_command_id: str | UnsetType = UNSET
    updated_at: str


async def create_rollout(
    rollouts: RolloutService, call: Call[RolloutRequest, Nothing]
) -> RolloutResponse:
    """Plan a rollout and begin it."""
    view = await rollouts.create_rollout(
        _to_rollout(call),
        _actor(call),
        key_of(call.principal.principal_id, call.idempotency_key, "rollouts", call.body),
    )
    return _response(view)


async def list_rollouts(
    rollouts: RolloutService, call: Call[Nothing, RolloutsQuery]
) -> Page[RolloutItem]:
    """Return a page of the operator's rollouts, newest first."""
    query = call.query
    state = None if query.status is UNSET else query.status
    total, views = await rollouts.list_rollouts(
        call.principal.operator_id, state, query.offset, query.size
    )
    return Page(total, query.page, query.size, [RolloutItem(**_fields(view)) for view in views])


async def get_rollout(rollouts: RolloutService, call: Call[Nothing, Nothing]) -> RolloutResponse:
    """Return a rollout with each of its waves."""
    rollout_id, operator_id = call.path["rollout_id"], call.principal.operator_id
    return _response(await rollouts.read_rollout(rollout_id, operator_id))


async def list_rollout_devices(
    rollouts: RolloutService, call: Call[Nothing, RolloutDevicesQuery]
) -> Page[RolloutDeviceItem]:
    """Return a page of a rollout's devices in its order."""
    query = call.query
    wanted = (
        None if query.wave is UNSET else query.wave - 1,
        None if query.status is UNSET else query.status,
    )
    total, members = await rollouts.list_members(
        call.path["rollout_id"],
        call.principal.operator_id,
        wanted,
        (query.offset, query.size),
    )
    return Page(total, query.page, query.size, [_device_item(member) for member in members])


async def pause_rollout(rollouts: RolloutService, call: Call[Nothing, Nothing]) -> RolloutResponse:
    """Send nothing more until a person resumes."""
    return await _act(rollouts, call, "pause")


async def resume_rollout(rollouts: RolloutService, call: Call[Nothing, Nothing]) -> RolloutResponse:
    """Go on; the failures so far count no more."""
    return await _act(rollouts, call, "resume")


async def roll_back_rollout(
    rollouts: RolloutService, call: Call[Nothing, Nothing]
) -> RolloutResponse:
    """Send those that were upgraded what they ran before."""
    return await _act(rollouts, call, "rollback")


async def cancel_rollout(rollouts: RolloutService, call: Call[Nothing, Nothing]) -> RolloutResponse:
    """End a rollout where it stands."""
    return await _act(rollouts, call, "cancel")


async def _act(
    rollouts: RolloutService, call: Call[Nothing, Nothing], action: Action
) -> RolloutResponse:
    principal = call.principal
    view = await rollouts.act(
        action,
        call.path["rollout_id"],
        principal.operator_id,
        _actor(call),
        call.now_ms,
        key_of(principal.principal_id, call.idempotency_key, action, call.path),
    )
    return _response(view)


def _actor(call: Call[RolloutRequest, Nothing] | Call[Nothing, Nothing]) -> Actor:
    return Actor(call.principal.principal_id, call.request_id or None, call.principal.scopes)


def _to_rollout(call: Call[RolloutRequest, Nothing]) -> Rollout:
    body, principal = call.body, call.principal
    cohort = body.cohort
    return Rollout(
        rollout_id=new_id("rol"),
        operator_id=principal.operator_id,
        client_id=principal.principal_id,
        name=body.name or None,
        firmware_version=body.firmware_version,
        rollback_version=body.rollback_version or None,
        allow_downgrade=body.allow_downgrade,
        max_in_flight=None if body.max_in_flight is UNSET else body.max_in_flight,
        cohort=Cohort(
            models=tuple(cohort.models or ()),
            site_ids=tuple(cohort.site_ids or ()),
            current_versions=tuple(cohort.current_versions or ()),
            device_ids=tuple(cohort.device_ids or ()),
        ),
        waves=tuple(_to_wave(wave) for wave in body.waves),
        created_ms=call.now_ms,
        updated_ms=call.now_ms,
    )


def _to_wave(wave: WaveRequest) -> Wave:
    return Wave(
        success_percent=wave.success_percent,
        max_failure_percent=wave.max_failure_percent,
        percent=None if wave.percent is UNSET else wave.percent,
        count=None if wave.count is UNSET else wave.count,
        soak_s=wave.soak_s,
    )


def _response(view: RolloutView) -> RolloutResponse:
    rollout = view.rollout
    return RolloutResponse(
        **_fields(view),
        cohort=rollout.cohort,
        max_in_flight=UNSET if rollout.max_in_flight is None else rollout.max_in_flight,
        allow_downgrade=rollout.allow_downgrade,
        waves=[_wave_item(view, number, wave) for number, wave in enumerate(rollout.waves)],
    )


def _fields(view: RolloutView) -> dict[str, Any]:
    rollout, halt = view.rollout, view.rollout.halt
    return {
        "rollout_id": rollout.rollout_id,
        "name": rollout.name or UNSET,
        "status": rollout.state,
        "firmware_version": rollout.firmware_version,
        "rollback_version": rollout.rollback_version or UNSET,
        "wave": rollout.wave + 1 if rollout.wave < len(rollout.waves) else UNSET,
        "halted": UNSET
        if halt is None
        else HaltItem(halt.reason, halt.wave + 1, halt.failed, halt.devices),
        "counts": _counts(view.counts),
        "created_at": to_text(rollout.created_ms),
        "updated_at": to_text(rollout.updated_ms),
        "ended_at": UNSET if rollout.ended_ms is None else to_text(rollout.ended_ms),
    }


def _wave_item(view: RolloutView, number: int, wave: Wave) -> WaveItem:
    rollout = view.rollout
    status = "pending" if number > rollout.wave else "passed"
    if number == rollout.wave:
        status = "running" if rollout.reached_ms is None else "soaking"
    return WaveItem(
        wave=number + 1,
        status=status,
        percent=UNSET if wave.percent is None else wave.percent,
        count=UNSET if wave.count is None else wave.count,
        success_percent=wave.success_percent,
        max_failure_percent=wave.max_failure_percent,
        soak_s=wave.soak_s,
        counts=_counts([count for count in view.counts if count.wave == number]),
    )


def _counts(counts: Sequence[Count]) -> RolloutCounts:
    def number(*states: MemberState) -> int:
        return sum(count.devices for count in counts if count.state in states)

    return RolloutCounts(
        devices=sum(count.devices for count in counts),
        waiting=number(MemberState.WAITING, MemberState.ROLLBACK_WAITING),
        in_flight=number(*IN_FLIGHT),
        upgraded=number(MemberState.UPGRADED),
        failed=number(MemberState.FAILED),
        excused=sum(count.devices for count in counts if count.excused),
        skipped=number(MemberState.SKIPPED),
        left=number(MemberState.LEFT),
        rolled_back=number(MemberState.ROLLED_BACK),
        rollback_failed=number(MemberState.ROLLBACK_FAILED),
    )


def _device_item(member: Member) -> RolloutDeviceItem:
    return RolloutDeviceItem(
        device_id=member.device_id,
        model=member.model,
        wave=UNSET if member.wave is None else member.wave + 1,
        status=member.state,
        reason=member.reason or UNSET,
        message=member.message or UNSET,
        excused=True if member.excused else UNSET,
        previous_version=member.previous_version or UNSET,
        command_id=member.command_id or UNSET,
        rollback_command_id=member.rollback_command_id or UNSET,
        updated_at=to_text(member.updated_ms),
    )
