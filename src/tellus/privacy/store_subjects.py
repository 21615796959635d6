"""The SQL of what is held of one vehicle."""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from tellus.privacy.model_subjects import Charge, Subject
from tellus.storage.database import Tx

Found = dict[str, Any]


class Part(NamedTuple):
    """Rows of one table: which columns of it are exported, and from where."""

    table: str
    columns: str
    source: str

    def list(self, tx: Tx, *parameters: Any) -> "list[Found]":
        """Return the rows, by the names of the columns."""
        names = [column.rpartition(".")[2] for column in self.columns.split()]
        rows = tx.rows(f"SELECT {', '.join(self.columns.split())} {self.source}", *parameters)
        return [dict(zip(names, row, strict=True)) for row in rows]


RECORDS: Final = Part(
    "charging_records",
    "device_no device_id site_id connector_id record_id start_ms end_ms energy_kwh max_power_kw"
    " avg_power_kw cost meter_start_kwh meter_end_kwh soc_start_pct soc_end_pct flags received_ms"
    " extras sealed_extras",
    "FROM charging_records WHERE operator_id = $1 AND subject_id = $2 ORDER BY start_ms, record_no",
)
"""By operator and subject. Those that are sealed are opened under the vehicle's key."""

KEYED: Final = (
    Part(
        "charging_record_conflicts",
        "d.device_id c.record_id c.received_ms c.sealed_content",
        "FROM charging_record_conflicts c JOIN devices d ON d.device_no = c.device_no"
        " WHERE c.subject_id = $1 ORDER BY c.received_ms",
    ),
    Part(
        "events",
        "d.device_id e.connector_id e.time_ms e.event_type e.fault_key e.received_ms e.origin"
        " e.sealed_data",
        "FROM events e JOIN devices d ON d.device_no = e.device_no"
        " WHERE e.subject_id = $1 ORDER BY e.time_ms",
    ),
)
"""By subject."""

OF_RECORD: Final = (
    Part(
        "energy_sessions",
        "session_id device_id connector_id site_id start_ms end_ms record_id charge_nkwh"
        " discharge_nkwh peak_nkwh soc_start_pct soc_end_pct samples basis resolution",
        "FROM energy_sessions WHERE operator_id = $1 AND device_no = $2 AND record_id = $3"
        " ORDER BY session_no",
    ),
    Part(
        "legacy_orders",
        "order_id vendor_order_id device_id connector_id kind limit_energy_kwh energy_kwh state"
        " reason record_id created_ms began_ms stopped_ms unplugged_ms ended_ms",
        "FROM legacy_orders WHERE operator_id = $1 AND device_no = $2 AND record_id = $3"
        " ORDER BY order_no",
    ),
)
"""By operator, device and record."""

_AT: Final = "device_no = $2 AND connector_id = $3"
_RUNS: Final = (
    f"SELECT run_id FROM runbook_runs WHERE operator_id = $1 AND {_AT}"
    " AND created_ms >= $4 AND created_ms < $5"
)
_ALERTS: Final = (
    f"SELECT alert_no FROM alerts WHERE operator_id = $1 AND {_AT}"
    " AND first_ms >= $4 AND first_ms < $5"
)
_COMMANDS: Final = (
    f"SELECT command_id FROM commands WHERE operator_id = $1 AND {_AT}"
    " AND created_ms >= $4 AND created_ms < $5"
)
_REPORTS: Final = (
    "FROM diagnostic_reports WHERE operator_id = $1 AND device_no = $2 AND $3 >= 0"
    " AND to_ms > $4 AND from_ms < $5"
)

OF_CHARGE: Final = (
    Part(
        "events",
        "connector_id time_ms event_type fault_key received_ms origin data",
        "FROM events WHERE device_no IN (SELECT device_no FROM devices WHERE operator_id = $1)"
        f" AND {_AT} AND time_ms >= $4 AND time_ms < $5 AND subject_id IS NULL ORDER BY time_ms",
    ),
    Part(
        "commands",
        "command_id connector_id command params phase result created_ms delivered_ms",
        f"FROM commands WHERE command_id IN ({_COMMANDS}) ORDER BY command_no",
    ),
    Part(
        "command_reports",
        "command_id status time_ms message details",
        f"FROM command_reports WHERE command_id IN ({_COMMANDS}) ORDER BY command_id, time_ms",
    ),
    Part(
        "alerts",
        "alert_id connector_id code severity title body evidence status first_ms last_ms ended_ms",
        f"FROM alerts WHERE alert_no IN ({_ALERTS}) ORDER BY alert_no",
    ),
    Part(
        "alert_notes",
        "a.alert_id n.at_ms n.field n.before n.after n.note",
        "FROM alert_notes n JOIN alerts a ON a.alert_no = n.alert_no"
        f" WHERE n.alert_no IN ({_ALERTS}) ORDER BY n.note_no",
    ),
    Part(
        "runbook_runs",
        "run_id slug connector_id vehicle status cause conclusion created_ms ended_ms",
        f"FROM runbook_runs WHERE run_id IN ({_RUNS}) ORDER BY run_no",
    ),
    Part(
        "runbook_steps",
        "run_id n step_id verdict finding evidence note began_ms ended_ms",
        f"FROM runbook_steps WHERE run_id IN ({_RUNS}) ORDER BY run_id, n",
    ),
    Part(
        "diagnostic_reports",
        "report_id device_id state from_ms to_ms created_ms note file_id",
        f"{_REPORTS} ORDER BY report_no",
    ),
    Part(
        "stored_files",
        "file_id kind name media_type size_bytes sha256 created_ms expires_ms",
        f"FROM stored_files WHERE file_id IN (SELECT file_id {_REPORTS}) ORDER BY file_id",
    ),
)
"""By operator, device, connector and a span (ms)."""


def list_operators(tx: Tx, operator_id: str | None) -> list[str]:
    """Return the operators there are, or the one that is asked for if there is one."""
    rows = tx.rows("SELECT operator_id FROM operators ORDER BY created_ms, operator_id")
    return [row[0] for row in rows if operator_id in (None, row[0])]


def find_subject(tx: Tx, subject_id: str) -> Subject | None:
    """Return a subject, or None."""
    row = tx.row(
        "SELECT subject_id, operator_id, created_ms, seen_ms FROM subjects WHERE subject_id = $1",
        subject_id,
    )
    return None if row is None else Subject(*row)


def list_other_charges(tx: Tx, charge: Charge, subject_id: str) -> list[tuple[int, int]]:
    """Return the spans (ms) in which others charged at the connector of ``charge`` meanwhile."""
    rows = tx.rows(
        "SELECT start_ms, end_ms FROM charging_records WHERE device_no = $1 AND connector_id = $2"
        " AND start_ms < $3 AND end_ms > $4 AND (subject_id IS NULL OR subject_id <> $5)",
        charge.device_no,
        charge.connector_id,
        charge.end_ms,
        charge.start_ms,
        subject_id,
    )
    return [(row[0], row[1]) for row in rows]


def list_sealed_numbers(tx: Tx, operator_id: str, subject_id: str) -> Sequence[tuple[str, bytes]]:
    """Return a sealed number of every other vehicle of an operator's records."""
    rows = tx.rows(
        "SELECT subject_id, sealed_vin FROM charging_records WHERE record_no IN (SELECT"
        " max(record_no) FROM charging_records WHERE operator_id = $1 AND subject_id <> $2"
        " AND sealed_vin IS NOT NULL GROUP BY subject_id)",
        operator_id,
        subject_id,
    )
    return [(row[0], bytes(row[1])) for row in rows]


def count_sealed(tx: Tx, operator_id: str, subject_id: str) -> dict[str, int]:
    """Return how many rows are sealed under a vehicle's key, by table."""
    asked = {
        "charging_records": "FROM charging_records WHERE operator_id = $1 AND subject_id = $2",
        "charging_record_conflicts": "FROM charging_record_conflicts WHERE $1 <> ''"
        " AND subject_id = $2",
        "events": "FROM events WHERE $1 <> '' AND subject_id = $2",
    }
    counts = {}
    for table, source in asked.items():
        row = tx.row(f"SELECT count(*) {source}", operator_id, subject_id)
        counts[table] = int(row[0]) if row else 0
    return {table: count for table, count in counts.items() if count}
