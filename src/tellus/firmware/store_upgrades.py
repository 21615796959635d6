"""The SQL of upgrades: which command took a device from which version to which.

Where the command stands and what the charger said is read with them, from where it is kept.
"""

import msgspec

from tellus.commands.model import Command, FirmwareReport, Phase
from tellus.firmware.model import Progress, Upgrade
from tellus.storage.database import Row, Tx

_COLUMNS = (
    "command_id, device_no, device_id, operator_id, from_version, to_version, platform_build,"
    " rollout_id, created_ms, ended_ms"
)
_UPGRADE_WIDTH = 10
_COMMAND_COLUMNS = (
    "connector_id, client_id, command, params, phase, result, created_ms, updated_ms, expires_ms,"
    " delivered_ms, deliveries"
)
_REPORT_COLUMNS = "firmware_version, status, progress_pct, message, received_ms"

# The last word of the device about either name of the version, since the upgrade was issued.
_SELECT = (
    "SELECT "
    + ", ".join(f"u.{name}" for name in _COLUMNS.split(", "))
    + ", "
    + ", ".join(f"c.{name}" for name in _COMMAND_COLUMNS.split(", "))
    + ", "
    + ", ".join(f"r.{name}" for name in _REPORT_COLUMNS.split(", "))
    + " FROM firmware_upgrades AS u JOIN commands AS c ON c.command_id = u.command_id"
    " LEFT JOIN firmware_reports AS r ON r.report_no = (SELECT max(said.report_no)"
    " FROM firmware_reports AS said WHERE said.device_no = u.device_no"
    " AND said.received_ms >= u.created_ms"
    " AND said.firmware_version IN (u.to_version, coalesce(u.platform_build, u.to_version)))"
)


def append_upgrade(tx: Tx, upgrade: Upgrade) -> None:
    """Append a new upgrade."""
    tx.insert_many(f"INSERT INTO firmware_upgrades ({_COLUMNS})", [tuple(upgrade)])


def close_upgrade(tx: Tx, command_id: str, ended_ms: int) -> None:
    """Write that an upgrade needs no watching any more."""
    tx.execute(
        "UPDATE firmware_upgrades SET ended_ms = $1 WHERE command_id = $2 AND ended_ms IS NULL",
        ended_ms,
        command_id,
    )


def list_open(tx: Tx) -> list[Progress]:
    """Return the upgrades of all devices that may still move, oldest first."""
    rows = tx.rows(f"{_SELECT} WHERE u.ended_ms IS NULL ORDER BY u.upgrade_no")
    return [_from_row(row) for row in rows]


def list_of_device(tx: Tx, device_no: int, operator_id: str, limit: int) -> list[Progress]:
    """Return up to ``limit`` upgrades that an operator issued to a device, newest first."""
    rows = tx.rows(
        f"{_SELECT} WHERE u.device_no = $1 AND u.operator_id = $2"
        " ORDER BY u.upgrade_no DESC LIMIT $3",
        device_no,
        operator_id,
        limit,
    )
    return [_from_row(row) for row in rows]


def find_accepted(tx: Tx, device_no: int) -> str | None:
    """Return the command of an upgrade that the device works on, or None."""
    row = tx.row(
        "SELECT u.command_id FROM firmware_upgrades AS u"
        " JOIN commands AS c ON c.command_id = u.command_id"
        " WHERE u.device_no = $1 AND u.ended_ms IS NULL AND c.phase = 'accepted' LIMIT 1",
        device_no,
    )
    return None if row is None else str(row[0])


def list_of_rollout(tx: Tx, rollout_id: str) -> dict[str, tuple[Phase, str | None, int, int]]:
    """Return the commands of a rollout by id: phase, result (JSON), last moved (ms), deliveries."""
    rows = tx.rows(
        "SELECT u.command_id, c.phase, c.result, c.updated_ms, c.deliveries"
        " FROM firmware_upgrades AS u JOIN commands AS c ON c.command_id = u.command_id"
        " WHERE u.rollout_id = $1",
        rollout_id,
    )
    return {row[0]: (Phase(row[1]), *row[2:]) for row in rows}


def _from_row(row: Row) -> Progress:
    upgrade = Upgrade(*row[:_UPGRADE_WIDTH])
    held = row[_UPGRADE_WIDTH:]
    command = Command(
        command_id=upgrade.command_id,
        device_no=upgrade.device_no,
        device_id=upgrade.device_id,
        operator_id=upgrade.operator_id,
        transaction_id=None,
        connector_id=held[0],
        client_id=held[1],
        command=held[2],
        params=held[3],
        phase=Phase(held[4]),
        result=None if held[5] is None else msgspec.json.decode(held[5], type=dict[str, object]),
        created_ms=held[6],
        updated_ms=held[7],
        expires_ms=held[8],
        delivered_ms=held[9],
        deliveries=held[10],
    )
    said = held[11:]
    report = None if said[0] is None else FirmwareReport(upgrade.device_no, *said)
    return Progress(upgrade, command, report)
