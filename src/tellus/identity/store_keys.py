"""Identity's tables of keys: those that tokens are signed with, and one per vaulted subject."""

from tellus.identity.model import SigningKey
from tellus.storage.database import Tx


def append_signing_key(tx: Tx, key: SigningKey) -> None:
    """Insert a signing key."""
    tx.execute(
        "INSERT INTO signing_keys (kid, sealed, created_ms, retired_ms) VALUES ($1, $2, $3, $4)",
        key.kid,
        key.sealed,
        key.created_ms,
        key.retired_ms,
    )


def retire_signing_keys(tx: Tx, newest_kid: str, retired_ms: int) -> None:
    """Let every key but the newest retire at ``retired_ms``, or earlier where it already would."""
    tx.execute(
        "UPDATE signing_keys SET retired_ms = $1"
        " WHERE kid <> $2 AND (retired_ms IS NULL OR retired_ms > $1)",
        retired_ms,
        newest_kid,
    )


def list_signing_keys(tx: Tx) -> list[SigningKey]:
    """Return every signing key, oldest first."""
    rows = tx.rows(
        "SELECT kid, sealed, created_ms, retired_ms FROM signing_keys ORDER BY created_ms, kid"
    )
    return [SigningKey(*row) for row in rows]


def find_subject_id(tx: Tx, operator_id: str, blind_index: bytes) -> str | None:
    """Return the subject an operator's blind index stands for, or None."""
    row = tx.row(
        "SELECT subject_id FROM subjects WHERE operator_id = $1 AND blind_index = $2",
        operator_id,
        blind_index,
    )
    return None if row is None else str(row[0])


def ensure_subject(
    tx: Tx, subject_id: str, operator_id: str, blind_index: bytes, sealed_key: bytes, now_ms: int
) -> str:
    """Insert a subject, and return it or the one that was there first."""
    tx.execute(
        "INSERT INTO subjects (subject_id, operator_id, blind_index, sealed_key, created_ms)"
        " VALUES ($1, $2, $3, $4, $5) ON CONFLICT (operator_id, blind_index) DO NOTHING",
        subject_id,
        operator_id,
        blind_index,
        sealed_key,
        now_ms,
    )
    return find_subject_id(tx, operator_id, blind_index) or subject_id


def find_subject_key(tx: Tx, subject_id: str) -> bytes | None:
    """Return the sealed key of a subject, or None once it is erased."""
    row = tx.row("SELECT sealed_key FROM subjects WHERE subject_id = $1", subject_id)
    return None if row is None else bytes(row[0])
