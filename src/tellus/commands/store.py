"""The SQL of commands, of what chargers reported, and of firmware reports."""

from collections.abc import Sequence
from typing import Any

import msgspec

from tellus.commands.model import (
    DISCHARGE,
    FIRMWARE_UPGRADE,
    START,
    STATUS_OF,
    STOP,
    Command,
    CommandFilter,
    Effect,
    FirmwareReport,
    Phase,
    Report,
    Signal,
)
from tellus.storage.database import Row, Tx

_COLUMNS = (
    "command_id, device_no, device_id, connector_id, operator_id, client_id, command, params,"
    " transaction_id, created_ms, updated_ms, expires_ms, phase, result, superseded_by,"
    " contradicted, delivered_ms, deliveries, lease_until_ms"
)

_CHANGING = ", ".join(
    f"{name} = excluded.{name}"
    for name in (
        "phase",
        "result",
        "superseded_by",
        "contradicted",
        "updated_ms",
        "delivered_ms",
        "deliveries",
        "lease_until_ms",
    )
)
_DEVICES_AT_ONCE = 64


def append_command(tx: Tx, command: Command) -> None:
    """Append a new command."""
    tx.insert_many(f"INSERT INTO commands ({_COLUMNS})", [_to_row(command)])


def update_commands(tx: Tx, commands: Sequence[Command]) -> None:
    """Save what may change of several commands, all of which are stored."""
    if commands:
        tx.insert_many(
            f"INSERT INTO commands ({_COLUMNS})",
            [_to_row(command) for command in commands],
            f"ON CONFLICT (command_id) DO UPDATE SET {_CHANGING}",
        )


def update_command(tx: Tx, command: Command) -> None:
    """Save what may change of a command."""
    tx.execute(
        "UPDATE commands SET phase = $1, result = $2, superseded_by = $3, contradicted = $4,"
        " updated_ms = $5, delivered_ms = $6, deliveries = $7, lease_until_ms = $8"
        " WHERE command_id = $9",
        command.phase,
        _to_json(command.result),
        command.superseded_by,
        int(command.contradicted),
        command.updated_ms,
        command.delivered_ms,
        command.deliveries,
        command.lease_until_ms,
        command.command_id,
    )


def find_command(tx: Tx, command_id: str) -> Command | None:
    """Return a command, or None."""
    row = tx.row(f"SELECT {_COLUMNS} FROM commands WHERE command_id = $1", command_id)
    return None if row is None else _from_row(row)


def find_by_transaction(
    tx: Tx, client_id: str, transaction_id: str, since_ms: int
) -> Command | None:
    """Return the newest command that the client issued under a transaction since then, or None."""
    row = tx.row(
        f"SELECT {_COLUMNS} FROM commands WHERE client_id = $1 AND transaction_id = $2"
        " AND created_ms > $3 ORDER BY created_ms DESC, command_no DESC LIMIT 1",
        client_id,
        transaction_id,
        since_ms,
    )
    return None if row is None else _from_row(row)


def list_queued(tx: Tx, device_no: int) -> list[Command]:
    """Return the queued commands of a device in the order they were issued."""
    rows = tx.rows(
        f"SELECT {_COLUMNS} FROM commands WHERE device_no = $1 AND phase = 'queued'"
        " ORDER BY command_no",
        device_no,
    )
    return [_from_row(row) for row in rows]


def list_queued_of(tx: Tx, device_nos: Sequence[int]) -> list[Command]:
    """Return the queued commands of some devices, of each in the order they were issued."""
    commands: list[Command] = []
    for start in range(0, len(device_nos), _DEVICES_AT_ONCE):
        part = device_nos[start : start + _DEVICES_AT_ONCE]
        # Naming the last one again keeps the statement the same for every number of devices.
        wanted = [*part, *[part[-1]] * (_round_up(len(part)) - len(part))]
        places = ", ".join(f"${number + 1}" for number in range(len(wanted)))
        rows = tx.rows(
            f"SELECT {_COLUMNS} FROM commands WHERE phase = 'queued' AND device_no IN ({places})"
            " ORDER BY device_no, command_no",
            *wanted,
        )
        commands += [_from_row(row) for row in rows]
    return commands


def list_all_queued(tx: Tx) -> list[Command]:
    """Return the queued commands of all devices."""
    rows = tx.rows(
        f"SELECT {_COLUMNS} FROM commands WHERE phase = 'queued' ORDER BY device_no, command_no"
    )
    return [_from_row(row) for row in rows]


def find_newest_no(tx: Tx) -> int:
    """Return the number of the newest command, 0 where there is none."""
    row = tx.row("SELECT max(command_no) FROM commands")
    return 0 if row is None or row[0] is None else int(row[0])


def list_queued_after(tx: Tx, command_no: int, limit: int) -> list[tuple[int, Command]]:
    """Return up to ``limit`` queued commands with higher numbers, each with its own, in order."""
    rows = tx.rows(
        f"SELECT command_no, {_COLUMNS} FROM commands"
        " WHERE command_no > $1 AND phase = 'queued' ORDER BY command_no LIMIT $2",
        command_no,
        limit,
    )
    return [(row[0], _from_row(row[1:])) for row in rows]


def list_queued_behind(
    tx: Tx, device_no: int, command_no: int, limit: int
) -> list[tuple[int, Command]]:
    """Return up to ``limit`` queued commands behind that one in the order of devices and numbers.

    Each comes with its number; with -1 and -1 from the first on.
    """
    rows = tx.rows(
        f"SELECT command_no, {_COLUMNS} FROM commands WHERE phase = 'queued'"
        " AND (device_no, command_no) > ($1, $2) ORDER BY device_no, command_no LIMIT $3",
        device_no,
        command_no,
        limit,
    )
    return [(row[0], _from_row(row[1:])) for row in rows]


def list_begun(tx: Tx, device_no: int) -> list[Command]:
    """Return the starts and discharges that a device accepted and was not told to stop since."""
    rows = tx.rows(
        f"SELECT {_COLUMNS} FROM commands AS begun WHERE device_no = $1 AND phase = 'accepted'"
        " AND command IN ($2, $3) AND NOT EXISTS (SELECT 1 FROM commands AS stop"
        " WHERE stop.device_no = begun.device_no AND stop.command_no > begun.command_no"
        " AND stop.connector_id = begun.connector_id AND stop.command = $4)"
        " ORDER BY command_no",
        device_no,
        START,
        DISCHARGE,
        STOP,
    )
    return [_from_row(row) for row in rows]


def count_commands(tx: Tx, wanted: CommandFilter) -> int:
    """Return how many commands match."""
    where, parameters = _where(wanted)
    row = tx.row(f"SELECT count(*) FROM commands WHERE {where}", *parameters)
    return int(row[0]) if row else 0


def list_commands(tx: Tx, wanted: CommandFilter, limit: int, offset: int) -> list[Command]:
    """Return up to ``limit`` matching commands after skipping ``offset``, newest first."""
    where, parameters = _where(wanted)
    last = len(parameters)
    rows = tx.rows(
        f"SELECT {_COLUMNS} FROM commands WHERE {where}"
        f" ORDER BY command_no DESC LIMIT ${last + 1} OFFSET ${last + 2}",
        *parameters,
        limit,
        offset,
    )
    return [_from_row(row) for row in rows]


def has_commands(tx: Tx, operator_id: str, device_no: int) -> bool:
    """Tell whether the operator issued commands to a device, perhaps before it moved on."""
    sql = "SELECT 1 FROM commands WHERE device_no = $1 AND operator_id = $2 LIMIT 1"
    return tx.row(sql, device_no, operator_id) is not None


def append_report(tx: Tx, report: Report) -> None:
    """Append a report whose key is not in the store."""
    tx.execute(
        "INSERT INTO command_reports (command_id, status, time_ms, received_ms, effect, message,"
        " details) VALUES ($1, $2, $3, $4, $5, $6, $7)",
        report.command_id,
        report.status,
        report.time_ms,
        report.received_ms,
        report.effect,
        report.message,
        _to_json(report.details),
    )


def list_reports(tx: Tx, command_id: str) -> list[Report]:
    """Return what was reported of a command, in order of arrival."""
    rows = tx.rows(
        "SELECT command_id, status, time_ms, received_ms, effect, message, details"
        " FROM command_reports WHERE command_id = $1 ORDER BY received_ms, time_ms, status",
        command_id,
    )
    return [
        Report(row[0], Signal(row[1]), row[2], row[3], Effect(row[4]), row[5], _from_json(row[6]))
        for row in rows
    ]


def list_delivered_upgrades(tx: Tx, device_no: int, limit: int) -> list[Command]:
    """Return up to ``limit`` firmware upgrades that reached a device, newest first."""
    rows = tx.rows(
        f"SELECT {_COLUMNS} FROM commands WHERE device_no = $1 AND command = $2"
        " AND deliveries > 0 ORDER BY command_no DESC LIMIT $3",
        device_no,
        FIRMWARE_UPGRADE,
        limit,
    )
    return [_from_row(row) for row in rows]


def append_firmware_report(tx: Tx, report: FirmwareReport) -> None:
    """Append a firmware report."""
    tx.execute(
        "INSERT INTO firmware_reports (device_no, firmware_version, status, progress_pct, message,"
        " received_ms) VALUES ($1, $2, $3, $4, $5, $6)",
        *report,
    )


def find_newest_firmware_report(tx: Tx, device_no: int) -> FirmwareReport | None:
    """Return the last firmware report of a device, or None."""
    row = tx.row(
        "SELECT device_no, firmware_version, status, progress_pct, message, received_ms"
        " FROM firmware_reports WHERE device_no = $1 ORDER BY report_no DESC LIMIT 1",
        device_no,
    )
    return None if row is None else FirmwareReport(*row)


def _where(wanted: CommandFilter) -> tuple[str, list[object]]:
    conditions = ["operator_id = $1"]
    values: list[object] = [wanted.operator_id]
    for condition, value in (
        ("device_no = $", wanted.device_no),
        ("connector_id = $", wanted.connector_id),
        ("command = $", wanted.command),
        ("created_ms >= $", wanted.from_ms),
        ("created_ms < $", wanted.to_ms),
    ):
        if value is not None:
            values.append(value)
            conditions.append(f"{condition}{len(values)}")
    if wanted.status is not None:
        phases = [phase for phase, status in STATUS_OF.items() if status == wanted.status]
        conditions.append("phase IN ({})".format(", ".join(f"'{phase}'" for phase in phases)))
    return " AND ".join(conditions), values


def _round_up(count: int) -> int:
    """Return the next power of two."""
    return 1 << (count - 1).bit_length()


def _to_row(command: Command) -> Row:
    return (
        command.command_id,
        command.device_no,
        command.device_id,
        command.connector_id,
        command.operator_id,
        command.client_id,
        command.command,
        command.params,
        command.transaction_id,
        command.created_ms,
        command.updated_ms,
        command.expires_ms,
        command.phase,
        _to_json(command.result),
        command.superseded_by,
        int(command.contradicted),
        command.delivered_ms,
        command.deliveries,
        command.lease_until_ms,
    )


def _from_row(row: Row) -> Command:
    return Command(
        command_id=row[0],
        device_no=row[1],
        device_id=row[2],
        connector_id=row[3],
        operator_id=row[4],
        client_id=row[5],
        command=row[6],
        params=row[7],
        transaction_id=row[8],
        created_ms=row[9],
        updated_ms=row[10],
        expires_ms=row[11],
        phase=Phase(row[12]),
        result=_from_json(row[13]),
        superseded_by=row[14],
        contradicted=bool(row[15]),
        delivered_ms=row[16],
        deliveries=row[17],
        lease_until_ms=row[18],
    )


def _to_json(value: dict[str, Any] | None) -> str | None:
    return None if value is None else msgspec.json.encode(value).decode()


def _from_json(text: str | None) -> dict[str, Any] | None:
    return None if text is None else msgspec.json.decode(text, type=dict[str, Any])
