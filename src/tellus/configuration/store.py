"""The SQL of configuration profiles."""

import msgspec

from tellus.configuration.model import Profile, Version
from tellus.storage.database import Row, Tx

_PROFILE = (
    "SELECT p.profile_id, p.operator_id, p.name, p.note, p.models, p.version, v.hash,"
    " p.created_ms, p.updated_ms FROM config_profiles p JOIN config_profile_versions v"
    " ON v.profile_id = p.profile_id AND v.version = p.version"
    " WHERE p.deleted_ms IS NULL"
)
_VERSION = "SELECT version, hash, content, created_ms FROM config_profile_versions"


def find_profile(tx: Tx, profile_id: str, operator_id: str) -> Profile | None:
    """Return a profile of an operator, or None."""
    row = tx.row(
        f"{_PROFILE} AND p.profile_id = $1 AND p.operator_id = $2", profile_id, operator_id
    )
    return None if row is None else _profile(row)


def list_profiles(tx: Tx, operator_id: str) -> list[Profile]:
    """Return an operator's profiles, oldest first."""
    rows = tx.rows(
        f"{_PROFILE} AND p.operator_id = $1 ORDER BY p.created_ms, p.profile_id", operator_id
    )
    return [_profile(row) for row in rows]


def is_name_taken(tx: Tx, operator_id: str, name: str, but: str) -> bool:
    """Tell whether an operator has another profile than ``but`` of that name."""
    row = tx.row(
        "SELECT 1 FROM config_profiles WHERE operator_id = $1 AND name = $2 AND profile_id <> $3"
        " AND deleted_ms IS NULL",
        operator_id,
        name,
        but,
    )
    return row is not None


def append_profile(tx: Tx, profile: Profile, content: str) -> None:
    """Append a new profile with its first values."""
    tx.execute(
        "INSERT INTO config_profiles"
        " (profile_id, operator_id, name, note, models, version, created_ms, updated_ms)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        profile.profile_id,
        profile.operator_id,
        profile.name,
        profile.note,
        _models(profile),
        profile.version,
        profile.created_ms,
        profile.updated_ms,
    )
    append_version(tx, profile, content)


def append_version(tx: Tx, profile: Profile, content: str) -> None:
    """Append the values of a profile's version."""
    tx.execute(
        "INSERT INTO config_profile_versions (profile_id, version, hash, content, created_ms)"
        " VALUES ($1, $2, $3, $4, $5)",
        profile.profile_id,
        profile.version,
        profile.hash,
        content,
        profile.updated_ms,
    )


def update_profile(tx: Tx, profile: Profile) -> None:
    """Save what may change of a profile."""
    tx.execute(
        "UPDATE config_profiles SET name = $1, note = $2, models = $3, version = $4,"
        " updated_ms = $5 WHERE profile_id = $6",
        profile.name,
        profile.note,
        _models(profile),
        profile.version,
        profile.updated_ms,
        profile.profile_id,
    )


def note_assigned(tx: Tx, profile_id: str, now_ms: int) -> bool:
    """Note that a profile is assigned, so that nobody deletes it meanwhile; False if it is gone."""
    changed = tx.execute(
        "UPDATE config_profiles SET assigned_ms = $1 WHERE profile_id = $2 AND deleted_ms IS NULL",
        now_ms,
        profile_id,
    )
    return changed > 0


def mark_deleted(tx: Tx, profile_id: str, now_ms: int) -> None:
    """Let a profile exist no longer; what it said stays."""
    tx.execute(
        "UPDATE config_profiles SET deleted_ms = $1 WHERE profile_id = $2", now_ms, profile_id
    )


def find_version(tx: Tx, profile_id: str, version: int) -> Version | None:
    """Return a version of a profile, or None."""
    row = tx.row(f"{_VERSION} WHERE profile_id = $1 AND version = $2", profile_id, version)
    return None if row is None else Version(*row)


def list_versions(tx: Tx, profile_id: str, offset: int, size: int) -> tuple[int, list[Version]]:
    """Return how many versions a profile has and a page of them, newest first."""
    rows = tx.rows(
        f"{_VERSION} WHERE profile_id = $1 ORDER BY version DESC LIMIT $2 OFFSET $3",
        profile_id,
        size,
        offset,
    )
    count = tx.row("SELECT COUNT(*) FROM config_profile_versions WHERE profile_id = $1", profile_id)
    return (count[0] if count else 0), [Version(*row) for row in rows]


def _profile(row: Row) -> Profile:
    return Profile(
        profile_id=row[0],
        operator_id=row[1],
        name=row[2],
        note=row[3],
        models=msgspec.json.decode(row[4], type=tuple[str, ...]),
        version=row[5],
        hash=row[6],
        created_ms=row[7],
        updated_ms=row[8],
    )


def _models(profile: Profile) -> str:
    return msgspec.json.encode(profile.models).decode()
