"""What peers tell us: their charge points, and orders at them; kept, and shown to operators."""

from typing import Final

from tellus.kernel.errors import NotFound
from tellus.legacy import rules, store, store_foreign
from tellus.legacy.model import ForeignOrder, ForeignPoint, Peer, PointStatus
from tellus.legacy.wire import LegacyChargePointItem, WorkStatusRequest
from tellus.storage.database import Database, Tx

_POINTS_LARGEST: Final = 50_000
_ORDERS_KEPT: Final = 100_000
_REMOVED_AT_ONCE: Final = 200
_PLACE: Final = {
    "STARTING": 0,
    "CHARGING": 1,
    "DISCHARGING": 1,
    "WAIT_CP_STOP_CHARGING": 2,
    "WAIT_CP_STOP_DISCHARGING": 2,
    "WAIT_PULL_OUT_CONNECTOR": 3,
    "WAIT_PAY": 4,
    "START_FAILED": 5,
    "COMPLETED": 5,
}
"""How far an order has come with each status; of one moment the later one stands."""
_LAST: Final = 5


class ForeignService:
    """What peers of operators pushed to us.

    Of each peer the ``orders_kept`` orders that were heard of last are kept; ``prune`` is to be
    called every minute by the node on duty.
    """

    def __init__(self, database: Database, orders_kept: int = _ORDERS_KEPT) -> None:
        self._database = database
        self._orders_kept = orders_kept

    async def prune(self) -> None:
        """Forget the oldest orders of peers that told of too many."""
        _, peers = await self._database.read(store.list_peers)
        for peer in peers:
            whose = (peer.peer_id, peer.operator_id)
            until_ms = await self._database.read(
                store_foreign.find_surplus, peer.peer_id, self._orders_kept
            )
            removed = _REMOVED_AT_ONCE
            while until_ms is not None and removed == _REMOVED_AT_ONCE:
                removed = await self._database.write(
                    store_foreign.delete_orders, *whose, until_ms, _REMOVED_AT_ONCE
                )

    async def take_point(self, peer_id: str, item: LegacyChargePointItem, now_ms: int) -> bool:
        """Keep how a peer's charge point is; False where it tells of too many.

        Raises:
            NotFound: the peer is gone.
            InvalidParameter: its time is no time.
        """
        return await self._database.write(_take_point, peer_id, item, now_ms)

    async def take_order(self, peer_id: str, said: WorkStatusRequest, now_ms: int) -> bool:
        """Keep how an order at a peer's charge point stands; False where it contradicts itself.

        An older state that comes late is taken and changes nothing.

        Raises:
            NotFound: the peer is gone.
            InvalidParameter: its time is no time.
        """
        return await self._database.write(_take_order, peer_id, said, now_ms)

    async def list_points(
        self, operator_id: str, peer_id: str | None, offset: int, size: int
    ) -> tuple[int, list[ForeignPoint]]:
        """Return how many foreign charge points an operator sees and a page, by identifier."""
        return await self._database.read(
            store_foreign.list_points, operator_id, peer_id, offset, size
        )

    async def list_orders(
        self, operator_id: str, wanted: dict[str, str | None], offset: int, size: int
    ) -> tuple[int, list[ForeignOrder]]:
        """Return how many foreign orders match and a page, newest word first.

        ``wanted`` may name ``peer_id``, ``order_id`` and ``charge_point_id``; None admits all.
        """
        conditions = [("operator_id", operator_id), *wanted.items()]
        return await self._database.read(store_foreign.list_orders, conditions, offset, size)


def _take_point(tx: Tx, peer_id: str, item: LegacyChargePointItem, now_ms: int) -> bool:
    tx.lock(f"legacy_foreign:{peer_id}")
    peer = _peer(tx, peer_id)
    is_new = not store_foreign.has_point(tx, peer_id, item.charge_box_id)
    if is_new and store_foreign.count_points(tx, peer_id) >= _POINTS_LARGEST:
        return False
    point = ForeignPoint(
        peer_id,
        peer.operator_id,
        item.charge_box_id,
        item.type,
        item.power,
        item.longitude,
        item.latitude,
        tuple((one.connector_id, PointStatus(one.status)) for one in item.connectors),
        rules.read_time(item.create_time, peer.timezone, "CreateTime"),
        now_ms,
    )
    store_foreign.upsert_point(tx, point)
    return True


def _take_order(tx: Tx, peer_id: str, said: WorkStatusRequest, now_ms: int) -> bool:
    tx.lock(f"legacy_foreign_order:{peer_id}:{said.order_id}")
    peer = _peer(tx, peer_id)
    order = _read(peer, said, now_ms)
    known = store_foreign.find_order(tx, peer_id, said.order_id)
    if known is not None and _subject(known) != _subject(order):
        return False
    if known is None or _follows(known, order):
        store_foreign.upsert_order(tx, order)
    return True


def _read(peer: Peer, said: WorkStatusRequest, now_ms: int) -> ForeignOrder:
    return ForeignOrder(
        peer.peer_id,
        peer.operator_id,
        said.order_id,
        said.device_vendor_order_id,
        said.charge_point_id,
        said.connector_id,
        said.status,
        rules.read_time(said.change_time, peer.timezone, "ChangeTime"),
        now_ms,
        rules.from_meter_item(said.meter) if said.meter else None,
    )


def _subject(order: ForeignOrder) -> tuple[str, str, int]:
    return order.vendor_order_id, order.charge_point_id, order.connector_id


def _follows(known: ForeignOrder, order: ForeignOrder) -> bool:
    """Tell whether a word is newer than the last one: by its time, of one moment by its status.

    After an end only another end follows, such as one with the energy corrected.
    """
    if _PLACE[known.status] == _LAST > _PLACE[order.status]:
        return False
    return (order.changed_ms, _PLACE[order.status]) >= (known.changed_ms, _PLACE[known.status])


def _peer(tx: Tx, peer_id: str) -> Peer:
    peer = store.find_peer(tx, peer_id)
    if peer is None:
        raise NotFound
    return peer
