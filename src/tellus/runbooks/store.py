"""The SQL of runs, their steps and their photos."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from tellus.consent.model_withheld import without
from tellus.runbooks.model import Photo, Run, RunFilter, RunStatus, Stage, StepRecord, Vehicle
from tellus.runbooks.model_catalogue import Verdict
from tellus.storage.database import Row, Tx

_RUN: Final = (
    "run_id, slug, operator_id, client_id, device_no, device_id, connector_id, alert_id,"
    " command_id, vehicle, status, n, stage, part, since_ms, due_ms, created_ms, updated_ms,"
    " pending_command_id, question, cause, conclusion, escalated_to, from_run_id, next_run_id,"
    " ended_ms, revision"
)
_STEP: Final = (
    "n, step_id, began_ms, verdict, finding, advice, evidence, answered_by, client_id, note,"
    " confirmed_by, command_ids, ended_ms"
)
_PHOTO: Final = "file_id, media_type, size, note, client_id, created_ms"


def append_run(tx: Tx, run: Run) -> None:
    """Append a new run."""
    tx.insert_many(f"INSERT INTO runbook_runs ({_RUN})", [_run_row(run)])


def update_run(tx: Tx, run: Run) -> bool:
    """Save what may change of a run; False if it changed meanwhile: then nothing is saved."""
    changed = tx.execute(
        "UPDATE runbook_runs SET client_id = $1, status = $2, n = $3, stage = $4, part = $5,"
        " since_ms = $6, due_ms = $7, updated_ms = $8, pending_command_id = $9, question = $10,"
        " cause = $11, conclusion = $12, escalated_to = $13, next_run_id = $14, ended_ms = $15,"
        " revision = revision + 1 WHERE run_id = $16 AND revision = $17",
        run.client_id,
        run.status.value,
        run.n,
        run.stage.value,
        run.part,
        run.since_ms,
        run.due_ms,
        run.updated_ms,
        run.pending_command_id,
        run.question,
        run.cause,
        run.conclusion,
        run.escalated_to,
        run.next_run_id,
        run.ended_ms,
        run.run_id,
        run.revision,
    )
    return changed == 1


def find_run(tx: Tx, run_id: str) -> Run | None:
    """Return a run, or None."""
    row = tx.row(f"SELECT {_RUN} FROM runbook_runs WHERE run_id = $1", run_id)
    return None if row is None else _to_run(row)


def find_live(tx: Tx, operator_id: str, slug: str, device_no: int, connector_id: int) -> Run | None:
    """Return the run of a runbook at a place that is not over, or None."""
    row = tx.row(
        f"SELECT {_RUN} FROM runbook_runs WHERE operator_id = $1 AND slug = $2"
        " AND device_no = $3 AND connector_id = $4 AND ended_ms IS NULL",
        operator_id,
        slug,
        device_no,
        connector_id,
    )
    return None if row is None else _to_run(row)


def find_owner(tx: Tx, device_no: int) -> str | None:
    """Return whose a device is, None where there is none."""
    row = tx.row("SELECT operator_id FROM devices WHERE device_no = $1", device_no)
    return None if row is None else row[0]


def list_left_behind(tx: Tx, device_no: int, operator_id: str) -> list[Run]:
    """Return the runs about a device that are not over and not its operator's."""
    rows = tx.rows(
        f"SELECT {_RUN} FROM runbook_runs"
        " WHERE device_no = $1 AND operator_id <> $2 AND ended_ms IS NULL",
        device_no,
        operator_id,
    )
    return [_to_run(row) for row in rows]


def list_due(tx: Tx, now_ms: int, size: int) -> list[str]:
    """Return the ids of runs that are to be looked at by ``now_ms``, the longest due first."""
    rows = tx.rows(
        "SELECT run_id FROM runbook_runs WHERE due_ms IS NOT NULL AND due_ms <= $1"
        " ORDER BY due_ms LIMIT $2",
        now_ms,
        size,
    )
    return [row[0] for row in rows]


def list_runs(tx: Tx, wanted: RunFilter, size: int, offset: int) -> tuple[int, list[Run]]:
    """Return how many runs match and a page of them, newest first."""
    where, values = _conditions(wanted)
    total = tx.row(f"SELECT count(*) FROM runbook_runs WHERE {where}", *values)
    rows = tx.rows(
        f"SELECT {_RUN} FROM runbook_runs WHERE {where} ORDER BY run_no DESC"
        f" LIMIT ${len(values) + 1} OFFSET ${len(values) + 2}",
        *values,
        size,
        offset,
    )
    return (total[0] if total else 0), [_to_run(row) for row in rows]


def count_ended(tx: Tx, run: Run, cause: str, since_ms: int) -> int:
    """Return how many other runs of the same runbook and place ended with ``cause`` since then."""
    row = tx.row(
        "SELECT count(*) FROM runbook_runs WHERE slug = $1 AND device_no = $2"
        " AND connector_id = $3 AND operator_id = $4 AND cause = $5 AND ended_ms >= $6"
        " AND run_id <> $7",
        run.slug,
        run.device_no,
        run.connector_id,
        run.operator_id,
        cause,
        since_ms,
        run.run_id,
    )
    return row[0] if row else 0


def upsert_steps(tx: Tx, run_id: str, records: Sequence[StepRecord]) -> None:
    """Store steps of a run as they are now."""
    tx.insert_many(
        f"INSERT INTO runbook_steps (run_id, {_STEP})",
        [(run_id, *_step_row(record)) for record in records],
        "ON CONFLICT (run_id, n) DO UPDATE SET verdict = excluded.verdict,"
        " finding = excluded.finding, advice = excluded.advice, evidence = excluded.evidence,"
        " answered_by = excluded.answered_by, client_id = excluded.client_id,"
        " note = excluded.note, confirmed_by = excluded.confirmed_by,"
        " command_ids = excluded.command_ids, ended_ms = excluded.ended_ms",
    )


def list_steps(tx: Tx, run_id: str) -> list[StepRecord]:
    """Return the steps that a run came to, in the order in which it did."""
    rows = tx.rows(
        f"SELECT {_STEP} FROM runbook_steps WHERE run_id = $1"
        " ORDER BY began_ms, ended_ms IS NULL, n",
        run_id,
    )
    return [_to_step(row) for row in rows]


def append_photo(tx: Tx, run_id: str, photo: Photo) -> None:
    """Note a photo that was sent along."""
    row = (run_id, *msgspec.structs.astuple(photo))
    tx.insert_many(f"INSERT INTO runbook_photos (run_id, {_PHOTO})", [row])


def list_photos(tx: Tx, run_id: str) -> list[Photo]:
    """Return the photos of a run, oldest first."""
    rows = tx.rows(
        f"SELECT {_PHOTO} FROM runbook_photos WHERE run_id = $1 ORDER BY created_ms, file_id",
        run_id,
    )
    return [Photo(*row) for row in rows]


def count_faulty(
    tx: Tx, operator_id: str, fault: str, from_ms: int, to_ms: int
) -> list[tuple[int, int]]:
    """Return which devices of an operator reported a fault in a time, and how often."""
    rows = tx.rows(
        "SELECT e.device_no, count(*) FROM devices AS d"
        " JOIN events AS e ON e.device_no = d.device_no"
        " WHERE d.operator_id = $1 AND e.event_type = 'fault' AND e.fault_key = $2"
        " AND e.time_ms >= $3 AND e.time_ms < $4 AND e.clock_suspect = 0"
        " AND e.received_ms >= d.owned_since_ms GROUP BY e.device_no",
        operator_id,
        fault,
        from_ms,
        to_ms,
    )
    return [(row[0], row[1]) for row in rows]


def _conditions(wanted: RunFilter) -> tuple[str, list[Any]]:
    clauses, values = ["operator_id = $1"], [wanted.operator_id]
    given: list[tuple[str, Any]] = [
        ("slug", wanted.slug),
        ("device_no", wanted.device_no),
        ("status", None if wanted.status is None else wanted.status.value),
        ("alert_id", wanted.alert_id),
    ]
    for column, value in given:
        if value is not None:
            values.append(value)
            clauses.append(f"{column} = ${len(values)}")
    if wanted.withheld:
        clauses.append(without("device_no", wanted.withheld))
    if wanted.is_over is not None:
        clauses.append(f"ended_ms IS {'NOT ' if wanted.is_over else ''}NULL")
    return " AND ".join(clauses), values


def _run_row(run: Run) -> tuple[Any, ...]:
    fields = list(msgspec.structs.astuple(run))
    names = [field.strip() for field in _RUN.split(",")]
    by_name = dict(zip(run.__struct_fields__, fields, strict=True))
    by_name["vehicle"] = msgspec.json.encode(run.vehicle).decode()
    by_name["status"], by_name["stage"] = run.status.value, run.stage.value
    return tuple(by_name[name] for name in names)


def _to_run(row: Row) -> Run:
    names = [field.strip() for field in _RUN.split(",")]
    fields = dict(zip(names, row, strict=True))
    fields["vehicle"] = msgspec.json.decode(fields["vehicle"], type=Vehicle)
    fields["status"], fields["stage"] = RunStatus(fields["status"]), Stage(fields["stage"])
    return Run(**fields)


def _step_row(record: StepRecord) -> tuple[Any, ...]:
    return (
        record.n,
        record.step_id,
        record.began_ms,
        None if record.verdict is None else record.verdict.value,
        record.finding,
        record.advice,
        msgspec.json.encode(record.evidence).decode(),
        record.answered_by,
        record.client_id,
        record.note,
        record.confirmed_by,
        msgspec.json.encode(record.command_ids).decode(),
        record.ended_ms,
    )


def _to_step(row: Row) -> StepRecord:
    names = [field.strip() for field in _STEP.split(",")]
    fields = dict(zip(names, row, strict=True))
    fields["verdict"] = None if fields["verdict"] is None else Verdict(fields["verdict"])
    fields["evidence"] = msgspec.json.decode(fields["evidence"])
    fields["command_ids"] = tuple(msgspec.json.decode(fields["command_ids"]))
    return StepRecord(**fields)


def remove_device(tx: Tx, device_no: int, limit: int) -> int:
    """Remove some of a device's runs with all that is kept of them; return how many rows."""
    rows = tx.rows(
        "SELECT run_id FROM runbook_runs WHERE device_no = $1 ORDER BY run_no LIMIT $2",
        device_no,
        max(1, limit // 10),
    )
    return _remove(tx, rows)


def remove_ended(tx: Tx, before_ms: int, limit: int) -> int:
    """Remove up to ``limit`` runs that ended before then; return how many rows."""
    rows = tx.rows(
        "SELECT run_id FROM runbook_runs WHERE ended_ms < $1 ORDER BY run_no LIMIT $2",
        before_ms,
        limit,
    )
    return _remove(tx, rows)


def _remove(tx: Tx, rows: Sequence[Row]) -> int:
    """Remove the runs of these rows with all that is kept of them; return how many rows."""
    removed = 0
    for (run_id,) in rows:
        removed += tx.execute("DELETE FROM runbook_steps WHERE run_id = $1", run_id)
        removed += tx.execute("DELETE FROM runbook_photos WHERE run_id = $1", run_id)
        removed += tx.execute("DELETE FROM runbook_runs WHERE run_id = $1", run_id)
    return removed
