"""Configuration profiles as operators keep them."""

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from tellus.audit.model import Actor
from tellus.commands.model import RequestKey
from tellus.configuration.model import Profile, ProfileChange, ProfileView, Version
from tellus.configuration.profiles import ProfileService
from tellus.configuration.service import request_key
from tellus.kernel.call import Call, Nothing
from tellus.kernel.paging import Page, PageQuery
from tellus.kernel.units import to_text

Word = Annotated[str, Meta(min_length=1, max_length=128)]
Name = Annotated[str, Meta(min_length=1, max_length=200)]
Note = Annotated[str, Meta(max_length=2_000)]
Models = Annotated[list[Word], Meta(max_length=50)]


class ConfigProfilesQuery(PageQuery, frozen=True, kw_only=True):
    """Which profiles to list: those for ``model``, or all."""

    model: Word | UnsetType = UNSET


class CreateConfigProfileRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A new profile; without ``models`` it is for all. ``values`` is what chargers are to run."""

    name: Name
    values: dict[str, Any]
    models: Models | UnsetType = UNSET
    note: Note | UnsetType = UNSET


class ChangeConfigProfileRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What to change of a profile; what is left out stays, an empty list is for all models."""

    name: Name | UnsetType = UNSET
    values: dict[str, Any] | UnsetType = UNSET
    models: Models | UnsetType = UNSET
    note: Note | UnsetType = UNSET


class ConfigProfileItem(msgspec.Struct, frozen=True, kw_only=True):
    """A profile; ``devices`` is to how many it is assigned.

    ``running_config_hash`` is the SHA-256 of the canonical JSON of the values of ``version``.
    """

    config_profile_id: str
    name: str
    models: list[str]
    version: int
    running_config_hash: str
    devices: int
    note: str | UnsetType = UNSET
    created_at: str
    updated_at: str


class ConfigProfileResponse(ConfigProfileItem, frozen=True, kw_only=True):
    """A profile with its values."""

    values: dict[str, Any]


class ConfigVersionItem(msgspec.Struct, frozen=True, kw_only=True):
    """What a profile said from ``created_at`` on, until the next version."""

    version: int
    running_config_hash: str
    values: dict[str, Any]
    created_at: str


async def list_config_profiles(
    profiles: ProfileService, call: Call[Nothing, ConfigProfilesQuery]
) -> Page[ConfigProfileItem]:
    """List the operator's profiles, oldest first."""
    query = call.query
    total, found = await profiles.list_profiles(
        call.principal.operator_id, query.model or None, query.offset, query.size
    )
    items = [ConfigProfileItem(**_fields(profile, devices)) for profile, devices in found]
    return Page(total, query.page, query.size, items)


async def create_config_profile(
    profiles: ProfileService, call: Call[CreateConfigProfileRequest, Nothing]
) -> ConfigProfileResponse:
    """Keep a new profile."""
    key = key_of(call, "config-profiles")
    wanted = _to_change(call.body)
    operator_id, by = call.principal.operator_id, actor_of(call)
    return _response(await profiles.create_profile(operator_id, wanted, by, call.now_ms, key))


async def get_config_profile(
    profiles: ProfileService, call: Call[Nothing, Nothing]
) -> ConfigProfileResponse:
    """Return a profile with its values."""
    profile_id = call.path["profile_id"]
    return _response(await profiles.get_profile(profile_id, call.principal.operator_id))


async def list_config_versions(
    profiles: ProfileService, call: Call[Nothing, PageQuery]
) -> Page[ConfigVersionItem]:
    """List what a profile has said, newest first."""
    query = call.query
    total, found = await profiles.list_versions(
        call.path["profile_id"], call.principal.operator_id, query.offset, query.size
    )
    return Page(total, query.page, query.size, [_version(version) for version in found])


async def change_config_profile(
    profiles: ProfileService, call: Call[ChangeConfigProfileRequest, Nothing]
) -> ConfigProfileResponse:
    """Change a profile."""
    profile_id, operator_id = call.path["profile_id"], call.principal.operator_id
    change = _to_change(call.body)
    by, now_ms = actor_of(call), call.now_ms
    return _response(await profiles.change_profile(profile_id, operator_id, change, by, now_ms))


async def delete_config_profile(profiles: ProfileService, call: Call[Nothing, Nothing]) -> None:
    """Delete a profile that no device is assigned."""
    profile_id, operator_id = call.path["profile_id"], call.principal.operator_id
    await profiles.delete_profile(profile_id, operator_id, actor_of(call), call.now_ms)


def actor_of(call: Call[Any, Any]) -> Actor:
    """Return who is named in the audit log as having asked for this."""
    principal = call.principal
    return Actor(principal.principal_id, call.request_id or None, principal.scopes)


def key_of(call: Call[Any, Any], what: str) -> RequestKey | None:
    """Return under which key a request may be repeated, None where the client gave none."""
    client_id = call.principal.principal_id
    return request_key(client_id, call.idempotency_key, what, call.path, call.body)


def _to_change(body: CreateConfigProfileRequest | ChangeConfigProfileRequest) -> ProfileChange:
    return ProfileChange(
        None if body.name is UNSET else body.name,
        None if body.note is UNSET else body.note,
        None if body.models is UNSET else tuple(dict.fromkeys(body.models)),
        None if body.values is UNSET else body.values,
    )


def _fields(profile: Profile, devices: int) -> dict[str, Any]:
    return {
        "config_profile_id": profile.profile_id,
        "name": profile.name,
        "models": list(profile.models),
        "version": profile.version,
        "running_config_hash": profile.hash,
        "devices": devices,
        "note": profile.note or UNSET,
        "created_at": to_text(profile.created_ms),
        "updated_at": to_text(profile.updated_ms),
    }


def _response(view: ProfileView) -> ConfigProfileResponse:
    values = msgspec.json.decode(view.content)
    return ConfigProfileResponse(**_fields(view.profile, view.devices), values=values)


def _version(version: Version) -> ConfigVersionItem:
    return ConfigVersionItem(
        version=version.version,
        running_config_hash=version.hash,
        values=msgspec.json.decode(version.content),
        created_at=to_text(version.created_ms),
    )
