"""The SQL of diagnostic reports."""

from collections.abc import Sequence
from typing import Any

from tellus.reports.model import Report, ReportState, StoredFile, Wanted
from tellus.storage.database import Row, Tx

_COLUMNS = (
    "report_id, operator_id, device_no, device_id, command_id, upload_digest, upload_until_ms,"
    " state, reason, note, from_ms, to_ms, created_ms, touched_ms, file_id, media_type, size_bytes,"
    " sha256, uploaded_ms, expires_ms"
)


def append_report(tx: Tx, report: Report) -> None:
    """Append a new report."""
    wanted = report.wanted
    row = (*report[:9], wanted.note, wanted.from_ms, wanted.to_ms, *report[10:])
    tx.insert_many(f"INSERT INTO diagnostic_reports ({_COLUMNS})", [_plain(row)])


def find_report(tx: Tx, report_id: str) -> Report | None:
    """Return a report, or None."""
    return _one(tx, "report_id = $1", report_id)


def find_by_digest(tx: Tx, upload_digest: str) -> Report | None:
    """Return the report whose upload address has the secret of a digest, or None."""
    return _one(tx, "upload_digest = $1", upload_digest)


def count_of_device(tx: Tx, operator_id: str, device_no: int) -> int:
    """Return how many reports an operator asked a device for."""
    row = tx.row(
        "SELECT count(*) FROM diagnostic_reports WHERE device_no = $1 AND operator_id = $2",
        device_no,
        operator_id,
    )
    return 0 if row is None else int(row[0])


def list_of_device(
    tx: Tx, operator_id: str, device_no: int, size: int, offset: int
) -> list[Report]:
    """Return a page of the reports an operator asked a device for, newest first."""
    rows = tx.rows(
        f"SELECT {_COLUMNS} FROM diagnostic_reports WHERE device_no = $1 AND operator_id = $2"
        " ORDER BY report_no DESC LIMIT $3 OFFSET $4",
        device_no,
        operator_id,
        size,
        offset,
    )
    return [_to_report(row) for row in rows]


def list_open(tx: Tx, after_id: str, limit: int) -> list[Report]:
    """Return reports that wait for an upload or take one, by identifier after one."""
    rows = tx.rows(
        f"SELECT {_COLUMNS} FROM diagnostic_reports"
        " WHERE state IN ('queued', 'uploading') AND report_id > $1 ORDER BY report_id LIMIT $2",
        after_id,
        limit,
    )
    return [_to_report(row) for row in rows]


def find_owner(tx: Tx, device_no: int) -> str | None:
    """Return whose a device is, None where it is gone."""
    row = tx.row(
        "SELECT operator_id FROM devices WHERE device_no = $1 AND deleted_ms IS NULL", device_no
    )
    return None if row is None else str(row[0])


def set_state(tx: Tx, report_id: str, state: ReportState, reason: str | None, now_ms: int) -> None:
    """Move a report on that is neither ready nor has failed for good."""
    tx.execute(
        "UPDATE diagnostic_reports SET state = $1, reason = $2, touched_ms = $3"
        " WHERE report_id = $4 AND file_id IS NULL AND state <> 'failed'",
        state.value,
        reason,
        now_ms,
        report_id,
    )


def withdraw(tx: Tx, device_nos: Sequence[int], reason: str, now_ms: int) -> None:
    """Let the reports of devices fail that nothing was uploaded for yet."""
    for device_no in device_nos:
        tx.execute(
            "UPDATE diagnostic_reports SET state = 'failed', reason = $1, touched_ms = $2"
            " WHERE device_no = $3 AND file_id IS NULL AND state IN ('queued', 'uploading')",
            reason,
            now_ms,
            device_no,
        )


def set_file(tx: Tx, report_id: str, file: StoredFile, now_ms: int) -> None:
    """Make a report ready."""
    tx.execute(
        "UPDATE diagnostic_reports SET state = 'ready', reason = NULL, file_id = $1,"
        " media_type = $2, size_bytes = $3, sha256 = $4, uploaded_ms = $5, touched_ms = $5,"
        " expires_ms = $6 WHERE report_id = $7",
        file.file_id,
        file.media_type,
        file.size,
        file.sha256,
        now_ms,
        file.expires_ms,
        report_id,
    )


def remove_before(tx: Tx, before_ms: int, limit: int) -> int:
    """Delete up to ``limit`` reports that were asked for before; return how many."""
    return tx.execute(
        "DELETE FROM diagnostic_reports WHERE report_no IN (SELECT report_no"
        " FROM diagnostic_reports WHERE created_ms < $1 ORDER BY created_ms LIMIT $2)",
        before_ms,
        limit,
    )


def remove_of(tx: Tx, device_no: int, limit: int) -> int:
    """Delete up to ``limit`` reports of a device; return how many."""
    return tx.execute(
        "DELETE FROM diagnostic_reports WHERE report_no IN (SELECT report_no"
        " FROM diagnostic_reports WHERE device_no = $1 LIMIT $2)",
        device_no,
        limit,
    )


def _one(tx: Tx, condition: str, value: str) -> Report | None:
    row = tx.row(f"SELECT {_COLUMNS} FROM diagnostic_reports WHERE {condition}", value)
    return None if row is None else _to_report(row)


def _plain(row: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(value.value if isinstance(value, ReportState) else value for value in row)


def _to_report(row: Row) -> Report:
    note, from_ms, to_ms = row[9:12]
    state = ReportState(row[7])
    return Report._make((*row[:7], state, row[8], Wanted(from_ms, to_ms, note), *row[12:]))
