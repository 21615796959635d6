"""The SQL that reads the facts of energy: samples of the log and packed, events, records."""

from collections.abc import Sequence

import msgspec

from tellus.energy.model_rows import Connector
from tellus.fleet.model import EventType
from tellus.kernel.units import HOUR_MS
from tellus.storage.database import Row, Tx

_SAMPLE = "s.time_ms, s.device_no, s.connector_id, s.digest, s.received_ms, s.content"
_BOUNDARIES = ", ".join(
    f"'{kind.value}'"
    for kind in (EventType.PLUG_IN, EventType.PLUG_OUT, EventType.START, EventType.STOP)
)
_RECORD = (
    "start_ms, end_ms, record_id, energy_kwh, meter_start_kwh, meter_end_kwh, soc_start_pct,"
    " soc_end_pct, flags"
)
_DEVICES_AT_ONCE = 500
_decode_rows = msgspec.json.Decoder(list[tuple[int, int, int, int, int, str]]).decode


def list_log_page(tx: Tx, after: Row, to_ms: int, limit: int) -> list[Row]:
    """Return up to ``limit`` samples of the log before ``to_ms``, after a key, in its order.

    The key is (time, device, connector, digest), with which each row begins; receipt (ms) and
    content follow.
    """
    return tx.rows(
        f"SELECT {_SAMPLE} FROM samples s"
        " WHERE (s.time_ms, s.device_no, s.connector_id, s.digest) > ($1, $2, $3, $4)"
        " AND s.time_ms < $5 ORDER BY s.time_ms, s.device_no, s.connector_id, s.digest LIMIT $6",
        *after,
        to_ms,
        limit,
    )


def list_log_page_at_once(tx: Tx, after: Row, to_ms: int, limit: int) -> list[Row]:
    """Return what ``list_log_page`` does, in one step of SQLite.

    Each step gives up the interpreter lock. Beside a busy event loop getting it back for every
    single row costs both sides many times what the row does.
    """
    row = tx.row(
        "SELECT json_group_array(json_array(time_ms, device_no, connector_id, digest, received_ms,"
        f" hex(content))) FROM (SELECT {_SAMPLE} FROM samples s"
        " WHERE (s.time_ms, s.device_no, s.connector_id, s.digest) > ($1, $2, $3, $4)"
        " AND s.time_ms < $5 ORDER BY s.time_ms, s.device_no, s.connector_id, s.digest LIMIT $6)",
        *after,
        to_ms,
        limit,
    )
    rows = _decode_rows(row[0]) if row else []
    return [(*told[:5], bytes.fromhex(told[5])) for told in rows]


def list_log_of_operator(tx: Tx, operator_id: str, from_ms: int) -> list[Row]:
    """Return the log's samples from ``from_ms`` on of devices that are, or were, an operator's."""
    return tx.rows(
        f"SELECT {_SAMPLE} FROM samples s WHERE s.time_ms >= $1 AND s.device_no IN"
        " (SELECT device_no FROM devices WHERE operator_id = $2"
        " UNION SELECT device_no FROM past_places WHERE operator_id = $2 AND until_ms > $1)",
        from_ms,
        operator_id,
    )


def list_boundaries(tx: Tx, from_ms: int, to_ms: int) -> list[Row]:
    """Return (time, device, connector, kind) of the events in ``[from, to)`` that part sessions."""
    return tx.rows(
        "SELECT time_ms, device_no, connector_id, event_type FROM events WHERE time_ms >= $1"
        f" AND time_ms < $2 AND event_type IN ({_BOUNDARIES}) AND clock_suspect = 0"
        " AND connector_id > 0",
        from_ms,
        to_ms,
    )


def list_boundaries_of(tx: Tx, connector: Connector, from_ms: int, to_ms: int) -> list[Row]:
    """Return (time, kind) of a connector's events in ``[from, to)`` that part sessions."""
    return tx.rows(
        "SELECT time_ms, event_type FROM events WHERE device_no = $1 AND connector_id = $2"
        f" AND time_ms >= $3 AND time_ms < $4 AND event_type IN ({_BOUNDARIES})"
        " AND clock_suspect = 0",
        *connector,
        from_ms,
        to_ms,
    )


def list_moves(tx: Tx, from_ms: int, to_ms: int) -> list[tuple[int, int]]:
    """Return (time, device) of the changes of place in ``[from_ms, to_ms)``."""
    rows = tx.rows(
        "SELECT until_ms, device_no FROM past_places WHERE until_ms >= $1 AND until_ms < $2",
        from_ms,
        to_ms,
    )
    return [(row[0], row[1]) for row in rows]


def list_records_of(tx: Tx, connector: Connector, from_ms: int, to_ms: int) -> list[Row]:
    """Return a connector's charging records that meet ``[from_ms, to_ms]``.

    Start and end (ms), identifier, energy and meter readings (kWh), states of charge, flags.
    """
    return tx.rows(
        f"SELECT {_RECORD} FROM charging_records WHERE device_no = $1 AND connector_id = $2"
        " AND start_ms <= $3 AND end_ms >= $4",
        *connector,
        to_ms,
        from_ms,
    )


def find_record_after(tx: Tx, connector: Connector, time_ms: int) -> int | None:
    """Return the first time (ms) from ``time_ms`` on that a connector's records span, or None."""
    row = tx.row(
        "SELECT MIN(CASE WHEN start_ms < $1 THEN $1 ELSE start_ms END) FROM charging_records"
        " WHERE end_ms >= $1 AND device_no = $2 AND connector_id = $3",
        time_ms,
        *connector,
    )
    return None if row is None else row[0]


def list_packs_of(tx: Tx, connector: Connector, from_hour_ms: int, to_ms: int) -> list[Row]:
    """Return (hour, content) of a connector's packed hours that begin in ``[from, to)``."""
    return tx.rows(
        "SELECT hour_ms, content FROM sample_hours WHERE device_no = $1 AND connector_id = $2"
        " AND hour_ms >= $3 AND hour_ms < $4 ORDER BY hour_ms",
        *connector,
        from_hour_ms,
        to_ms,
    )


def list_packed_hours(tx: Tx, connector: Connector, from_hour_ms: int, to_ms: int) -> list[int]:
    """Return the packed hours (ms) of a connector that begin in ``[from, to)``, ascending."""
    rows = tx.rows(
        "SELECT hour_ms FROM sample_hours WHERE device_no = $1 AND connector_id = $2"
        " AND hour_ms >= $3 AND hour_ms < $4 ORDER BY hour_ms",
        *connector,
        from_hour_ms,
        to_ms,
    )
    return [row[0] for row in rows]


def find_pack_before(tx: Tx, connector: Connector, hour_ms: int) -> int | None:
    """Return the last packed hour of a connector that begins before ``hour_ms``, or None."""
    row = tx.row(
        "SELECT MAX(hour_ms) FROM sample_hours"
        " WHERE device_no = $1 AND connector_id = $2 AND hour_ms < $3",
        *connector,
        hour_ms,
    )
    return None if row is None else row[0]


def find_pack_after(tx: Tx, connector: Connector, hour_ms: int) -> int | None:
    """Return the first packed hour of a connector that begins at ``hour_ms`` or later, or None."""
    row = tx.row(
        "SELECT MIN(hour_ms) FROM sample_hours"
        " WHERE device_no = $1 AND connector_id = $2 AND hour_ms >= $3",
        *connector,
        hour_ms,
    )
    return None if row is None else row[0]


def find_boundary_before(tx: Tx, connector: Connector, time_ms: int) -> int | None:
    """Return the time (ms) of the last event before ``time_ms`` that parts sessions, or None."""
    row = tx.row(
        "SELECT MAX(time_ms) FROM events WHERE device_no = $1 AND connector_id = $2"
        f" AND time_ms < $3 AND event_type IN ({_BOUNDARIES}) AND clock_suspect = 0",
        *connector,
        time_ms,
    )
    return None if row is None else row[0]


def find_boundary_after(tx: Tx, connector: Connector, time_ms: int) -> int | None:
    """Return the time (ms) of the first event from ``time_ms`` on that parts sessions, or None."""
    row = tx.row(
        "SELECT MIN(time_ms) FROM events WHERE device_no = $1 AND connector_id = $2"
        f" AND time_ms >= $3 AND event_type IN ({_BOUNDARIES}) AND clock_suspect = 0",
        *connector,
        time_ms,
    )
    return None if row is None else row[0]


def list_connectors_with_facts(tx: Tx, from_ms: int, to_ms: int) -> list[Connector]:
    """Return the connectors that have samples, boundaries or records in ``[from_ms, to_ms)``."""
    rows = tx.rows(
        "SELECT device_no, connector_id FROM sample_hours WHERE hour_ms > $1 AND hour_ms < $3"
        " UNION SELECT device_no, connector_id FROM samples WHERE time_ms >= $2 AND time_ms < $3"
        " UNION SELECT device_no, connector_id FROM events"
        f" WHERE time_ms >= $2 AND time_ms < $3 AND event_type IN ({_BOUNDARIES})"
        " AND connector_id > 0 UNION SELECT device_no, connector_id FROM charging_records"
        " WHERE end_ms >= $2 AND start_ms < $3 ORDER BY device_no, connector_id",
        from_ms - HOUR_MS,
        from_ms,
        to_ms,
    )
    return [(row[0], row[1]) for row in rows]


def list_connectors_of(tx: Tx, device_nos: Sequence[int]) -> list[Connector]:
    """Return the connectors of devices."""
    found: list[Connector] = []
    for start in range(0, len(device_nos), _DEVICES_AT_ONCE):
        part = device_nos[start : start + _DEVICES_AT_ONCE]
        places = ", ".join(f"${k + 1}" for k in range(len(part)))
        rows = tx.rows(
            f"SELECT device_no, connector_id FROM connectors WHERE device_no IN ({places})", *part
        )
        found += [(row[0], row[1]) for row in rows]
    return found
