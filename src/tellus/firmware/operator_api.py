"""Firmware as operators see it: releases, how far behind models are, upgrades of one device."""

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from tellus.audit.model import Actor
from tellus.firmware.model import (
    Channel,
    ModelStanding,
    Progress,
    Release,
    ReleaseFilter,
    UpgradeStatus,
)
from tellus.firmware.releases import ReleaseCatalogue
from tellus.firmware.service import FirmwareService, FirmwareView, key_of
from tellus.kernel.call import Call, Nothing
from tellus.kernel.paging import Page, PageQuery
from tellus.kernel.units import to_text

Word = Annotated[str, Meta(min_length=1, max_length=128)]
VersionText = Annotated[str, Meta(min_length=1, max_length=64)]


class ReleasesQuery(PageQuery, frozen=True, kw_only=True):
    """Which releases to list; what is left out admits all."""

    model: Word | UnsetType = UNSET
    channel: Channel | UnsetType = UNSET
    firmware_version: VersionText | UnsetType = UNSET
    withdrawn: bool | UnsetType = UNSET


class ReleaseItem(msgspec.Struct, frozen=True, kw_only=True):
    """A release; ``size`` in bytes, ``platform_build`` the same software by its dated version.

    ``withdrawn_at`` is there where it must not be sent to anybody any more.
    """

    release_id: str
    models: list[str]
    firmware_version: str
    platform_build: str | UnsetType = UNSET
    url: str
    sha256: str
    size: int
    channel: Channel
    notes: str | UnsetType = UNSET
    withdrawn_at: str | UnsetType = UNSET
    withdrawn_reason: str | UnsetType = UNSET
    created_at: str


class ModelStandingItem(msgspec.Struct, frozen=True, kw_only=True):
    """The operator's devices of a model against its latest stable release.

    ``behind`` run an older version, ``far_behind`` of them one more than two minor versions older;
    of ``unknown`` what they run cannot be compared. Without a stable release all four are absent.
    """

    model: str
    devices: int
    latest_version: str | UnsetType = UNSET
    release_id: str | UnsetType = UNSET
    current: int | UnsetType = UNSET
    behind: int | UnsetType = UNSET
    far_behind: int | UnsetType = UNSET
    unknown: int | UnsetType = UNSET


class ModelStandingsResponse(msgspec.Struct, frozen=True):
    """The models of the operator's devices, by name."""

    items: list[ModelStandingItem]


class UpgradeRequest(msgspec.Struct, frozen=True, kw_only=True):
    """To which release, by its version or platform build.

    ``allow_downgrade`` admits an older version, or one that cannot be compared with what runs.
    ``wait_for_idle`` leaves it to the charger to wait for the end of a session.
    """

    firmware_version: VersionText
    allow_downgrade: bool = False
    wait_for_idle: bool = False


class UpgradeItem(msgspec.Struct, frozen=True, kw_only=True):
    """An upgrade: from which version to which, how far (``progress`` in percent), and what of it.

    ``reason`` says why it failed where the platform does, ``message`` what the charger said.
    """

    command_id: str
    status: UpgradeStatus
    from_version: str
    to_version: str
    progress: int | UnsetType = UNSET
    message: str | UnsetType = UNSET
    reason: str | UnsetType = UNSET
    rollout_id: str | UnsetType = UNSET
    created_at: str
    updated_at: str
    expires_at: str


class DeviceFirmwareResponse(msgspec.Struct, frozen=True, kw_only=True):
    """What a device runs, the upgrade under way if there is one, and all of them, newest first."""

    device_id: str
    model: str
    firmware_version: str
    upgrade: UpgradeItem | UnsetType = UNSET
    history: list[UpgradeItem]


class UpgradeQueuedResponse(msgspec.Struct, frozen=True):
    """The upgrade waits for its charger until ``expires_at``; an offline one may come in time."""

    command_id: str
    status: Literal["queued"]
    expires_at: str
    device_online: bool


async def list_releases(
    catalogue: ReleaseCatalogue, call: Call[Nothing, ReleasesQuery]
) -> Page[ReleaseItem]:
    """Return a page of releases, newest version first."""
    query = call.query
    total, found = await catalogue.list_releases(to_filter(query), query.offset, query.size)
    return Page(total, query.page, query.size, [release_item(release) for release in found])


async def list_model_standings(
    catalogue: ReleaseCatalogue, call: Call[Nothing, Nothing]
) -> ModelStandingsResponse:
    """Return how the operator's devices stand to the latest stable release of their model."""
    standings = await catalogue.list_standings(call.principal.operator_id, call.now_ms)
    return ModelStandingsResponse([_standing_item(standing) for standing in standings])


async def upgrade_firmware(
    firmware: FirmwareService, call: Call[UpgradeRequest, Nothing]
) -> UpgradeQueuedResponse:
    """Queue an upgrade of one device."""
    body, principal = call.body, call.principal
    issued = await firmware.upgrade_device(
        call.path["device_id"],
        body.firmware_version,
        Actor(principal.principal_id, call.request_id or None, principal.scopes),
        principal.operator_id,
        call.now_ms,
        allow_downgrade=body.allow_downgrade,
        wait_for_idle=body.wait_for_idle,
        key=key_of(principal.principal_id, call.idempotency_key, "firmware", call.path, body),
    )
    expires_at = to_text(issued.command.expires_ms)
    return UpgradeQueuedResponse(
        issued.command.command_id, "queued", expires_at, issued.device_online
    )


async def get_device_firmware(
    firmware: FirmwareService, call: Call[Nothing, Nothing]
) -> DeviceFirmwareResponse:
    """Return a device's firmware and its upgrades."""
    view = await firmware.read_device(call.path["device_id"], call.principal.operator_id)
    return _device_response(view)


def to_filter(query: ReleasesQuery) -> ReleaseFilter:
    """Return the filter that a query asks for."""
    return ReleaseFilter(
        query.model or None,
        None if query.channel is UNSET else query.channel,
        query.firmware_version or None,
        None if query.withdrawn is UNSET else query.withdrawn,
    )


def release_item(release: Release) -> ReleaseItem:
    """Return a release as it goes out."""
    withdrawn_ms = release.withdrawn_ms
    return ReleaseItem(
        release_id=release.release_id,
        models=list(release.models),
        firmware_version=release.firmware_version,
        platform_build=release.platform_build or UNSET,
        url=release.url,
        sha256=release.sha256,
        size=release.size_bytes,
        channel=release.channel,
        notes=release.notes or UNSET,
        withdrawn_at=UNSET if withdrawn_ms is None else to_text(withdrawn_ms),
        withdrawn_reason=release.withdrawn_reason or UNSET,
        created_at=to_text(release.created_ms),
    )


def _standing_item(standing: ModelStanding) -> ModelStandingItem:
    latest = standing.latest
    if latest is None:
        return ModelStandingItem(model=standing.model, devices=standing.devices)
    return ModelStandingItem(
        model=standing.model,
        devices=standing.devices,
        latest_version=latest.firmware_version,
        release_id=latest.release_id,
        current=standing.current,
        behind=standing.behind,
        far_behind=standing.far_behind,
        unknown=standing.unknown,
    )


def _device_response(view: FirmwareView) -> DeviceFirmwareResponse:
    items = [_upgrade_item(progress) for progress in view.history]
    under_way = next((item for item in items if item.status not in {"completed", "failed"}), UNSET)
    return DeviceFirmwareResponse(
        device_id=view.device.device_id,
        model=view.device.model,
        firmware_version=view.device.firmware_version,
        upgrade=under_way,
        history=items,
    )


def _upgrade_item(progress: Progress) -> UpgradeItem:
    upgrade, command, report = progress
    result = command.result or {}
    percent = None if report is None else report.progress_pct
    message = result.get("message") or (None if report is None else report.message)
    updated_ms = command.updated_ms if report is None else report.received_ms
    return UpgradeItem(
        command_id=command.command_id,
        status=progress.status,
        from_version=upgrade.from_version,
        to_version=upgrade.to_version,
        progress=UNSET if percent is None else percent,
        message=UNSET if message is None else str(message),
        reason=result.get("reason", UNSET),
        rollout_id=upgrade.rollout_id or UNSET,
        created_at=to_text(command.created_ms),
        updated_at=to_text(max(command.updated_ms, updated_ms)),
        expires_at=to_text(command.expires_ms),
    )
