"""The shelf of deliveries: what webhooks are owed. The oldest of a line holds up the others."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from tellus.alerts.model_webhooks import OwedDelivery, WebhookEvent
from tellus.consent.model_withheld import without
from tellus.delivery.model import IN_FLIGHT_LARGEST, LEASE_MS, Attempt, PushState
from tellus.storage.database import Row, Tx

_COLUMNS: Final = (
    "push_no, push_id, webhook_id, operator_id, alert_no, event_id, kind, ordering_key, body,"
    " state, attempts, due_ms, lease_id, created_ms, updated_ms, last_status, last_error, history,"
    " ended_ms"
)
_FIELDS: Final = tuple(
    _COLUMNS.replace("webhook_id", "receiver_id").replace("kind", "event").split(", ")
)
_WRITTEN: Final = _COLUMNS.partition(", ")[2]
_IS_HEAD: Final = (
    "NOT EXISTS (SELECT 1 FROM webhook_outbox AS p WHERE p.webhook_id = o.webhook_id"
    " AND p.ordering_key = o.ordering_key AND p.ended_ms IS NULL AND p.push_no < o.push_no)"
)
_HISTORY: Final = msgspec.json.Decoder(tuple[Attempt, ...])
_LOOKED_AT: Final = 4 * IN_FLIGHT_LARGEST
_DEVICES_AT_ONCE: Final = 200


def append_deliveries(tx: Tx, deliveries: Sequence[OwedDelivery]) -> None:
    """Append deliveries, in their order, in the transaction of what they tell of."""
    if deliveries:
        tx.insert_many(
            f"INSERT INTO webhook_outbox ({_WRITTEN})", [_values(one) for one in deliveries]
        )


def is_full(tx: Tx, webhook_id: str, most: int) -> bool:
    """Tell whether at least ``most`` deliveries wait for a webhook."""
    row = tx.row(
        "SELECT 1 FROM webhook_outbox WHERE webhook_id = $1 AND ended_ms IS NULL"
        " ORDER BY due_ms, push_no LIMIT 1 OFFSET $2",
        webhook_id,
        most - 1,
    )
    return row is not None


# ------------------------------------------------------------------ sending


def lock_receiver(tx: Tx, receiver_id: str, /) -> None:
    """Let nobody else decide which deliveries to a webhook are sent until this one ends."""
    tx.lock(f"webhook_outbox {receiver_id}")


def list_receivers_due(tx: Tx, now_ms: int, /) -> list[str]:
    """Return the active webhooks that a delivery is due for which nothing holds up."""
    rows = tx.rows(
        "SELECT w.webhook_id FROM webhooks AS w WHERE w.active = 1 AND EXISTS"
        " (SELECT 1 FROM webhook_outbox AS o WHERE o.webhook_id = w.webhook_id"
        f" AND o.ended_ms IS NULL AND o.due_ms <= $1 AND {_IS_HEAD}) ORDER BY w.webhook_id",
        now_ms,
    )
    return [str(row[0]) for row in rows]


def has_receiver(tx: Tx, receiver_id: str, /) -> bool:
    """Tell whether there is such a webhook, for deliveries to go to."""
    return tx.row("SELECT 1 FROM webhooks WHERE webhook_id = $1", receiver_id) is not None


def list_due(tx: Tx, receiver_id: str, now_ms: int, /) -> list[OwedDelivery]:
    """Return the deliveries to a webhook that are due, the longest due first."""
    rows = tx.rows(
        f"SELECT {_COLUMNS} FROM webhook_outbox AS o WHERE o.webhook_id = $1"
        f" AND o.ended_ms IS NULL AND o.due_ms <= $2 AND {_IS_HEAD}"
        " ORDER BY o.due_ms, o.push_no LIMIT $3",
        receiver_id,
        now_ms,
        _LOOKED_AT,
    )
    return [_delivery(row) for row in rows]


def list_busy(tx: Tx, receiver_id: str, now_ms: int, /) -> list[tuple[str, ...]]:
    """Return the lines of the deliveries to a webhook that are being sent, by whichever node."""
    rows = tx.rows(
        "SELECT ordering_key FROM webhook_outbox WHERE webhook_id = $1 AND ended_ms IS NULL"
        " AND due_ms > $2 AND due_ms <= $3 AND lease_id IS NOT NULL",
        receiver_id,
        now_ms,
        # Another node's clock may be a little ahead of this one's.
        now_ms + 2 * LEASE_MS,
    )
    return [(row[0],) for row in rows]


def take_lease(tx: Tx, push_no: int, lease_id: str, now_ms: int, /) -> bool:
    """Reserve a delivery for its sender until the lease ends; False where it is not due now."""
    changed = tx.execute(
        "UPDATE webhook_outbox SET lease_id = $1, due_ms = $2, updated_ms = $3"
        " WHERE push_no = $4 AND ended_ms IS NULL AND due_ms <= $3",
        lease_id,
        now_ms + LEASE_MS,
        now_ms,
        push_no,
    )
    return changed == 1


def release_leases(tx: Tx, now_ms: int, /) -> int:
    """Make everything due that was being sent; for a start that has the store to itself."""
    return tx.execute(
        "UPDATE webhook_outbox SET lease_id = NULL, due_ms = $1, updated_ms = $1"
        " WHERE ended_ms IS NULL AND lease_id IS NOT NULL",
        now_ms,
    )


def find_open(tx: Tx, push_no: int, /) -> OwedDelivery | None:
    """Return a delivery that has not ended, or None."""
    row = tx.row(
        f"SELECT {_COLUMNS} FROM webhook_outbox WHERE push_no = $1 AND ended_ms IS NULL", push_no
    )
    return None if row is None else _delivery(row)


def find_push(tx: Tx, push_id: str, /) -> OwedDelivery | None:
    """Return a delivery, or None."""
    row = tx.row(f"SELECT {_COLUMNS} FROM webhook_outbox WHERE push_id = $1", push_id)
    return None if row is None else _delivery(row)


def save_push(tx: Tx, push: OwedDelivery, held: OwedDelivery, /) -> bool:
    """Write how a delivery stands now; False where it is not as ``held`` any more.

    What waits behind it in its line is not looked at before it is due again.
    """
    changed = tx.execute(
        "UPDATE webhook_outbox SET state = $1, attempts = $2, due_ms = $3, lease_id = $4,"
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
    if changed == 1:
        tx.execute(
            "UPDATE webhook_outbox SET due_ms = $1 WHERE webhook_id = $2 AND ordering_key = $3"
            " AND ended_ms IS NULL AND lease_id IS NULL AND push_no > $4",
            push.updated_ms if push.due_ms is None else push.due_ms,
            push.receiver_id,
            push.ordering_key,
            push.push_no,
        )
    return changed == 1


# ------------------------------------------------------------------ looking and clearing


def find_delivery(tx: Tx, operator_id: str, webhook_id: str, push_id: str) -> OwedDelivery | None:
    """Return a delivery to an operator's webhook, or None."""
    row = tx.row(
        f"SELECT {_COLUMNS} FROM webhook_outbox WHERE push_id = $1 AND webhook_id = $2"
        " AND operator_id = $3",
        push_id,
        webhook_id,
        operator_id,
    )
    return None if row is None else _delivery(row)


def list_deliveries(
    tx: Tx,
    wanted: tuple[str, PushState | None, tuple[int, ...]],
    offset: int,
    size: int,
) -> tuple[int, list[OwedDelivery]]:
    """Return how many deliveries match and a page of them, newest first.

    ``wanted`` are the webhook, the state or None for any, and the devices to leave out.
    """
    webhook_id, state, withheld = wanted
    matching, values = "webhook_id = $1", [webhook_id]
    if state is not None:
        matching, values = f"{matching} AND state = $2", [webhook_id, state.value]
    if withheld:
        matching += (
            " AND NOT EXISTS (SELECT 1 FROM alerts AS a WHERE a.alert_no = webhook_outbox.alert_no"
            f" AND NOT ({without('a.device_no', withheld)}))"
        )
    count = tx.row(f"SELECT count(*) FROM webhook_outbox WHERE {matching}", *values)
    rows = tx.rows(
        f"SELECT {_COLUMNS} FROM webhook_outbox WHERE {matching} ORDER BY push_no DESC"
        f" LIMIT ${len(values) + 1} OFFSET ${len(values) + 2}",
        *values,
        size,
        offset,
    )
    return (0 if count is None else int(count[0])), [_delivery(row) for row in rows]


def count_waiting(tx: Tx, /) -> int:
    """Return how many deliveries have not ended."""
    row = tx.row("SELECT count(*) FROM webhook_outbox WHERE ended_ms IS NULL")
    return 0 if row is None else int(row[0])


def cancel_of(tx: Tx, webhook_id: str, now_ms: int) -> int:
    """End all that a webhook is still owed, as it goes; return how many that were."""
    return tx.execute(
        "UPDATE webhook_outbox SET state = $1, due_ms = NULL, lease_id = NULL, updated_ms = $2,"
        " ended_ms = $2 WHERE webhook_id = $3 AND ended_ms IS NULL",
        PushState.CANCELLED.value,
        now_ms,
        webhook_id,
    )


def cancel_about(tx: Tx, device_nos: Sequence[int], now_ms: int) -> None:
    """End all deliveries that are still owed about devices."""
    for start in range(0, len(device_nos), _DEVICES_AT_ONCE):
        part = device_nos[start : start + _DEVICES_AT_ONCE]
        marks = ", ".join(f"${number}" for number in range(3, len(part) + 3))
        tx.execute(
            "UPDATE webhook_outbox SET state = $1, due_ms = NULL, lease_id = NULL, updated_ms = $2,"
            " ended_ms = $2 WHERE ended_ms IS NULL AND alert_no IN"
            f" (SELECT alert_no FROM alerts WHERE device_no IN ({marks}))",
            PushState.CANCELLED.value,
            now_ms,
            *part,
        )


def delete_ended(tx: Tx, before_ms: int, limit: int, /) -> int:
    """Forget deliveries that ended before ``before_ms``, the oldest first; return how many."""
    return tx.execute(
        "DELETE FROM webhook_outbox WHERE push_no IN (SELECT push_no FROM webhook_outbox"
        " WHERE ended_ms < $1 ORDER BY ended_ms LIMIT $2)",
        before_ms,
        limit,
    )


def _values(one: OwedDelivery) -> list[Any]:
    held = {name: getattr(one, name) for name in _FIELDS[1:]}
    held["event"], held["state"] = one.event.value, one.state.value
    held["history"] = msgspec.json.encode(one.history).decode()
    return list(held.values())


def _delivery(row: Row) -> OwedDelivery:
    held = dict(zip(_FIELDS, row, strict=True))
    held["event"] = WebhookEvent(held["event"])
    held["state"] = PushState(held["state"])
    held["history"] = _HISTORY.decode(held["history"])
    return OwedDelivery(**held)
