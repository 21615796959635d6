"""The seals of the audit log: appended in one chain, read to be checked."""

from collections.abc import Sequence

from tellus.audit.model import Seal, Written
from tellus.storage.database import Row, Tx

_ENTRY = (
    "a.entry_no, a.at_ms, a.actor, a.action, a.resource_type, a.resource_id, a.operator_id,"
    " a.request_id, a.details"
)
_BEFORE_ALL = -(2**63)
_UNSEALED = (
    " FROM audit_log a WHERE a.entry_no > $1"
    " AND NOT EXISTS (SELECT 1 FROM audit_seals s WHERE s.entry_no = a.entry_no)"
)


def find_last_seal(tx: Tx) -> Seal | None:
    """Return the head of the chain, None where there is none yet."""
    row = tx.row("SELECT seal_no, entry_no, hash FROM audit_seals ORDER BY seal_no DESC LIMIT 1")
    return None if row is None else _seal(row)


def find_seal(tx: Tx, seal_no: int) -> Seal | None:
    """Return a seal by its number, or None."""
    row = tx.row("SELECT seal_no, entry_no, hash FROM audit_seals WHERE seal_no = $1", seal_no)
    return None if row is None else _seal(row)


def list_unsealed(tx: Tx, after_entry_no: int, limit: int) -> list[Written]:
    """Return entries after that number which have no seal, in their order."""
    rows = tx.rows(
        f"SELECT {_ENTRY}{_UNSEALED} ORDER BY a.entry_no LIMIT $2", after_entry_no, limit
    )
    return [Written(*row) for row in rows]


def list_overlooked(tx: Tx, until_ms: int, limit: int) -> list[int]:
    """Return the numbers of entries that were written by then and have no seal."""
    rows = tx.rows(
        f"SELECT a.entry_no{_UNSEALED} AND a.at_ms <= $2 ORDER BY a.entry_no LIMIT $3",
        _BEFORE_ALL,
        until_ms,
        limit,
    )
    return [row[0] for row in rows]


def append_seals(tx: Tx, seals: Sequence[Seal]) -> None:
    """Append links to the chain."""
    tx.insert_many("INSERT INTO audit_seals (seal_no, entry_no, hash)", seals)


def list_links(tx: Tx, after_seal_no: int, limit: int) -> list[tuple[Seal, Written | None]]:
    """Return seals after that number in their order, each with its entry if that is there."""
    rows = tx.rows(
        f"SELECT s.seal_no, s.entry_no, s.hash, {_ENTRY} FROM audit_seals s"
        " LEFT JOIN audit_log a ON a.entry_no = s.entry_no"
        " WHERE s.seal_no > $1 ORDER BY s.seal_no LIMIT $2",
        after_seal_no,
        limit,
    )
    return [(_seal(row[:3]), None if row[3] is None else Written(*row[3:])) for row in rows]


def _seal(row: Row) -> Seal:
    return Seal(row[0], row[1], bytes(row[2]))
