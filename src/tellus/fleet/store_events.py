"""SQL of device events."""

from collections.abc import Sequence
from typing import Any

from tellus.fleet.model import EventFilter, StoredEvent
from tellus.storage.database import Row, Tx

_EVENT = (
    "device_no, connector_id, time_ms, digest, event_type, fault_key, received_ms, origin,"
    " clock_suspect, data, subject_id, sealed_data"
)

EventKey = tuple[int, int, int, int]
"""Time (ms), device, connector, digest: the natural key of an event."""


def append_events(tx: Tx, events: Sequence[StoredEvent]) -> set[EventKey]:
    """Append the events that are not stored yet and return the keys of those."""
    rows = tx.insert_returning(
        f"INSERT INTO events ({_EVENT})",
        [_values(event) for event in sorted(events, key=_key_of)],
        "ON CONFLICT (time_ms, device_no, connector_id, digest) DO NOTHING"
        " RETURNING time_ms, device_no, connector_id, digest",
    )
    return set(map(_key, rows))


def list_events(
    tx: Tx, device_no: int, wanted: EventFilter, page: tuple[int, int]
) -> tuple[int, list[StoredEvent]]:
    """Return how many events of a device match and a page (offset, size), newest first."""
    conditions, values = _conditions(device_no, wanted)
    total = tx.row(f"SELECT COUNT(*) FROM events WHERE {conditions}", *values)
    rows = tx.rows(
        f"SELECT {_EVENT} FROM events WHERE {conditions}"
        " ORDER BY time_ms DESC, connector_id DESC, digest DESC"
        f" LIMIT ${len(values) + 1} OFFSET ${len(values) + 2}",
        *values,
        page[1],
        page[0],
    )
    return (total[0] if total else 0), [_event(row) for row in rows]


def newest_events(tx: Tx, device_no: int, received_from_ms: int, size: int) -> list[StoredEvent]:
    """Return a device's newest events whose time can be believed, newest first."""
    rows = tx.rows(
        f"SELECT {_EVENT} FROM events WHERE device_no = $1 AND clock_suspect = 0"
        " AND received_ms >= $2 ORDER BY time_ms DESC, connector_id DESC, digest DESC LIMIT $3",
        device_no,
        received_from_ms,
        size,
    )
    return [_event(row) for row in rows]


def _conditions(device_no: int, wanted: EventFilter) -> tuple[str, list[Any]]:
    clauses, values = ["device_no = $1"], [device_no]
    given: list[tuple[str, Any]] = [
        ("event_type =", wanted.event_type),
        ("fault_key =", wanted.fault_code),
        ("time_ms >=", wanted.from_ms),
        ("time_ms <", wanted.to_ms),
        ("received_ms >=", wanted.received_from_ms),
    ]
    for clause, value in given:
        if value is not None:
            values.append(value)
            clauses.append(f"{clause} ${len(values)}")
    return " AND ".join(clauses), values


def _key_of(event: StoredEvent) -> EventKey:
    return event.time_ms, event.device_no, event.connector_id, event.digest


def _key(row: Row) -> EventKey:
    return row[0], row[1], row[2], row[3]


def _values(event: StoredEvent) -> tuple[Any, ...]:
    return (
        event.device_no,
        event.connector_id,
        event.time_ms,
        event.digest,
        event.event_type,
        event.fault_key,
        event.received_ms,
        event.origin,
        int(event.clock_suspect),
        event.data,
        event.subject_id,
        event.sealed_data,
    )


def _event(row: Row) -> StoredEvent:
    fields = [*row]
    fields[8] = bool(fields[8])
    fields[11] = None if fields[11] is None else bytes(fields[11])
    return StoredEvent(*fields)
