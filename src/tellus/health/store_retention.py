"""The SQL of minutes and hours of component health that have outlived their time, or are erased."""

from tellus.kernel.retention import Aged
from tellus.kernel.units import HOUR_MS
from tellus.storage.database import Tx

_NOT_DUE = (
    " AND NOT EXISTS (SELECT 1 FROM component_due d WHERE d.device_no = m.device_no"
    f" AND d.connector_id = m.connector_id AND d.start_ms = m.start_ms - m.start_ms % {HOUR_MS})"
)


def sum_minutes_before(tx: Tx, before_ms: int) -> Aged:
    """Return the minutes that began before an instant and are in their hours."""
    row = tx.row(
        "SELECT COUNT(*), COALESCE(SUM(LENGTH(content)), 0), MIN(start_ms)"
        f" FROM component_minutes m WHERE start_ms < $1{_NOT_DUE}",
        before_ms,
    )
    return Aged(*row) if row is not None else Aged()


def remove_minutes_before(tx: Tx, before_ms: int, limit: int) -> int:
    """Remove up to ``limit`` of the minutes that ``sum_minutes_before`` counts."""
    return tx.execute(
        "DELETE FROM component_minutes WHERE (device_no, connector_id, start_ms) IN"
        " (SELECT device_no, connector_id, start_ms FROM component_minutes m"
        f" WHERE start_ms < $1{_NOT_DUE} ORDER BY start_ms LIMIT $2)",
        before_ms,
        limit,
    )


def sum_hours_before(tx: Tx, before_ms: int) -> Aged:
    """Return the hours that began before an instant."""
    row = tx.row(
        "SELECT COUNT(*), COALESCE(SUM(LENGTH(content)), 0), MIN(start_ms)"
        " FROM component_hours WHERE start_ms < $1",
        before_ms,
    )
    return Aged(*row) if row is not None else Aged()


def remove_hours_before(tx: Tx, before_ms: int, limit: int) -> int:
    """Remove up to ``limit`` of the hours that began before an instant."""
    return tx.execute(
        "DELETE FROM component_hours WHERE (device_no, connector_id, start_ms) IN"
        " (SELECT device_no, connector_id, start_ms FROM component_hours"
        " WHERE start_ms < $1 ORDER BY start_ms LIMIT $2)",
        before_ms,
        limit,
    )


def find_oldest_minute(tx: Tx) -> int | None:
    """Return the start (ms) of the oldest minute."""
    row = tx.row("SELECT MIN(start_ms) FROM component_minutes")
    return None if row is None else row[0]


def find_oldest_hour(tx: Tx) -> int | None:
    """Return the start (ms) of the oldest hour."""
    row = tx.row("SELECT MIN(start_ms) FROM component_hours")
    return None if row is None else row[0]


def remove_minutes_of(tx: Tx, device_no: int, limit: int) -> int:
    """Remove up to ``limit`` minutes of a device, with all that is noted of them."""
    tx.execute("DELETE FROM component_due WHERE device_no = $1", device_no)
    tx.execute("DELETE FROM component_late WHERE device_no = $1", device_no)
    return tx.execute(
        "DELETE FROM component_minutes WHERE (device_no, connector_id, start_ms) IN"
        " (SELECT device_no, connector_id, start_ms FROM component_minutes"
        " WHERE device_no = $1 LIMIT $2)",
        device_no,
        limit,
    )


def remove_hours_of(tx: Tx, device_no: int, limit: int) -> int:
    """Remove up to ``limit`` hours of a device."""
    return tx.execute(
        "DELETE FROM component_hours WHERE (device_no, connector_id, start_ms) IN"
        " (SELECT device_no, connector_id, start_ms FROM component_hours"
        " WHERE device_no = $1 LIMIT $2)",
        device_no,
        limit,
    )
