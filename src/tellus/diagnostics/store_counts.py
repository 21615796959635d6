"""The SQL of counts: starts and faults by device, day and firmware."""

from collections.abc import Iterable, Sequence

from tellus.diagnostics.model import Count
from tellus.storage.database import Row, Tx

_KEYS_AT_ONCE = 500


def add_counts(tx: Tx, counts: Iterable[Count]) -> None:
    """Add what happened."""
    summed: dict[tuple[int, int, str, str], tuple[int, int, int]] = {}
    for count in counts:
        times, first_ms, last_ms = summed.get(count[:4], (0, count.at_ms, count.at_ms))
        span = (min(first_ms, count.at_ms), max(last_ms, count.at_ms))
        summed[count[:4]] = (times + count.times, *span)
    tx.insert_later(
        "INSERT INTO diagnostic_counts"
        " (device_no, day_ms, firmware_version, code, times, first_ms, last_ms)",
        [(*key, *value) for key, value in sorted(summed.items())],
        "ON CONFLICT (device_no, day_ms, firmware_version, code) DO UPDATE SET"
        " times = diagnostic_counts.times + excluded.times,"
        " first_ms = CASE WHEN excluded.first_ms < diagnostic_counts.first_ms"
        " THEN excluded.first_ms ELSE diagnostic_counts.first_ms END,"
        " last_ms = CASE WHEN excluded.last_ms > diagnostic_counts.last_ms"
        " THEN excluded.last_ms ELSE diagnostic_counts.last_ms END",
    )


def find_firmware_at(tx: Tx, device_no: int, at_ms: int) -> str | None:
    """Return the firmware that a device ran when it last counted before ``at_ms``, or None."""
    row = tx.row(
        "SELECT firmware_version FROM diagnostic_counts WHERE device_no = $1 AND first_ms <= $2"
        " ORDER BY first_ms DESC LIMIT 1",
        device_no,
        at_ms,
    )
    return None if row is None else str(row[0])


def sum_counts(tx: Tx, device_nos: Sequence[int], from_ms: int) -> list[Row]:
    """Return (device, firmware, code, times, first ms) of these devices since a day (ms)."""
    found: list[Row] = []
    for start in range(0, len(device_nos), _KEYS_AT_ONCE):
        part = device_nos[start : start + _KEYS_AT_ONCE]
        places = ", ".join(f"${k + 2}" for k in range(len(part)))
        found += tx.rows(
            "SELECT device_no, firmware_version, code, CAST(SUM(times) AS BIGINT), MIN(first_ms)"
            f" FROM diagnostic_counts WHERE day_ms >= $1 AND device_no IN ({places})"
            " GROUP BY device_no, firmware_version, code"
            " ORDER BY device_no, firmware_version, code",
            from_ms,
            *part,
        )
    return found


def remove_counts(tx: Tx, before_ms: int) -> int:
    """Forget the days before ``before_ms``."""
    return tx.execute("DELETE FROM diagnostic_counts WHERE day_ms < $1", before_ms)


def remove_of_device(tx: Tx, device_no: int, limit: int) -> int:
    """Forget up to ``limit`` counts of a device, the oldest days; return how many those were."""
    row = tx.row(
        "SELECT MAX(day_ms) FROM (SELECT day_ms FROM diagnostic_counts WHERE device_no = $1"
        " ORDER BY day_ms LIMIT $2) AS oldest",
        device_no,
        limit,
    )
    if row is None or row[0] is None:
        return 0
    return tx.execute(
        "DELETE FROM diagnostic_counts WHERE device_no = $1 AND day_ms <= $2", device_no, row[0]
    )
