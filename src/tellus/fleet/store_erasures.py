"""The SQL of erasures: what was asked for, and what became of it."""

import json

from tellus.fleet.model_erasures import Erasure, GoneDevice
from tellus.storage.database import Row, Tx

_COLUMNS = (
    "erasure_id, kind, operator_id, device_no, device_id, asked_by, asked_ms, done_ms, removed"
)


def find_device(tx: Tx, device_id: str) -> GoneDevice | None:
    """Return a device, deleted or not, or None."""
    row = tx.row(
        "SELECT device_no, operator_id, deleted_ms FROM devices WHERE device_id = $1", device_id
    )
    return None if row is None else GoneDevice(*row)


def is_operator(tx: Tx, operator_id: str) -> bool:
    """Tell whether there is such an operator."""
    return tx.row("SELECT 1 FROM operators WHERE operator_id = $1", operator_id) is not None


def append_erasure(tx: Tx, erasure: Erasure) -> None:
    """Insert an erasure."""
    tx.insert_many(
        f"INSERT INTO erasures ({_COLUMNS})", [(*erasure[:8], json.dumps(dict(erasure.removed)))]
    )


def update_erasure(tx: Tx, erasure: Erasure) -> None:
    """Save how far an erasure is."""
    tx.execute(
        "UPDATE erasures SET done_ms = $1, removed = $2 WHERE erasure_id = $3",
        erasure.done_ms,
        json.dumps(dict(erasure.removed)),
        erasure.erasure_id,
    )


def find_erasure(tx: Tx, erasure_id: str) -> Erasure | None:
    """Return an erasure, or None."""
    row = tx.row(f"SELECT {_COLUMNS} FROM erasures WHERE erasure_id = $1", erasure_id)
    return None if row is None else _erasure(row)


def list_open(tx: Tx, limit: int) -> list[Erasure]:
    """Return up to ``limit`` erasures that are not done, oldest first."""
    rows = tx.rows(
        f"SELECT {_COLUMNS} FROM erasures WHERE done_ms IS NULL ORDER BY erasure_no LIMIT $1",
        limit,
    )
    return [_erasure(row) for row in rows]


def find_open_of(tx: Tx, device_no: int) -> Erasure | None:
    """Return the erasure of a device that is under way, or None."""
    row = tx.row(
        f"SELECT {_COLUMNS} FROM erasures WHERE done_ms IS NULL AND device_no = $1", device_no
    )
    return None if row is None else _erasure(row)


def list_erasures(tx: Tx, offset: int, limit: int) -> tuple[int, list[Erasure]]:
    """Return how many erasures there were and a page of them, newest first."""
    total = tx.row("SELECT count(*) FROM erasures")
    rows = tx.rows(
        f"SELECT {_COLUMNS} FROM erasures ORDER BY erasure_no DESC LIMIT $1 OFFSET $2",
        limit,
        offset,
    )
    return (total[0] if total else 0), [_erasure(row) for row in rows]


def _erasure(row: Row) -> Erasure:
    return Erasure(*row)._replace(removed=json.loads(row[8]))
