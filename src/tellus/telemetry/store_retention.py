"""The SQL that finds and drops what has outlived the raw tier or that of minutes."""

from collections.abc import Sequence
from typing import NamedTuple

from tellus.kernel.retention import Aged
from tellus.storage.database import Tx
from tellus.telemetry.model_minutes import Hour
from tellus.telemetry.store_minutes import keys_of

_KEYS_AT_ONCE = 500

Position = tuple[int, int, int]
"""An hour (ms), device and connector: the order in which packed hours are looked at."""

MinutesPosition = tuple[int, int, int, int]
"""An instant of arrival (ms), device, connector and hour (ms): that of hours of means."""


class OldHour(NamedTuple):
    """A packed hour of old times; ``is_put_off`` where it is known to be too young to go."""

    hour: Hour
    samples: int
    is_put_off: bool


def list_old_hours(tx: Tx, after: Position, to_ms: int, now_ms: int, limit: int) -> list[OldHour]:
    """Return up to ``limit`` packed hours after a position up to ``to_ms``, oldest first."""
    rows = tx.rows(
        "SELECT h.device_no, h.connector_id, h.hour_ms, h.samples,"
        " CASE WHEN l.look_ms > $1 THEN 1 ELSE 0 END FROM sample_hours h"
        " LEFT JOIN late_hours l ON l.device_no = h.device_no"
        " AND l.connector_id = h.connector_id AND l.hour_ms = h.hour_ms"
        " WHERE (h.hour_ms, h.device_no, h.connector_id) > ($2, $3, $4)"
        " AND h.hour_ms >= $2 AND h.hour_ms <= $5"
        " ORDER BY h.hour_ms, h.device_no, h.connector_id LIMIT $6",
        now_ms,
        *after,
        to_ms,
        limit,
    )
    return [OldHour((row[0], row[1], row[2]), row[3], bool(row[4])) for row in rows]


def list_packed(tx: Tx, hours: Sequence[Hour]) -> list[tuple[Hour, int, bytes]]:
    """Return (hour, samples, content) of these packed hours."""
    found: list[tuple[Hour, int, bytes]] = []
    for start in range(0, len(hours), _KEYS_AT_ONCE):
        part = hours[start : start + _KEYS_AT_ONCE]
        rows = tx.rows(
            "SELECT device_no, connector_id, hour_ms, samples, content FROM sample_hours"
            f" WHERE {keys_of(len(part))}",
            *(value for hour in part for value in hour),
        )
        found += [((row[0], row[1], row[2]), row[3], bytes(row[4])) for row in rows]
    return found


def remove_packed(tx: Tx, hours: Sequence[Hour]) -> int:
    """Delete these packed hours; return how many there were."""
    removed = 0
    for start in range(0, len(hours), _KEYS_AT_ONCE):
        part = hours[start : start + _KEYS_AT_ONCE]
        keys = [value for hour in part for value in hour]
        removed += tx.execute(f"DELETE FROM sample_hours WHERE {keys_of(len(part))}", *keys)
        tx.execute(f"DELETE FROM late_hours WHERE {keys_of(len(part))}", *keys)
    return removed


def put_off(tx: Tx, hours: Sequence[tuple[Hour, int]]) -> None:
    """Note until when (ms) packed hours need not be looked at again."""
    tx.insert_many(
        "INSERT INTO late_hours (device_no, connector_id, hour_ms, look_ms)",
        [(*hour, look_ms) for hour, look_ms in sorted(hours)],
        "ON CONFLICT (device_no, connector_id, hour_ms) DO UPDATE SET look_ms = excluded.look_ms",
    )


def sum_old_hours(tx: Tx, to_ms: int, now_ms: int) -> Aged:
    """Return what packed hours that began by ``to_ms`` come to, without those put off."""
    row = tx.row(
        "SELECT count(*), coalesce(sum(length(h.content)), 0), min(h.hour_ms) FROM sample_hours h"
        " LEFT JOIN late_hours l ON l.device_no = h.device_no"
        " AND l.connector_id = h.connector_id AND l.hour_ms = h.hour_ms"
        " WHERE h.hour_ms <= $1 AND (l.look_ms IS NULL OR l.look_ms <= $2)",
        to_ms,
        now_ms,
    )
    return Aged() if row is None else Aged(row[0], int(row[1]), row[2])


def find_oldest_hour(tx: Tx) -> int | None:
    """Return the oldest packed hour (ms), or None."""
    row = tx.row("SELECT min(hour_ms) FROM sample_hours")
    return None if row is None else row[0]


def list_old_minutes(
    tx: Tx, after: MinutesPosition, before_ms: int, limit: int
) -> list[MinutesPosition]:
    """Return up to ``limit`` hours of means after a position that arrived before an instant."""
    rows = tx.rows(
        "SELECT received_to_ms, device_no, connector_id, hour_ms FROM sample_minutes"
        " WHERE (received_to_ms, device_no, connector_id, hour_ms) > ($1, $2, $3, $4)"
        " AND received_to_ms < $5"
        " ORDER BY received_to_ms, device_no, connector_id, hour_ms LIMIT $6",
        *after,
        before_ms,
        limit,
    )
    return [(row[0], row[1], row[2], row[3]) for row in rows]


def remove_minutes(tx: Tx, hours: Sequence[Hour], before_ms: int) -> int:
    """Delete these hours of means unless something arrived since; return how many."""
    removed = 0
    for start in range(0, len(hours), _KEYS_AT_ONCE):
        part = hours[start : start + _KEYS_AT_ONCE]
        removed += tx.execute(
            f"DELETE FROM sample_minutes WHERE received_to_ms < $1 AND {keys_of(len(part), 2)}",
            before_ms,
            *(value for hour in part for value in hour),
        )
    return removed


def sum_old_minutes(tx: Tx, before_ms: int) -> Aged:
    """Return what hours of means come to of which all arrived before an instant (ms)."""
    row = tx.row(
        "SELECT count(*), coalesce(sum(length(content)), 0), min(hour_ms) FROM sample_minutes"
        " WHERE received_to_ms < $1",
        before_ms,
    )
    return Aged() if row is None else Aged(row[0], int(row[1]), row[2])


def find_oldest_minutes(tx: Tx) -> int | None:
    """Return the oldest hour of means (ms), or None."""
    row = tx.row("SELECT min(hour_ms) FROM sample_minutes")
    return None if row is None else row[0]


def list_log_keys(tx: Tx, device_no: int, limit: int) -> list[tuple[int, int, int, int]]:
    """Return up to ``limit`` keys of a device in the log; a scan where it has no index."""
    rows = tx.rows(
        "SELECT time_ms, device_no, connector_id, digest FROM samples"
        " WHERE device_no = $1 LIMIT $2",
        device_no,
        limit,
    )
    return [(row[0], row[1], row[2], row[3]) for row in rows]


def remove_log_keys(tx: Tx, keys: Sequence[tuple[int, int, int, int]]) -> int:
    """Delete the log's samples with these keys; return how many there were."""
    removed = 0
    for start in range(0, len(keys), _KEYS_AT_ONCE):
        part = keys[start : start + _KEYS_AT_ONCE]
        places = ", ".join(
            f"(${4 * k + 1}, ${4 * k + 2}, ${4 * k + 3}, ${4 * k + 4})" for k in range(len(part))
        )
        removed += tx.execute(
            "DELETE FROM samples WHERE (time_ms, device_no, connector_id, digest)"
            f" IN (VALUES {places})",
            *(value for key in part for value in key),
        )
    return removed


def remove_hours_of(tx: Tx, device_no: int, limit: int) -> int:
    """Delete up to ``limit`` hours each, packed or of means, of a device; return how many."""
    removed = tx.execute(
        "DELETE FROM sample_hours WHERE (device_no, connector_id, hour_ms) IN (SELECT"
        " device_no, connector_id, hour_ms FROM sample_hours WHERE device_no = $1 LIMIT $2)",
        device_no,
        limit,
    )
    removed += tx.execute(
        "DELETE FROM sample_minutes WHERE (device_no, connector_id, hour_ms) IN (SELECT"
        " device_no, connector_id, hour_ms FROM sample_minutes WHERE device_no = $1 LIMIT $2)",
        device_no,
        limit,
    )
    tx.execute(
        "DELETE FROM late_hours WHERE (device_no, connector_id, hour_ms) IN (SELECT"
        " device_no, connector_id, hour_ms FROM late_hours WHERE device_no = $1 LIMIT $2)",
        device_no,
        limit,
    )
    return removed
