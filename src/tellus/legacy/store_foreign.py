"""The SQL of what peers told us: their charge points and the orders at them."""

from typing import Any, Final

import msgspec

from tellus.legacy.model import ForeignOrder, ForeignPoint, Meter
from tellus.storage.database import Row, Tx

_ORDER: Final = (
    "peer_id, operator_id, order_id, vendor_order_id, charge_point_id, connector_id, state,"
    " changed_ms, received_ms, meter"
)

_points: Final = msgspec.json.Decoder(ForeignPoint)
_meters: Final = msgspec.json.Decoder(Meter)


def upsert_point(tx: Tx, point: ForeignPoint) -> None:
    """Write a charge point as its platform told it, in place of what it told before."""
    tx.execute(
        "INSERT INTO legacy_foreign_points (peer_id, charge_box_id, operator_id, content,"
        " received_ms) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (peer_id, charge_box_id) DO UPDATE"
        " SET operator_id = excluded.operator_id, content = excluded.content,"
        " received_ms = excluded.received_ms",
        point.peer_id,
        point.charge_point_id,
        point.operator_id,
        msgspec.json.encode(point).decode(),
        point.received_ms,
    )


def count_points(tx: Tx, peer_id: str) -> int:
    """Return how many charge points a peer has told of."""
    row = tx.row("SELECT count(*) FROM legacy_foreign_points WHERE peer_id = $1", peer_id)
    return 0 if row is None else int(row[0])


def has_point(tx: Tx, peer_id: str, charge_point_id: str) -> bool:
    """Tell whether a peer has told of a charge point."""
    row = tx.row(
        "SELECT 1 FROM legacy_foreign_points WHERE peer_id = $1 AND charge_box_id = $2",
        peer_id,
        charge_point_id,
    )
    return row is not None


def list_points(
    tx: Tx, operator_id: str, peer_id: str | None, offset: int, size: int
) -> tuple[int, list[ForeignPoint]]:
    """Return how many foreign charge points an operator sees and a page of them, by identifier."""
    where, values = _where([("operator_id", operator_id), ("peer_id", peer_id)])
    count = tx.row(f"SELECT count(*) FROM legacy_foreign_points{where}", *values)
    rows = tx.rows(
        f"SELECT content FROM legacy_foreign_points{where} ORDER BY charge_box_id, peer_id"
        f" LIMIT ${len(values) + 1} OFFSET ${len(values) + 2}",
        *values,
        size,
        offset,
    )
    return (0 if count is None else int(count[0])), [_points.decode(row[0]) for row in rows]


def upsert_order(tx: Tx, order: ForeignOrder) -> None:
    """Write how an order at a peer's charge point stands."""
    tx.execute(
        f"INSERT INTO legacy_foreign_orders ({_ORDER})"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"
        " ON CONFLICT (peer_id, order_id) DO UPDATE SET state = excluded.state,"
        " changed_ms = excluded.changed_ms, received_ms = excluded.received_ms,"
        " meter = excluded.meter",
        order.peer_id,
        order.operator_id,
        order.order_id,
        order.vendor_order_id,
        order.charge_point_id,
        order.connector_id,
        order.status,
        order.changed_ms,
        order.received_ms,
        None if order.meter is None else msgspec.json.encode(order.meter).decode(),
    )


def find_order(tx: Tx, peer_id: str, order_id: str) -> ForeignOrder | None:
    """Return an order as its platform told it last, or None."""
    row = tx.row(
        f"SELECT {_ORDER} FROM legacy_foreign_orders WHERE peer_id = $1 AND order_id = $2",
        peer_id,
        order_id,
    )
    return None if row is None else _order(row)


def list_orders(
    tx: Tx, wanted: list[tuple[str, str | None]], offset: int, size: int
) -> tuple[int, list[ForeignOrder]]:
    """Return how many orders match (column and value, None admits all) and a page, newest first."""
    where, values = _where(wanted)
    count = tx.row(f"SELECT count(*) FROM legacy_foreign_orders{where}", *values)
    rows = tx.rows(
        f"SELECT {_ORDER} FROM legacy_foreign_orders{where}"
        " ORDER BY received_ms DESC, peer_id, order_id"
        f" LIMIT ${len(values) + 1} OFFSET ${len(values) + 2}",
        *values,
        size,
        offset,
    )
    return (0 if count is None else int(count[0])), [_order(row) for row in rows]


def find_surplus(tx: Tx, peer_id: str, kept: int) -> int | None:
    """Return when the newest of a peer's orders beyond ``kept`` was heard of, None without any."""
    row = tx.row(
        "SELECT received_ms FROM legacy_foreign_orders WHERE peer_id = $1"
        " ORDER BY received_ms DESC LIMIT 1 OFFSET $2",
        peer_id,
        kept,
    )
    return None if row is None else int(row[0])


def delete_orders(tx: Tx, peer_id: str, operator_id: str, until_ms: int, limit: int) -> int:
    """Forget some orders of a peer that were heard of last by then; return how many."""
    return tx.execute(
        "DELETE FROM legacy_foreign_orders WHERE peer_id = $1 AND order_id IN"
        " (SELECT order_id FROM legacy_foreign_orders WHERE operator_id = $2"
        " AND received_ms <= $3 AND peer_id = $1 ORDER BY received_ms LIMIT $4)",
        peer_id,
        operator_id,
        until_ms,
        limit,
    )


def _where(wanted: list[tuple[str, str | None]]) -> tuple[str, list[Any]]:
    used = [(name, value) for name, value in wanted if value is not None]
    clauses = [f"{name} = ${k}" for k, (name, _) in enumerate(used, 1)]
    return " WHERE " + " AND ".join(clauses), [value for _, value in used]


def _order(row: Row) -> ForeignOrder:
    meter = None if row[9] is None else _meters.decode(row[9])
    return ForeignOrder(
        row[0], row[1], row[2], row[3], row[4], row[5], row[6], row[7], row[8], meter
    )
