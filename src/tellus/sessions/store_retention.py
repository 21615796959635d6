"""The SQL that drops what a device's charging records are."""

from tellus.storage.database import Tx


def remove_records_of(tx: Tx, device_no: int, limit: int) -> int:
    """Delete up to ``limit`` records of a device, and what contradicted any; return how many."""
    removed = tx.execute(
        "DELETE FROM charging_records WHERE record_no IN"
        " (SELECT record_no FROM charging_records WHERE device_no = $1 LIMIT $2)",
        device_no,
        limit,
    )
    removed += tx.execute(
        "DELETE FROM charging_record_conflicts WHERE (device_no, record_id, fingerprint) IN"
        " (SELECT device_no, record_id, fingerprint FROM charging_record_conflicts"
        " WHERE device_no = $1 LIMIT $2)",
        device_no,
        limit,
    )
    return removed
