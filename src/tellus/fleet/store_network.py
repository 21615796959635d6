"""The SQL of what happened to the connections of devices."""

from collections.abc import Sequence

from tellus.fleet.model_network import Change, ConnectionEntry, ConnectionKind
from tellus.kernel.retention import Aged
from tellus.storage.database import Tx

_ROW_BYTES = 40


def append_entries(tx: Tx, entries: Sequence[ConnectionEntry]) -> None:
    """Append what happened; what is known already stays as it is."""
    if entries:
        tx.insert_many(
            "INSERT INTO connection_log (device_no, time_ms, kind)",
            [(entry.device_no, entry.time_ms, entry.kind.value) for entry in sorted(entries)],
            "ON CONFLICT (device_no, time_ms, kind) DO NOTHING",
        )


def list_changes(tx: Tx, device_no: int, from_ms: int, since_ms: int) -> list[Change]:
    """Return when a device came and went from an instant on, with the last change before it.

    Nothing that lies before ``since_ms`` is told of.
    """
    before = tx.rows(
        "SELECT time_ms, kind FROM connection_log WHERE device_no = $1 AND time_ms < $2"
        " AND time_ms >= $3 AND kind <> 'reconnect' ORDER BY time_ms DESC, kind LIMIT 1",
        device_no,
        from_ms,
        since_ms,
    )
    within = tx.rows(
        "SELECT time_ms, kind FROM connection_log WHERE device_no = $1 AND time_ms >= $2"
        " AND kind <> 'reconnect' ORDER BY time_ms, kind DESC",
        device_no,
        max(from_ms, since_ms),
    )
    return [
        Change(time_ms, kind == ConnectionKind.ONLINE.value) for time_ms, kind in [*before, *within]
    ]


def count_reconnects(tx: Tx, device_no: int, from_ms: int) -> int:
    """Return how often a device has reconnected since an instant (ms)."""
    row = tx.row(
        "SELECT count(*) FROM connection_log"
        " WHERE device_no = $1 AND time_ms >= $2 AND kind = 'reconnect'",
        device_no,
        from_ms,
    )
    return 0 if row is None else int(row[0])


def count_entries(tx: Tx, device_no: int, since_ms: int) -> int:
    """Return how many entries a device has since an instant (ms)."""
    row = tx.row(
        "SELECT count(*) FROM connection_log WHERE device_no = $1 AND time_ms >= $2",
        device_no,
        since_ms,
    )
    return 0 if row is None else int(row[0])


def list_entries(
    tx: Tx, device_no: int, since_ms: int, page: tuple[int, int]
) -> list[ConnectionEntry]:
    """Return a page (offset, size) of a device's entries since an instant (ms), newest first."""
    offset, size = page
    rows = tx.rows(
        "SELECT device_no, time_ms, kind FROM connection_log WHERE device_no = $1"
        " AND time_ms >= $2 ORDER BY time_ms DESC, kind LIMIT $3 OFFSET $4",
        device_no,
        since_ms,
        size,
        offset,
    )
    return [ConnectionEntry(row[0], row[1], ConnectionKind(row[2])) for row in rows]


def sum_entries_before(tx: Tx, before_ms: int) -> Aged:
    """Return what entries before an instant (ms) come to."""
    row = tx.row("SELECT count(*), min(time_ms) FROM connection_log WHERE time_ms < $1", before_ms)
    return Aged() if row is None else Aged(row[0], row[0] * _ROW_BYTES, row[1])


def find_oldest_entry(tx: Tx) -> int | None:
    """Return the time (ms) of the oldest entry, or None."""
    row = tx.row("SELECT min(time_ms) FROM connection_log")
    return None if row is None else row[0]


def remove_entries_before(tx: Tx, before_ms: int, limit: int) -> int:
    """Delete up to ``limit`` entries before an instant (ms); return how many."""
    return tx.execute(
        "DELETE FROM connection_log WHERE (device_no, time_ms, kind) IN"
        " (SELECT device_no, time_ms, kind FROM connection_log WHERE time_ms < $1"
        " ORDER BY time_ms, device_no, kind LIMIT $2)",
        before_ms,
        limit,
    )


def remove_entries_of(tx: Tx, device_no: int, limit: int) -> int:
    """Delete up to ``limit`` entries of a device; return how many."""
    return tx.execute(
        "DELETE FROM connection_log WHERE (device_no, time_ms, kind) IN"
        " (SELECT device_no, time_ms, kind FROM connection_log WHERE device_no = $1 LIMIT $2)",
        device_no,
        limit,
    )
