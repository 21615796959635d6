"""The SQL that finds the commands by which sessions began."""

from typing import NamedTuple

from tellus.commands.model import DISCHARGE, START, Phase
from tellus.storage.database import Tx


class Beginning(NamedTuple):
    """A command that a charger took up to begin a session."""

    connector_id: int
    command_id: str
    transaction_id: str | None
    created_ms: int


def list_beginnings(tx: Tx, device_no: int, from_ms: int, to_ms: int) -> list[Beginning]:
    """Return the starts and discharges that a device took up, issued in ``[from_ms, to_ms]``."""
    rows = tx.rows(
        "SELECT connector_id, command_id, transaction_id, created_ms FROM commands"
        " WHERE device_no = $1 AND created_ms >= $2 AND created_ms <= $3 AND command IN ($4, $5)"
        " AND phase IN ($6, $7) ORDER BY command_no",
        device_no,
        from_ms,
        to_ms,
        START,
        DISCHARGE,
        Phase.ACCEPTED.value,
        Phase.COMPLETED.value,
    )
    return [Beginning(*row) for row in rows]
