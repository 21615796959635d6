"""The SQL of devices as the fold sees them: where they stand and stood, and their ratings."""

from collections.abc import Sequence

from tellus.energy.model_rows import Home, PastPlace
from tellus.storage.database import Tx

_AT_ONCE = 500


def read_homes(tx: Tx, device_nos: Sequence[int]) -> dict[int, Home]:
    """Return the devices, those that are no more too."""
    homes: dict[int, Home] = {}
    ordered = sorted(set(device_nos))
    for start in range(0, len(ordered), _AT_ONCE):
        part = ordered[start : start + _AT_ONCE]
        places = ", ".join(f"${k + 1}" for k in range(len(part)))
        rated: dict[int, dict[int, float]] = {}
        for device_no, connector_id, power_kw in tx.rows(
            "SELECT device_no, connector_id, rated_power_kw FROM connectors"
            f" WHERE device_no IN ({places}) AND rated_power_kw IS NOT NULL",
            *part,
        ):
            rated.setdefault(device_no, {})[connector_id] = power_kw
        past = _past(tx, places, part)
        for row in tx.rows(
            "SELECT device_no, device_id, operator_id, site_id, model, rated_power_kw FROM devices"
            f" WHERE device_no IN ({places})",
            *part,
        ):
            held = tuple(past.get(row[0], ()))
            homes[row[0]] = Home(*(*row, rated.get(row[0], {}), held))
    return homes


def _past(tx: Tx, places: str, device_nos: Sequence[int]) -> dict[int, list[PastPlace]]:
    past: dict[int, list[PastPlace]] = {}
    for row in tx.rows(
        "SELECT device_no, until_ms, operator_id, site_id FROM past_places"
        f" WHERE device_no IN ({places}) ORDER BY device_no, until_ms",
        *device_nos,
    ):
        past.setdefault(row[0], []).append(PastPlace(*row[1:]))
    return past


def append_place(tx: Tx, device_no: int, place: PastPlace) -> None:
    """Remember where a device stood; of two moves in one millisecond the first."""
    tx.execute(
        "INSERT INTO past_places (device_no, until_ms, operator_id, site_id)"
        " VALUES ($1, $2, $3, $4) ON CONFLICT (device_no, until_ms) DO NOTHING",
        device_no,
        place.until_ms,
        place.operator_id,
        place.site_id,
    )


def has_facts(tx: Tx, device_no: int, *, reads_log: bool) -> bool:
    """Tell whether a device has any sample or charging record yet, or was moved before.

    Without ``reads_log`` the log is left out: it may have no index by device.
    """
    tables = ["charging_records", "sample_hours", "past_places"]
    if reads_log:
        tables.append("samples")
    return any(
        tx.row(f"SELECT 1 FROM {table} WHERE device_no = $1 LIMIT 1", device_no) is not None
        for table in tables
    )


def list_device_nos(tx: Tx, operator_id: str, since_ms: int) -> list[int]:
    """Return the devices that are an operator's, or have been at some time since ``since_ms``."""
    rows = tx.rows(
        "SELECT device_no FROM devices WHERE operator_id = $1"
        " UNION SELECT device_no FROM past_places WHERE operator_id = $1 AND until_ms > $2",
        operator_id,
        since_ms,
    )
    return [row[0] for row in rows]
