"""Use cases of profiles: keep, change, look up, delete."""

from typing import Any, Final

from msgspec.structs import replace

from tellus.audit.model import Actor
from tellus.audit.service import record
from tellus.commands import repeats
from tellus.commands.model import RequestKey
from tellus.configuration import rules, store, store_devices
from tellus.configuration.model import (
    PROFILES_MOST,
    VERSIONS_MOST,
    Profile,
    ProfileChange,
    ProfileView,
    Version,
)
from tellus.kernel.errors import Conflict, InvalidParameter, NotFound
from tellus.kernel.ids import new_id
from tellus.kernel.vins import replace_vins
from tellus.storage.database import Database, Tx

CONTENT_LARGEST: Final = 16_384
"""How long the canonical JSON of a profile's values may be, in bytes."""

KEYS_MOST: Final = 500
_KEY_LONGEST: Final = 128


class NameTaken(Conflict):
    """4001: another profile of the operator has this name."""

    def __init__(self, name: str) -> None:
        super().__init__("There is a configuration profile of this name", field="name", name=name)


class ProfileAssigned(Conflict):
    """4001: devices are assigned this profile."""

    def __init__(self, devices: int) -> None:
        message = "The configuration profile is assigned to devices"
        super().__init__(message, reason="assigned", devices=devices)


class ProfileService:
    """Profiles of all operators; an operator sees its own and nothing else exists for it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create_profile(
        self,
        operator_id: str,
        wanted: ProfileChange,
        by: Actor,
        now_ms: int,
        key: RequestKey | None = None,
    ) -> ProfileView:
        """Keep a new profile; the same ``key`` again returns the first one.

        Raises:
            InvalidParameter: the values are too large.
            NameTaken: there is one of this name.
            Conflict: the operator has as many profiles as it may.
            KeyReused: the key stands for another request.
        """
        content = _read_content(wanted.values or {})
        profile = Profile(
            profile_id=new_id("cfg"),
            operator_id=operator_id,
            name=replace_vins(wanted.name or ""),
            note=replace_vins(wanted.note or None),
            models=wanted.models or (),
            version=1,
            hash=rules.hash_of(content),
            created_ms=now_ms,
            updated_ms=now_ms,
        )
        return await self._database.write(_create, profile, content, by, key)

    async def get_profile(self, profile_id: str, operator_id: str) -> ProfileView:
        """Return a profile.

        Raises:
            NotFound: it is absent or another operator's.
        """
        return await self._database.read(_view, profile_id, operator_id)

    async def list_profiles(
        self, operator_id: str, model: str | None, offset: int, size: int
    ) -> tuple[int, list[tuple[Profile, int]]]:
        """Return how many profiles there are, for a model, and a page, each with its devices."""
        profiles, devices = await self._database.read(_load, operator_id)
        found = [one for one in profiles if model is None or rules.fits(one.models, model)]
        page = [(one, devices.get(one.profile_id, 0)) for one in found[offset : offset + size]]
        return len(found), page

    async def list_versions(
        self, profile_id: str, operator_id: str, offset: int, size: int
    ) -> tuple[int, list[Version]]:
        """Return how many versions a profile has and a page of them, newest first.

        Raises:
            NotFound: it is absent or another operator's.
        """
        return await self._database.read(_load_versions, profile_id, operator_id, offset, size)

    async def change_profile(
        self, profile_id: str, operator_id: str, change: ProfileChange, by: Actor, now_ms: int
    ) -> ProfileView:
        """Change a profile; other values are a new version, which goes to nobody by itself.

        Raises:
            NotFound: it is absent or another operator's.
            InvalidParameter: the values are too large.
            NameTaken: there is another one of this name.
        """
        content = None if change.values is None else _read_content(change.values)
        whose = (profile_id, operator_id)
        return await self._database.write(_change, whose, change, content, by, now_ms)

    async def delete_profile(
        self, profile_id: str, operator_id: str, by: Actor, now_ms: int
    ) -> None:
        """Delete a profile.

        Raises:
            NotFound: it is absent or another operator's.
            ProfileAssigned: devices are assigned it.
        """
        await self._database.write(_delete, profile_id, operator_id, by, now_ms)


def _read_content(values: dict[str, Any]) -> str:
    if len(values) > KEYS_MOST or any(not 0 < len(name) <= _KEY_LONGEST for name in values):
        message = f"Parameter 'values' may have {KEYS_MOST} names of 1 to {_KEY_LONGEST} characters"
        raise InvalidParameter(message, "values")
    content = rules.canonical_json(replace_vins(values))
    if len(content.encode()) > CONTENT_LARGEST:
        message = f"Parameter 'values' is over {CONTENT_LARGEST} bytes of JSON"
        raise InvalidParameter(message, "values")
    return content


def _create(
    tx: Tx, profile: Profile, content: str, by: Actor, key: RequestKey | None
) -> ProfileView:
    tx.lock(f"config_profiles:{profile.operator_id}")
    known = None if key is None else repeats.recall(tx, key, profile.created_ms)
    if known is not None:
        return _view(tx, known, profile.operator_id)
    _check_name(tx, profile)
    if len(store.list_profiles(tx, profile.operator_id)) >= PROFILES_MOST:
        message = f"{PROFILES_MOST} configuration profiles are allowed"
        raise Conflict(message, profiles=PROFILES_MOST)
    store.append_profile(tx, profile, content)
    if key is not None:
        repeats.remember(tx, key, profile.profile_id, profile.created_ms)
    _record(tx, by, "created", profile)
    return ProfileView(profile, content, 0)


def _change(
    tx: Tx,
    whose: tuple[str, str],
    change: ProfileChange,
    content: str | None,
    by: Actor,
    now_ms: int,
) -> ProfileView:
    profile_id, operator_id = whose
    tx.lock(f"config_profiles:{operator_id}")
    before = _view(tx, profile_id, operator_id)
    profile = replace(
        before.profile,
        name=before.profile.name if change.name is None else replace_vins(change.name),
        note=before.profile.note if change.note is None else replace_vins(change.note or None),
        models=before.profile.models if change.models is None else change.models,
        updated_ms=now_ms,
    )
    _check_name(tx, profile)
    if content is not None and content != before.content:
        version = profile.version + 1
        if version > VERSIONS_MOST:
            message = f"A configuration profile has at most {VERSIONS_MOST} versions"
            raise Conflict(message, versions=VERSIONS_MOST)
        profile = replace(profile, version=version, hash=rules.hash_of(content))
        store.append_version(tx, profile, content)
    store.update_profile(tx, profile)
    _record(tx, by, "changed", profile)
    return ProfileView(profile, content or before.content, before.devices)


def _delete(tx: Tx, profile_id: str, operator_id: str, by: Actor, now_ms: int) -> None:
    tx.lock(f"config_profiles:{operator_id}")
    profile = store.find_profile(tx, profile_id, operator_id)
    if profile is None:
        raise NotFound
    # First, so that whoever assigns it meanwhile waits for the end of this, or this for theirs.
    store.mark_deleted(tx, profile_id, now_ms)
    devices = store_devices.count_assigned(tx, operator_id).get(profile_id, 0)
    if devices:
        raise ProfileAssigned(devices)
    _record(tx, by, "deleted", replace(profile, updated_ms=now_ms))


def _check_name(tx: Tx, profile: Profile) -> None:
    if store.is_name_taken(tx, profile.operator_id, profile.name, profile.profile_id):
        raise NameTaken(profile.name)


def _view(tx: Tx, profile_id: str, operator_id: str) -> ProfileView:
    profile = store.find_profile(tx, profile_id, operator_id)
    if profile is None:
        raise NotFound
    version = store.find_version(tx, profile_id, profile.version)
    if version is None:
        raise NotFound
    devices = store_devices.count_assigned(tx, operator_id).get(profile_id, 0)
    return ProfileView(profile, version.content, devices)


def _load(tx: Tx, operator_id: str) -> tuple[list[Profile], dict[str, int]]:
    return store.list_profiles(tx, operator_id), store_devices.count_assigned(tx, operator_id)


def _load_versions(
    tx: Tx, profile_id: str, operator_id: str, offset: int, size: int
) -> tuple[int, list[Version]]:
    if store.find_profile(tx, profile_id, operator_id) is None:
        raise NotFound
    return store.list_versions(tx, profile_id, offset, size)


def _record(tx: Tx, by: Actor, verb: str, profile: Profile) -> None:
    record(
        tx,
        by.name,
        f"config_profile.{verb}",
        "config",
        profile.profile_id,
        profile.operator_id,
        by.request_id,
        profile.updated_ms,
        name=profile.name,
        version=profile.version,
        hash=profile.hash,
    )
