"""Saving an order together with the push that tells its peer, in one transaction."""

from collections.abc import Callable

import msgspec

from tellus.fleet.catalogue import Catalogue
from tellus.fleet.directory import Connector, Directory
from tellus.fleet.model import Reading
from tellus.legacy import rules, store, store_orders, store_outbox
from tellus.legacy.model import Meter, Order, Push, PushOperation
from tellus.legacy.rules_orders import Heard
from tellus.storage.database import Tx


class Teller:
    """Writes what becomes of orders; its methods run on the writer."""

    def __init__(self, directory: Directory, catalogue: Catalogue) -> None:
        self._directory = directory
        self._catalogue = catalogue

    def change(
        self, tx: Tx, vendor_order_id: str, change: Callable[[Order], Order]
    ) -> tuple[Order, Order] | None:
        """Let an order become what ``change`` makes of it; return it before and after.

        None where there is no such order. It is read under its lock, so that changes come one after
        the other, and their pushes in the same order.
        """
        tx.lock(lock_of(vendor_order_id))
        before = store_orders.find_by_vendor_id(tx, vendor_order_id)
        if before is None:
            return None
        after = change(before)
        if after != before:
            store_orders.update_order(tx, after)
            self.tell(tx, before, after)
        return before, after

    def tell(self, tx: Tx, before: Order | None, after: Order) -> None:
        """Owe the peer what has changed: the state of the order, or its energy."""
        if before is not None and (before.state, before.energy_kwh) == (
            after.state,
            after.energy_kwh,
        ):
            return
        peer = store.find_peer(tx, after.peer_id)
        if peer is None or peer.push_url is None:
            return
        status = rules.work_status_of(
            after, self.meter(after), peer.timezone, sends_discharging=peer.sends_discharging
        )
        body = msgspec.json.encode(status).decode()
        operation = PushOperation.WORK_STATUS
        key = after.vendor_order_id
        store_outbox.append_push(tx, Push(peer.peer_id, operation, key, body, after.changed_ms))

    def heard(self, order: Order) -> Heard | None:
        """Return what the newest sample of an order's connector says, None before the first."""
        connector = self._connector(order)
        reading = None if connector is None else connector.reading
        if connector is None or reading is None:
            return None
        state = reading.detail_state or reading.state
        return Heard(state, connector.time_ms, reading.energy_kwh)

    def meter(self, order: Order) -> Meter | None:
        """Return what is known of an order's energy, None before any has flowed.

        Where the device was deleted before its record came, nothing is known.
        """
        device = self._directory.by_no(order.device_no)
        if device is None and order.energy_kwh is None:
            return None
        asked_kw = None
        if device is not None:
            asked_kw = self._catalogue.connector_power_kw(device, order.connector_id)
        return rules.meter_of(order, self._reading(order), asked_kw)

    def _reading(self, order: Order) -> Reading | None:
        """Return the newest sample of an order's connector if it can be of this order."""
        connector = self._connector(order)
        if connector is None or order.began_ms is None or connector.time_ms < order.began_ms:
            return None
        return connector.reading

    def _connector(self, order: Order) -> Connector | None:
        device = self._directory.by_no(order.device_no)
        return None if device is None else device.connectors.get(order.connector_id)


def lock_of(vendor_order_id: str) -> str:
    """Return the lock of all that is decided about an order."""
    return f"legacy_order:{vendor_order_id}"
