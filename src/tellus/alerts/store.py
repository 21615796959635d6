"""The SQL of alerts, their history, and the runs they are linked with."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from tellus.alerts.model import (
    Alert,
    AlertFilter,
    AlertNote,
    AlertRun,
    AlertSeverity,
    AlertStatus,
    Condition,
    NoteField,
)
from tellus.consent.model_withheld import without
from tellus.storage.database import Row, Tx

_KEPT: Final = (
    "alert_id, operator_id, alert_key, site_id, device_no, connector_id, code, severity, title,"
    " body, found_by, runbook, evidence, status, condition, condition_ms, found, first_ms, last_ms,"
    " opened_ms, changed_ms, ended_ms, version"
)
_FROM: Final = (
    f"SELECT a.alert_no, {', '.join(f'a.{name}' for name in _KEPT.split(', '))}, d.device_id"
    " FROM alerts AS a LEFT JOIN devices AS d ON d.device_no = a.device_no"
)
NOTES_KEPT: Final = 500
"""How many lines of an alert's history are kept, the newest: a condition may come and go often."""


def append_alert(tx: Tx, alert: Alert) -> int:
    """Append an alert and return its number."""
    values = _values(alert)
    row = tx.row(
        f"INSERT INTO alerts ({_KEPT}) VALUES ({_marks(values)}) RETURNING alert_no", *values
    )
    return int(row[0]) if row else 0


def update_alert(tx: Tx, alert: Alert) -> None:
    """Write how an alert stands now."""
    tx.execute(
        "UPDATE alerts SET site_id = $1, severity = $2, title = $3, body = $4, found_by = $5,"
        " runbook = $6, evidence = $7, status = $8, condition = $9, condition_ms = $10,"
        " found = $11, first_ms = $12, last_ms = $13, changed_ms = $14, ended_ms = $15,"
        " version = $16 WHERE alert_no = $17",
        alert.site_id,
        alert.severity.value,
        alert.title,
        alert.text,
        alert.found_by,
        alert.runbook,
        msgspec.json.encode(alert.evidence).decode(),
        alert.status.value,
        alert.condition.value,
        alert.condition_ms,
        alert.found,
        alert.first_ms,
        alert.last_ms,
        alert.changed_ms,
        alert.ended_ms,
        alert.version,
        alert.alert_no,
    )


def find_live(tx: Tx, operator_id: str, key: str) -> Alert | None:
    """Return the live alert of a matter, or None."""
    row = tx.row(
        f"{_FROM} WHERE a.operator_id = $1 AND a.alert_key = $2 AND a.ended_ms IS NULL",
        operator_id,
        key,
    )
    return None if row is None else _alert(row)


def find_alert(tx: Tx, operator_id: str, alert_id: str) -> Alert | None:
    """Return an operator's alert, or None."""
    row = tx.row(f"{_FROM} WHERE a.alert_id = $1 AND a.operator_id = $2", alert_id, operator_id)
    return None if row is None else _alert(row)


def find_no(tx: Tx, alert_id: str) -> int | None:
    """Return the number of an alert, whoever's it is, or None."""
    row = tx.row("SELECT alert_no FROM alerts WHERE alert_id = $1", alert_id)
    return None if row is None else int(row[0])


def list_live(tx: Tx, operator_id: str, device_no: int | None) -> list[Alert]:
    """Return an operator's live alerts, of one device or all, oldest first."""
    conditions = "a.operator_id = $1 AND a.ended_ms IS NULL"
    values: list[Any] = [operator_id]
    if device_no is not None:
        conditions, values = f"{conditions} AND a.device_no = $2", [*values, device_no]
    rows = tx.rows(f"{_FROM} WHERE {conditions} ORDER BY a.alert_no", *values)
    return [_alert(row) for row in rows]


def list_of_device(tx: Tx, device_no: int) -> list[Alert]:
    """Return all live alerts of a device, of whichever operator."""
    rows = tx.rows(
        f"{_FROM} WHERE a.device_no = $1 AND a.ended_ms IS NULL ORDER BY a.alert_no", device_no
    )
    return [_alert(row) for row in rows]


def list_orphans(tx: Tx, limit: int) -> list[Alert]:
    """Return live alerts whose device was deleted, or is another operator's."""
    rows = tx.rows(
        f"{_FROM} WHERE a.ended_ms IS NULL AND a.device_no IS NOT NULL AND"
        " (d.device_no IS NULL OR d.deleted_ms IS NOT NULL OR d.operator_id <> a.operator_id)"
        " ORDER BY a.alert_no LIMIT $1",
        limit,
    )
    return [_alert(row) for row in rows]


def list_owners(tx: Tx, device_nos: Sequence[int]) -> dict[int, str]:
    """Return whose each device is; those that were deleted are left out."""
    if not device_nos:
        return {}
    rows = tx.rows(
        "SELECT device_no, operator_id FROM devices WHERE deleted_ms IS NULL"
        f" AND device_no IN ({_marks(device_nos)})",
        *device_nos,
    )
    return {row[0]: row[1] for row in rows}


def list_changed(tx: Tx, after: tuple[int, int], limit: int) -> list[tuple[int, int, int]]:
    """Return number, version and time of alerts that changed after a (time, number), in order."""
    rows = tx.rows(
        "SELECT alert_no, version, changed_ms FROM alerts WHERE changed_ms >= $1"
        " AND (changed_ms > $1 OR alert_no > $2) ORDER BY changed_ms, alert_no LIMIT $3",
        *after,
        limit,
    )
    return [(row[0], row[1], row[2]) for row in rows]


def list_by_no(tx: Tx, alert_nos: Sequence[int]) -> list[Alert]:
    """Return the alerts of these numbers, in their order."""
    if not alert_nos:
        return []
    rows = tx.rows(
        f"{_FROM} WHERE a.alert_no IN ({_marks(alert_nos)}) ORDER BY a.alert_no", *alert_nos
    )
    return [_alert(row) for row in rows]


def list_alerts(tx: Tx, wanted: AlertFilter, offset: int, size: int) -> tuple[int, list[Alert]]:
    """Return how many alerts match and a page of them, newest first."""
    where, values = _where(wanted)
    total = tx.row(
        "SELECT count(*) FROM alerts AS a LEFT JOIN devices AS d ON d.device_no = a.device_no"
        f" WHERE {where}",
        *values,
    )
    rows = tx.rows(
        f"{_FROM} WHERE {where} ORDER BY a.alert_no DESC"
        f" LIMIT ${len(values) + 1} OFFSET ${len(values) + 2}",
        *values,
        size,
        offset,
    )
    return (int(total[0]) if total else 0), [_alert(row) for row in rows]


def list_before(tx: Tx, wanted: AlertFilter, before_no: int, size: int) -> list[Alert]:
    """Return up to ``size`` of the alerts that match and came before one, newest first."""
    where, values = _where(wanted)
    rows = tx.rows(
        f"{_FROM} WHERE {where} AND a.alert_no < ${len(values) + 1}"
        f" ORDER BY a.alert_no DESC LIMIT ${len(values) + 2}",
        *values,
        before_no,
        size,
    )
    return [_alert(row) for row in rows]


# ------------------------------------------------------------------ history and runs


def append_notes(tx: Tx, alert_no: int, notes: Sequence[AlertNote]) -> None:
    """Append lines to an alert's history; beyond its bound the oldest go."""
    if not notes:
        return
    tx.insert_many(
        "INSERT INTO alert_notes (alert_no, at_ms, actor, field, before, after, note)",
        [(alert_no, one.at_ms, one.actor, one.field.value, *one[3:]) for one in notes],
    )
    tx.execute(
        "DELETE FROM alert_notes WHERE note_no IN (SELECT note_no FROM alert_notes"
        " WHERE alert_no = $1 ORDER BY note_no DESC LIMIT $2 OFFSET $3)",
        alert_no,
        NOTES_KEPT,
        NOTES_KEPT,
    )


def list_notes(tx: Tx, alert_no: int) -> list[AlertNote]:
    """Return an alert's history, oldest first."""
    rows = tx.rows(
        "SELECT at_ms, actor, field, before, after, note FROM alert_notes WHERE alert_no = $1"
        " ORDER BY note_no",
        alert_no,
    )
    return [AlertNote(row[0], row[1], NoteField(row[2]), *row[3:]) for row in rows]


def append_run(tx: Tx, alert_no: int, run: AlertRun) -> None:
    """Link a run with an alert; repeatable."""
    tx.insert_many(
        "INSERT INTO alert_runs (alert_no, run_id, runbook, linked_ms)",
        [(alert_no, *run)],
        "ON CONFLICT (alert_no, run_id) DO NOTHING",
    )


def list_runs(tx: Tx, alert_no: int) -> list[AlertRun]:
    """Return the runs that are linked with an alert, oldest first."""
    rows = tx.rows(
        "SELECT run_id, runbook, linked_ms FROM alert_runs WHERE alert_no = $1"
        " ORDER BY linked_ms, run_id",
        alert_no,
    )
    return [AlertRun(row[0], row[1], row[2]) for row in rows]


# ------------------------------------------------------------------ removing


def remove_of(tx: Tx, device_no: int, limit: int) -> int:
    """Remove up to ``limit`` alerts of a device with all that belongs to them; return how many."""
    return _remove(
        tx,
        tx.rows(
            "SELECT alert_no FROM alerts WHERE device_no = $1 ORDER BY alert_no LIMIT $2",
            device_no,
            limit,
        ),
    )


def remove_ended(tx: Tx, before_ms: int, limit: int) -> int:
    """Remove up to ``limit`` alerts that ended before; return how many."""
    return _remove(
        tx,
        tx.rows(
            "SELECT alert_no FROM alerts WHERE ended_ms < $1 ORDER BY ended_ms LIMIT $2",
            before_ms,
            limit,
        ),
    )


def _remove(tx: Tx, found: Sequence[Row]) -> int:
    if not found:
        return 0
    numbers = [row[0] for row in found]
    marks = _marks(numbers)
    tx.execute(f"DELETE FROM alert_notes WHERE alert_no IN ({marks})", *numbers)
    tx.execute(f"DELETE FROM alert_runs WHERE alert_no IN ({marks})", *numbers)
    tx.execute(f"DELETE FROM webhook_outbox WHERE alert_no IN ({marks})", *numbers)
    tx.execute(f"DELETE FROM alerts WHERE alert_no IN ({marks})", *numbers)
    return len(numbers)


# ------------------------------------------------------------------ rows


def _where(wanted: AlertFilter) -> tuple[str, list[Any]]:
    given = [
        ("a.operator_id =", wanted.operator_id),
        ("d.device_id =", wanted.device_id),
        ("a.site_id =", wanted.site_id),
        ("a.code =", wanted.code),
        ("a.severity =", wanted.severity),
        ("a.status =", wanted.status),
        ("a.condition =", wanted.condition),
        ("a.changed_ms >=", wanted.since_ms),
    ]
    held = [(clause, value) for clause, value in given if value is not None]
    clauses = [f"{clause} ${position}" for position, (clause, _) in enumerate(held, 1)]
    if wanted.withheld:
        others = without("a.device_no", wanted.withheld)
        clauses.append(f"(a.device_no IS NULL OR ({others}))")
    return " AND ".join(clauses), [value for _, value in held]


def _marks(values: Sequence[Any]) -> str:
    return ", ".join(f"${position}" for position in range(1, len(values) + 1))


def _values(alert: Alert) -> list[Any]:
    return [
        alert.alert_id,
        alert.operator_id,
        alert.key,
        alert.site_id,
        alert.device_no,
        alert.connector_id,
        alert.code,
        alert.severity.value,
        alert.title,
        alert.text,
        alert.found_by,
        alert.runbook,
        msgspec.json.encode(alert.evidence).decode(),
        alert.status.value,
        alert.condition.value,
        alert.condition_ms,
        alert.found,
        alert.first_ms,
        alert.last_ms,
        alert.opened_ms,
        alert.changed_ms,
        alert.ended_ms,
        alert.version,
    ]


def _alert(row: Row) -> Alert:
    return Alert(
        alert_no=row[0],
        alert_id=row[1],
        operator_id=row[2],
        key=row[3],
        site_id=row[4],
        device_no=row[5],
        connector_id=row[6],
        code=row[7],
        severity=AlertSeverity(row[8]),
        title=row[9],
        text=row[10],
        found_by=row[11],
        runbook=row[12],
        evidence=msgspec.json.decode(row[13]),
        status=AlertStatus(row[14]),
        condition=Condition(row[15]),
        condition_ms=row[16],
        found=row[17],
        first_ms=row[18],
        last_ms=row[19],
        opened_ms=row[20],
        changed_ms=row[21],
        ended_ms=row[22],
        version=row[23],
        device_id=row[24],
    )
