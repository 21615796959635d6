"""The SQL of rollouts and of the devices in them."""

from collections.abc import Iterable, Sequence

import msgspec

from tellus.firmware.model_rollouts import (
    Cohort,
    Count,
    Halt,
    Member,
    MemberState,
    Reason,
    Rollout,
    RolloutState,
    Wave,
)
from tellus.storage.database import Row, Tx

_COLUMNS = (
    "rollout_id, operator_id, client_id, name, firmware_version, rollback_version,"
    " allow_downgrade, max_in_flight, cohort, waves, state, wave, reached_ms, halt, revision,"
    " created_ms, updated_ms, ended_ms"
)
_MEMBER_COLUMNS = (
    "device_no, device_id, model, position, wave, state, reason, message, excused,"
    " previous_version, fault_before, command_id, rollback_command_id, due_ms, updated_ms"
)


_TAKEN = (
    "FROM firmware_rollouts AS r"
    " JOIN firmware_rollout_devices AS d ON d.rollout_id = r.rollout_id"
    " WHERE r.ended_ms IS NULL"
    " AND d.state NOT IN ('skipped', 'left', 'failed', 'rolled_back', 'rollback_failed')"
)


def append_rollout(tx: Tx, rollout: Rollout, members: Sequence[Member]) -> None:
    """Append a new rollout with its devices."""
    tx.insert_many(f"INSERT INTO firmware_rollouts ({_COLUMNS})", [_to_row(rollout)])
    tx.insert_many(
        f"INSERT INTO firmware_rollout_devices (rollout_id, {_MEMBER_COLUMNS})",
        [(rollout.rollout_id, *_to_member_row(member)) for member in members],
    )


def update_rollout(tx: Tx, rollout: Rollout) -> bool:
    """Save what may change of a rollout; False if it changed meanwhile: then nothing is saved."""
    changed = tx.execute(
        "UPDATE firmware_rollouts SET state = $1, wave = $2, reached_ms = $3, halt = $4,"
        " updated_ms = $5, ended_ms = $6, revision = revision + 1"
        " WHERE rollout_id = $7 AND revision = $8",
        rollout.state,
        rollout.wave,
        rollout.reached_ms,
        None if rollout.halt is None else _to_json(rollout.halt),
        rollout.updated_ms,
        rollout.ended_ms,
        rollout.rollout_id,
        rollout.revision,
    )
    return changed == 1


def touch_rollout(tx: Tx, rollout_id: str, now_ms: int) -> None:
    """Write that devices of a rollout changed, so that what was decided before is not saved."""
    tx.execute(
        "UPDATE firmware_rollouts SET updated_ms = $1, revision = revision + 1"
        " WHERE rollout_id = $2",
        now_ms,
        rollout_id,
    )


def find_rollout(tx: Tx, rollout_id: str) -> Rollout | None:
    """Return a rollout, or None."""
    row = tx.row(f"SELECT {_COLUMNS} FROM firmware_rollouts WHERE rollout_id = $1", rollout_id)
    return None if row is None else _from_row(row)


def list_open(tx: Tx) -> list[str]:
    """Return the ids of the rollouts that are not over, oldest first."""
    rows = tx.rows(
        "SELECT rollout_id FROM firmware_rollouts WHERE ended_ms IS NULL ORDER BY rollout_no"
    )
    return [row[0] for row in rows]


def list_rollouts(
    tx: Tx, operator_id: str, state: RolloutState | None, limit: int, offset: int
) -> tuple[int, list[Rollout]]:
    """Return how many rollouts of an operator match and a page of them, newest first."""
    where, values = "operator_id = $1", [operator_id]
    if state is not None:
        where, values = where + " AND state = $2", [operator_id, state.value]
    total = tx.row(f"SELECT count(*) FROM firmware_rollouts WHERE {where}", *values)
    rows = tx.rows(
        f"SELECT {_COLUMNS} FROM firmware_rollouts WHERE {where} ORDER BY rollout_no DESC"
        f" LIMIT ${len(values) + 1} OFFSET ${len(values) + 2}",
        *values,
        limit,
        offset,
    )
    return (total[0] if total else 0), [_from_row(row) for row in rows]


def list_members(tx: Tx, rollout_id: str) -> list[Member]:
    """Return the devices of a rollout in its order."""
    rows = tx.rows(
        f"SELECT {_MEMBER_COLUMNS} FROM firmware_rollout_devices WHERE rollout_id = $1"
        " ORDER BY position",
        rollout_id,
    )
    return [_from_member_row(row) for row in rows]


def page_members(
    tx: Tx,
    rollout_id: str,
    wanted: tuple[int | None, MemberState | None],
    limit: int,
    offset: int,
) -> tuple[int, list[Member]]:
    """Return how many devices of a rollout are in a wave and state, and a page of them in order."""
    conditions, values = ["rollout_id = $1"], [rollout_id]
    for name, value in zip(("wave", "state"), wanted, strict=True):
        if value is not None:
            values.append(value)  # type: ignore[arg-type]  # parameters of any kind
            conditions.append(f"{name} = ${len(values)}")
    where = " AND ".join(conditions)
    total = tx.row(f"SELECT count(*) FROM firmware_rollout_devices WHERE {where}", *values)
    rows = tx.rows(
        f"SELECT {_MEMBER_COLUMNS} FROM firmware_rollout_devices WHERE {where}"
        f" ORDER BY position LIMIT ${len(values) + 1} OFFSET ${len(values) + 2}",
        *values,
        limit,
        offset,
    )
    return (total[0] if total else 0), [_from_member_row(row) for row in rows]


def count_members(tx: Tx, rollout_id: str) -> list[Count]:
    """Return how many devices of a rollout are in each wave and state."""
    rows = tx.rows(
        "SELECT wave, state, excused, count(*) FROM firmware_rollout_devices"
        " WHERE rollout_id = $1 GROUP BY wave, state, excused",
        rollout_id,
    )
    return [Count(row[0], MemberState(row[1]), bool(row[2]), row[3]) for row in rows]


def find_member(tx: Tx, rollout_id: str, device_no: int) -> Member | None:
    """Return a device of a rollout, or None."""
    row = tx.row(
        f"SELECT {_MEMBER_COLUMNS} FROM firmware_rollout_devices"
        " WHERE rollout_id = $1 AND device_no = $2",
        rollout_id,
        device_no,
    )
    return None if row is None else _from_member_row(row)


def update_members(tx: Tx, rollout_id: str, members: Iterable[Member]) -> None:
    """Save what may change of devices."""
    for member in members:
        tx.execute(
            "UPDATE firmware_rollout_devices SET state = $1, reason = $2, message = $3,"
            " excused = $4, previous_version = $5, fault_before = $6, command_id = $7,"
            " rollback_command_id = $8, due_ms = $9, updated_ms = $10"
            " WHERE rollout_id = $11 AND device_no = $12",
            member.state,
            member.reason,
            member.message,
            int(member.excused),
            member.previous_version,
            member.fault_before,
            member.command_id,
            member.rollback_command_id,
            member.due_ms,
            member.updated_ms,
            rollout_id,
            member.device_no,
        )


def list_taken(tx: Tx, operator_id: str, but: str = "") -> dict[int, str]:
    """Return by number the devices that a rollout which is not over still has to do with.

    The rollout ``but`` does not count.
    """
    rows = tx.rows(
        f"SELECT d.device_no, d.rollout_id {_TAKEN} AND r.operator_id = $1 AND r.rollout_id <> $2",
        operator_id,
        but,
    )
    return dict(rows)


def find_taker(tx: Tx, device_no: int, but: str = "") -> str | None:
    """Return the rollout that still has to do with a device, other than ``but``; None for none."""
    row = tx.row(
        f"SELECT r.rollout_id {_TAKEN} AND d.device_no = $1 AND r.rollout_id <> $2 LIMIT 1",
        device_no,
        but,
    )
    return None if row is None else str(row[0])


def list_fresh_faults(tx: Tx, rollout_id: str, wave: int, before_ms: int) -> list[Row]:
    """Return (device number, fault) of what upgraded devices of a wave reported since.

    Since they began to install, where they said so, else since they were found to be upgraded.
    What a device reported in the ``before_ms`` before its upgrade is not fresh, nor what the
    platform found by itself.
    """
    return tx.rows(
        "SELECT DISTINCT d.device_no, e.fault_key FROM firmware_rollout_devices AS d"
        " JOIN firmware_upgrades AS u ON u.command_id = d.command_id"
        " JOIN events AS e ON e.device_no = d.device_no AND e.time_ms >= u.created_ms"
        " AND e.event_type = 'fault' AND e.origin = 'device' AND e.fault_key IS NOT NULL"
        " WHERE d.rollout_id = $1 AND d.wave = $2 AND d.state = 'upgraded'"
        " AND e.received_ms >= coalesce((SELECT max(said.received_ms) FROM firmware_reports AS said"
        " WHERE said.device_no = d.device_no AND said.received_ms >= u.created_ms"
        " AND said.status = 'upgrading'), d.updated_ms)"
        " AND NOT EXISTS (SELECT 1 FROM events AS earlier WHERE earlier.device_no = d.device_no"
        " AND earlier.time_ms >= u.created_ms - $3 AND earlier.time_ms < u.created_ms"
        " AND earlier.event_type = 'fault' AND earlier.fault_key = e.fault_key)",
        rollout_id,
        wave,
        before_ms,
    )


def _to_row(rollout: Rollout) -> Row:
    return (
        rollout.rollout_id,
        rollout.operator_id,
        rollout.client_id,
        rollout.name,
        rollout.firmware_version,
        rollout.rollback_version,
        int(rollout.allow_downgrade),
        rollout.max_in_flight,
        _to_json(rollout.cohort),
        _to_json(rollout.waves),
        rollout.state,
        rollout.wave,
        rollout.reached_ms,
        None if rollout.halt is None else _to_json(rollout.halt),
        rollout.revision,
        rollout.created_ms,
        rollout.updated_ms,
        rollout.ended_ms,
    )


def _from_row(row: Row) -> Rollout:
    return Rollout(
        rollout_id=row[0],
        operator_id=row[1],
        client_id=row[2],
        name=row[3],
        firmware_version=row[4],
        rollback_version=row[5],
        allow_downgrade=bool(row[6]),
        max_in_flight=row[7],
        cohort=msgspec.json.decode(row[8], type=Cohort),
        waves=msgspec.json.decode(row[9], type=tuple[Wave, ...]),
        state=RolloutState(row[10]),
        wave=row[11],
        reached_ms=row[12],
        halt=None if row[13] is None else msgspec.json.decode(row[13], type=Halt),
        revision=row[14],
        created_ms=row[15],
        updated_ms=row[16],
        ended_ms=row[17],
    )


def _to_member_row(member: Member) -> Row:
    return (
        member.device_no,
        member.device_id,
        member.model,
        member.position,
        member.wave,
        member.state,
        member.reason,
        member.message,
        int(member.excused),
        member.previous_version,
        member.fault_before,
        member.command_id,
        member.rollback_command_id,
        member.due_ms,
        member.updated_ms,
    )


def _from_member_row(row: Row) -> Member:
    return Member(
        device_no=row[0],
        device_id=row[1],
        model=row[2],
        position=row[3],
        wave=row[4],
        state=MemberState(row[5]),
        reason=None if row[6] is None else Reason(row[6]),
        message=row[7],
        excused=bool(row[8]),
        previous_version=row[9],
        fault_before=row[10],
        command_id=row[11],
        rollback_command_id=row[12],
        due_ms=row[13],
        updated_ms=row[14],
    )


def _to_json(value: object) -> str:
    return msgspec.json.encode(value).decode()
