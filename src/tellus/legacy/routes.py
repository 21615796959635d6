"""The handlers of the legacy paths; a peer's client is the peer."""

from typing import Literal

from msgspec import UNSET

from tellus.kernel.call import Call, Nothing
from tellus.legacy.foreign import ForeignService
from tellus.legacy.model import Order, OrderKind, OrderState
from tellus.legacy.orders import OrderService, Wanted
from tellus.legacy.stations import StationService
from tellus.legacy.wire import (
    ChargePointIds,
    LegacyAcceptResponse,
    LegacyChargePointItem,
    LegacyDischargeRequest,
    LegacyDischargeResponse,
    LegacyStartRequest,
    LegacyStartResponse,
    LegacyStopRequest,
    StationInfoRequest,
    StationInfoResponse,
    WorkStatusRequest,
)


async def query_station_info(
    stations: StationService, call: Call[StationInfoRequest, Nothing]
) -> StationInfoResponse:
    """Return a page of the charge points shared with the caller, those that changed since."""
    body = call.body
    page = await stations.list_changed(
        call.principal.principal_id,
        body.last_query_time,
        body.page_no,
        body.page_size,
        call.now_ms,
    )
    return StationInfoResponse(body.page_no, page.pages, page.total, page.items)


async def query_station_status(
    stations: StationService, call: Call[ChargePointIds, Nothing]
) -> list[LegacyChargePointItem]:
    """Return charge points as they are now; what is unknown or not shared is left out."""
    return await stations.list_statuses(call.principal.principal_id, call.body, call.now_ms)


async def start_charging(
    orders: OrderService, call: Call[LegacyStartRequest, Nothing]
) -> LegacyStartResponse:
    """Start charging, or say again how the order of that id was answered."""
    body = call.body
    wanted = Wanted(body.order_id, body.charge_point_id, body.connector_id, OrderKind.CHARGE)
    order = await orders.start(
        call.principal.principal_id, wanted, call.now_ms, call.request_id or None
    )
    return LegacyStartResponse(_first_word(order), order.vendor_order_id)


async def start_discharging(
    orders: OrderService, call: Call[LegacyDischargeRequest, Nothing]
) -> LegacyDischargeResponse:
    """Start discharging, or say again how the order of that id was answered."""
    body = call.body
    wanted = Wanted(
        body.order_id,
        body.charge_point_id,
        body.connector_id,
        OrderKind.DISCHARGE,
        None if body.limit_min_soc is UNSET else body.limit_min_soc,
        None if body.limit_max_energy is UNSET else body.limit_max_energy,
    )
    order = await orders.start(
        call.principal.principal_id, wanted, call.now_ms, call.request_id or None
    )
    return LegacyDischargeResponse(_first_word(order), order.vendor_order_id)


async def stop_charging(
    orders: OrderService, call: Call[LegacyStopRequest, Nothing]
) -> LegacyAcceptResponse:
    """Stop what the caller charges there."""
    return await _stop(orders, call, OrderKind.CHARGE)


async def stop_discharging(
    orders: OrderService, call: Call[LegacyStopRequest, Nothing]
) -> LegacyAcceptResponse:
    """Stop what the caller discharges there."""
    return await _stop(orders, call, OrderKind.DISCHARGE)


async def notify_station_status(
    foreign: ForeignService, call: Call[LegacyChargePointItem, Nothing]
) -> LegacyAcceptResponse:
    """Take how a charge point of the caller is."""
    taken = await foreign.take_point(call.principal.principal_id, call.body, call.now_ms)
    return LegacyAcceptResponse("Accept" if taken else "Reject")


async def notify_work_status(
    foreign: ForeignService, call: Call[WorkStatusRequest, Nothing]
) -> LegacyAcceptResponse:
    """Take how an order at a charge point of the caller stands."""
    taken = await foreign.take_order(call.principal.principal_id, call.body, call.now_ms)
    return LegacyAcceptResponse("Accept" if taken else "Reject")


async def _stop(
    orders: OrderService, call: Call[LegacyStopRequest, Nothing], kind: OrderKind
) -> LegacyAcceptResponse:
    body, peer_id = call.body, call.principal.principal_id
    place = (body.charge_point_id, body.connector_id)
    taken = await orders.stop(peer_id, *place, kind, call.now_ms, call.request_id or None)
    return LegacyAcceptResponse("Accept" if taken else "Reject")


def _first_word(order: Order) -> Literal["STARTING", "START_FAILED"]:
    return "START_FAILED" if order.first_state is OrderState.START_FAILED else "STARTING"
