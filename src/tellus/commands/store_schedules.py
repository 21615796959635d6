"""The SQL of schedules."""

import msgspec

from tellus.commands.model_schedules import Plan, Schedule
from tellus.storage.database import Row, Tx

_COLUMNS = "plan, command_id, created_ms, updated_ms"


def list_schedules(
    tx: Tx, device_no: int, connector_id: int, owner: tuple[str, int]
) -> list[Schedule]:
    """Return the schedules of a connector in the order of their ids.

    ``owner`` is an operator and since when (ms) the device is its: what others stored, or the same
    one before, is none of this connector's any more.
    """
    rows = tx.rows(
        f"SELECT {_COLUMNS} FROM schedules WHERE device_no = $1 AND connector_id = $2"
        " AND operator_id = $3 AND updated_ms >= $4 ORDER BY schedule_id",
        device_no,
        connector_id,
        *owner,
    )
    return [_from_row(row) for row in rows]


def put_schedule(
    tx: Tx, device_no: int, connector_id: int, operator_id: str, schedule: Schedule
) -> None:
    """Store a schedule in place of any of the same id."""
    remove_schedule(tx, device_no, connector_id, schedule.plan.schedule_id)
    tx.execute(
        "INSERT INTO schedules (device_no, connector_id, schedule_id, operator_id,"
        f" {_COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        device_no,
        connector_id,
        schedule.plan.schedule_id,
        operator_id,
        msgspec.json.encode(schedule.plan).decode(),
        schedule.command_id,
        schedule.created_ms,
        schedule.updated_ms,
    )


def remove_schedule(tx: Tx, device_no: int, connector_id: int, schedule_id: str) -> None:
    """Remove a schedule, if there is one."""
    tx.execute(
        "DELETE FROM schedules WHERE device_no = $1 AND connector_id = $2 AND schedule_id = $3",
        device_no,
        connector_id,
        schedule_id,
    )


def list_plans(tx: Tx, device_no: int) -> list[tuple[int, Plan]]:
    """Return all plans stored for a device, whoever set them, each with its connector."""
    rows = tx.rows(
        "SELECT connector_id, plan FROM schedules WHERE device_no = $1"
        " ORDER BY connector_id, schedule_id",
        device_no,
    )
    return [(row[0], msgspec.json.decode(row[1], type=Plan)) for row in rows]


def remove_all(tx: Tx, device_no: int) -> None:
    """Remove every schedule of a device."""
    tx.execute("DELETE FROM schedules WHERE device_no = $1", device_no)


def find_zone(tx: Tx, site_id: str) -> str | None:
    """Return the time zone of a site, or None."""
    row = tx.row("SELECT timezone FROM sites WHERE site_id = $1", site_id)
    return None if row is None else str(row[0])


def _from_row(row: Row) -> Schedule:
    return Schedule(msgspec.json.decode(row[0], type=Plan), row[1], row[2], row[3])
