"""The SQL of what cannot be believed: implausible samples and flagged charging records."""

from typing import Any

from tellus.consent.model_withheld import without
from tellus.energy.model_sessions import DoubtCount, DoubtFilter, DoubtView
from tellus.storage.database import Tx

# Of a device that changed operators only what it said to the present one.
_SAMPLES = (
    "SELECT d.device_id AS device_id, s.connector_id AS connector_id, s.time_ms AS time_ms,"
    " s.reason AS reason, NULL AS record_id, s.digest AS tie"
    " FROM implausible_samples s JOIN devices d ON d.device_no = s.device_no"
    " AND d.deleted_ms IS NULL AND s.time_ms >= d.owned_since_ms"
    " WHERE d.operator_id = $1 AND s.time_ms >= $2 AND s.time_ms < $3"
)
_RECORDS = (
    "SELECT d.device_id AS device_id, d.connector_id AS connector_id, d.start_ms AS time_ms,"
    " d.flags AS reason, d.record_id AS record_id, d.record_no AS tie FROM charging_records d"
    " WHERE d.operator_id = $1 AND d.flags <> '' AND d.start_ms >= $2 AND d.start_ms < $3"
)


def count_doubts(tx: Tx, wanted: DoubtFilter) -> list[DoubtCount]:
    """Return how many samples and records there are by device and reason.

    The reason of a record is all its flags.
    """
    sql, values = _both(wanted)
    rows = tx.rows(
        "SELECT device_id, reason, record_id IS NOT NULL, count(*), max(time_ms)"
        f" FROM ({sql}) AS found GROUP BY 1, 2, 3 ORDER BY 1, 2, 3",
        *values,
    )
    return [DoubtCount(row[0], row[1], bool(row[2]), row[3], row[4]) for row in rows]


def list_doubts(tx: Tx, wanted: DoubtFilter, limit: int, offset: int) -> list[DoubtView]:
    """Return up to ``limit`` of them after skipping ``offset``, newest first."""
    sql, values = _both(wanted)
    last = len(values)
    rows = tx.rows(
        f"SELECT device_id, connector_id, time_ms, reason, record_id FROM ({sql}) AS found"
        " ORDER BY time_ms DESC, device_id, connector_id, tie"
        f" LIMIT ${last + 1} OFFSET ${last + 2}",
        *values,
        limit,
        offset,
    )
    return [DoubtView(*row) for row in rows]


def _both(wanted: DoubtFilter) -> tuple[str, list[Any]]:
    values: list[Any] = [wanted.operator_id, wanted.from_ms, wanted.to_ms]
    narrowed = ""
    for column, value in (("device_id", wanted.device_id), ("site_id", wanted.site_id)):
        if value is not None:
            values.append(value)
            narrowed += f" AND d.{column} = ${len(values)}"
    if wanted.withheld:
        narrowed += f" AND {without('d.device_no', wanted.withheld)}"
    return f"{_SAMPLES}{narrowed} UNION ALL {_RECORDS}{narrowed}", values
