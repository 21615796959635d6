"""The SQL that tells what energy still needs, and makes shapes of sessions coarser."""

from collections.abc import Sequence
from typing import NamedTuple

from tellus.energy.model import Doubt, Reason
from tellus.kernel.retention import Aged
from tellus.kernel.units import HOUR_MS
from tellus.storage.database import Tx

Position = tuple[int, int]
"""The end (ms) of a session and its number: the order in which sessions are looked at."""


class AgedSession(NamedTuple):
    """A session whose minutes may go: its row's number, its connector, its span, its shape."""

    session_no: int
    device_no: int
    connector_id: int
    start_ms: int
    end_ms: int
    shape: bytes


def list_marked(tx: Tx, places: Sequence[tuple[int, int]]) -> set[tuple[int, int]]:
    """Return which of these (device, connector) are to be folded again."""
    values = ", ".join(f"(${2 * k + 1}, ${2 * k + 2})" for k in range(len(places)))
    rows = tx.rows(
        "SELECT device_no, connector_id FROM energy_marks"
        f" WHERE (device_no, connector_id) IN (VALUES {values})",
        *(value for place in places for value in place),
    )
    return {(row[0], row[1]) for row in rows}


def list_gone_hours(
    tx: Tx, connector: tuple[int, int], from_hour_ms: int, to_ms: int, limit: int
) -> list[int]:
    """Return up to ``limit`` hours (ms) of a connector of which samples are gone, ascending."""
    rows = tx.rows(
        "SELECT hour_ms FROM sample_minutes WHERE device_no = $1 AND connector_id = $2"
        " AND hour_ms >= $3 AND hour_ms < $4 ORDER BY hour_ms LIMIT $5",
        *connector,
        from_hour_ms,
        to_ms,
        limit,
    )
    return [row[0] for row in rows]


def list_doubts(tx: Tx, connector: tuple[int, int], from_ms: int, to_ms: int) -> list[Doubt]:
    """Return a connector's samples in ``[from_ms, to_ms)`` that could not be believed."""
    rows = tx.rows(
        "SELECT time_ms, digest, reason FROM implausible_samples WHERE device_no = $1"
        " AND connector_id = $2 AND time_ms >= $3 AND time_ms < $4 ORDER BY time_ms, digest",
        *connector,
        from_ms,
        to_ms,
    )
    return [Doubt(row[0], row[1], Reason(row[2])) for row in rows]


def has_marks(tx: Tx, device_no: int) -> bool:
    """Tell whether any connector of a device is to be folded again."""
    return tx.row("SELECT 1 FROM energy_marks WHERE device_no = $1 LIMIT 1", device_no) is not None


def list_fine_spans(
    tx: Tx, places: Sequence[tuple[int, int]], from_ms: int, to_ms: int
) -> list[tuple[int, int, int, int]]:
    """Return (device, connector, start, end) of sessions in a span that are known by the minute."""
    values = ", ".join(f"(${2 * k + 3}, ${2 * k + 4})" for k in range(len(places)))
    rows = tx.rows(
        "SELECT device_no, connector_id, start_ms, coalesce(end_ms, last_ms) FROM energy_sessions"
        " WHERE resolution = 'minute' AND start_ms < $1"
        " AND (end_ms >= $2 OR (end_ms IS NULL AND last_ms >= $2))"
        f" AND (device_no, connector_id) IN (VALUES {values})",
        to_ms,
        from_ms,
        *(value for place in places for value in place),
    )
    return [(row[0], row[1], row[2], row[3]) for row in rows]


def has_fine_sessions(tx: Tx, from_ms: int, to_ms: int) -> bool:
    """Tell whether any session in a span (ms) is known by the minute."""
    row = tx.row(
        "SELECT 1 FROM energy_sessions WHERE resolution = 'minute' AND start_ms < $1"
        " AND (end_ms >= $2 OR (end_ms IS NULL AND last_ms >= $2)) LIMIT 1",
        to_ms,
        from_ms,
    )
    return row is not None


def list_aged_sessions(
    tx: Tx, after: Position, before_ms: int, limit: int
) -> tuple[list[AgedSession], Position | None]:
    """Return sessions after a position that ended before an instant and whose facts are as old.

    Looks at up to ``limit`` of them; the second value is where to go on, None at the end. Left out
    are those of which samples or younger means are stored, or whose record came since.
    """
    rows = tx.rows(
        "SELECT session_no, device_no, connector_id, start_ms, end_ms, shape,"
        " CASE WHEN EXISTS (SELECT 1 FROM sample_hours h WHERE h.device_no = s.device_no"
        " AND h.connector_id = s.connector_id AND h.hour_ms > s.start_ms - $1"
        " AND h.hour_ms <= s.end_ms)"
        " OR EXISTS (SELECT 1 FROM sample_minutes m WHERE m.device_no = s.device_no"
        " AND m.connector_id = s.connector_id AND m.hour_ms > s.start_ms - $1"
        " AND m.hour_ms <= s.end_ms AND m.received_to_ms >= $2)"
        " OR EXISTS (SELECT 1 FROM charging_records r WHERE r.device_no = s.device_no"
        " AND r.record_id = s.record_id AND r.received_ms >= $2)"
        " THEN 1 ELSE 0 END FROM energy_sessions s"
        " WHERE resolution = 'minute' AND end_ms < $2 AND (end_ms, session_no) > ($3, $4)"
        " ORDER BY end_ms, session_no LIMIT $5",
        HOUR_MS,
        before_ms,
        *after,
        limit,
    )
    aged = [AgedSession(*row[:6])._replace(shape=bytes(row[5])) for row in rows if not row[6]]
    last = (rows[-1][4], rows[-1][0]) if len(rows) == limit else None
    return aged, last


def make_coarser(tx: Tx, session: AgedSession, shape: bytes) -> bool:
    """Let a session be known by the quarter-hour, unless it was folded anew since it was read."""
    changed = tx.execute(
        "UPDATE energy_sessions SET shape = $1, resolution = 'quarter' WHERE session_no = $2"
        " AND resolution = 'minute' AND end_ms = $3 AND shape = $4",
        shape,
        session.session_no,
        session.end_ms,
        session.shape,
    )
    return changed > 0


def sum_fine_sessions(tx: Tx, before_ms: int) -> Aged:
    """Return what sessions come to that ended before an instant and are known by the minute."""
    row = tx.row(
        "SELECT count(*), coalesce(sum(length(shape)), 0), min(start_ms) FROM energy_sessions"
        " WHERE resolution = 'minute' AND end_ms < $1",
        before_ms,
    )
    return Aged() if row is None else Aged(row[0], int(row[1]), row[2])


def find_oldest_fine(tx: Tx) -> int | None:
    """Return the end (ms) of the oldest session that is known by the minute, or None."""
    row = tx.row("SELECT min(end_ms) FROM energy_sessions WHERE resolution = 'minute'")
    return None if row is None else row[0]


def remove_device(tx: Tx, device_no: int, limit: int) -> int:
    """Delete up to ``limit`` rows each of what is known of a device's sessions; return how many.

    What they moved stays in the sums of their sites and operators.
    """
    removed = tx.execute(
        "DELETE FROM energy_sessions WHERE session_no IN"
        " (SELECT session_no FROM energy_sessions WHERE device_no = $1 LIMIT $2)",
        device_no,
        limit,
    )
    removed += tx.execute(
        "DELETE FROM implausible_samples WHERE (device_no, connector_id, time_ms, digest) IN"
        " (SELECT device_no, connector_id, time_ms, digest FROM implausible_samples"
        " WHERE device_no = $1 LIMIT $2)",
        device_no,
        limit,
    )
    if not removed:
        tx.execute("DELETE FROM energy_marks WHERE device_no = $1", device_no)
        tx.execute("DELETE FROM past_places WHERE device_no = $1", device_no)
    return removed
