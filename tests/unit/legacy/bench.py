"""Peers, charge points and orders over a real SQLite file and real commands, on a clock of ours."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec

from tellus.fleet import store as fleet_store
from tellus.fleet.catalogue import Catalogue
from tellus.fleet.directory import Device
from tellus.fleet.events import EventKind, make_event
from tellus.fleet.model import EventsStored, EventType, Site
from tellus.fleet.presence import PresenceSettings, PresenceWatch
from tellus.identity.keys import KeyRing
from tellus.identity.vault import Vault
from tellus.legacy import store, store_orders
from tellus.legacy.following import OrderFollower
from tellus.legacy.model import Order, OrderKind, Peer, Share, ShareKind
from tellus.legacy.orders import OrderService, Wanted
from tellus.legacy.sharing import Showcase
from tellus.legacy.stations import StationService
from tellus.legacy.telling import Teller
from tests.unit.commands.conftest import OPERATOR, CommandBench

PEER = "peer_1"
SITE = "site_1"
WINDOW_MS = 60_000


class LegacyBench(CommandBench):
    """One peer that sees the one site; chargers are heard of when the test says so."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        vault = Vault(KeyRing(bytes(range(32)), bytes(range(32, 64))))
        self.catalogue = Catalogue.load()
        self.presence = PresenceWatch(
            self.database,
            self.directory,
            EventKind(self.directory, vault),
            self.catalogue,
            PresenceSettings(grace_ms=0),
            self.clock,
        )
        self.teller = Teller(self.directory, self.catalogue)
        self.begin_anew()

    def begin_anew(self) -> None:
        """Forget what is in memory, as a start does."""
        showcase = Showcase(self.directory, self.catalogue, self.presence)
        self.stations = StationService(self.database, showcase, self.clock)
        self.orders = OrderService(
            self.database,
            self.stations,
            self.service,
            self.catalogue,
            self.teller,
            self.clock,
            WINDOW_MS,
        )
        self.follower = OrderFollower(
            self.database, self.orders, self.teller, self.clock, WINDOW_MS
        )

    async def set_up(self, push_url: str | None = "https://peer.example/v1") -> None:
        """Store the site, the peer and what is shared."""
        site = Site(SITE, OPERATOR, "Site", "UTC", "local", True, 0, lat=1.0, lng=2.0)
        await self.database.write(fleet_store.insert_site, site)
        peer = Peer(peer_id=PEER, operator_id=OPERATOR, name="Peer", push_url=push_url)
        await self.database.write(store.append_peer, peer)
        await self.database.write(store.append_share, PEER, Share(ShareKind.SITE, SITE, 0))

    def hear(self, device_no: int = 1) -> Device:
        """Let a device have just been heard of."""
        device = self.directory.by_no(device_no)
        assert device is not None
        assert device.principal is not None
        device.principal.last_seen_ms = self.clock.now_ms()
        self.stations.note_moved((device_no,))
        return device

    def show(self, state: str, connector_id: int = 1, energy_kwh: float = 1.0) -> None:
        """Let a connector have just shown a state."""
        device = self.hear()
        self.set_state(state, connector_id)
        connector = device.connectors[connector_id]
        assert connector.reading is not None
        connector.time_ms = self.clock.now_ms()
        connector.reading = msgspec.structs.replace(connector.reading, energy_kwh=energy_kwh)

    async def begin(self, order_id: str = "order-1", connector_id: int = 1, **more: Any) -> Order:
        """Start an order, by default at connector 1."""
        kind = more.pop("kind", OrderKind.CHARGE)
        wanted = Wanted(order_id, "dvc_1", connector_id, kind, **more)
        return await self.orders.start(PEER, wanted, self.clock.now_ms())

    async def order(self, order_id: str = "order-1") -> Order:
        """An order as it stands in the store."""
        found = await self.database.read(store_orders.find_order, PEER, order_id)
        assert found is not None
        return found

    async def tell(self, event_type: EventType, **data: Any) -> None:
        """Let the charger tell of something at connector 1."""
        now_ms = self.clock.now_ms()
        event = make_event((1, 1), event_type, now_ms, data, now_ms)
        await self.database.write(self.follower.note_events, EventsStored((event,)))

    async def owed(self, operation: str) -> list[dict[str, Any]]:
        """The bodies of all pushes of an operation, oldest first."""
        rows = await self.rows("SELECT operation, body FROM legacy_outbox ORDER BY push_no")
        return [msgspec.json.decode(body) for name, body in rows if name == operation]

    async def statuses(self) -> list[str]:
        """The statuses of orders that were owed, oldest first."""
        return [push["Status"] for push in await self.owed("notify_work_status")]


def run_bench(
    path: Path, test: Callable[[LegacyBench], Awaitable[None]], push_url: str | None = "https://p.x"
) -> None:
    """Run a test over a bench whose one charger is online."""

    async def whole() -> None:
        bench = LegacyBench(path / "tellus.db")
        async with bench.database:
            bench.add_device()
            await bench.set_up(push_url)
            bench.hear()
            await bench.service.start()
            try:
                await asyncio.wait_for(test(bench), 20)
            finally:
                bench.service.stop()

    asyncio.run(whole())
