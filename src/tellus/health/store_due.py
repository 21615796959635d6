"""The SQL of what is owed: hours that lack minutes, and what a process that died had taken in."""

from collections.abc import Iterable
from typing import NamedTuple

from tellus.health.model import SpanKey
from tellus.storage.database import Row, Tx


class DueHour(NamedTuple):
    """An hour with minutes that are not in it yet, and how often they were written by then."""

    key: SpanKey
    changes: int


class Gone(NamedTuple):
    """A process that is silent: up to when all of it is folded, when it was last heard (ms)."""

    folder_id: str
    folded_ms: int
    noted_ms: int


class Late(NamedTuple):
    """What came late to a process: samples of a connector in ``[from_ms, to_ms]``."""

    device_no: int
    connector_id: int
    from_ms: int
    to_ms: int


# ---------------------------------------------------------------------------------------- hours


def note_due(tx: Tx, hours: Iterable[SpanKey]) -> None:
    """Note that minutes of these hours were written."""
    tx.insert_many(
        "INSERT INTO component_due (start_ms, device_no, connector_id, changes)",
        sorted({(start_ms, device_no, number, 1) for device_no, number, start_ms in hours}),
        "ON CONFLICT (start_ms, device_no, connector_id)"
        " DO UPDATE SET changes = component_due.changes + 1",
    )


def list_due(tx: Tx, before_ms: int, limit: int) -> list[DueHour]:
    """Return up to ``limit`` hours that began before an instant, the oldest first."""
    rows = tx.rows(
        "SELECT device_no, connector_id, start_ms, changes FROM component_due"
        " WHERE start_ms < $1 ORDER BY start_ms, device_no, connector_id LIMIT $2",
        before_ms,
        limit,
    )
    return [DueHour((row[0], row[1], row[2]), row[3]) for row in rows]


def list_due_of(tx: Tx, device_no: int, from_ms: int, to_ms: int) -> list[SpanKey]:
    """Return the hours of a device in a span (ms) that lack minutes."""
    rows = tx.rows(
        "SELECT device_no, connector_id, start_ms FROM component_due"
        " WHERE device_no = $1 AND start_ms >= $2 AND start_ms < $3"
        " ORDER BY connector_id, start_ms",
        device_no,
        from_ms,
        to_ms,
    )
    return [(row[0], row[1], row[2]) for row in rows]


def settle_due(tx: Tx, due: DueHour) -> bool:
    """Note that an hour lacks nothing; tell whether it was still as it was read."""
    device_no, connector_id, start_ms = due.key
    return (
        tx.execute(
            "DELETE FROM component_due"
            " WHERE start_ms = $1 AND device_no = $2 AND connector_id = $3 AND changes = $4",
            start_ms,
            device_no,
            connector_id,
            due.changes,
        )
        > 0
    )


# ------------------------------------------------------------------------------------ processes


def note_folded(tx: Tx, folder_id: str, folded_ms: int, noted_ms: int) -> None:
    """Note up to when all that came to a process is in the minutes, and that it lives."""
    tx.execute(
        "INSERT INTO component_folders (folder_id, folded_ms, noted_ms) VALUES ($1, $2, $3)"
        " ON CONFLICT (folder_id) DO UPDATE"
        " SET folded_ms = excluded.folded_ms, noted_ms = excluded.noted_ms",
        folder_id,
        folded_ms,
        noted_ms,
    )


def list_silent(tx: Tx, folder_id: str, before_ms: int) -> list[Gone]:
    """Return the processes but ``folder_id`` that were last heard before an instant.

    Among them are those of which there is nothing but what came late to them.
    """
    rows = tx.rows(
        "SELECT folder_id, folded_ms, noted_ms FROM component_folders"
        " WHERE folder_id <> $1 AND noted_ms < $2"
        " UNION ALL SELECT l.folder_id, MIN(l.noted_ms), MAX(l.noted_ms) FROM component_late l"
        " WHERE l.folder_id <> $1 AND NOT EXISTS"
        " (SELECT 1 FROM component_folders f WHERE f.folder_id = l.folder_id)"
        " GROUP BY l.folder_id HAVING MAX(l.noted_ms) < $2",
        folder_id,
        before_ms,
    )
    return [Gone(*row) for row in rows]


def remove_own(tx: Tx, folder_id: str) -> None:
    """Forget a process that leaves, with what came late to it: all is in the minutes."""
    tx.execute("DELETE FROM component_folders WHERE folder_id = $1", folder_id)
    tx.execute("DELETE FROM component_late WHERE folder_id = $1", folder_id)


def remove_folder(tx: Tx, gone: Gone) -> None:
    """Forget a process, unless it has been heard since after all."""
    row = tx.row("SELECT noted_ms FROM component_folders WHERE folder_id = $1", gone.folder_id)
    if row is not None and row[0] != gone.noted_ms:
        return
    remove_own(tx, gone.folder_id)


# ----------------------------------------------------------------------------------------- late


def note_late(tx: Tx, folder_id: str, noted_ms: int, late: Iterable[Late]) -> None:
    """Note what came late, with the next statement or the commit."""
    tx.insert_later(
        "INSERT INTO component_late (folder_id, noted_ms, device_no, connector_id, from_ms, to_ms)",
        [(folder_id, noted_ms, *one) for one in late],
    )


def list_late(tx: Tx, folder_id: str) -> list[Late]:
    """Return what came late to a process and may not be in the minutes."""
    rows = tx.rows(
        "SELECT device_no, connector_id, MIN(from_ms), MAX(to_ms) FROM component_late"
        " WHERE folder_id = $1 GROUP BY device_no, connector_id"
        " ORDER BY device_no, connector_id",
        folder_id,
    )
    return [Late(*row) for row in rows]


def remove_late(tx: Tx, folder_id: str, before_ms: int) -> None:
    """Forget what came late to a process before an instant (ms): it is in the minutes."""
    tx.execute(
        "DELETE FROM component_late WHERE folder_id = $1 AND noted_ms < $2", folder_id, before_ms
    )


# -------------------------------------------------------------------------------------- samples


def list_log_page(tx: Tx, after: Row, to_ms: int, limit: int) -> list[Row]:
    """Return a page of the log after a key (time, device, connector, digest), up to a time.

    The rows are (time, device, connector, digest, received, content).
    """
    return tx.rows(
        "SELECT time_ms, device_no, connector_id, digest, received_ms, content FROM samples"
        " WHERE (time_ms, device_no, connector_id, digest) > ($1, $2, $3, $4) AND time_ms < $5"
        " ORDER BY time_ms, device_no, connector_id, digest LIMIT $6",
        *after,
        to_ms,
        limit,
    )
