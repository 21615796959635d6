"""The SQL of mentions: texts in which the masked number of a vehicle stands."""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from tellus.privacy.model import ProcessedTable
from tellus.storage.database import Tx
from tellus.storage.texts import replace_text

_MOST: Final = 10_000

KEYS: Final = {
    "agent_proposals": "proposal_no",
    "alert_notes": "note_no",
    "alerts": "alert_no",
    "command_reports": "command_id status time_ms",
    "config_profiles": "profile_id",
    "consents": "consent_no",
    "controls": "control_no",
    "customer_requests": "request_no",
    "diagnostic_reports": "report_no",
    "firmware_releases": "release_no",
    "firmware_rollouts": "rollout_no",
    "runbook_runs": "run_no",
    "runbook_steps": "run_id n",
    "transfer_grants": "grant_no",
    "v2g_vehicles": "vehicle_id",
    "webhook_outbox": "push_no",
    "webhooks": "webhook_no",
}
"""What identifies a row of each table that has texts."""

_OPERATORS: Final = {
    "alert_notes": "alert_no IN (SELECT alert_no FROM alerts WHERE operator_id = $1)",
    "command_reports": "command_id IN (SELECT command_id FROM commands WHERE operator_id = $1)",
    "runbook_steps": "run_id IN (SELECT run_id FROM runbook_runs WHERE operator_id = $1)",
    # Releases are everybody's.
    "firmware_releases": "$1 <> ''",
}
"""Which rows are an operator's, where they do not say so themselves."""


class Mention(NamedTuple):
    """A text that mentions a vehicle: where it stands, and what it says."""

    table: str
    column: str
    key: dict[str, Any]
    text: str


def list_mentions(
    tx: Tx, tables: Sequence[ProcessedTable], operator_id: str, mask: str
) -> list[Mention]:
    """Return the texts of an operator in which ``mask`` stands, however it is spelled."""
    return [
        mention
        for table in tables
        for column in table.texts
        for mention in _list_in(tx, table.name, column, operator_id, mask)
    ]


def _list_in(tx: Tx, table: str, column: str, operator_id: str, mask: str) -> list[Mention]:
    names = KEYS[table].split()
    rows = tx.rows(
        f"SELECT {column}, {', '.join(names)} FROM {table}"
        f" WHERE {_OPERATORS.get(table, 'operator_id = $1')}"
        f" AND lower({column}) LIKE $2 LIMIT $3",
        operator_id,
        f"%{mask.lower()}%",
        _MOST,
    )
    return [
        Mention(table, column, dict(zip(names, row[1:], strict=True)), str(row[0])) for row in rows
    ]


def hide_mention(tx: Tx, mention: Mention, text: str) -> bool:
    """Write ``text`` in the place of a mention; tell whether it still stood there."""
    return replace_text(tx, mention.table, mention.column, mention.key, (mention.text, text))
