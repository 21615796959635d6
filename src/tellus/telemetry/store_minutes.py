"""The SQL of means of one minute."""

from collections.abc import Sequence
from typing import NamedTuple

from tellus.storage.database import Tx
from tellus.telemetry.model_minutes import Hour

_KEYS_AT_ONCE = 500


class StoredMinutes(NamedTuple):
    """A connector's hour of means; ``received_to_ms`` is when the newest sample in it arrived."""

    hour: Hour
    received_to_ms: int
    samples: int
    content: bytes


def list_minutes(tx: Tx, hours: Sequence[Hour]) -> list[StoredMinutes]:
    """Return the rows of these hours that there are."""
    found: list[StoredMinutes] = []
    for start in range(0, len(hours), _KEYS_AT_ONCE):
        part = hours[start : start + _KEYS_AT_ONCE]
        rows = tx.rows(
            "SELECT device_no, connector_id, hour_ms, received_to_ms, samples, content"
            f" FROM sample_minutes WHERE {keys_of(len(part))}",
            *(value for hour in part for value in hour),
        )
        found += [
            StoredMinutes((row[0], row[1], row[2]), row[3], row[4], bytes(row[5])) for row in rows
        ]
    return found


def list_minutes_between(
    tx: Tx, place: tuple[int, int], from_hour_ms: int, to_ms: int, limit: int
) -> list[tuple[int, bytes]]:
    """Return up to ``limit`` (hour, content) of a connector's hours up to an instant, ascending."""
    rows = tx.rows(
        "SELECT hour_ms, content FROM sample_minutes WHERE device_no = $1 AND connector_id = $2"
        " AND hour_ms >= $3 AND hour_ms < $4 ORDER BY hour_ms LIMIT $5",
        *place,
        from_hour_ms,
        to_ms,
        limit,
    )
    return [(row[0], bytes(row[1])) for row in rows]


def upsert_minutes(tx: Tx, rows: Sequence[StoredMinutes]) -> None:
    """Put these hours in place of the ones there may be."""
    tx.insert_many(
        "INSERT INTO sample_minutes"
        " (device_no, connector_id, hour_ms, received_to_ms, samples, content)",
        [(*row.hour, row.received_to_ms, row.samples, row.content) for row in sorted(rows)],
        "ON CONFLICT (device_no, connector_id, hour_ms) DO UPDATE SET"
        " received_to_ms = excluded.received_to_ms, samples = excluded.samples,"
        " content = excluded.content",
    )


def keys_of(count: int, first: int = 1) -> str:
    """Return the condition that names ``count`` hours, with parameters from number ``first`` on."""
    places = ", ".join(
        f"(${3 * k + first}, ${3 * k + first + 1}, ${3 * k + first + 2})" for k in range(count)
    )
    return f"(device_no, connector_id, hour_ms) IN (VALUES {places})"
