"""The SQL of conditions: what is the case, and was."""

from tellus.diagnostics.model import Condition
from tellus.storage.database import Tx

_COLUMNS = (
    "operator_id, matter, code, device_no, connector_id, site_id, found_by, since_ms, last_ms,"
    " seen_ms, told_ms, folded, cleared_ms, content"
)
_KEYS = ("operator_id", "matter")


def find_condition(tx: Tx, operator_id: str, matter: str) -> Condition | None:
    """Return the condition of a matter, present or past, or None."""
    row = tx.row(
        f"SELECT {_COLUMNS} FROM diagnostic_conditions WHERE operator_id = $1 AND matter = $2",
        operator_id,
        matter,
    )
    return None if row is None else Condition(*row)


def list_present(tx: Tx) -> list[Condition]:
    """Return all that is the case, in the order in which it was found."""
    rows = tx.rows(
        f"SELECT {_COLUMNS} FROM diagnostic_conditions WHERE cleared_ms IS NULL"
        " ORDER BY condition_no"
    )
    return [Condition(*row) for row in rows]


def list_of(tx: Tx, device_no: int) -> list[Condition]:
    """Return what is the case at a device, and what was."""
    rows = tx.rows(
        f"SELECT {_COLUMNS} FROM diagnostic_conditions WHERE device_no = $1 ORDER BY condition_no",
        device_no,
    )
    return [Condition(*row) for row in rows]


def list_codes(tx: Tx, device_no: int) -> list[str]:
    """Return of which codes something is the case at a device, or was."""
    rows = tx.rows(
        "SELECT DISTINCT code FROM diagnostic_conditions WHERE device_no = $1", device_no
    )
    return [row[0] for row in rows]


def upsert_condition(tx: Tx, condition: Condition) -> None:
    """Write a condition in place of the one of the same matter."""
    tx.execute(
        f"INSERT INTO diagnostic_conditions ({_COLUMNS})"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)"
        " ON CONFLICT (operator_id, matter) DO UPDATE SET "
        + ", ".join(
            f"{name} = excluded.{name}" for name in _COLUMNS.split(", ") if name not in _KEYS
        ),
        *condition,
    )


def remove_cleared(tx: Tx, before_ms: int) -> int:
    """Forget what has not been so since ``before_ms``; return how many conditions that were."""
    return tx.execute("DELETE FROM diagnostic_conditions WHERE cleared_ms < $1", before_ms)


def list_larger(tx: Tx, operator_id: str, code: str) -> list[Condition]:
    """Return what is the case of one code for an operator, and is about more than one device."""
    rows = tx.rows(
        f"SELECT {_COLUMNS} FROM diagnostic_conditions"
        " WHERE cleared_ms IS NULL AND operator_id = $1 AND code = $2 AND device_no = 0"
        " ORDER BY condition_no",
        operator_id,
        code,
    )
    return [Condition(*row) for row in rows]


def remove_of_device(tx: Tx, device_no: int, limit: int) -> int:
    """Forget up to ``limit`` conditions of a device; return how many those were."""
    return tx.execute(
        "DELETE FROM diagnostic_conditions WHERE condition_no IN"
        " (SELECT condition_no FROM diagnostic_conditions WHERE device_no = $1 LIMIT $2)",
        device_no,
        limit,
    )
