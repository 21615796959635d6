"""The audit table: entries are appended and read, never changed."""

from collections.abc import Iterator
from typing import Any

import msgspec

from tellus.audit.model import Entry, Filter
from tellus.storage.database import Row, Tx

_COLUMNS = (
    "entry_no, at_ms, actor, action, resource_type, resource_id, operator_id, request_id, details"
)


def append_entry(tx: Tx, entry: Entry) -> None:
    """Append ``entry``; its number is given by the database."""
    tx.execute(
        "INSERT INTO audit_log (at_ms, actor, action, resource_type, resource_id, operator_id,"
        " request_id, details) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        entry.at_ms,
        entry.actor,
        entry.action,
        entry.resource_type,
        entry.resource_id,
        entry.operator_id,
        entry.request_id,
        msgspec.json.encode(entry.details).decode(),
    )


def list_entries(tx: Tx, wanted: Filter, offset: int, size: int) -> tuple[int, list[Entry]]:
    """Return how many entries match and one page of them, newest first."""
    conditions, values = _conditions(wanted)
    total = tx.row(f"SELECT COUNT(*) FROM audit_log{conditions}", *values)
    rows = tx.rows(
        f"SELECT {_COLUMNS} FROM audit_log{conditions} ORDER BY entry_no DESC"
        f" LIMIT ${len(values) + 1} OFFSET ${len(values) + 2}",
        *values,
        size,
        offset,
    )
    return (total[0] if total else 0), [_entry(row) for row in rows]


def _conditions(wanted: Filter) -> tuple[str, list[Any]]:
    clauses: list[str] = []
    values: list[Any] = []
    for condition, value in _fields(wanted):
        if value is not None:
            values.append(value)
            clauses.append(f"{condition} ${len(values)}")
    if wanted.verbs is not None:
        verbs, has = wanted.verbs
        likes = [f"action LIKE ${len(values) + number}" for number in range(1, len(verbs) + 1)]
        values += [f"%.{verb}" for verb in verbs]
        clauses.append(f"{'' if has else 'NOT '}({' OR '.join(likes)})")
    return (" WHERE " + " AND ".join(clauses) if clauses else ""), values


def _fields(wanted: Filter) -> Iterator[tuple[str, str | int | None]]:
    yield "resource_type =", wanted.resource_type
    yield "resource_id =", wanted.resource_id
    yield "actor =", wanted.actor
    yield "operator_id =", wanted.operator_id
    yield "at_ms >=", wanted.since_ms


def _entry(row: Row) -> Entry:
    fields: list[Any] = [*row]
    fields[-1] = msgspec.json.decode(fields[-1])
    return Entry(*fields)
