"""How far all facts are folded, and what may still come before that."""

from tellus.storage.database import Tx
from tellus.storage.instance import find_instance_value, note_instance_value

PROGRESS = "energy_progress"
"""The name under which progress is locked (see ``Tx.lock``)."""

_FOLDED_TO = "energy_folded_to_ms"
_ROUND_TO = "energy_round_to_ms"
# Longer ones are not the platform's, whose statements end after half a minute.
_LONGEST_MS = 300_000


def lock_progress(tx: Tx) -> None:
    """Let nobody else begin or end a round meanwhile."""
    tx.lock(PROGRESS)


def find_folded_to(tx: Tx) -> int | None:
    """Return the time (ms) before which every fact is folded unless marked; None at the first."""
    value = find_instance_value(tx, _FOLDED_TO)
    return None if value is None else int(value)


def move_folded_to(tx: Tx, held_ms: int | None, time_ms: int) -> bool:
    """Say that every fact before ``time_ms`` is folded, or marked; it was ``held_ms`` before.

    Returns False, and changes nothing, if it is another by now.
    """
    lock_progress(tx)
    if find_folded_to(tx) != held_ms:
        return False
    note_instance_value(tx, _FOLDED_TO, str(time_ms))
    return True


def note_round(tx: Tx, to_ms: int) -> None:
    """Say that a round is under way that folds up to ``to_ms``."""
    note_instance_value(tx, _ROUND_TO, str(to_ms))


def find_round_to(tx: Tx) -> int:
    """Return up to where (ms) the last round that was begun folds."""
    return int(find_instance_value(tx, _ROUND_TO) or 0)


def find_oldest_write_ms(tx: Tx) -> int | None:
    """Return since when (ms) the oldest transaction that writes, or waits to, is under way.

    For a database that several processes share: PostgreSQL alone can tell.
    """
    row = tx.row(
        "SELECT CAST(EXTRACT(EPOCH FROM MIN(xact_start)) * 1000 AS BIGINT) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        " AND (backend_xid IS NOT NULL OR wait_event_type = 'Lock')"
        " AND xact_start > now() - $1 * INTERVAL '1 millisecond'",
        _LONGEST_MS,
    )
    return None if row is None else row[0]
