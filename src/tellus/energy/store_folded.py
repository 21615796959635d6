"""The SQL of sessions as the folder writes them, and of the samples that it did not believe."""

from collections.abc import Iterator, Sequence

from tellus.energy.model import Doubt
from tellus.energy.model_rows import Connector, StoredSession
from tellus.storage.database import Row, Tx

_COLUMNS = (
    "session_no, session_id, device_no, connector_id, device_id, operator_id, site_id, start_ms,"
    " end_ms, last_ms, record_id, charge_nkwh, discharge_nkwh, peak_nkwh, soc_start_pct,"
    " soc_end_pct, samples, basis, resolution, folded_to_ms, shape, carry"
)
_NEW = _COLUMNS.removeprefix("session_no, ")
_CONNECTORS_AT_ONCE = 250
_ROWS_AT_ONCE = 500


def list_open(tx: Tx, connectors: Sequence[Connector]) -> list[StoredSession]:
    """Return the sessions without an end of these connectors."""
    return _of_connectors(tx, connectors, " AND end_ms IS NULL")


def find_folded_to(tx: Tx, connectors: Sequence[Connector]) -> dict[Connector, int]:
    """Return how far (ms) the sessions of these connectors were folded, where there are any."""
    found: dict[Connector, int] = {}
    for part, places in _parts(connectors):
        for row in tx.rows(
            "SELECT device_no, connector_id, MAX(folded_to_ms) FROM energy_sessions"
            f" WHERE (device_no, connector_id) IN (VALUES {places})"
            " GROUP BY device_no, connector_id",
            *part,
        ):
            found[row[0], row[1]] = row[2]
    return found


def list_between(tx: Tx, connector: Connector, from_ms: int, to_ms: int) -> list[StoredSession]:
    """Return a connector's sessions that meet ``[from_ms, to_ms]``, in order of start.

    Those that only touch one end of it are among them.
    """
    rows = tx.rows(
        f"SELECT {_COLUMNS} FROM energy_sessions WHERE device_no = $1 AND connector_id = $2"
        " AND start_ms <= $3 AND (end_ms IS NULL OR end_ms >= $4) ORDER BY start_ms, session_no",
        *connector,
        to_ms,
        from_ms,
    )
    return [_session(row) for row in rows]


def list_numbered(tx: Tx, numbers: Sequence[int]) -> dict[int, StoredSession]:
    """Return the sessions with these numbers."""
    found = {}
    for start in range(0, len(numbers), _ROWS_AT_ONCE):
        part = numbers[start : start + _ROWS_AT_ONCE]
        places = ", ".join(f"${k + 1}" for k in range(len(part)))
        for row in tx.rows(
            f"SELECT {_COLUMNS} FROM energy_sessions WHERE session_no IN ({places})", *part
        ):
            found[row[0]] = _session(row)
    return found


def list_taken(tx: Tx, session_ids: Sequence[str]) -> set[str]:
    """Return which of these identifiers sessions have."""
    found: set[str] = set()
    for start in range(0, len(session_ids), _ROWS_AT_ONCE):
        part = session_ids[start : start + _ROWS_AT_ONCE]
        places = ", ".join(f"${k + 1}" for k in range(len(part)))
        sql = f"SELECT session_id FROM energy_sessions WHERE session_id IN ({places})"
        found.update(row[0] for row in tx.rows(sql, *part))
    return found


def list_all(tx: Tx) -> Iterator[StoredSession]:
    """Yield all sessions, a few hundred at a time, in order of their numbers."""
    after = 0
    while True:
        rows = tx.rows(
            f"SELECT {_COLUMNS} FROM energy_sessions WHERE session_no > $1"
            " ORDER BY session_no LIMIT $2",
            after,
            _ROWS_AT_ONCE,
        )
        yield from map(_session, rows)
        if len(rows) < _ROWS_AT_ONCE:
            return
        after = rows[-1][0]


def count_all(tx: Tx) -> tuple[int, int]:
    """Return how many sessions are stored, and samples that cannot be believed."""
    row = tx.row(
        "SELECT (SELECT COUNT(*) FROM energy_sessions), (SELECT COUNT(*) FROM implausible_samples)"
    )
    return (row[0], row[1]) if row else (0, 0)


def put_sessions(tx: Tx, sessions: Sequence[StoredSession]) -> None:
    """Write sessions in place of those of their numbers, and new ones beside."""
    rows = [_values(session) for session in sessions]
    tx.insert_many(f"INSERT INTO energy_sessions ({_NEW})", [row[1:] for row in rows if not row[0]])
    kept = sorted(row for row in rows if row[0])
    tx.insert_many(
        f"INSERT INTO energy_sessions ({_COLUMNS})",
        kept,
        "ON CONFLICT (session_no) DO UPDATE SET "
        + ", ".join(f"{name} = excluded.{name}" for name in _NEW.split(", ")),
    )


def delete_sessions(tx: Tx, numbers: Sequence[int]) -> None:
    """Delete the sessions with these numbers."""
    for start in range(0, len(numbers), _ROWS_AT_ONCE):
        part = numbers[start : start + _ROWS_AT_ONCE]
        places = ", ".join(f"${k + 1}" for k in range(len(part)))
        tx.execute(f"DELETE FROM energy_sessions WHERE session_no IN ({places})", *part)


def append_doubts(tx: Tx, doubts: Sequence[tuple[Connector, Doubt]]) -> None:
    """Remember samples that cannot be believed."""
    tx.insert_many(
        "INSERT INTO implausible_samples (device_no, connector_id, time_ms, digest, reason)",
        sorted((*connector, *doubt) for connector, doubt in doubts),
        "ON CONFLICT (device_no, connector_id, time_ms, digest)"
        " DO UPDATE SET reason = excluded.reason",
    )


def delete_doubts(tx: Tx, connector: Connector, from_ms: int, to_ms: int) -> None:
    """Forget the samples of ``[from_ms, to_ms)`` that could not be believed."""
    tx.execute(
        "DELETE FROM implausible_samples WHERE device_no = $1 AND connector_id = $2"
        " AND time_ms >= $3 AND time_ms < $4",
        *connector,
        from_ms,
        to_ms,
    )


def _of_connectors(tx: Tx, connectors: Sequence[Connector], condition: str) -> list[StoredSession]:
    return [
        _session(row)
        for part, places in _parts(connectors)
        for row in tx.rows(
            f"SELECT {_COLUMNS} FROM energy_sessions WHERE (device_no, connector_id)"
            f" IN (VALUES {places}){condition} ORDER BY start_ms, session_no",
            *part,
        )
    ]


def _parts(connectors: Sequence[Connector]) -> Iterator[tuple[list[int], str]]:
    for start in range(0, len(connectors), _CONNECTORS_AT_ONCE):
        part = connectors[start : start + _CONNECTORS_AT_ONCE]
        places = ", ".join(f"(${2 * k + 1}, ${2 * k + 2})" for k in range(len(part)))
        yield [value for connector in part for value in connector], places


def _values(session: StoredSession) -> tuple[object, ...]:
    return (
        session.session_no,
        session.session_id,
        session.device_no,
        session.connector_id,
        session.device_id,
        session.operator_id,
        session.site_id,
        session.start_ms,
        session.end_ms,
        session.last_ms,
        session.record_id,
        session.charge_nkwh,
        session.discharge_nkwh,
        session.peak_nkwh,
        session.soc_start_pct,
        session.soc_end_pct,
        session.samples,
        session.basis,
        session.resolution,
        session.folded_to_ms,
        session.shape,
        session.carry,
    )


def _session(row: Row) -> StoredSession:
    shape, carry = bytes(row[20]), None if row[21] is None else bytes(row[21])
    return StoredSession(*(*row[:20], shape, carry))
