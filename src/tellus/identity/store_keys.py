"""Identity's tables of keys: those that tokens are signed with, and one per vaulted subject."""

from tellus.identity.model import SigningKey
from tellus.kernel.retention import Aged
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
        "INSERT INTO subjects (subject_id, operator_id, blind_index, sealed_key, created_ms,"
        " seen_ms) VALUES ($1, $2, $3, $4, $5, $5)"
        " ON CONFLICT (operator_id, blind_index) DO NOTHING",
        subject_id,
        operator_id,
        blind_index,
        sealed_key,
        now_ms,
    )
    return find_subject_id(tx, operator_id, blind_index) or subject_id


def see_subject(tx: Tx, operator_id: str, blind_index: bytes, now_ms: int) -> str | None:
    """Note that a vehicle was heard of; return its subject, or None where it has none.

    Its row is locked until the transaction ends, so that it cannot age meanwhile.
    """
    rows = tx.rows(
        "UPDATE subjects SET seen_ms = CASE WHEN seen_ms > $1 THEN seen_ms ELSE $1 END"
        " WHERE operator_id = $2 AND blind_index = $3 RETURNING subject_id",
        now_ms,
        operator_id,
        blind_index,
    )
    return str(rows[0][0]) if rows else None


def delete_subject(tx: Tx, subject_id: str) -> bool:
    """Delete a subject, and with it its key; tell whether there was one."""
    return tx.execute("DELETE FROM subjects WHERE subject_id = $1", subject_id) > 0


def delete_subjects_before(tx: Tx, before_ms: int, limit: int) -> list[str]:
    """Delete up to ``limit`` subjects not heard of since ``before_ms``; return them."""
    rows = tx.rows(
        "DELETE FROM subjects WHERE seen_ms < $1 AND subject_id IN (SELECT subject_id"
        " FROM subjects WHERE seen_ms < $1 ORDER BY seen_ms LIMIT $2) RETURNING subject_id",
        before_ms,
        limit,
    )
    return [str(row[0]) for row in rows]


def sum_subjects_before(tx: Tx, before_ms: int) -> Aged:
    """Return what subjects not heard of since ``before_ms`` come to."""
    row = tx.row(
        "SELECT count(*), coalesce(sum(length(sealed_key) + length(blind_index)), 0), min(seen_ms)"
        " FROM subjects WHERE seen_ms < $1",
        before_ms,
    )
    return Aged() if row is None else Aged(row[0], int(row[1]), row[2])


def find_oldest_subject(tx: Tx) -> int | None:
    """Return when (ms) the subject was heard of that was not for longest, or None."""
    row = tx.row("SELECT min(seen_ms) FROM subjects")
    return None if row is None else row[0]


def find_subject_key(tx: Tx, subject_id: str) -> bytes | None:
    """Return the sealed key of a subject, or None once it is erased."""
    row = tx.row("SELECT sealed_key FROM subjects WHERE subject_id = $1", subject_id)
    return None if row is None else bytes(row[0])
