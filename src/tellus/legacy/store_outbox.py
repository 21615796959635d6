"""The SQL of the outbox: what peers are owed, who is sending it, and how it ended."""

from collections.abc import Sequence
from typing import Final

import msgspec

from tellus.delivery.model import IN_FLIGHT_LARGEST, LEASE_MS, Attempt, PushState
from tellus.kernel.ids import new_id
from tellus.legacy.model import Push, PushOperation
from tellus.legacy.model_outbox import OwedPush, PushFilter
from tellus.storage.database import Row, Tx

_COLUMNS: Final = (
    "push_no, push_id, peer_id, operation, ordering_key, body, state, attempts, due_ms, lease_id,"
    " created_ms, updated_ms, last_status, last_error, history, ended_ms"
)
_SELECT: Final = (
    "SELECT "
    + ", ".join(f"o.{name}" for name in _COLUMNS.split(", "))
    + ", CASE WHEN EXISTS (SELECT 1 FROM legacy_outbox AS n WHERE n.peer_id = o.peer_id"
    " AND n.operation = o.operation AND n.ordering_key = o.ordering_key"
    " AND n.push_no > o.push_no) THEN 1 ELSE 0 END FROM legacy_outbox AS o"
)
_FIELDS: Final = ("push_no", "push_id", "receiver_id", *_COLUMNS.split(", ")[3:], "has_newer")
_HISTORY: Final = msgspec.json.Decoder(tuple[Attempt, ...])
# Those of a busy line may stand before those that can go, and there are at most as many of them.
_DEVICES_AT_ONCE: Final = 200
_LOOKED_AT: Final = 4 * IN_FLIGHT_LARGEST


def append_push(tx: Tx, push: Push) -> str:
    """Append a push that is due at once, in the transaction of what it tells of; return its id.

    Older ones with its key that nobody is sending are not sent any more. Whoever appends pushes
    with one key does so one after the other, under a lock of their own on what they tell of.
    """
    tx.execute(
        "UPDATE legacy_outbox SET state = $1, due_ms = NULL, lease_id = NULL, updated_ms = $2,"
        " ended_ms = $2 WHERE peer_id = $3 AND operation = $4 AND ordering_key = $5"
        " AND ended_ms IS NULL AND (lease_id IS NULL OR due_ms <= $2)",
        PushState.SUPERSEDED.value,
        push.created_ms,
        push.peer_id,
        push.operation.value,
        push.ordering_key,
    )
    push_id = new_id("psh")
    tx.insert_many(
        "INSERT INTO legacy_outbox (push_id, peer_id, operation, ordering_key, body, state,"
        " attempts, due_ms, created_ms, updated_ms, history)",
        [
            (
                push_id,
                push.peer_id,
                push.operation.value,
                push.ordering_key,
                push.body,
                PushState.WAITING.value,
                0,
                push.created_ms,
                push.created_ms,
                push.created_ms,
                "[]",
            )
        ],
    )
    return push_id


# ------------------------------------------------------------------ sending


def lock_receiver(tx: Tx, peer_id: str) -> None:
    """Let nobody else decide which pushes of a peer are sent until this transaction ends."""
    tx.lock(f"legacy_outbox {peer_id}")


def list_receivers_due(tx: Tx, now_ms: int) -> list[str]:
    """Return the peers that a push is due for."""
    rows = tx.rows(
        "SELECT p.peer_id FROM legacy_peers AS p WHERE EXISTS (SELECT 1 FROM legacy_outbox AS o"
        " WHERE o.peer_id = p.peer_id AND o.ended_ms IS NULL AND o.due_ms <= $1)"
        " ORDER BY p.peer_id",
        now_ms,
    )
    return [str(row[0]) for row in rows]


def has_receiver(tx: Tx, peer_id: str) -> bool:
    """Tell whether there is such a peer, for pushes to go to."""
    return tx.row("SELECT 1 FROM legacy_peers WHERE peer_id = $1", peer_id) is not None


def list_due(tx: Tx, peer_id: str, now_ms: int) -> list[OwedPush]:
    """Return the pushes of a peer that are due, the longest due first; no more than are needed."""
    rows = tx.rows(
        f"{_SELECT} WHERE o.peer_id = $1 AND o.ended_ms IS NULL AND o.due_ms <= $2"
        " ORDER BY o.due_ms, o.push_no LIMIT $3",
        peer_id,
        now_ms,
        _LOOKED_AT,
    )
    return [_from_row(row) for row in rows]


def list_busy(tx: Tx, peer_id: str, now_ms: int) -> list[tuple[str, ...]]:
    """Return the lines of the pushes to a peer that are being sent, by whichever node."""
    rows = tx.rows(
        "SELECT operation, ordering_key FROM legacy_outbox WHERE peer_id = $1"
        " AND ended_ms IS NULL AND due_ms > $2 AND due_ms <= $3 AND lease_id IS NOT NULL",
        peer_id,
        now_ms,
        # Another node's clock may be a little ahead of this one's.
        now_ms + 2 * LEASE_MS,
    )
    return [(row[0], row[1]) for row in rows]


def take_lease(tx: Tx, push_no: int, lease_id: str, now_ms: int) -> bool:
    """Reserve a push for its sender until the lease ends; False where it is not due any more."""
    changed = tx.execute(
        "UPDATE legacy_outbox SET lease_id = $1, due_ms = $2, updated_ms = $3"
        " WHERE push_no = $4 AND ended_ms IS NULL AND due_ms <= $3",
        lease_id,
        now_ms + LEASE_MS,
        now_ms,
        push_no,
    )
    return changed == 1


def release_leases(tx: Tx, now_ms: int) -> int:
    """Make everything due that was being sent; for a start that has the store to itself."""
    return tx.execute(
        "UPDATE legacy_outbox SET lease_id = NULL, due_ms = $1, updated_ms = $1"
        " WHERE ended_ms IS NULL AND lease_id IS NOT NULL",
        now_ms,
    )


def find_open(tx: Tx, push_no: int) -> OwedPush | None:
    """Return a push that has not ended, or None."""
    row = tx.row(f"{_SELECT} WHERE o.push_no = $1 AND o.ended_ms IS NULL", push_no)
    return None if row is None else _from_row(row)


def save_push(tx: Tx, push: OwedPush, held: OwedPush) -> bool:
    """Write how a push stands now; False where it is not as ``held`` any more."""
    changed = tx.execute(
        "UPDATE legacy_outbox SET state = $1, attempts = $2, due_ms = $3, lease_id = $4,"
        " updated_ms = $5, last_status = $6, last_error = $7, history = $8, ended_ms = $9"
        " WHERE push_no = $10 AND state = $11 AND coalesce(lease_id, '') = $12",
        push.state.value,
        push.attempts,
        push.due_ms,
        push.lease_id,
        push.updated_ms,
        push.last_status,
        push.last_error,
        msgspec.json.encode(push.history).decode(),
        push.ended_ms,
        push.push_no,
        held.state.value,
        held.lease_id or "",
    )
    return changed == 1


# ------------------------------------------------------------------ looking and clearing


def find_push(tx: Tx, push_id: str) -> OwedPush | None:
    """Return a push, or None."""
    row = tx.row(f"{_SELECT} WHERE o.push_id = $1", push_id)
    return None if row is None else _from_row(row)


def list_pushes(tx: Tx, wanted: PushFilter, offset: int, size: int) -> tuple[int, list[OwedPush]]:
    """Return how many pushes match and a page of them, newest first."""
    values: list[str] = []
    tests = ["1 = 1"]
    for column, value in (("peer_id", wanted.peer_id), ("state", wanted.state)):
        if value is not None:
            values.append(str(value))
            tests.append(f"o.{column} = ${len(values)}")
    matching = " AND ".join(tests)
    count = tx.row(f"SELECT count(*) FROM legacy_outbox AS o WHERE {matching}", *values)
    rows = tx.rows(
        f"{_SELECT} WHERE {matching} ORDER BY o.push_no DESC"
        f" LIMIT ${len(values) + 1} OFFSET ${len(values) + 2}",
        *values,
        size,
        offset,
    )
    return (0 if count is None else int(count[0])), [_from_row(row) for row in rows]


def count_waiting(tx: Tx) -> int:
    """Return how many pushes have not ended."""
    row = tx.row("SELECT count(*) FROM legacy_outbox WHERE ended_ms IS NULL")
    return 0 if row is None else int(row[0])


def cancel_of_peer(tx: Tx, peer_id: str, now_ms: int) -> int:
    """End all that a peer is still owed, as it goes; return how many that were."""
    return tx.execute(
        "UPDATE legacy_outbox SET state = $1, due_ms = NULL, lease_id = NULL, updated_ms = $2,"
        " ended_ms = $2 WHERE peer_id = $3 AND ended_ms IS NULL",
        PushState.CANCELLED.value,
        now_ms,
        peer_id,
    )


def cancel_statuses(tx: Tx, device_ids: Sequence[str], now_ms: int) -> None:
    """End the statuses of devices that peers are still owed."""
    for start in range(0, len(device_ids), _DEVICES_AT_ONCE):
        part = device_ids[start : start + _DEVICES_AT_ONCE]
        marks = ", ".join(f"${number}" for number in range(4, len(part) + 4))
        tx.execute(
            "UPDATE legacy_outbox SET state = $1, due_ms = NULL, lease_id = NULL, updated_ms = $2,"
            " ended_ms = $2 WHERE operation = $3 AND ended_ms IS NULL"
            f" AND ordering_key IN ({marks})",
            PushState.CANCELLED.value,
            now_ms,
            PushOperation.STATION_STATUS.value,
            *part,
        )


def delete_ended(tx: Tx, before_ms: int, limit: int) -> int:
    """Forget pushes that ended before ``before_ms``, the oldest first; return how many."""
    return tx.execute(
        "DELETE FROM legacy_outbox WHERE push_no IN (SELECT push_no FROM legacy_outbox"
        " WHERE ended_ms < $1 ORDER BY ended_ms LIMIT $2)",
        before_ms,
        limit,
    )


def _from_row(row: Row) -> OwedPush:
    held = dict(zip(_FIELDS, row, strict=True))
    held["operation"] = PushOperation(held["operation"])
    held["state"] = PushState(held["state"])
    held["history"] = _HISTORY.decode(held["history"])
    held["has_newer"] = bool(held["has_newer"])
    return OwedPush(**held)
