"""The SQL of controls."""

import msgspec

from tellus.flexibility.model import Control, ControlFilter, Phase
from tellus.storage.database import Row, Tx

_WRITTEN = (
    "control_id, operator_id, client_id, target_type, target_ids, command, limit_pct, reason,"
    " duration_ms, stagger_ms, chargers, phase, created_ms, until_ms, cancelled_ms"
)
_COLUMNS = f"control_no, {_WRITTEN}"


def append_control(tx: Tx, control: Control) -> int:
    """Append a control and return its number."""
    row = tx.row(
        f"INSERT INTO controls ({_WRITTEN}) VALUES"
        " ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) RETURNING control_no",
        control.control_id,
        control.operator_id,
        control.client_id,
        control.target_type,
        msgspec.json.encode(control.target_ids).decode(),
        control.command,
        control.limit_pct,
        control.reason,
        control.duration_ms,
        control.stagger_ms,
        control.chargers,
        control.phase,
        control.created_ms,
        control.until_ms,
        control.cancelled_ms,
    )
    return int(row[0]) if row else 0


def set_active(tx: Tx, control_no: int) -> None:
    """Let a control take effect."""
    tx.execute("UPDATE controls SET phase = 'active' WHERE control_no = $1", control_no)


def set_ended(tx: Tx, control_no: int) -> None:
    """Write that a control is over, unless it was cancelled before."""
    tx.execute(
        "UPDATE controls SET phase = 'ended' WHERE control_no = $1 AND phase = 'active'", control_no
    )


def set_cancelled(tx: Tx, control_no: int, now_ms: int) -> None:
    """Write that a control was cancelled."""
    tx.execute(
        "UPDATE controls SET phase = $1, cancelled_ms = $2 WHERE control_no = $3",
        Phase.CANCELLED,
        now_ms,
        control_no,
    )


def delete_control(tx: Tx, control_no: int) -> None:
    """Delete a control that has no targets."""
    tx.execute("DELETE FROM controls WHERE control_no = $1", control_no)


def find_control(tx: Tx, control_id: str, operator_id: str) -> Control | None:
    """Return an operator's control that took effect, or None."""
    row = tx.row(
        f"SELECT {_COLUMNS} FROM controls WHERE control_id = $1 AND operator_id = $2"
        " AND phase <> 'preparing'",
        control_id,
        operator_id,
    )
    return None if row is None else _from_row(row)


def count_controls(tx: Tx, wanted: ControlFilter, now_ms: int) -> int:
    """Return how many controls match."""
    where, values = _where(wanted, now_ms)
    row = tx.row(f"SELECT count(*) FROM controls WHERE {where}", *values)
    return int(row[0]) if row else 0


def list_controls(
    tx: Tx, wanted: ControlFilter, page: tuple[int, int], now_ms: int
) -> list[Control]:
    """Return a page (offset, size) of the controls that match, newest first."""
    where, values = _where(wanted, now_ms)
    last = len(values)
    rows = tx.rows(
        f"SELECT {_COLUMNS} FROM controls WHERE {where}"
        f" ORDER BY control_no DESC LIMIT ${last + 1} OFFSET ${last + 2}",
        *values,
        page[1],
        page[0],
    )
    return [_from_row(row) for row in rows]


def list_unfinished(tx: Tx, now_ms: int) -> list[Control]:
    """Return the controls that need attention: under way, to be closed, or being taken back."""
    rows = tx.rows(
        f"SELECT {_COLUMNS} FROM controls WHERE phase = 'active'"
        " OR (phase = 'cancelled' AND until_ms > $1) ORDER BY control_no",
        now_ms,
    )
    return [_from_row(row) for row in rows]


def list_prepared(tx: Tx, before_ms: int) -> list[int]:
    """Return the numbers of controls from up to ``before_ms`` whose caller was never answered."""
    rows = tx.rows(
        "SELECT control_no FROM controls WHERE phase = 'preparing' AND created_ms <= $1", before_ms
    )
    return [row[0] for row in rows]


def list_site_ids(tx: Tx, operator_id: str) -> frozenset[str]:
    """Return the operator's sites."""
    rows = tx.rows("SELECT site_id FROM sites WHERE operator_id = $1", operator_id)
    return frozenset(row[0] for row in rows)


def _where(wanted: ControlFilter, now_ms: int) -> tuple[str, list[object]]:
    conditions, values = ["operator_id = $1", "phase <> 'preparing'"], [wanted.operator_id, now_ms]
    if wanted.active is None:
        return " AND ".join(conditions), values[:1]
    is_active = "phase = 'active' AND until_ms > $2"
    conditions.append(is_active if wanted.active else f"NOT ({is_active})")
    return " AND ".join(conditions), list(values)


def _from_row(row: Row) -> Control:
    return Control(
        control_no=row[0],
        control_id=row[1],
        operator_id=row[2],
        client_id=row[3],
        target_type=row[4],
        target_ids=msgspec.json.decode(row[5], type=tuple[str, ...]),
        command=row[6],
        limit_pct=row[7],
        reason=row[8],
        duration_ms=row[9],
        stagger_ms=row[10],
        chargers=row[11],
        phase=Phase(row[12]),
        created_ms=row[13],
        until_ms=row[14],
        cancelled_ms=row[15],
    )
