"""What operators see of their peers: what these started here, and what they told of their own."""

from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from tellus.kernel.call import Call, Nothing
from tellus.kernel.paging import Page, PageQuery
from tellus.kernel.units import to_text
from tellus.legacy.foreign import ForeignService
from tellus.legacy.model import ForeignOrder, ForeignPoint, Meter, Order
from tellus.legacy.orders import OrderService

Identifier = Annotated[str, Meta(min_length=1, max_length=64)]


class ForeignPointsQuery(PageQuery, frozen=True, kw_only=True):
    """Which charge points: of one peer or of all."""

    peer_id: Identifier | UnsetType = UNSET


class PeerOrdersQuery(PageQuery, frozen=True, kw_only=True):
    """Which orders: of one peer, or those that a peer calls so."""

    peer_id: Identifier | UnsetType = UNSET
    order_id: Identifier | UnsetType = UNSET


class ForeignOrdersQuery(PageQuery, frozen=True, kw_only=True):
    """Which orders: of one peer, of one charge point, or the one of that id."""

    peer_id: Identifier | UnsetType = UNSET
    charge_point_id: Identifier | UnsetType = UNSET
    order_id: Identifier | UnsetType = UNSET


class ForeignConnectorItem(msgspec.Struct, frozen=True):
    """A connector of a peer's charge point; the status is the peer's word."""

    connector_id: int
    status: str


class ForeignLocationItem(msgspec.Struct, frozen=True):
    """Where a peer's charge point stands (degrees)."""

    lat: float
    lng: float


class ForeignPointItem(msgspec.Struct, frozen=True, kw_only=True):
    """A charge point of a peer, as it told last; ``max_power`` is kW, ``type`` AC or DC."""

    peer_id: str
    charge_point_id: str
    type: str
    max_power: int
    location: ForeignLocationItem
    connectors: list[ForeignConnectorItem]
    created_at: str
    received_at: str


class ForeignMeterItem(msgspec.Struct, frozen=True, kw_only=True):
    """What flows and has flowed: kW (positive into the vehicle), V, A, kWh, percent."""

    power: float
    voltage: float
    current: float
    energy: float
    soc: int | UnsetType = UNSET


class ForeignOrderItem(msgspec.Struct, frozen=True, kw_only=True):
    """An order at a peer's charge point, as it told last; the status is the peer's word."""

    peer_id: str
    order_id: str
    vendor_order_id: str
    charge_point_id: str
    connector_id: int
    status: str
    changed_at: str
    received_at: str
    meter: ForeignMeterItem | UnsetType = UNSET


class PeerOrderItem(msgspec.Struct, frozen=True, kw_only=True):
    """An order that a peer started here.

    ``kind`` is ``charge`` or ``discharge``. ``status`` is ``starting``, ``start_failed``,
    ``flowing``, ``stopping``, ``stopped`` (until the vehicle has left) or ``completed``; ``reason``
    says why a start failed. ``energy`` (kWh, negative out of the vehicle) is the record's.
    """

    vendor_order_id: str
    peer_id: str
    order_id: str
    device_id: str
    connector_id: int
    kind: str
    status: str
    created_at: str
    changed_at: str
    command_id: str | UnsetType = UNSET
    stop_command_id: str | UnsetType = UNSET
    reason: str | UnsetType = UNSET
    energy: float | UnsetType = UNSET
    record_id: str | UnsetType = UNSET
    ended_at: str | UnsetType = UNSET


async def list_peer_orders(
    orders: OrderService, call: Call[Nothing, PeerOrdersQuery]
) -> Page[PeerOrderItem]:
    """Return a page of the orders that peers started at the operator's chargers, newest first."""
    query, operator_id = call.query, call.principal.operator_id
    wanted = {"peer_id": query.peer_id or None, "order_id": query.order_id or None}
    total, found = await orders.list_orders(operator_id, wanted, query.offset, query.size)
    return Page(total, query.page, query.size, [_peer_order(order) for order in found])


async def list_foreign_points(
    foreign: ForeignService, call: Call[Nothing, ForeignPointsQuery]
) -> Page[ForeignPointItem]:
    """Return a page of the charge points that the operator's peers told of."""
    query, operator_id = call.query, call.principal.operator_id
    total, points = await foreign.list_points(
        operator_id, query.peer_id or None, query.offset, query.size
    )
    return Page(total, query.page, query.size, [_point(point) for point in points])


async def list_foreign_orders(
    foreign: ForeignService, call: Call[Nothing, ForeignOrdersQuery]
) -> Page[ForeignOrderItem]:
    """Return a page of the orders at charge points of the operator's peers, newest word first."""
    query, operator_id = call.query, call.principal.operator_id
    wanted = {
        "peer_id": query.peer_id or None,
        "charge_point_id": query.charge_point_id or None,
        "order_id": query.order_id or None,
    }
    total, orders = await foreign.list_orders(operator_id, wanted, query.offset, query.size)
    return Page(total, query.page, query.size, [_order(order) for order in orders])


def _peer_order(order: Order) -> PeerOrderItem:
    optional = {
        "command_id": order.command_id,
        "stop_command_id": order.stop_command_id,
        "reason": order.reason,
        "energy": order.energy_kwh,
        "record_id": order.record_id,
        "ended_at": None if order.ended_ms is None else to_text(order.ended_ms),
    }
    return PeerOrderItem(
        vendor_order_id=order.vendor_order_id,
        peer_id=order.peer_id,
        order_id=order.order_id,
        device_id=order.device_id,
        connector_id=order.connector_id,
        kind=order.kind,
        status=order.state,
        created_at=to_text(order.created_ms),
        changed_at=to_text(order.changed_ms),
        **{name: value for name, value in optional.items() if value is not None},  # type: ignore[arg-type]
    )


def _point(point: ForeignPoint) -> ForeignPointItem:
    return ForeignPointItem(
        peer_id=point.peer_id,
        charge_point_id=point.charge_point_id,
        type=point.current,
        max_power=point.power_kw,
        location=ForeignLocationItem(point.lat, point.lng),
        connectors=[ForeignConnectorItem(number, status) for number, status in point.statuses],
        created_at=to_text(point.created_ms),
        received_at=to_text(point.received_ms),
    )


def _order(order: ForeignOrder) -> ForeignOrderItem:
    return ForeignOrderItem(
        peer_id=order.peer_id,
        order_id=order.order_id,
        vendor_order_id=order.vendor_order_id,
        charge_point_id=order.charge_point_id,
        connector_id=order.connector_id,
        status=order.status,
        changed_at=to_text(order.changed_ms),
        received_at=to_text(order.received_ms),
        meter=UNSET if order.meter is None else _meter(order.meter),
    )


def _meter(meter: Meter) -> ForeignMeterItem:
    return ForeignMeterItem(
        power=meter.power_kw,
        voltage=meter.voltage_v,
        current=meter.current_a,
        energy=meter.energy_kwh,
        soc=UNSET if meter.soc_pct is None else meter.soc_pct,
    )
