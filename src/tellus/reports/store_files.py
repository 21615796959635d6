"""The SQL of files: what is known of each, and their content in parts."""

from tellus.reports.model import Draft, StoredFile
from tellus.storage.database import Tx

_COLUMNS = (
    "file_id, operator_id, kind, name, media_type, size_bytes, sha256, created_ms, expires_ms"
)


def append_draft(tx: Tx, draft: Draft, now_ms: int) -> None:
    """Begin a file; nobody sees it before it is whole."""
    tx.insert_many(
        "INSERT INTO stored_files (file_id, operator_id, device_no, kind, name, media_type,"
        " created_ms, expires_ms, touched_ms)",
        [(*draft, now_ms)],
    )


def touch_draft(tx: Tx, file_id: str, now_ms: int) -> bool:
    """Say that a file still grows; tell whether it is still there and unfinished."""
    changed = tx.execute(
        "UPDATE stored_files SET touched_ms = $1 WHERE file_id = $2 AND size_bytes IS NULL",
        now_ms,
        file_id,
    )
    return changed == 1


def append_part(tx: Tx, file_id: str, part_no: int, content: bytes) -> None:
    """Append a part, counted from 0."""
    tx.insert_many(
        "INSERT INTO stored_file_parts (file_id, part_no, content)", [(file_id, part_no, content)]
    )


def finish(tx: Tx, file_id: str, size: int, sha256: str, now_ms: int) -> bool:
    """Make a file whole; tell whether it was still there."""
    changed = tx.execute(
        "UPDATE stored_files SET size_bytes = $1, sha256 = $2, touched_ms = $3"
        " WHERE file_id = $4 AND size_bytes IS NULL",
        size,
        sha256,
        now_ms,
        file_id,
    )
    return changed == 1


def find_file(tx: Tx, file_id: str) -> StoredFile | None:
    """Return a whole file, or None."""
    row = tx.row(
        f"SELECT {_COLUMNS} FROM stored_files WHERE file_id = $1 AND size_bytes IS NOT NULL",
        file_id,
    )
    return None if row is None else StoredFile(*row)


def is_draft(tx: Tx, file_id: str) -> bool:
    """Tell whether a file is there and not whole."""
    row = tx.row("SELECT size_bytes FROM stored_files WHERE file_id = $1", file_id)
    return row is not None and row[0] is None


def find_part(tx: Tx, file_id: str, part_no: int) -> bytes | None:
    """Return the content of a part, or None."""
    row = tx.row(
        "SELECT content FROM stored_file_parts WHERE file_id = $1 AND part_no = $2",
        file_id,
        part_no,
    )
    return None if row is None else bytes(row[0])


def list_ended(tx: Tx, now_ms: int, untouched_ms: int, limit: int) -> list[str]:
    """Return files that have expired, or were untouched since and never became whole."""
    rows = tx.rows(
        "SELECT file_id FROM stored_files WHERE expires_ms <= $1"
        " OR (size_bytes IS NULL AND touched_ms < $2) ORDER BY file_id LIMIT $3",
        now_ms,
        untouched_ms,
        limit,
    )
    return [row[0] for row in rows]


def remove(tx: Tx, file_id: str, limit: int) -> int:
    """Delete up to ``limit`` parts of a file, and with the last of them itself; return how many."""
    removed = tx.execute(
        "DELETE FROM stored_file_parts WHERE file_id = $1 AND part_no IN (SELECT part_no"
        " FROM stored_file_parts WHERE file_id = $1 ORDER BY part_no DESC LIMIT $2)",
        file_id,
        limit,
    )
    if removed == limit:
        return removed
    return removed + tx.execute("DELETE FROM stored_files WHERE file_id = $1", file_id)


def find_one_of(tx: Tx, device_no: int) -> str | None:
    """Return a file of a device, whole or not, or None."""
    row = tx.row("SELECT file_id FROM stored_files WHERE device_no = $1 LIMIT 1", device_no)
    return None if row is None else row[0]
