"""The SQL of assignments, and of what chargers say they run."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from tellus.configuration.model import Assignment, Carrier, Reported, Standing
from tellus.storage.database import Row, Tx

_AT_ONCE: Final = 500
_ASSIGNED: Final = (
    "SELECT a.device_no, a.profile_id, p.name, a.version, p.version, v.hash, a.assigned_ms,"
    " a.command_id, c.phase, c.created_ms, c.updated_ms, c.delivered_ms, c.expires_ms,"
    " r.profile_id, r.hash, r.since_ms, a.settled_ms"
    " FROM config_assignments a"
    " JOIN devices d ON d.device_no = a.device_no AND d.operator_id = a.operator_id"
    " AND d.deleted_ms IS NULL"
    " JOIN config_profiles p ON p.profile_id = a.profile_id"
    " JOIN config_profile_versions v ON v.profile_id = a.profile_id AND v.version = a.version"
    " LEFT JOIN commands c ON c.command_id = a.command_id"
    " LEFT JOIN config_reports r ON r.device_no = a.device_no"
)


class Assigned(NamedTuple):
    """A new assignment of a device, and until when (ms) it is on its way."""

    device_no: int
    operator_id: str
    profile_id: str
    version: int
    assigned_ms: int
    command_id: str
    settled_ms: int
    look_ms: int


class Look(NamedTuple):
    """An assignment to look at again; ``settled_ms`` is what was known of it."""

    standing: Standing
    settled_ms: int


# ------------------------------------------------------------------ assignments


def find_standing(tx: Tx, device_no: int) -> Standing:
    """Return what a device was assigned and what it says it runs."""
    row = tx.row(f"{_ASSIGNED} WHERE a.device_no = $1", device_no)
    if row is not None:
        return _standing(row)
    found = tx.row(
        "SELECT profile_id, hash, since_ms FROM config_reports WHERE device_no = $1", device_no
    )
    return Standing(device_no, None, None if found is None else _reported(found))


def list_standings(tx: Tx, device_nos: Sequence[int] | None) -> list[Standing]:
    """Return the devices that were assigned a profile, among a few or of all, by number."""
    if device_nos is None:
        return [_standing(row) for row in tx.rows(f"{_ASSIGNED} ORDER BY a.device_no")]
    found = []
    wanted = sorted(set(device_nos))
    for start in range(0, len(wanted), _AT_ONCE):
        part = wanted[start : start + _AT_ONCE]
        places = ", ".join(f"${k + 1}" for k in range(len(part)))
        sql = f"{_ASSIGNED} WHERE a.device_no IN ({places}) ORDER BY a.device_no"
        found += [_standing(row) for row in tx.rows(sql, *part)]
    return found


def list_standings_of(tx: Tx, profile_id: str) -> list[Standing]:
    """Return the devices that were assigned a profile, by number."""
    rows = tx.rows(f"{_ASSIGNED} WHERE a.profile_id = $1 ORDER BY a.device_no", profile_id)
    return [_standing(row) for row in rows]


def count_assigned(tx: Tx, operator_id: str) -> dict[str, int]:
    """Return to how many living devices each profile of an operator is assigned."""
    rows = tx.rows(
        "SELECT a.profile_id, COUNT(*) FROM config_assignments a JOIN devices d"
        " ON d.device_no = a.device_no AND d.operator_id = a.operator_id AND d.deleted_ms IS NULL"
        " WHERE a.operator_id = $1 GROUP BY a.profile_id",
        operator_id,
    )
    return {row[0]: row[1] for row in rows}


def put_assignment(tx: Tx, assigned: Assigned) -> None:
    """Assign a profile to a device in place of any before."""
    tx.insert_many(
        "INSERT INTO config_assignments (device_no, operator_id, profile_id, version, assigned_ms,"
        " command_id, settled_ms, look_ms)",
        [assigned],
        "ON CONFLICT (device_no) DO UPDATE SET operator_id = excluded.operator_id,"
        " profile_id = excluded.profile_id, version = excluded.version,"
        " assigned_ms = excluded.assigned_ms, command_id = excluded.command_id,"
        " settled_ms = excluded.settled_ms, look_ms = excluded.look_ms",
    )


def remove_assignment(tx: Tx, device_no: int) -> bool:
    """Take a device's assignment away; tells whether there was one."""
    return tx.execute("DELETE FROM config_assignments WHERE device_no = $1", device_no) > 0


def remove_assigned(tx: Tx, device_no: int, command_id: str) -> bool:
    """Take a device's assignment away if that command carries it; tells whether it does."""
    sql = "DELETE FROM config_assignments WHERE device_no = $1 AND command_id = $2"
    return tx.execute(sql, device_no, command_id) > 0


def list_due(tx: Tx, now_ms: int, limit: int) -> list[Look]:
    """Return assignments whose command is to be looked at again, the longest due first."""
    rows = tx.rows(
        f"{_ASSIGNED} WHERE a.look_ms <= $1 ORDER BY a.look_ms, a.device_no LIMIT $2",
        now_ms,
        limit,
    )
    return [Look(_standing(row), row[16]) for row in rows]


def set_look(tx: Tx, device_no: int, command_id: str, settled_ms: int, look_ms: int | None) -> None:
    """Note until when an assignment is on its way, and when to look again, unless it is another."""
    tx.execute(
        "UPDATE config_assignments SET settled_ms = $1, look_ms = $2"
        " WHERE device_no = $3 AND command_id = $4",
        settled_ms,
        look_ms,
        device_no,
        command_id,
    )


# ------------------------------------------------------------------ what chargers say


def upsert_reports(tx: Tx, rows: Sequence[tuple[int, str, str, int]]) -> list[int]:
    """Write what devices say (device, profile, hash, ms); return those that say something else.

    Empty stands for what is not said. Where the store knows something newer that stays, so that
    several nodes may write. Each device may stand in ``rows`` once.
    """
    changed = tx.insert_returning(
        "INSERT INTO config_reports (device_no, profile_id, hash, since_ms)",
        sorted(rows),
        "ON CONFLICT (device_no) DO UPDATE SET profile_id = excluded.profile_id,"
        " hash = excluded.hash, since_ms = excluded.since_ms"
        " WHERE (config_reports.profile_id, config_reports.hash)"
        " <> (excluded.profile_id, excluded.hash)"
        " AND excluded.since_ms >= config_reports.since_ms RETURNING device_no",
    )
    return sorted(row[0] for row in changed)


def list_reports(tx: Tx) -> dict[int, tuple[str, str]]:
    """Return (profile, hash) as living devices last said, by device."""
    rows = tx.rows(
        "SELECT r.device_no, r.profile_id, r.hash FROM config_reports r"
        " JOIN devices d ON d.device_no = r.device_no AND d.deleted_ms IS NULL"
    )
    return {row[0]: (row[1], row[2]) for row in rows}


def read_reports(tx: Tx, device_nos: Sequence[int]) -> dict[int, tuple[str, str]]:
    """Return (profile, hash) as devices last said, by device; few at a time."""
    if not device_nos:
        return {}
    places = ", ".join(f"${k + 1}" for k in range(len(device_nos)))
    rows = tx.rows(
        f"SELECT device_no, profile_id, hash FROM config_reports WHERE device_no IN ({places})",
        *device_nos,
    )
    return {row[0]: (row[1], row[2]) for row in rows}


def remove_device(tx: Tx, device_no: int, _limit: int) -> int:
    """Remove all that is kept of a device; returns how many rows that were."""
    reports = tx.execute("DELETE FROM config_reports WHERE device_no = $1", device_no)
    return reports + int(remove_assignment(tx, device_no))


def _standing(row: Row) -> Standing:
    carrier = None if row[8] is None else Carrier(*row[8:13])
    assignment = Assignment._make((*row[1:8], carrier))
    reported = None if row[15] is None else _reported(row[13:16])
    return Standing(row[0], assignment, reported)


def _reported(row: Row) -> Reported:
    return Reported(row[0] or None, row[1] or None, row[2])
