"""The SQL of the inbox and of the connectors' turns: what waits to be looked at."""

from collections.abc import Iterable, Sequence

from tellus.diagnostics.model import Item
from tellus.storage.database import Tx

_ITEM = "kind, device_no, connector_id, ref, due_ms, content"


def put_items(tx: Tx, items: Iterable[Item]) -> None:
    """Let these be looked at; what waits already has the new content, and is due at the earlier."""
    unique = {item[:4]: item for item in items}
    tx.insert_later(
        "INSERT INTO diagnostic_inbox (kind, device_no, connector_id, ref, due_ms, content, marks)",
        [(*item[:6], 1) for _, item in sorted(unique.items())],
        "ON CONFLICT (kind, device_no, connector_id, ref) DO UPDATE SET"
        " content = excluded.content, marks = diagnostic_inbox.marks + 1,"
        " due_ms = CASE WHEN excluded.due_ms < diagnostic_inbox.due_ms"
        " THEN excluded.due_ms ELSE diagnostic_inbox.due_ms END",
    )


def list_due(tx: Tx, now_ms: int, limit: int) -> list[Item]:
    """Return up to ``limit`` items that are due, the oldest first."""
    rows = tx.rows(
        f"SELECT {_ITEM}, item_no, marks FROM diagnostic_inbox WHERE due_ms <= $1"
        " ORDER BY due_ms, item_no LIMIT $2",
        now_ms,
        limit,
    )
    return [Item(*row) for row in rows]


def count_waiting(tx: Tx) -> int:
    """Return how many items wait."""
    row = tx.row("SELECT COUNT(*) FROM diagnostic_inbox")
    return int(row[0]) if row else 0


def is_living(tx: Tx, device_no: int) -> bool:
    """Tell whether there is such a device still."""
    found = tx.row("SELECT 1 FROM devices WHERE device_no = $1 AND deleted_ms IS NULL", device_no)
    return found is not None


def take_off(tx: Tx, items: Sequence[Item]) -> set[int]:
    """Take items off that are as they were read; return the numbers of those."""
    taken = set()
    for item in items:
        if tx.execute(
            "DELETE FROM diagnostic_inbox WHERE item_no = $1 AND marks = $2",
            item.item_no,
            item.marks,
        ):
            taken.add(item.item_no)
    return taken


def postpone(tx: Tx, item: Item, due_ms: int) -> None:
    """Let an item be looked at later."""
    tx.execute("UPDATE diagnostic_inbox SET due_ms = $1 WHERE item_no = $2", due_ms, item.item_no)


def note_turns(tx: Tx, turns: Iterable[tuple[int, int, str, int]]) -> None:
    """Note when connectors were last started and so on: (device, connector, event type, ms)."""
    newest: dict[tuple[int, int, str], int] = {}
    for device_no, connector_id, event_type, time_ms in turns:
        place = (device_no, connector_id, event_type)
        newest[place] = max(time_ms, newest.get(place, time_ms))
    tx.insert_later(
        "INSERT INTO diagnostic_turns (device_no, connector_id, event_type, time_ms)",
        [(*key, time_ms) for key, time_ms in sorted(newest.items())],
        "ON CONFLICT (device_no, connector_id, event_type) DO UPDATE SET"
        " time_ms = excluded.time_ms WHERE excluded.time_ms > diagnostic_turns.time_ms",
    )


def find_turns(tx: Tx, device_no: int, connector_id: int) -> dict[str, int]:
    """Return when (ms) each type of event last came from a connector."""
    rows = tx.rows(
        "SELECT event_type, time_ms FROM diagnostic_turns"
        " WHERE device_no = $1 AND connector_id = $2",
        device_no,
        connector_id,
    )
    return {row[0]: row[1] for row in rows}


def remove_of_device(tx: Tx, device_no: int, limit: int) -> int:
    """Forget up to ``limit`` items of a device, and its turns; return how many rows those were."""
    items = tx.execute(
        "DELETE FROM diagnostic_inbox WHERE item_no IN"
        " (SELECT item_no FROM diagnostic_inbox WHERE device_no = $1 LIMIT $2)",
        device_no,
        limit,
    )
    return items + tx.execute("DELETE FROM diagnostic_turns WHERE device_no = $1", device_no)
