"""The SQL of what things are about: the device of an alert, a report, a run, a proposal."""

from collections.abc import Mapping
from typing import Final

from tellus.storage.database import Tx

SUBJECTS: Final[Mapping[str, str]] = {
    "alert_id": "SELECT device_no FROM alerts WHERE alert_id = $1",
    "report_id": "SELECT device_no FROM diagnostic_reports WHERE report_id = $1",
    "run_id": "SELECT device_no FROM runbook_runs WHERE run_id = $1",
    "proposal_id": "SELECT device_no FROM agent_proposals WHERE proposal_id = $1",
    "delivery_id": "SELECT a.device_no FROM webhook_outbox AS o JOIN alerts AS a"
    " ON a.alert_no = o.alert_no WHERE o.push_id = $1",
}
"""How the device of a thing is found, by the name of its identifier in paths."""


def find_device_no(tx: Tx, kind: str, identifier: str) -> int | None:
    """Return the number of the device that a thing is about; None for none, or no such thing."""
    row = tx.row(SUBJECTS[kind], identifier)
    return None if row is None else row[0]
