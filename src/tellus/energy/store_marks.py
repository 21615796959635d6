"""The SQL of marks: which spans of which connectors are to be folded again."""

from collections.abc import Iterable, Sequence

from tellus.energy.model_rows import Connector, Mark
from tellus.energy.store_progress import find_folded_to
from tellus.storage.database import Tx

_ALL = 2**62
_MARK = "device_no, connector_id, from_ms, to_ms, marks, first_ms, last_ms"
_PREFIXED = ", ".join(f"m.{name}" for name in _MARK.split(", "))

Span = tuple[int, int, int, int]
"""Device, connector, and the first and last instant (ms)."""


def put_marks(tx: Tx, spans: Iterable[Span], now_ms: int) -> None:
    """Mark these spans; where a connector is marked already its span grows."""
    grown: dict[Connector, tuple[int, int]] = {}
    for device_no, connector_id, from_ms, to_ms in spans:
        held = grown.get((device_no, connector_id), (from_ms, to_ms))
        grown[device_no, connector_id] = (min(from_ms, held[0]), max(to_ms, held[1]))
    tx.insert_later(
        f"INSERT INTO energy_marks ({_MARK})",
        [(*connector, *span, 1, now_ms, now_ms) for connector, span in sorted(grown.items())],
        "ON CONFLICT (device_no, connector_id) DO UPDATE SET"
        " from_ms = CASE WHEN excluded.from_ms < energy_marks.from_ms"
        " THEN excluded.from_ms ELSE energy_marks.from_ms END,"
        " to_ms = CASE WHEN excluded.to_ms > energy_marks.to_ms"
        " THEN excluded.to_ms ELSE energy_marks.to_ms END,"
        " marks = energy_marks.marks + 1, last_ms = excluded.last_ms",
    )


def mark_all(tx: Tx, from_ms: int, to_ms: int, now_ms: int, device_no: int | None = None) -> None:
    """Mark every connector (of one device, or of all that live) for ``[from_ms, to_ms]``."""
    chosen = "d.deleted_ms IS NULL" if device_no is None else "c.device_no = $1"
    rows = tx.rows(
        "SELECT c.device_no, c.connector_id FROM connectors c"
        f" JOIN devices d ON d.device_no = c.device_no WHERE {chosen}",
        *(() if device_no is None else (device_no,)),
    )
    put_marks(tx, [(row[0], row[1], from_ms, to_ms) for row in rows], now_ms)


def list_ripe(tx: Tx, quiet_ms: int, old_ms: int, limit: int) -> list[Mark]:
    """Return up to ``limit`` marks of facts that are all folded otherwise, the oldest first.

    Left out are those that grew after ``quiet_ms``, for more is coming, unless they are there since
    before ``old_ms``; and those that reach beyond where facts are folded.
    """
    rows = tx.rows(
        f"SELECT {_MARK} FROM energy_marks WHERE to_ms < $1"
        " AND (last_ms <= $2 OR first_ms <= $3)"
        " ORDER BY first_ms, device_no, connector_id LIMIT $4",
        find_folded_to(tx) or 0,
        quiet_ms,
        old_ms,
        limit,
    )
    return [Mark(*row) for row in rows]


def list_of_operator(tx: Tx, operator_id: str, limit: int | None) -> list[Mark]:
    """Return up to ``limit`` marks of an operator's devices, those that it once had among them.

    Left out are those that begin where facts are not folded yet.
    """
    rows = tx.rows(
        f"SELECT {_PREFIXED} FROM energy_marks m JOIN devices d ON d.device_no = m.device_no"
        " WHERE m.from_ms < $1 AND (d.operator_id = $2 OR EXISTS (SELECT 1 FROM past_places p"
        " WHERE p.device_no = m.device_no AND p.operator_id = $2))"
        " ORDER BY m.first_ms, m.device_no, m.connector_id LIMIT $3",
        find_folded_to(tx) or 0,
        operator_id,
        _ALL if limit is None else limit,
    )
    return [Mark(*row) for row in rows]


def list_marked(tx: Tx) -> frozenset[Connector]:
    """Return all connectors that are marked."""
    rows = tx.rows("SELECT device_no, connector_id FROM energy_marks")
    return frozenset((row[0], row[1]) for row in rows)


def list_reaching(tx: Tx, folded_to_ms: int) -> set[Connector]:
    """Return the connectors whose marks reach ``folded_to_ms`` or beyond."""
    rows = tx.rows(
        "SELECT device_no, connector_id FROM energy_marks WHERE to_ms >= $1", folded_to_ms
    )
    return {(row[0], row[1]) for row in rows}


def find_marks(tx: Tx, connectors: Sequence[Connector]) -> dict[Connector, Mark]:
    """Return the marks of these connectors."""
    found = {}
    for device_no, connector_id in connectors:
        row = tx.row(
            f"SELECT {_MARK} FROM energy_marks WHERE device_no = $1 AND connector_id = $2",
            device_no,
            connector_id,
        )
        if row is not None:
            found[device_no, connector_id] = Mark(*row)
    return found


def lift_mark(tx: Tx, mark: Mark) -> None:
    """Remove a mark, unless it has grown since it was read."""
    tx.execute(
        "DELETE FROM energy_marks WHERE device_no = $1 AND connector_id = $2"
        " AND marks = $3 AND first_ms = $4",
        *mark.connector,
        mark.marks,
        mark.first_ms,
    )


def shorten_mark(tx: Tx, mark: Mark, from_ms: int) -> None:
    """Let a mark begin at ``from_ms``, and end no earlier, unless it has grown since."""
    tx.execute(
        "UPDATE energy_marks SET from_ms = $1, to_ms = $2 WHERE device_no = $3"
        " AND connector_id = $4 AND marks = $5 AND first_ms = $6",
        from_ms,
        max(from_ms, mark.to_ms),
        *mark.connector,
        mark.marks,
        mark.first_ms,
    )


def count_marks(tx: Tx) -> tuple[int, int | None]:
    """Return how many connectors are marked, and since when (ms) the oldest is."""
    row = tx.row("SELECT COUNT(*), MIN(first_ms) FROM energy_marks")
    return (row[0], row[1]) if row else (0, None)
