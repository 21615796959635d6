"""The SQL that drops old events, and what a device leaves behind."""

from tellus.kernel.retention import Aged
from tellus.kernel.units import CLOCK_TOLERANCE_MS
from tellus.storage.database import Tx


def sum_events_before(tx: Tx, before_ms: int) -> Aged:
    """Return what events come to that arrived before an instant (ms)."""
    row = tx.row(
        "SELECT count(*), coalesce(sum(length(data) + coalesce(length(sealed_data), 0)), 0),"
        " min(time_ms) FROM events WHERE time_ms < $1 AND received_ms < $2",
        before_ms + CLOCK_TOLERANCE_MS,
        before_ms,
    )
    return Aged() if row is None else Aged(row[0], int(row[1]), row[2])


def find_oldest_event(tx: Tx) -> int | None:
    """Return the time (ms) of the oldest event, or None."""
    row = tx.row("SELECT min(time_ms) FROM events")
    return None if row is None else row[0]


def remove_events_before(tx: Tx, before_ms: int, limit: int) -> int:
    """Delete up to ``limit`` events that arrived before an instant (ms); return how many.

    Those of clocks that ran ahead stay until their time, too, has come.
    """
    return tx.execute(
        "DELETE FROM events WHERE (time_ms, device_no, connector_id, digest) IN"
        " (SELECT time_ms, device_no, connector_id, digest FROM events"
        " WHERE time_ms < $1 AND received_ms < $2"
        " ORDER BY time_ms, device_no, connector_id, digest LIMIT $3)",
        before_ms + CLOCK_TOLERANCE_MS,
        before_ms,
        limit,
    )


def remove_events_of(tx: Tx, device_no: int, limit: int) -> int:
    """Delete up to ``limit`` events of a device; return how many."""
    return tx.execute(
        "DELETE FROM events WHERE (time_ms, device_no, connector_id, digest) IN"
        " (SELECT time_ms, device_no, connector_id, digest FROM events"
        " WHERE device_no = $1 LIMIT $2)",
        device_no,
        limit,
    )


def blank_device(tx: Tx, device_no: int) -> None:
    """Take away what a deleted device's row tells beyond that it once was: address and proof."""
    tx.execute("UPDATE devices SET mac = NULL, proof = NULL WHERE device_no = $1", device_no)
