"""SQL of how devices and connectors are now.

Rows are written in the order of their keys, so that transactions of several processes that write
the same ones never wait for each other in a ring.
"""

from collections.abc import Iterable, Sequence
from operator import itemgetter
from typing import NamedTuple

from tellus.storage.database import Row, Tx

_device_no = itemgetter(0)


class FleetRows(NamedTuple):
    """All rows of the living fleet, as read at start."""

    devices: list[Row]
    connectors: list[Row]


def read_fleet(tx: Tx, device_nos: Sequence[int] | None = None) -> FleetRows:
    """Return living devices (by default all) with their state, and their connectors' readings."""
    chosen = "" if device_nos is None else f" AND d.device_no IN ({_places(device_nos)})"
    devices = tx.rows(
        "SELECT d.device_no, d.device_id, d.sn, d.operator_id, d.site_id, d.model,"
        " d.manufacturer, d.firmware_version, d.mac, d.rated_power_kw, d.v2g, d.active,"
        " d.created_ms, s.last_seen_ms, s.last_heartbeat_ms, s.heartbeat_status, s.fault_code,"
        " s.clock_offset_ms, s.online, s.online_since_ms, s.offline_since_ms, d.owned_since_ms"
        " FROM devices d LEFT JOIN device_state s ON s.device_no = d.device_no"
        f" WHERE d.deleted_ms IS NULL{chosen} ORDER BY d.device_no",
        *(device_nos or ()),
    )
    chosen = "" if device_nos is None else f" WHERE c.device_no IN ({_places(device_nos)})"
    connectors = tx.rows(
        "SELECT c.device_no, c.connector_id, c.rated_power_kw, c.peak_power_kw, s.time_ms,"
        " s.content FROM connectors c LEFT JOIN connector_state s"
        " ON s.device_no = c.device_no AND s.connector_id = c.connector_id"
        f"{chosen} ORDER BY c.device_no, c.connector_id",
        *(device_nos or ()),
    )
    return FleetRows(devices, connectors)


def list_device_nos(tx: Tx) -> list[int]:
    """Return the numbers of all living devices."""
    rows = tx.rows("SELECT device_no FROM devices WHERE deleted_ms IS NULL ORDER BY device_no")
    return [row[0] for row in rows]


def read_readings(tx: Tx, device_nos: Sequence[int]) -> list[Row]:
    """Return (device, connector, time, content) of all connectors of devices."""
    return tx.rows(
        "SELECT device_no, connector_id, time_ms, content FROM connector_state"
        f" WHERE device_no IN ({_places(device_nos)})",
        *device_nos,
    )


def read_seen(tx: Tx, since_ms: int) -> list[Row]:
    """Return (device, last seen, last heartbeat) of the devices heard of since."""
    return tx.rows(
        "SELECT device_no, last_seen_ms, last_heartbeat_ms FROM device_state"
        " WHERE last_seen_ms >= $1",
        since_ms,
    )


def delete_connector_states(tx: Tx, device_no: int) -> None:
    """Forget what a device's connectors last said."""
    lock_states(tx)
    tx.execute("DELETE FROM connector_state WHERE device_no = $1", device_no)


def lock_states(tx: Tx) -> None:
    """Let whoever writes states and whoever hands devices over do so one after the other.

    Otherwise the last words to a former operator could be written after the device has moved.
    """
    tx.lock("connector_states")


def append_connectors(tx: Tx, keys: Iterable[tuple[int, int]], now_ms: int) -> None:
    """Let connectors (device, connector) exist; those that do stay as they are."""
    tx.insert_many(
        "INSERT INTO connectors (device_no, connector_id, created_ms)",
        [(device_no, connector_id, now_ms) for device_no, connector_id in sorted(set(keys))],
        "ON CONFLICT (device_no, connector_id) DO NOTHING",
    )


def upsert_connector_states(tx: Tx, states: Sequence[tuple[int, int, int, str, bytes]]) -> None:
    """Move connectors forward to ``states`` (device, connector, time, state, content).

    A state applies only where it is newer; of one instant the larger content stays. Each connector
    may stand in ``states`` once.
    """
    tx.insert_later(
        "INSERT INTO connector_state (device_no, connector_id, time_ms, state, content)",
        sorted(states),
        "ON CONFLICT (device_no, connector_id) DO UPDATE SET time_ms = excluded.time_ms,"
        " state = excluded.state, content = excluded.content"
        " WHERE (excluded.time_ms, excluded.content)"
        " > (connector_state.time_ms, connector_state.content)",
    )


def upsert_heartbeats(tx: Tx, rows: Sequence[tuple[int, str, str | None]]) -> None:
    """Write what heartbeats changed: (device, status, fault code as JSON)."""
    tx.insert_later(
        "INSERT INTO device_state (device_no, heartbeat_status, fault_code, online)",
        [(*row, 0) for row in sorted(rows, key=_device_no)],
        "ON CONFLICT (device_no) DO UPDATE SET heartbeat_status = excluded.heartbeat_status,"
        " fault_code = excluded.fault_code",
    )


def upsert_seen(tx: Tx, rows: Sequence[tuple[int, int, int | None, int | None]]) -> None:
    """Write (device, last seen, last heartbeat, clock offset), all in milliseconds."""
    tx.insert_many(
        "INSERT INTO device_state"
        " (device_no, last_seen_ms, last_heartbeat_ms, clock_offset_ms, online)",
        [(*row, 0) for row in sorted(rows, key=_device_no)],
        "ON CONFLICT (device_no) DO UPDATE SET last_seen_ms = excluded.last_seen_ms,"
        " last_heartbeat_ms = excluded.last_heartbeat_ms,"
        " clock_offset_ms = excluded.clock_offset_ms",
    )


def merge_seen(tx: Tx, rows: Sequence[tuple[int, int, int | None, int | None]]) -> None:
    """Like ``upsert_seen`` where several nodes write: what is newest stays."""
    later = "excluded.last_seen_ms > COALESCE(device_state.last_seen_ms, 0)"
    beat = (
        "excluded.last_heartbeat_ms IS NOT NULL AND"
        " excluded.last_heartbeat_ms >= COALESCE(device_state.last_heartbeat_ms, 0)"
    )
    tx.insert_many(
        "INSERT INTO device_state"
        " (device_no, last_seen_ms, last_heartbeat_ms, clock_offset_ms, online)",
        [(*row, 0) for row in sorted(rows)],
        "ON CONFLICT (device_no) DO UPDATE SET"
        f" last_seen_ms = CASE WHEN {later} THEN excluded.last_seen_ms"
        " ELSE device_state.last_seen_ms END,"
        f" last_heartbeat_ms = CASE WHEN {beat} THEN excluded.last_heartbeat_ms"
        " ELSE device_state.last_heartbeat_ms END,"
        f" clock_offset_ms = CASE WHEN {beat} THEN excluded.clock_offset_ms"
        " ELSE device_state.clock_offset_ms END",
    )


def upsert_transitions(tx: Tx, rows: Sequence[tuple[int, int, int | None, int | None]]) -> None:
    """Write (device, online 0 or 1, online since, offline since)."""
    tx.insert_many(
        "INSERT INTO device_state (device_no, online, online_since_ms, offline_since_ms)",
        sorted(rows, key=_device_no),
        "ON CONFLICT (device_no) DO UPDATE SET online = excluded.online,"
        " online_since_ms = excluded.online_since_ms,"
        " offline_since_ms = excluded.offline_since_ms",
    )


def upsert_peaks(tx: Tx, rows: Sequence[tuple[int, int, float]], now_ms: int) -> None:
    """Write the highest power seen (kW) of connectors whose rating is unknown."""
    tx.insert_many(
        "INSERT INTO connectors (device_no, connector_id, peak_power_kw, created_ms)",
        [(*row, now_ms) for row in sorted(rows)],
        "ON CONFLICT (device_no, connector_id) DO UPDATE SET"
        " peak_power_kw = excluded.peak_power_kw",
    )


def _places(values: Sequence[int]) -> str:
    """Return ``$1, $2, …`` for ``values``."""
    return ", ".join(f"${number}" for number in range(1, len(values) + 1))
