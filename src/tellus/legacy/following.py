"""Orders follow what chargers report, in the transactions of the reports, and the time."""

from functools import partial
from typing import Any, Final

import msgspec
import structlog

from tellus.fleet.model import EventsStored, EventType, StoredEvent
from tellus.kernel.clock import Clock
from tellus.kernel.errors import ApiError
from tellus.legacy import rules_orders, store_orders
from tellus.legacy.model import Order
from tellus.legacy.orders import OrderService
from tellus.legacy.rules_orders import RECORD_TOLERANCE_MS, Step
from tellus.legacy.store_orders import OpenOrder
from tellus.legacy.telling import Teller, lock_of
from tellus.sessions.model import ChargingRecord, RecordsStored
from tellus.storage.database import Database, Tx

_TOLD_BY: Final = frozenset({EventType.START.value, EventType.STOP.value, EventType.PLUG_OUT.value})

log = structlog.get_logger(__name__)


class OrderFollower:
    """Moves orders on; ``sweep`` is to be called every second by the node on duty."""

    def __init__(
        self, database: Database, orders: OrderService, teller: Teller, clock: Clock, window_ms: int
    ) -> None:
        self._database = database
        self._orders = orders
        self._teller = teller
        self._clock = clock
        self._window_ms = window_ms
        self._idle_since_ms: dict[str, int] = {}

    def note_events(self, tx: Tx, fact: EventsStored) -> None:
        """Move orders on by the events of their connectors, in the transaction of the events."""
        told = [
            event for event in fact.events if event.event_type in _TOLD_BY and event.connector_id
        ]
        if not told:
            return
        orders = store_orders.list_open_on(tx, {event.device_no for event in told})
        if not orders:
            return
        tx.lock(*(lock_of(order.vendor_order_id) for order in orders))
        for event in sorted(told, key=lambda one: one.time_ms):
            transaction_id = _transaction_of(event)
            for order in orders:
                place = (order.device_no, order.connector_id)
                if place == (event.device_no, event.connector_id):
                    follow = partial(_follow_event, event, transaction_id)
                    self._teller.change(tx, order.vendor_order_id, follow)

    def note_records(self, tx: Tx, fact: RecordsStored) -> None:
        """Take the energy of orders from their records, in the transaction of the records."""
        if not store_orders.has_any(tx):
            return
        found = [(_find_order(tx, record), record) for record in fact.records]
        concerned = [(order, record) for order, record in found if order is not None]
        tx.lock(*(lock_of(order.vendor_order_id) for order, _ in concerned))
        for order, record in concerned:
            self._teller.change(tx, order.vendor_order_id, partial(_follow_record, record))

    async def sweep(self) -> None:
        """Move on the orders whose start has failed, whose time is over or whose energy is out.

        Raises:
            TooManyRequests, Unavailable: the store cannot keep up; the next turn finds the rest.
        """
        orders = await self._database.read(store_orders.list_open)
        for one in orders:
            step = self._look(one)
            if step is not None:
                await self._take(one.order, step)
        for ended in self._idle_since_ms.keys() - {one.order.vendor_order_id for one in orders}:
            del self._idle_since_ms[ended]

    def _look(self, one: OpenOrder) -> Step | None:
        order, now_ms = one.order, self._clock.now_ms()
        if one.is_orphan:
            return Step(rules_orders.orphan(order, now_ms))
        heard = self._teller.heard(order)
        idle_ms = 0
        if rules_orders.seems_over(order, heard):
            idle_ms = now_ms - self._idle_since_ms.setdefault(order.vendor_order_id, now_ms)
        else:
            self._idle_since_ms.pop(order.vendor_order_id, None)
        return rules_orders.next_step(order, one.phase, heard, now_ms, self._window_ms, idle_ms)

    async def _take(self, seen: Order, step: Step) -> None:
        """Make an order what it has become, unless it has moved since it was seen."""
        if step.stops:
            failing = None if step.order is seen else step.order
            try:
                await self._orders.tell_to_stop(seen, self._clock.now_ms(), failing)
            except ApiError as error:
                # Its device has gone to another operator, or holds too many commands already.
                log.warning("legacy.stop_not_sent", order=seen.vendor_order_id, why=error.message)
                if failing is None:
                    return
            else:
                return
        await self._database.write(self._save, seen, step.order)

    def _save(self, tx: Tx, seen: Order, after: Order) -> None:
        self._teller.change(
            tx, seen.vendor_order_id, lambda order: after if order == seen else order
        )


def _follow_event(event: StoredEvent, transaction_id: str | None, order: Order) -> Order:
    if event.clock_suspect and transaction_id is None:
        return order
    if not rules_orders.is_about(order, transaction_id, event.time_ms):
        return order
    match event.event_type:
        case EventType.START.value:
            return rules_orders.begin(order, event.time_ms, event.received_ms)
        case EventType.STOP.value:
            return rules_orders.finish(order, event.received_ms)
        case _:
            return rules_orders.leave(order, event.received_ms)


def _follow_record(record: ChargingRecord, order: Order) -> Order:
    content = record.content
    return rules_orders.settle(
        order, content.record_id, content.energy_kwh, content.start_ms, record.received_ms
    )


def _find_order(tx: Tx, record: ChargingRecord) -> Order | None:
    """Return the order that a record is of: the one it names, else the one that began with it."""
    content, device_no = record.content, record.source.device_no
    named = content.extras.get("transaction_id")
    if isinstance(named, str):
        order = store_orders.find_by_vendor_id(tx, named)
        return order if order is not None and order.device_no == device_no else None
    since_ms = content.start_ms - RECORD_TOLERANCE_MS
    order = store_orders.find_last_begun(tx, device_no, content.connector_id, since_ms)
    if order is None or order.began_ms is None:
        return None
    return order if order.began_ms <= content.start_ms + RECORD_TOLERANCE_MS else None


def _transaction_of(event: StoredEvent) -> str | None:
    """Return the transaction that an event names; None where it names none."""
    data: dict[str, Any] = msgspec.json.decode(event.data)
    named = data.get("transaction_id")
    return named if isinstance(named, str) else None
