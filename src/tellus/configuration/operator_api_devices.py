"""Which profile a device is assigned, and whether it runs it, as operators see and set it."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from tellus.commands.model import Issued
from tellus.configuration.model import VERSIONS_MOST, Assignment, Reported, SyncState
from tellus.configuration.operator_api import Word, actor_of, key_of
from tellus.configuration.service import ConfigurationService, StandingView
from tellus.configuration.sites import Outcome, SiteConfigurations
from tellus.kernel.call import Call, Nothing
from tellus.kernel.paging import Page, PageQuery
from tellus.kernel.units import to_text

VersionNumber = Annotated[int, Meta(ge=1, le=VERSIONS_MOST)]


class ConfigDevicesQuery(PageQuery, frozen=True, kw_only=True):
    """Which of the profile's devices to list."""

    state: SyncState | UnsetType = UNSET


class AssignConfigProfileRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Which profile the device is to run; by default its newest version."""

    config_profile_id: Word
    version: VersionNumber | UnsetType = UNSET


class AssignSiteConfigRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Which profile the devices of the site are to run, where it is for their model."""

    config_profile_id: Word


class AssignedConfigItem(msgspec.Struct, frozen=True, kw_only=True):
    """What a device was assigned; ``newest_version`` is that of the profile by now."""

    config_profile_id: str
    name: str
    version: int
    newest_version: int
    running_config_hash: str
    assigned_at: str
    command_id: str


class ReportedConfigItem(msgspec.Struct, frozen=True, kw_only=True):
    """What a device says it runs, and since when it has said so."""

    config_profile_id: str | UnsetType = UNSET
    running_config_hash: str | UnsetType = UNSET
    since: str


class DeviceConfigResponse(msgspec.Struct, frozen=True, kw_only=True):
    """How what a device says it runs stands to what it was assigned, and since when.

    ``applying`` lasts until the charger has said what came of it; ``unknown`` is without an
    assignment, or without a word of the charger.
    """

    device_id: str
    site_id: str
    state: SyncState
    since: str | UnsetType = UNSET
    assigned: AssignedConfigItem | UnsetType = UNSET
    reported: ReportedConfigItem | UnsetType = UNSET


class ConfigQueuedResponse(msgspec.Struct, frozen=True):
    """The profile is assigned and waits for its charger until ``expires_at``."""

    device_id: str
    command_id: str
    status: Literal["queued"]
    expires_at: str
    device_online: bool


class SiteConfigItem(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one device: the command that takes the profile there, or why there is none."""

    device_id: str
    outcome: Literal["queued", "refused"]
    command_id: str | UnsetType = UNSET
    code: int | UnsetType = UNSET
    message: str | UnsetType = UNSET


class SiteConfigResponse(msgspec.Struct, frozen=True):
    """What came of each device of the site."""

    queued: int
    refused: int
    items: list[SiteConfigItem]


async def get_device_config(
    configuration: ConfigurationService, call: Call[Nothing, Nothing]
) -> DeviceConfigResponse:
    """Return what a device was assigned, what it says it runs, and how the two compare."""
    device_id, operator_id = call.path["device_id"], call.principal.operator_id
    return _standing(await configuration.get_standing(device_id, operator_id, call.now_ms))


async def list_config_devices(
    configuration: ConfigurationService, call: Call[Nothing, ConfigDevicesQuery]
) -> Page[DeviceConfigResponse]:
    """List the devices that a profile is assigned to."""
    query = call.query
    total, found = await configuration.list_standings(
        call.path["profile_id"],
        call.principal.operator_id,
        query.state or None,
        (query.offset, query.size),
        call.now_ms,
    )
    return Page(total, query.page, query.size, [_standing(view) for view in found])


async def assign_device_config(
    configuration: ConfigurationService, call: Call[AssignConfigProfileRequest, Nothing]
) -> ConfigQueuedResponse:
    """Assign a profile to a device and send it there."""
    body = call.body
    issued = await configuration.assign(
        call.path["device_id"],
        body.config_profile_id,
        body.version or None,
        _issuer(call),
        call.now_ms,
        key_of(call, "config-profile"),
        actor_of(call),
    )
    return _queued(issued)


async def apply_device_config(
    configuration: ConfigurationService, call: Call[Nothing, Nothing]
) -> ConfigQueuedResponse:
    """Send a device once more what it was assigned."""
    key, by = key_of(call, "config-profile/apply"), actor_of(call)
    device_id = call.path["device_id"]
    return _queued(await configuration.apply_again(device_id, _issuer(call), call.now_ms, key, by))


async def unassign_device_config(
    configuration: ConfigurationService, call: Call[Nothing, Nothing]
) -> None:
    """Take a device's assignment away, if it has one."""
    device_id, operator_id = call.path["device_id"], call.principal.operator_id
    await configuration.unassign(device_id, operator_id, call.now_ms, actor_of(call))


async def assign_site_config(
    sites: SiteConfigurations, call: Call[AssignSiteConfigRequest, Nothing]
) -> SiteConfigResponse:
    """Assign a profile to all devices of a site that it is for."""
    outcomes = await sites.assign_site(
        call.path["site_id"],
        call.body.config_profile_id,
        _issuer(call),
        call.now_ms,
        actor_of(call),
    )
    items = [_outcome(outcome) for outcome in outcomes]
    queued = sum(outcome.issued is not None for outcome in outcomes)
    return SiteConfigResponse(queued, len(items) - queued, items)


def _issuer(call: Call[Any, Any]) -> tuple[str, str]:
    return call.principal.principal_id, call.principal.operator_id


def _queued(issued: Issued) -> ConfigQueuedResponse:
    command = issued.command
    return ConfigQueuedResponse(
        command.device_id,
        command.command_id,
        "queued",
        to_text(command.expires_ms),
        issued.device_online,
    )


def _standing(view: StandingView) -> DeviceConfigResponse:
    assignment, reported = view.standing.assignment, view.standing.reported
    since_ms = view.judgement.since_ms
    return DeviceConfigResponse(
        device_id=view.device.device_id,
        site_id=view.device.site_id,
        state=view.judgement.state,
        since=UNSET if since_ms is None else to_text(since_ms),
        assigned=UNSET if assignment is None else _assigned(assignment),
        reported=UNSET if reported is None else _reported(reported, view.device.owned_since_ms),
    )


def _assigned(assignment: Assignment) -> AssignedConfigItem:
    return AssignedConfigItem(
        config_profile_id=assignment.profile_id,
        name=assignment.name,
        version=assignment.version,
        newest_version=assignment.newest_version,
        running_config_hash=assignment.hash,
        assigned_at=to_text(assignment.assigned_ms),
        command_id=assignment.command_id,
    )


def _reported(reported: Reported, owned_since_ms: int) -> ReportedConfigItem:
    return ReportedConfigItem(
        config_profile_id=reported.profile_id or UNSET,
        running_config_hash=reported.hash or UNSET,
        since=to_text(max(reported.since_ms, owned_since_ms)),
    )


def _outcome(outcome: Outcome) -> SiteConfigItem:
    device_id = outcome.device.device_id
    if outcome.issued is not None:
        command_id = outcome.issued.command.command_id
        return SiteConfigItem(device_id=device_id, outcome="queued", command_id=command_id)
    refusal = outcome.refusal
    return SiteConfigItem(
        device_id=device_id,
        outcome="refused",
        code=UNSET if refusal is None else refusal.code,
        message=UNSET if refusal is None else refusal.message,
    )
