"""Use cases of a peer at our chargers: start and stop, durable before they are answered."""

from collections.abc import Mapping
from functools import partial
from typing import Any, Final, NamedTuple

from msgspec.structs import replace

from tellus.audit.model import PLATFORM, Actor
from tellus.commands.model import DISCHARGE, START, STOP, Command, Terms
from tellus.commands.service import CommandService
from tellus.fleet.catalogue import Catalogue
from tellus.kernel.clock import Clock
from tellus.kernel.errors import Conflict, NotFound
from tellus.kernel.ids import new_id
from tellus.legacy import rules_orders, store_orders
from tellus.legacy.model import Order, OrderKind, OrderState, PointStatus
from tellus.legacy.sharing import Shown
from tellus.legacy.stations import StationService
from tellus.legacy.telling import Teller
from tellus.storage.database import Database, Tx

STOP_REASON: Final = "remote"
_COMMANDS: Final = {OrderKind.CHARGE: START, OrderKind.DISCHARGE: DISCHARGE}
_IN_SESSION: Final = frozenset({"charging", "discharging"})


class OrderIdReused(Conflict):
    """4001: the peer used this ``OrderId`` for another start."""

    def __init__(self) -> None:
        super().__init__("This OrderId was used for another start", field="OrderId")


class ConnectorTaken(Conflict):
    """4001: another order runs at the connector."""

    def __init__(self) -> None:
        super().__init__("Another order runs at this connector", reason="order_running")


class NothingToStop(Conflict):
    """4001: the order has ended meanwhile."""

    def __init__(self) -> None:
        super().__init__("This order has ended", reason="order_ended")


class Wanted(NamedTuple):
    """What a peer wants to start: where, which way, and how far (percent, kWh)."""

    order_id: str
    device_id: str
    connector_id: int
    kind: OrderKind
    min_soc_pct: int | None = None
    max_energy_kwh: int | None = None

    def is_of(self, order: Order) -> bool:
        """Tell whether it is what an order was started as."""
        return (self.device_id, self.connector_id, self.kind) == (
            order.device_id,
            order.connector_id,
            order.kind,
        )


class OrderService:
    """Orders of peers; ``window_ms`` is how long a start may take until energy flows."""

    def __init__(
        self,
        database: Database,
        stations: StationService,
        commands: CommandService,
        catalogue: Catalogue,
        teller: Teller,
        clock: Clock,
        window_ms: int,
    ) -> None:
        self._database = database
        self._stations = stations
        self._commands = commands
        self._catalogue = catalogue
        self._teller = teller
        self._clock = clock
        self._window_ms = window_ms

    async def start(
        self, peer_id: str, wanted: Wanted, now_ms: int, request_id: str | None = None
    ) -> Order:
        """Start an order, or return the one that the peer calls so; durable on return.

        What cannot begin is an order too, one that has failed. ``request_id`` goes into the audit
        log.

        Raises:
            NotFound: the connector is absent, or not shared with the peer.
            OrderIdReused: the peer calls another order so.
            TooManyRequests: 50 commands of the device are pending.
        """
        known = await self._find(peer_id, wanted)
        if known is not None:
            return known
        _, shown = await self._stations.find_shown(peer_id, wanted.device_id, now_ms)
        if wanted.connector_id not in shown.device.connectors:
            raise NotFound
        order = _new_order(peer_id, wanted, shown, now_ms)
        reason = _find_obstacle(shown, wanted)
        if reason is None:
            try:
                return await self._issue(order, wanted, shown, Actor(peer_id, request_id))
            except Conflict as error:
                reason = str(error.details.get("reason", "conflict"))
        await self._database.write(self._append_failed, order, reason, now_ms)
        return await self._get(peer_id, wanted)

    async def stop(
        self,
        peer_id: str,
        device_id: str,
        connector_id: int,
        kind: OrderKind,
        now_ms: int,
        request_id: str | None = None,
    ) -> bool:
        """Tell a charger to stop what the peer started there; False where that is nothing.

        Asked again it is told nothing new.

        Raises:
            NotFound: the connector is absent, or not shared with the peer.
            NotConsented: the device's owner agrees to neither flexibility nor dispatch.
            TooManyRequests: 50 commands of the device are pending.
        """
        order = await self._database.read(
            store_orders.find_running, peer_id, device_id, connector_id, kind
        )
        if order is None:
            _, shown = await self._stations.find_shown(peer_id, device_id, now_ms)
            if connector_id not in shown.device.connectors:
                raise NotFound
            return False
        if order.stop_command_id is None and not rules_orders.is_over(order):
            await self.tell_to_stop(order, now_ms, by=Actor(peer_id, request_id))
        return True

    async def list_orders(
        self, operator_id: str, wanted: dict[str, str | None], offset: int, size: int
    ) -> tuple[int, list[Order]]:
        """Return how many orders at an operator's chargers match and a page, newest first.

        ``wanted`` may name ``peer_id`` and ``order_id`` (the peer's); None admits all.
        """
        conditions = [("operator_id", operator_id), *wanted.items()]
        return await self._database.read(store_orders.list_orders, conditions, offset, size)

    async def tell_to_stop(
        self, order: Order, now_ms: int, failing: Order | None = None, by: Actor = PLATFORM
    ) -> None:
        """Issue the stop of an order and note it in one transaction.

        ``failing`` is what the order becomes with it, where it has not begun; by default it waits
        for its charger. An order that has ended meanwhile stays as it is.

        Raises:
            NotFound: its device is gone, or another operator's.
            TooManyRequests: 50 commands of the device are pending.
        """
        along = partial(self._note_stop, order.vendor_order_id, now_ms, failing)
        issuer = (order.peer_id, order.operator_id)
        params = {"reason": STOP_REASON}
        try:
            await self._commands.issue_command(
                STOP, order.device_id, order.connector_id, params, issuer, now_ms,
                Terms(by=by, along=along),
            )  # fmt: skip
        except NothingToStop:
            return

    # -------------------------------------------------------------------- private

    async def _issue(self, order: Order, wanted: Wanted, shown: Shown, by: Actor) -> Order:
        """Store an order with the command that starts it, in one transaction."""
        terms = Terms(by=by, along=partial(self._append_starting, order), life_ms=self._window_ms)
        issuer = (order.peer_id, order.operator_id)
        await self._commands.issue_command(
            _COMMANDS[wanted.kind], order.device_id, order.connector_id,
            self._params_of(order, wanted, shown), issuer, order.created_ms, terms,
        )  # fmt: skip
        return await self._get(order.peer_id, wanted)

    def _params_of(self, order: Order, wanted: Wanted, shown: Shown) -> Mapping[str, Any]:
        if wanted.kind is OrderKind.CHARGE:
            return {"transaction_id": order.vendor_order_id}
        rated_kw = self._catalogue.connector_power_kw(shown.device, order.connector_id)
        power_kw = shown.described.power_kw if rated_kw is None else rated_kw
        params: dict[str, Any] = {"discharge_power": float(power_kw)}
        if wanted.min_soc_pct is not None:
            params["min_soc"] = wanted.min_soc_pct
        return params

    def _append_starting(self, order: Order, tx: Tx, command: Command) -> None:
        make_room = partial(_make_room, order.created_ms)
        for other in store_orders.list_open_of(tx, order.device_no, order.connector_id):
            changed = self._teller.change(tx, other.vendor_order_id, make_room)
            if changed is not None and changed[1].ended_ms is None:
                raise ConnectorTaken
        if not store_orders.append_order(tx, replace(order, command_id=command.command_id)):
            raise OrderIdReused  # the same start came twice at once; the first one stands

    def _append_failed(self, tx: Tx, order: Order, reason: str, now_ms: int) -> None:
        failed = rules_orders.fail(order, reason, now_ms)
        failed = replace(failed, first_state=OrderState.START_FAILED)
        if store_orders.append_order(tx, failed):
            self._teller.tell(tx, None, failed)

    def _note_stop(
        self, vendor_order_id: str, now_ms: int, failing: Order | None, tx: Tx, command: Command
    ) -> None:
        def follow(order: Order) -> Order:
            if rules_orders.is_over(order):
                raise NothingToStop
            stop_id = command.command_id
            if failing is not None and order.state is OrderState.STARTING:
                return replace(failing, stop_command_id=stop_id)
            return rules_orders.ask_to_stop(order, stop_id, now_ms)

        self._teller.change(tx, vendor_order_id, follow)

    async def _find(self, peer_id: str, wanted: Wanted) -> Order | None:
        order = await self._database.read(store_orders.find_order, peer_id, wanted.order_id)
        if order is not None and not wanted.is_of(order):
            raise OrderIdReused
        return order

    async def _get(self, peer_id: str, wanted: Wanted) -> Order:
        order = await self._find(peer_id, wanted)
        if order is None:  # the same OrderId came twice, for different connectors
            raise OrderIdReused
        return order


def _new_order(peer_id: str, wanted: Wanted, shown: Shown, now_ms: int) -> Order:
    return Order(
        vendor_order_id=new_id("ord"),
        peer_id=peer_id,
        order_id=wanted.order_id,
        operator_id=shown.device.operator_id,
        device_no=shown.device.device_no,
        device_id=wanted.device_id,
        connector_id=wanted.connector_id,
        kind=wanted.kind,
        limit_energy_kwh=wanted.max_energy_kwh,
        created_ms=now_ms,
        changed_ms=now_ms,
    )


def _find_obstacle(shown: Shown, wanted: Wanted) -> str | None:
    """Return why a connector cannot begin now, None where it can; its charger knows the rest.

    A vehicle that is plugged in and waits is no obstacle: it waits for this.
    """
    if shown.statuses[wanted.connector_id] is PointStatus.FAULT:
        return "out_of_service"
    if shown.device.connectors[wanted.connector_id].state in _IN_SESSION:
        return "conflicting_session"
    return None


def _make_room(now_ms: int, order: Order) -> Order:
    """Return an order as the next one finds it: over, if its session is."""
    return rules_orders.displace(order, now_ms) if rules_orders.is_over(order) else order
