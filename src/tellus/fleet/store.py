"""SQL of sites, provisionings and devices."""

from collections.abc import Iterable
from typing import Any

from tellus.fleet.model import DeviceIdentity, Provisioning, Registration, Site
from tellus.storage.database import Row, Tx

_SITE = (
    "site_id, operator_id, name, timezone, region, active, created_ms, address, lat, lng,"
    " power_capacity_kw"
)
_PROVISIONING = (
    "sn, operator_id, site_id, claim_from_ms, created_ms, model, connectors, rated_power_kw, v2g,"
    " token_round, claim_until_ms"
)
_REGISTRATION = "device_no, device_id, operator_id, site_id, proof, active, reclaim_until_ms"


def find_operator_region(tx: Tx, operator_id: str) -> str | None:
    """Return the region of an operator, or None."""
    row = tx.row("SELECT region FROM operators WHERE operator_id = $1", operator_id)
    return None if row is None else str(row[0])


def has_operator(tx: Tx, operator_id: str) -> bool:
    """Tell whether there is such an operator."""
    return tx.row("SELECT 1 FROM operators WHERE operator_id = $1", operator_id) is not None


def insert_site(tx: Tx, site: Site) -> None:
    """Append a site."""
    tx.execute(
        f"INSERT INTO sites ({_SITE}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        *_site_values(site),
    )


def update_site(tx: Tx, site: Site) -> None:
    """Write what may change of a site: all but its identifier, operator and creation."""
    tx.execute(
        "UPDATE sites SET name = $1, timezone = $2, region = $3, active = $4, address = $5,"
        " lat = $6, lng = $7, power_capacity_kw = $8 WHERE site_id = $9",
        site.name,
        site.timezone,
        site.region,
        int(site.active),
        site.address,
        site.lat,
        site.lng,
        site.power_capacity_kw,
        site.site_id,
    )


def find_site(tx: Tx, site_id: str) -> Site | None:
    """Return a site, or None."""
    row = tx.row(f"SELECT {_SITE} FROM sites WHERE site_id = $1", site_id)
    return _site(row) if row else None


def list_sites(
    tx: Tx, operator_id: str | None, page: tuple[int, int], *, active: bool | None
) -> tuple[int, list[Site]]:
    """Return how many sites match and a page (offset, size), oldest first; None admits all."""
    given = [("operator_id", operator_id), ("active", None if active is None else int(active))]
    conditions, values = _conditions(given)
    total = tx.row(f"SELECT COUNT(*) FROM sites{conditions}", *values)
    rows = tx.rows(
        f"SELECT {_SITE} FROM sites{conditions} ORDER BY created_ms, site_id"
        f" LIMIT ${len(values) + 1} OFFSET ${len(values) + 2}",
        *values,
        page[1],
        page[0],
    )
    return (total[0] if total else 0), [_site(row) for row in rows]


def upsert_provisioning(tx: Tx, provisioning: Provisioning) -> None:
    """Write what a site expects of a serial number, in place of what was expected before."""
    tx.execute(
        f"INSERT INTO provisionings ({_PROVISIONING})"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"
        " ON CONFLICT (sn) DO UPDATE SET operator_id = excluded.operator_id,"
        " site_id = excluded.site_id, claim_from_ms = excluded.claim_from_ms,"
        " model = excluded.model, connectors = excluded.connectors,"
        " rated_power_kw = excluded.rated_power_kw, v2g = excluded.v2g,"
        " token_round = excluded.token_round, claim_until_ms = excluded.claim_until_ms",
        provisioning.sn,
        provisioning.operator_id,
        provisioning.site_id,
        provisioning.claim_from_ms,
        provisioning.created_ms,
        provisioning.model,
        provisioning.connectors,
        provisioning.rated_power_kw,
        _flag(provisioning.v2g),
        provisioning.token_round,
        provisioning.claim_until_ms,
    )


def find_provisioning(tx: Tx, sn: str) -> Provisioning | None:
    """Return what is expected of a serial number, or None."""
    row = tx.row(f"SELECT {_PROVISIONING} FROM provisionings WHERE sn = $1", sn)
    return _provisioning(row) if row else None


def delete_provisioning(tx: Tx, sn: str) -> bool:
    """Expect a serial number no longer; tell whether it was."""
    return tx.execute("DELETE FROM provisionings WHERE sn = $1", sn) > 0


def list_provisionings(
    tx: Tx, operator_id: str | None, site_id: str | None, offset: int, size: int
) -> tuple[int, list[tuple[Provisioning, str | None]]]:
    """Return how many match and a page by serial number, each with the device it became."""
    conditions, values = _conditions([("p.operator_id", operator_id), ("p.site_id", site_id)])
    total = tx.row(f"SELECT COUNT(*) FROM provisionings p{conditions}", *values)
    columns = ", ".join("p." + name for name in _PROVISIONING.split(", "))
    rows = tx.rows(
        f"SELECT {columns}, d.device_id FROM provisionings p"
        f" LEFT JOIN devices d ON d.sn = p.sn AND d.deleted_ms IS NULL{conditions}"
        f" ORDER BY p.sn LIMIT ${len(values) + 1} OFFSET ${len(values) + 2}",
        *values,
        size,
        offset,
    )
    return (total[0] if total else 0), [(_provisioning(row[:-1]), row[-1]) for row in rows]


def find_registration(tx: Tx, sn: str) -> Registration | None:
    """Return the registration of a serial number, or None."""
    row = tx.row(f"SELECT {_REGISTRATION} FROM devices WHERE sn = $1 AND deleted_ms IS NULL", sn)
    if row is None:
        return None
    device_no, device_id, operator_id, site_id, proof, active, reclaim_until_ms = row
    return Registration(
        device_no, device_id, operator_id, site_id, proof or b"", bool(active), reclaim_until_ms
    )


def insert_device(
    tx: Tx,
    device_id: str,
    identity: DeviceIdentity,
    place: tuple[str, str],
    figures: tuple[float | None, bool | None],
    proof: bytes,
    now_ms: int,
) -> int:
    """Append a pending device at ``place`` (operator, site) and return its number.

    ``figures`` are its rated power (kW) and whether it is V2G-capable, None for unknown.
    """
    row = tx.row(
        "INSERT INTO devices (device_id, sn, model, manufacturer, firmware_version, mac,"
        " operator_id, site_id, rated_power_kw, v2g, proof, active, created_ms, updated_ms)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 0, $12, $13) RETURNING device_no",
        device_id,
        identity.sn,
        identity.model,
        identity.manufacturer,
        identity.firmware_version,
        identity.mac,
        *place,
        figures[0],
        _flag(figures[1]),
        proof,
        now_ms,
        now_ms,
    )
    device_no: int = row[0] if row else 0
    tx.execute("INSERT INTO device_state (device_no, online) VALUES ($1, 0)", device_no)
    return device_no


def update_identity(
    tx: Tx, device_no: int, identity: DeviceIdentity, proof: bytes, now_ms: int
) -> None:
    """Write what a charger said of itself, and with what proof, when it registered again."""
    tx.execute(
        "UPDATE devices SET model = $1, manufacturer = $2, firmware_version = $3,"
        " mac = COALESCE($4, mac), proof = $5, updated_ms = $6 WHERE device_no = $7",
        identity.model,
        identity.manufacturer,
        identity.firmware_version,
        identity.mac,
        proof,
        now_ms,
        device_no,
    )


def set_firmware_version(tx: Tx, device_no: int, firmware_version: str, now_ms: int) -> None:
    """Write which firmware a device runs from now on."""
    tx.execute(
        "UPDATE devices SET firmware_version = $1, updated_ms = $2 WHERE device_no = $3",
        firmware_version,
        now_ms,
        device_no,
    )


def mark_active(tx: Tx, device_no: int, now_ms: int) -> bool:
    """End the pending state and any re-claim window; tell whether that changed anything."""
    changed = tx.execute(
        "UPDATE devices SET active = 1, reclaim_until_ms = NULL, updated_ms = $1"
        " WHERE device_no = $2 AND (active = 0 OR reclaim_until_ms IS NOT NULL)",
        now_ms,
        device_no,
    )
    return changed > 0


def set_reclaim(tx: Tx, device_no: int, until_ms: int, now_ms: int) -> None:
    """Open a re-claim window up to ``until_ms``."""
    tx.execute(
        "UPDATE devices SET reclaim_until_ms = $1, updated_ms = $2 WHERE device_no = $3",
        until_ms,
        now_ms,
        device_no,
    )


def update_device(
    tx: Tx,
    device_no: int,
    place: tuple[str, str],
    figures: tuple[float | None, bool | None],
    now_ms: int,
) -> None:
    """Write what an administrator may set: place (operator, site), rating (kW) and V2G."""
    tx.execute(
        "UPDATE devices SET operator_id = $1, site_id = $2, rated_power_kw = $3, v2g = $4,"
        " updated_ms = $5 WHERE device_no = $6",
        *place,
        figures[0],
        _flag(figures[1]),
        now_ms,
        device_no,
    )


def list_owned_since(tx: Tx, device_nos: Iterable[int]) -> dict[int, int]:
    """Return since when (ms) each living device among a few is its present operator's."""
    wanted = sorted(device_nos)
    places = ", ".join(f"${k + 1}" for k in range(len(wanted)))
    rows = tx.rows(
        "SELECT device_no, owned_since_ms FROM devices WHERE deleted_ms IS NULL"
        f" AND device_no IN ({places})",
        *wanted,
    )
    return {row[0]: row[1] for row in rows}


def set_owned_since(tx: Tx, device_no: int, now_ms: int) -> None:
    """Let a device's history begin anew: what it said before belongs to its former operator."""
    tx.execute("UPDATE devices SET owned_since_ms = $1 WHERE device_no = $2", now_ms, device_no)


def mark_deleted(tx: Tx, device_no: int, now_ms: int) -> None:
    """Let a device exist no longer; its number is never given again, its history stays."""
    tx.execute(
        "UPDATE devices SET deleted_ms = $1, updated_ms = $2 WHERE device_no = $3",
        now_ms,
        now_ms,
        device_no,
    )
    tx.execute("DELETE FROM device_state WHERE device_no = $1", device_no)
    tx.execute("DELETE FROM connector_state WHERE device_no = $1", device_no)
    tx.execute("DELETE FROM connectors WHERE device_no = $1", device_no)
    tx.execute("DELETE FROM device_connectivity WHERE device_no = $1", device_no)


def _conditions(given: list[tuple[str, Any]]) -> tuple[str, list[Any]]:
    used = [(name, value) for name, value in given if value is not None]
    if not used:
        return "", []
    clauses = [f"{name} = ${k}" for k, (name, _) in enumerate(used, 1)]
    return " WHERE " + " AND ".join(clauses), [value for _, value in used]


def _flag(value: object) -> int | None:
    return None if value is None else int(bool(value))


def _site_values(site: Site) -> tuple[Any, ...]:
    return (
        site.site_id,
        site.operator_id,
        site.name,
        site.timezone,
        site.region,
        int(site.active),
        site.created_ms,
        site.address,
        site.lat,
        site.lng,
        site.power_capacity_kw,
    )


def _site(row: Row) -> Site:
    fields = [*row]
    fields[5] = bool(fields[5])
    return Site(*fields)


def _provisioning(row: Row) -> Provisioning:
    fields = [*row]
    fields[8] = None if fields[8] is None else bool(fields[8])
    return Provisioning(*fields)
