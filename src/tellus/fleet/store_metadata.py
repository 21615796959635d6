"""The SQL of what is known of devices beyond their operation."""

from collections.abc import Sequence
from typing import Final

from tellus.fleet.model_metadata import NO_LINK, Lifecycle, Link, Metadata
from tellus.storage.database import Tx

_NOTHING: Final = Lifecycle()


def read_links(tx: Tx, device_nos: Sequence[int]) -> dict[int, Link]:
    """Return how devices say they are connected, of those that have said so."""
    rows = tx.rows(
        "SELECT device_no, kind, signal_dbm, imei FROM device_connectivity"
        f" WHERE device_no IN ({_places(device_nos)})",
        *device_nos,
    )
    return {row[0]: Link(*row[1:]) for row in rows}


def list_links(tx: Tx) -> dict[int, Link]:
    """Return how all devices say they are connected, of those that have said so."""
    rows = tx.rows("SELECT device_no, kind, signal_dbm, imei FROM device_connectivity")
    return {row[0]: Link(*row[1:]) for row in rows}


def upsert_links(tx: Tx, rows: Sequence[tuple[int, Link, int]]) -> None:
    """Write how devices are connected (device, how, told at ms); what is newer stays."""
    tx.insert_many(
        "INSERT INTO device_connectivity (device_no, kind, signal_dbm, imei, told_ms)",
        sorted((no, link.kind, link.signal_dbm, link.imei, told_ms) for no, link, told_ms in rows),
        "ON CONFLICT (device_no) DO UPDATE SET kind = excluded.kind,"
        " signal_dbm = excluded.signal_dbm, imei = excluded.imei, told_ms = excluded.told_ms"
        " WHERE excluded.told_ms >= device_connectivity.told_ms",
    )


def note_activated(tx: Tx, device_no: int, now_ms: int) -> None:
    """Note when a device came into use, unless that is known."""
    tx.insert_many(
        "INSERT INTO device_lifecycle (device_no, activated_ms)",
        [(device_no, now_ms)],
        "ON CONFLICT (device_no) DO UPDATE SET"
        " activated_ms = COALESCE(device_lifecycle.activated_ms, excluded.activated_ms)",
    )


def find_lifecycle(tx: Tx, device_no: int) -> Lifecycle:
    """Return what is known of a device's life."""
    row = tx.row(
        "SELECT activated_ms, warranty_expires_ms, manufacturing_batch, decommissioned_ms"
        " FROM device_lifecycle WHERE device_no = $1",
        device_no,
    )
    return _NOTHING if row is None else Lifecycle(*row)


def put_lifecycle(tx: Tx, device_no: int, lifecycle: Lifecycle) -> None:
    """Write what is known of a device's life."""
    tx.insert_many(
        "INSERT INTO device_lifecycle (device_no, activated_ms, warranty_expires_ms,"
        " manufacturing_batch, decommissioned_ms)",
        [(device_no, *lifecycle)],
        "ON CONFLICT (device_no) DO UPDATE SET activated_ms = excluded.activated_ms,"
        " warranty_expires_ms = excluded.warranty_expires_ms,"
        " manufacturing_batch = excluded.manufacturing_batch,"
        " decommissioned_ms = excluded.decommissioned_ms",
    )


def read_metadata(tx: Tx, device_nos: Sequence[int]) -> dict[int, Metadata]:
    """Return what is known of a few living devices, each."""
    if not device_nos:
        return {}
    rows = tx.rows(
        "SELECT d.device_no, s.active, l.activated_ms, l.warranty_expires_ms,"
        " l.manufacturing_batch, l.decommissioned_ms FROM devices d"
        " LEFT JOIN sites s ON s.site_id = d.site_id"
        " LEFT JOIN device_lifecycle l ON l.device_no = d.device_no"
        f" WHERE d.device_no IN ({_places(device_nos)})",
        *device_nos,
    )
    links = read_links(tx, device_nos)
    return {
        row[0]: Metadata(links.get(row[0], NO_LINK), Lifecycle(*row[2:]), bool(row[1]))
        for row in rows
    }


def remove_metadata(tx: Tx, device_no: int, _limit: int) -> int:
    """Remove what is known of a device; returns how many rows that were."""
    links = tx.execute("DELETE FROM device_connectivity WHERE device_no = $1", device_no)
    return links + tx.execute("DELETE FROM device_lifecycle WHERE device_no = $1", device_no)


def _places(values: Sequence[int]) -> str:
    return ", ".join(f"${number}" for number in range(1, len(values) + 1))
