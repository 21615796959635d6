"""The SQL of targets: what each connector is to hold because of which control."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from tellus.commands.model import Phase as CommandPhase
from tellus.flexibility.model import Gone, Held, Sent, Stage, Target
from tellus.storage.database import Row, Tx

_COLUMNS = (
    "control_no, device_no, connector_id, device_id, offset_ms, begin_ms, until_ms, limit_kw,"
    " joined, gone, stage, due_ms, lifted, applied, command_id, lift_command_id"
)
_HELD = (
    "SELECT {}, c.control_id, c.operator_id, c.client_id, c.cancelled_ms,"
    " k.phase, k.expires_ms, k.updated_ms, k.result,"
    " l.phase, l.expires_ms, l.updated_ms, l.result"
    " FROM control_targets t JOIN controls c ON c.control_no = t.control_no"
    " LEFT JOIN commands k ON k.command_id = t.command_id"
    " LEFT JOIN commands l ON l.command_id = t.lift_command_id"
).format(", ".join("t." + name for name in _COLUMNS.split(", ")))
_SENT_WIDTH = 4
_READ_AT_ONCE = 512
_WIDTH = len(_COLUMNS.split(", "))

Key = tuple[int, int]
"""A connector: the number of its device, and its own."""


def append_targets(tx: Tx, control_no: int, targets: Sequence[Target]) -> None:
    """Append the targets of a control."""
    rows = [_to_row(control_no, target) for target in targets]
    tx.insert_many(f"INSERT INTO control_targets ({_COLUMNS})", rows)


def put_targets(tx: Tx, targets: Sequence[Target]) -> None:
    """Write targets in place of those of the same control and connector."""
    tail = (
        "ON CONFLICT (control_no, device_no, connector_id) DO UPDATE SET"
        " limit_kw = excluded.limit_kw, gone = excluded.gone, stage = excluded.stage,"
        " due_ms = excluded.due_ms, lifted = excluded.lifted"
    )
    rows = [_to_row(target.control_no, target) for target in targets]
    tx.insert_many(f"INSERT INTO control_targets ({_COLUMNS})", rows, tail)


def list_of_control(tx: Tx, control_no: int, after_no: int) -> list[Held]:
    """Return the targets of some devices of a control with higher numbers, in their order.

    Whole devices only, a few hundred targets at a time; none where there are no more.
    """
    rows = tx.rows(
        f"{_HELD} WHERE t.control_no = $1 AND t.device_no > $2"
        " ORDER BY t.device_no, t.connector_id LIMIT $3",
        control_no,
        after_no,
        _READ_AT_ONCE,
    )
    held = [_from_row(row) for row in rows]
    if len(held) == _READ_AT_ONCE:
        last_no = held[-1].target.device_no
        held = [one for one in held if one.target.device_no != last_no]
    return held


def list_due(tx: Tx, control_no: int, now_ms: int, limit: int) -> list[Held]:
    """Return up to ``limit`` targets of a control whose moment has come, the longest due first."""
    rows = tx.rows(
        f"{_HELD} WHERE t.control_no = $1 AND t.due_ms <= $2"
        " ORDER BY t.due_ms, t.device_no, t.connector_id LIMIT $3",
        control_no,
        now_ms,
        limit,
    )
    return [_from_row(row) for row in rows]


def list_of_connector(tx: Tx, key: Key, now_ms: int) -> list[Held]:
    """Return the targets at a connector whose time has not ended, of controls that took effect."""
    rows = tx.rows(
        f"{_HELD} WHERE t.device_no = $1 AND t.connector_id = $2 AND t.until_ms > $3"
        " AND c.phase <> 'preparing' ORDER BY t.control_no",
        *key,
        now_ms,
    )
    return [_from_row(row) for row in rows]


def list_of_device(tx: Tx, control_no: int, device_no: int) -> list[Target]:
    """Return the targets of a control at a device."""
    rows = tx.rows(
        f"SELECT {_COLUMNS} FROM control_targets WHERE control_no = $1 AND device_no = $2",
        control_no,
        device_no,
    )
    return [_to_target(row) for row in rows]


def find_next_due(tx: Tx, control_no: int) -> int | None:
    """Return when the next target of a control needs attention (ms), None for never."""
    row = tx.row(
        "SELECT min(due_ms) FROM control_targets WHERE control_no = $1 AND due_ms IS NOT NULL",
        control_no,
    )
    return None if row is None else row[0]


def list_known(tx: Tx, control_no: int) -> list[tuple[int, int, bool, bool]]:
    """Return (device, connectors, whether a rating is missing, whether it is awaited) per device.

    Devices that are gone are not among them.
    """
    rows = tx.rows(
        "SELECT device_no, sum(CASE WHEN connector_id > 0 THEN 1 ELSE 0 END),"
        " sum(CASE WHEN limit_kw IS NULL THEN 1 ELSE 0 END),"
        " sum(CASE WHEN stage = 'away' THEN 1 ELSE 0 END)"
        " FROM control_targets WHERE control_no = $1 AND gone IS NULL GROUP BY device_no",
        control_no,
    )
    return [(row[0], row[1], bool(row[2]), bool(row[3])) for row in rows]


def note_sent(tx: Tx, target: Target) -> None:
    """Write which command was sent for a target, and what is left to do."""
    tx.execute(
        "UPDATE control_targets SET stage = $1, due_ms = $2, lifted = $3, applied = $4,"
        " command_id = $5, lift_command_id = $6"
        " WHERE control_no = $7 AND device_no = $8 AND connector_id = $9",
        target.stage,
        target.due_ms,
        int(target.lifted),
        int(target.applied),
        target.command_id,
        target.lift_command_id,
        target.control_no,
        target.device_no,
        target.connector_id,
    )


def note_stages(tx: Tx, targets: Iterable[tuple[Target, Stage, int | None]]) -> None:
    """Write what is left to do for targets, and when (ms), unless that changed meanwhile."""
    for target, stage, due_ms in targets:
        tx.execute(
            "UPDATE control_targets SET stage = $1, due_ms = $2"
            " WHERE control_no = $3 AND device_no = $4 AND connector_id = $5"
            " AND stage = $6 AND due_ms = $7",
            stage,
            due_ms,
            target.control_no,
            target.device_no,
            target.connector_id,
            target.stage,
            target.due_ms,
        )


def note_return(tx: Tx, control_no: int, device_nos: Iterable[int], now_ms: int) -> None:
    """Let the awaited chargers be told again."""
    for device_no in device_nos:
        tx.execute(
            "UPDATE control_targets SET stage = 'due', due_ms = $1"
            " WHERE control_no = $2 AND device_no = $3 AND stage = 'away'",
            now_ms,
            control_no,
            device_no,
        )


def note_gone(tx: Tx, control_no: int, devices: Iterable[tuple[int, Gone]], now_ms: int) -> None:
    """Write that devices are no targets any more, and that their limits are to be taken back."""
    for device_no, gone in devices:
        tx.execute(
            "UPDATE control_targets SET gone = $1, stage = 'due', due_ms = $2"
            " WHERE control_no = $3 AND device_no = $4 AND gone IS NULL",
            gone,
            now_ms,
            control_no,
            device_no,
        )


def note_cancelled(tx: Tx, control_no: int, span: tuple[int, int], now_ms: int) -> None:
    """Let the chargers with numbers in ``span``, both ends included, be told of a cancellation."""
    tx.execute(
        "UPDATE control_targets SET stage = 'due', due_ms = $1"
        " WHERE control_no = $2 AND device_no >= $3 AND device_no <= $4 AND lifted = 0",
        now_ms,
        control_no,
        *span,
    )


def delete_targets(tx: Tx, control_no: int, limit: int) -> int:
    """Delete the targets of up to ``limit`` devices of a control; return how many rows it took."""
    return tx.execute(
        "DELETE FROM control_targets WHERE control_no = $1 AND device_no IN (SELECT DISTINCT"
        " device_no FROM control_targets WHERE control_no = $1 ORDER BY device_no LIMIT $2)",
        control_no,
        limit,
    )


def delete_target(tx: Tx, control_no: int, key: Key) -> None:
    """Delete one target."""
    tx.execute(
        "DELETE FROM control_targets"
        " WHERE control_no = $1 AND device_no = $2 AND connector_id = $3",
        control_no,
        *key,
    )


def _to_row(control_no: int, target: Target) -> Row:
    return (
        control_no,
        target.device_no,
        target.connector_id,
        target.device_id,
        target.offset_ms,
        target.begin_ms,
        target.until_ms,
        target.limit_kw,
        int(target.joined),
        target.gone,
        target.stage,
        target.due_ms,
        int(target.lifted),
        int(target.applied),
        target.command_id,
        target.lift_command_id,
    )


def _to_target(row: Row) -> Target:
    return Target(
        control_no=row[0],
        device_no=row[1],
        connector_id=row[2],
        device_id=row[3],
        offset_ms=row[4],
        begin_ms=row[5],
        until_ms=row[6],
        limit_kw=row[7],
        joined=bool(row[8]),
        gone=None if row[9] is None else Gone(row[9]),
        stage=Stage(row[10]),
        due_ms=row[11],
        lifted=bool(row[12]),
        applied=bool(row[13]),
        command_id=row[14],
        lift_command_id=row[15],
    )


def _from_row(row: Row) -> Held:
    control_id, operator_id, client_id, cancelled_ms, *sent = row[_WIDTH:]
    return Held(
        _to_target(row),
        control_id,
        operator_id,
        client_id,
        cancelled_ms,
        _to_sent(sent[:_SENT_WIDTH]),
        _to_sent(sent[_SENT_WIDTH:]),
    )


def _to_sent(row: Sequence[Any]) -> Sent | None:
    phase, expires_ms, updated_ms, text = row
    if phase is None:
        return None
    result: dict[str, Any] | None = None
    if text is not None:
        result = msgspec.json.decode(text, type=dict[str, Any])
    return Sent(CommandPhase(phase), expires_ms, updated_ms, result)
