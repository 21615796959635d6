"""Facts about this instance as a whole, by name, such as identifiers that never change again."""

from tellus.storage.database import Tx


def find_instance_value(tx: Tx, name: str) -> str | None:
    """Return the value kept under ``name``, or None."""
    row = tx.row("SELECT value FROM instance WHERE name = $1", name)
    return row[0] if row else None


def keep_instance_value(tx: Tx, name: str, value: str) -> str:
    """Keep ``value`` under ``name`` unless there is one already; return the one that is kept."""
    tx.execute(
        "INSERT INTO instance (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING",
        name,
        value,
    )
    kept = find_instance_value(tx, name)
    return value if kept is None else kept


def note_instance_value(tx: Tx, name: str, value: str) -> None:
    """Keep ``value`` under ``name`` in place of the one there may be."""
    tx.execute(
        "INSERT INTO instance (name, value) VALUES ($1, $2)"
        " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        name,
        value,
    )
