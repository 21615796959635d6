"""The SQL of the vehicles that may give energy back."""

from tellus.diagnostics.model_vehicles import Vehicle
from tellus.storage.database import Row, Tx

_COLUMNS = "vehicle_id, operator_id, make, model, min_firmware, note, created_ms, updated_ms"


def find_vehicle(tx: Tx, vehicle_id: str, operator_id: str) -> Vehicle | None:
    """Return an entry of an operator's list, or None."""
    row = tx.row(
        f"SELECT {_COLUMNS} FROM v2g_vehicles WHERE vehicle_id = $1 AND operator_id = $2",
        vehicle_id,
        operator_id,
    )
    return None if row is None else _from_row(row)


def find_by_keys(tx: Tx, operator_id: str, make_key: str, model_key: str) -> Vehicle | None:
    """Return the entry of a make and model by what they are compared by, or None."""
    row = tx.row(
        f"SELECT {_COLUMNS} FROM v2g_vehicles"
        " WHERE operator_id = $1 AND make_key = $2 AND model_key = $3",
        operator_id,
        make_key,
        model_key,
    )
    return None if row is None else _from_row(row)


def list_vehicles(
    tx: Tx, operator_id: str, make_key: str | None, offset: int, size: int
) -> tuple[int, list[Vehicle]]:
    """Return how many entries there are, of a make or of all, and a page, by make and model."""
    wanted = "operator_id = $1 AND ($2 = '' OR make_key = $2)"
    count = tx.row(f"SELECT COUNT(*) FROM v2g_vehicles WHERE {wanted}", operator_id, make_key or "")
    rows = tx.rows(
        f"SELECT {_COLUMNS} FROM v2g_vehicles WHERE {wanted}"
        " ORDER BY make_key, model_key LIMIT $3 OFFSET $4",
        operator_id,
        make_key or "",
        size,
        offset,
    )
    return (count[0] if count else 0), [_from_row(row) for row in rows]


def append_vehicle(tx: Tx, vehicle: Vehicle, keys: tuple[str, str]) -> None:
    """Append an entry whose make and model (``keys``) the operator has not listed."""
    tx.insert_many(
        f"INSERT INTO v2g_vehicles ({_COLUMNS}, make_key, model_key)",
        [
            (
                vehicle.vehicle_id,
                vehicle.operator_id,
                vehicle.make,
                vehicle.model,
                vehicle.min_firmware,
                vehicle.note,
                vehicle.created_ms,
                vehicle.updated_ms,
                *keys,
            )
        ],
    )


def update_vehicle(tx: Tx, vehicle: Vehicle, keys: tuple[str, str]) -> None:
    """Save an entry as it is now."""
    tx.execute(
        "UPDATE v2g_vehicles SET make = $1, model = $2, min_firmware = $3, note = $4,"
        " updated_ms = $5, make_key = $6, model_key = $7 WHERE vehicle_id = $8",
        vehicle.make,
        vehicle.model,
        vehicle.min_firmware,
        vehicle.note,
        vehicle.updated_ms,
        *keys,
        vehicle.vehicle_id,
    )


def remove_vehicle(tx: Tx, vehicle_id: str) -> None:
    """Remove an entry."""
    tx.execute("DELETE FROM v2g_vehicles WHERE vehicle_id = $1", vehicle_id)


def _from_row(row: Row) -> Vehicle:
    return Vehicle(
        vehicle_id=row[0],
        operator_id=row[1],
        make=row[2],
        model=row[3],
        min_firmware=row[4],
        note=row[5],
        created_ms=row[6],
        updated_ms=row[7],
    )
