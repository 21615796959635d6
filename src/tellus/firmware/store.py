"""The SQL of releases."""

from collections.abc import Sequence

from tellus.firmware.model import Channel, Release
from tellus.storage.database import Row, Tx

_COLUMNS = (
    "release_id, firmware_version, platform_build, url, sha256, size_bytes, channel, notes,"
    " withdrawn_ms, withdrawn_reason, created_ms, updated_ms"
)


def find_release(tx: Tx, release_id: str) -> Release | None:
    """Return a release, or None."""
    row = tx.row(f"SELECT {_COLUMNS} FROM firmware_releases WHERE release_id = $1", release_id)
    if row is None:
        return None
    models = tx.rows(
        "SELECT model FROM firmware_release_models WHERE release_id = $1 ORDER BY model", release_id
    )
    return _from_row(row, [model for (model,) in models])


def find_holder(tx: Tx, model: str, firmware_version: str) -> str | None:
    """Return the id of the release of a version for a model, or None."""
    row = tx.row(
        "SELECT release_id FROM firmware_release_models WHERE model = $1 AND firmware_version = $2",
        model,
        firmware_version,
    )
    return None if row is None else str(row[0])


def list_releases(tx: Tx) -> list[Release]:
    """Return all releases, oldest entry first."""
    models: dict[str, list[str]] = {}
    for release_id, model in tx.rows(
        "SELECT release_id, model FROM firmware_release_models ORDER BY model"
    ):
        models.setdefault(release_id, []).append(model)
    rows = tx.rows(f"SELECT {_COLUMNS} FROM firmware_releases ORDER BY release_no")
    return [_from_row(row, models.get(row[0], [])) for row in rows]


def append_release(tx: Tx, release: Release) -> None:
    """Append a new release, none of whose models has its version."""
    tx.insert_many(f"INSERT INTO firmware_releases ({_COLUMNS})", [_to_row(release)])
    tx.insert_many(
        "INSERT INTO firmware_release_models (model, firmware_version, release_id)",
        [(model, release.firmware_version, release.release_id) for model in release.models],
    )


def update_release(tx: Tx, release: Release) -> None:
    """Save what may change of a release."""
    tx.execute(
        "UPDATE firmware_releases SET channel = $1, notes = $2, withdrawn_ms = $3,"
        " withdrawn_reason = $4, updated_ms = $5 WHERE release_id = $6",
        release.channel,
        release.notes,
        release.withdrawn_ms,
        release.withdrawn_reason,
        release.updated_ms,
        release.release_id,
    )


def _to_row(release: Release) -> Row:
    return (
        release.release_id,
        release.firmware_version,
        release.platform_build,
        release.url,
        release.sha256,
        release.size_bytes,
        release.channel,
        release.notes,
        release.withdrawn_ms,
        release.withdrawn_reason,
        release.created_ms,
        release.updated_ms,
    )


def _from_row(row: Row, models: Sequence[str]) -> Release:
    return Release(
        release_id=row[0],
        models=tuple(models),
        firmware_version=row[1],
        platform_build=row[2],
        url=row[3],
        sha256=row[4],
        size_bytes=row[5],
        channel=Channel(row[6]),
        notes=row[7],
        withdrawn_ms=row[8],
        withdrawn_reason=row[9],
        created_ms=row[10],
        updated_ms=row[11],
    )
