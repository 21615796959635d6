"""The SQL of orders."""

from collections.abc import Collection
from typing import Any, Final, NamedTuple

from tellus.legacy.model import Order, OrderKind, OrderState
from tellus.storage.database import Row, Tx

_COLUMNS: Final = (
    "vendor_order_id, peer_id, order_id, operator_id, device_no, device_id, connector_id, kind,"
    " limit_energy_kwh, first_state, state, command_id, stop_command_id, reason, energy_kwh,"
    " record_id, created_ms, began_ms, stopped_ms, unplugged_ms, changed_ms, ended_ms"
)
_NAMES: Final = _COLUMNS.split(", ")
_CHANGING: Final = (
    "state",
    "stop_command_id",
    "reason",
    "energy_kwh",
    "record_id",
    "began_ms",
    "stopped_ms",
    "unplugged_ms",
    "changed_ms",
    "ended_ms",
)
_KINDS: Final[dict[str, Any]] = {"kind": OrderKind, "first_state": OrderState, "state": OrderState}


class OpenOrder(NamedTuple):
    """An order under way, with where its start and its stop stand (phases of commands).

    ``is_orphan`` tells that its device was deleted.
    """

    order: Order
    phase: str | None
    stop_phase: str | None
    is_orphan: bool


def append_order(tx: Tx, order: Order) -> bool:
    """Append an order; False where the peer has used its identifier before."""
    places = ", ".join(f"${k + 1}" for k in range(len(_NAMES)))
    changed = tx.execute(
        f"INSERT INTO legacy_orders ({_COLUMNS}) VALUES ({places})"
        " ON CONFLICT (peer_id, order_id) DO NOTHING",
        *(getattr(order, name) for name in _NAMES),
    )
    return changed > 0


def update_order(tx: Tx, order: Order) -> None:
    """Write what may change of an order."""
    changes = ", ".join(f"{name} = ${k + 1}" for k, name in enumerate(_CHANGING))
    tx.execute(
        f"UPDATE legacy_orders SET {changes} WHERE vendor_order_id = ${len(_CHANGING) + 1}",
        *(getattr(order, name) for name in _CHANGING),
        order.vendor_order_id,
    )


def find_order(tx: Tx, peer_id: str, order_id: str) -> Order | None:
    """Return the order that a peer calls so, or None."""
    row = tx.row(
        f"SELECT {_COLUMNS} FROM legacy_orders WHERE peer_id = $1 AND order_id = $2",
        peer_id,
        order_id,
    )
    return None if row is None else _order(row)


def find_by_vendor_id(tx: Tx, vendor_order_id: str) -> Order | None:
    """Return the order that we call so, or None."""
    row = tx.row(
        f"SELECT {_COLUMNS} FROM legacy_orders WHERE vendor_order_id = $1", vendor_order_id
    )
    return None if row is None else _order(row)


def find_running(
    tx: Tx, peer_id: str, device_id: str, connector_id: int, kind: OrderKind
) -> Order | None:
    """Return the newest order of a peer at a connector that has not ended, or None."""
    row = tx.row(
        f"SELECT {_COLUMNS} FROM legacy_orders WHERE peer_id = $1 AND device_id = $2"
        " AND connector_id = $3 AND kind = $4 AND ended_ms IS NULL ORDER BY order_no DESC LIMIT 1",
        peer_id,
        device_id,
        connector_id,
        kind.value,
    )
    return None if row is None else _order(row)


def list_orders(
    tx: Tx, wanted: list[tuple[str, str | None]], offset: int, size: int
) -> tuple[int, list[Order]]:
    """Return how many orders match (column and value, None admits all) and a page, newest first."""
    used = [(name, value) for name, value in wanted if value is not None]
    where = " AND ".join(f"{name} = ${k}" for k, (name, _) in enumerate(used, 1))
    values = [value for _, value in used]
    count = tx.row(f"SELECT count(*) FROM legacy_orders WHERE {where}", *values)
    rows = tx.rows(
        f"SELECT {_COLUMNS} FROM legacy_orders WHERE {where} ORDER BY order_no DESC"
        f" LIMIT ${len(values) + 1} OFFSET ${len(values) + 2}",
        *values,
        size,
        offset,
    )
    return (0 if count is None else int(count[0])), [_order(row) for row in rows]


def has_any(tx: Tx) -> bool:
    """Tell whether any peer has ever started anything."""
    return tx.row("SELECT 1 FROM legacy_orders LIMIT 1") is not None


def list_open_of(tx: Tx, device_no: int, connector_id: int) -> list[Order]:
    """Return the orders of a connector that have not ended, oldest first."""
    rows = tx.rows(
        f"SELECT {_COLUMNS} FROM legacy_orders WHERE device_no = $1 AND connector_id = $2"
        " AND ended_ms IS NULL ORDER BY order_no",
        device_no,
        connector_id,
    )
    return [_order(row) for row in rows]


def list_open_on(tx: Tx, device_nos: Collection[int]) -> list[Order]:
    """Return the orders on some devices that have not ended, oldest first."""
    wanted = sorted(set(device_nos))
    places = ", ".join(f"${k + 1}" for k in range(len(wanted)))
    rows = tx.rows(
        f"SELECT {_COLUMNS} FROM legacy_orders WHERE ended_ms IS NULL"
        f" AND device_no IN ({places}) ORDER BY order_no",
        *wanted,
    )
    return [_order(row) for row in rows]


def find_last_begun(tx: Tx, device_no: int, connector_id: int, since_ms: int) -> Order | None:
    """Return the newest order of a connector that began at or after then, ended or not."""
    row = tx.row(
        f"SELECT {_COLUMNS} FROM legacy_orders WHERE device_no = $1 AND connector_id = $2"
        " AND began_ms >= $3 ORDER BY order_no DESC LIMIT 1",
        device_no,
        connector_id,
        since_ms,
    )
    return None if row is None else _order(row)


def list_open(tx: Tx) -> list[OpenOrder]:
    """Return all orders under way, oldest first, with their commands' phases."""
    columns = ", ".join(f"o.{name}" for name in _NAMES)
    rows = tx.rows(
        f"SELECT {columns}, c.phase, s.phase,"
        " CASE WHEN d.deleted_ms IS NULL THEN 0 ELSE 1 END FROM legacy_orders AS o"
        " LEFT JOIN commands AS c ON c.command_id = o.command_id"
        " LEFT JOIN commands AS s ON s.command_id = o.stop_command_id"
        " LEFT JOIN devices AS d ON d.device_no = o.device_no"
        " WHERE o.ended_ms IS NULL ORDER BY o.order_no"
    )
    return [OpenOrder(_order(row[:-3]), row[-3], row[-2], bool(row[-1])) for row in rows]


def _order(row: Row) -> Order:
    fields = dict(zip(_NAMES, row, strict=True))
    for name, kind in _KINDS.items():
        fields[name] = kind(fields[name])
    return Order(**fields)
