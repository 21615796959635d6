"""The SQL that lists sessions; what writes them is in ``store``."""

from tellus.consent.model_withheld import without
from tellus.energy.model import Basis
from tellus.energy.model_sessions import SessionFilter, SessionView
from tellus.storage.database import Row, Tx

_COLUMNS = (
    "session_id, session_no, device_no, connector_id, device_id, site_id, start_ms, end_ms,"
    " last_ms, record_id, charge_nkwh, discharge_nkwh, peak_nkwh, soc_start_pct, soc_end_pct,"
    " samples, basis, resolution"
)
_ORDER = "start_ms DESC, session_no"


def count_sessions(tx: Tx, wanted: SessionFilter) -> int:
    """Return how many stored sessions match."""
    where, values = _where(wanted)
    row = tx.row(f"SELECT count(*) FROM energy_sessions WHERE {where}", *values)
    return int(row[0]) if row else 0


def list_sessions(tx: Tx, wanted: SessionFilter, limit: int, offset: int) -> list[SessionView]:
    """Return up to ``limit`` matching sessions after skipping ``offset``, newest first."""
    where, values = _where(wanted)
    last = len(values)
    rows = tx.rows(
        f"SELECT {_COLUMNS} FROM energy_sessions WHERE session_no IN"
        f" (SELECT session_no FROM energy_sessions WHERE {where}"
        f" ORDER BY {_ORDER} LIMIT ${last + 1} OFFSET ${last + 2}) ORDER BY {_ORDER}",
        *values,
        limit,
        offset,
    )
    return [_view(row) for row in rows]


def list_sessions_after(
    tx: Tx, wanted: SessionFilter, position: tuple[int, int], limit: int
) -> list[SessionView]:
    """Return up to ``limit`` matching sessions after (start in ms, number), newest first."""
    where, values = _where(wanted)
    last = len(values)
    rows = tx.rows(
        f"SELECT {_COLUMNS} FROM energy_sessions WHERE {where} AND start_ms <= ${last + 1}"
        f" AND (start_ms < ${last + 1} OR session_no > ${last + 2})"
        f" ORDER BY {_ORDER} LIMIT ${last + 3}",
        *values,
        *position,
        limit,
    )
    return [_view(row) for row in rows]


def find_session(tx: Tx, session_id: str, operator_id: str) -> SessionView | None:
    """Return a session of the operator, or None."""
    row = tx.row(
        f"SELECT {_COLUMNS} FROM energy_sessions WHERE session_id = $1 AND operator_id = $2",
        session_id,
        operator_id,
    )
    return None if row is None else _view(row)


def has_sessions(tx: Tx, operator_id: str, device_no: int) -> bool:
    """Tell whether the operator holds sessions of a device, perhaps from before it moved on."""
    return (
        tx.row(
            "SELECT 1 FROM energy_sessions WHERE device_no = $1 AND operator_id = $2 LIMIT 1",
            device_no,
            operator_id,
        )
        is not None
    )


def _where(wanted: SessionFilter) -> tuple[str, list[object]]:
    conditions = ["operator_id = $1"]
    values: list[object] = [wanted.operator_id]
    for condition, value in (
        ("device_no = $", wanted.device_no),
        ("connector_id = $", wanted.connector_id),
        ("site_id = $", wanted.site_id),
        ("start_ms >= $", wanted.from_ms),
        ("start_ms < $", wanted.to_ms),
    ):
        if value is not None:
            values.append(value)
            conditions.append(f"{condition}{len(values)}")
    if wanted.withheld:
        conditions.append(without("device_no", wanted.withheld))
    if wanted.is_active is not None:
        conditions.append("end_ms IS NULL" if wanted.is_active else "end_ms IS NOT NULL")
    return " AND ".join(conditions), values


def _view(row: Row) -> SessionView:
    return SessionView(*row)._replace(basis=Basis(row[16]))
