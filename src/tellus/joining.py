"""Several nodes over one database: what is joined only then.

Memory of this node follows what the others write: rows through the table of changes, readings
through the bus, who was heard of through the store every few seconds. A message that is lost costs
time, never truth: while the bus is silent everything is looked up instead.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, Final, Protocol

import structlog

from tellus.bus.port import (
    CHANGES,
    COMMAND_PENDING,
    DEVICE_CHANGED,
    DEVICE_RECONNECTED,
    DEVICE_SEEN,
    POLL_PARKED,
    STREAM_OPENED,
    TOKEN_ISSUED,
    Keys,
)
from tellus.bus.postgres import PostgresBus
from tellus.commands.service import CommandService
from tellus.consent.service import ConsentService
from tellus.firmware.releases import ReleaseCatalogue
from tellus.fleet.loading import FleetLoader
from tellus.fleet.presence import PresenceWatch
from tellus.flexibility.service import FlexibilityService
from tellus.identity.model import DeviceTokenIssued
from tellus.identity.service import IdentityService
from tellus.identity.vault import Vault
from tellus.kernel.clock import Clock
from tellus.kernel.errors import ApiError
from tellus.nodes.following import Follower
from tellus.nodes.service import NodeService
from tellus.storage.database import Database
from tellus.storage.postgres_windows import DatabaseWindows
from tellus.surfaces.hub import Hub

_GATHER_S: Final = 0.02
_SILENT_POLL_S: Final = 2.0

log = structlog.get_logger(__name__)


class Heard(Protocol):
    """What remembers the last word of each device, so as not to write it again."""

    async def forget_heard(self, device_nos: Sequence[int]) -> None:
        """Forget that of these devices."""
        ...

    async def forget_all_heard(self) -> None:
        """Forget them all."""
        ...


class Joining:
    """This node among the others; also presence's view of them (``fleet.presence.Others``)."""

    def __init__(
        self,
        bus: PostgresBus,
        windows: DatabaseWindows,
        nodes: NodeService,
        database: Database,
        clock: Clock,
    ) -> None:
        self._bus = bus
        self._windows = windows
        self._nodes = nodes
        self._follower = Follower(database, nodes.node.node_id, clock)
        self._moved: dict[int, None] = {}
        self._moving = asyncio.Event()
        self._loader: FleetLoader
        bus.follow(CHANGES, self._follower.wake)

    @property
    def is_on_duty(self) -> bool:
        """Tell whether the work in the background is this node's at present."""
        return self._nodes.is_on_duty

    def pass_on_reconnect(self, device_no: int) -> None:
        """Tell every node that a device has reconnected."""
        self._bus.publish(DEVICE_RECONNECTED, [device_no])

    def pass_on_seen(self, device_nos: Sequence[int]) -> None:
        """Tell the other nodes that devices that count as offline are being heard of."""
        self._bus.publish(DEVICE_SEEN, device_nos)

    async def merge_seen(self, since_ms: int) -> None:
        """Learn which devices were heard of since, by whichever node."""
        await self._loader.merge_seen(since_ms)

    async def start(self) -> None:
        """Note where the store stands; to be called before memory is read back from it."""
        await self._nodes.beat()
        await self._follower.start()

    def work(self) -> tuple[Coroutine[Any, Any, None], ...]:
        """Return what is to run as long as the node does, once memory has been read back."""
        self._bus.on_gap(self._follower.wake_whole)
        return (
            self._bus.run(),
            self._windows.run(),
            self._follower.run(),
            self._follow_readings(),
            self._look_up(),
        )

    # ------------------------------------------------------------------ what follows what

    def follow_principals(self, identity: IdentityService) -> None:
        """Let principals follow; to be called before the fleet, whose devices need theirs."""
        follower = self._follower
        identity.share(self._windows)
        identity.react(DeviceTokenIssued, after_commit=self._pass_on_token)
        follower.watch(("clients", "client_secrets"), identity.refresh_clients, own=True)
        follower.watch(("service_accounts",), identity.refresh_accounts, own=True)
        follower.watch(("signing_keys",), identity.refresh_keys, own=True)
        refresh_devices = _numbered(identity.refresh_devices)
        follower.watch(("device_principals", "device_credentials"), refresh_devices, own=True)
        follower.on_reload(identity.refresh_all)
        identity.found_devices.append(self._find_devices)
        self._bus.follow(TOKEN_ISSUED, identity.note_token)

    def follow_vehicles(self, vault: Vault) -> None:
        """Let keys of vehicles that were erased be forgotten."""

        async def forget(subject_ids: Sequence[str]) -> None:
            vault.forget(*subject_ids)

        async def forget_all() -> None:
            vault.forget_all()

        self._follower.watch(("subjects",), forget, own=True)
        self._follower.on_reload(forget_all)

    def follow_consents(self, consents: ConsentService, releases: ReleaseCatalogue) -> None:
        """Let consents follow, and what is known of firmware."""
        self._follower.watch(("consents",), consents.refresh, own=True)
        self._follower.watch(("firmware_releases",), releases.refresh)
        self._follower.on_reload(consents.refresh_all)
        self._follower.on_reload(releases.start)

    def follow_fleet(self, loader: FleetLoader, presence: PresenceWatch) -> None:
        """Let devices, their readings and their presence follow."""
        self._loader = loader
        tables = ("devices", "device_state", "connectors")
        self._follower.watch(tables, _numbered(self._refresh_fleet))
        self._follower.on_reload(self._reload_fleet)
        presence.others = self
        self._bus.subscribe(DEVICE_RECONNECTED, presence.count_reconnects)
        self._bus.follow(DEVICE_SEEN, presence.note_seen)
        self._bus.follow(DEVICE_CHANGED, self._gather)

    def follow_commands(self, commands: CommandService) -> None:
        """Let queues and parked polls follow."""
        commands.on_parked = self._teller(POLL_PARKED)
        self._bus.follow(COMMAND_PENDING, commands.note_elsewhere)
        self._bus.follow(POLL_PARKED, commands.end_older)

    def follow_streams(self, hub: Hub) -> None:
        """Let the newer of two like streams replace the older."""
        hub.on_opened = self._teller(STREAM_OPENED)
        self._bus.follow(STREAM_OPENED, hub.close_replaced)

    def follow_controls(self, flexibility: FlexibilityService) -> None:
        """Let the node on duty look after controls that were issued elsewhere."""
        flexibility.share(lambda: self.is_on_duty)
        self._follower.watch(("controls",), flexibility.look_again)
        self._follower.on_reload(flexibility.look_again)

    def follow_heard(self, table: str, heard: Heard) -> None:
        """Let what chargers said elsewhere (a table) be compared with what they say here."""
        self._follower.watch((table,), _numbered(heard.forget_heard))
        self._follower.on_reload(heard.forget_all_heard)

    # -------------------------------------------------------------------- private

    def _teller(self, topic: str) -> Callable[[int], None]:
        return lambda key: self._bus.publish(topic, (key,))

    async def _find_devices(self, device_nos: Sequence[int]) -> Callable[[], None]:
        return await self._loader.find_devices(device_nos)

    async def _refresh_fleet(self, device_nos: Sequence[int]) -> None:
        self._tell(await self._loader.refresh_devices(device_nos))

    async def _reload_fleet(self) -> None:
        self._tell(await self._loader.refresh_all())

    def _pass_on_token(self, fact: DeviceTokenIssued) -> None:
        self._bus.publish(TOKEN_ISSUED, [fact.device_no])

    def _gather(self, device_nos: Keys) -> None:
        self._moved.update(dict.fromkeys(device_nos))
        self._moving.set()

    async def _follow_readings(self) -> None:
        """Read the readings that moved on other nodes, a little later and many at a time."""
        while True:
            await self._moving.wait()
            await asyncio.sleep(_GATHER_S)
            self._moving.clear()
            moved, self._moved = self._moved, {}
            await self._try(self._loader.refresh_readings(moved))

    async def _look_up(self) -> None:
        """Read all readings now and then while the bus does not say which have moved."""
        while True:
            await asyncio.sleep(_SILENT_POLL_S)
            if self._bus.is_silent:
                await self._try(self._loader.refresh_all_readings())

    async def _try(self, reading: Awaitable[list[int]]) -> None:
        try:
            self._tell(await reading)
        except ApiError as error:
            log.warning("nodes.readings_failed", error=error.message)

    def _tell(self, moved: Sequence[int]) -> None:
        """Tell whoever follows devices here that readings of these have moved forward."""
        if moved:
            self._bus.tell(DEVICE_CHANGED, moved)


def _numbered(
    refresh: Callable[[Sequence[int]], Awaitable[None]],
) -> Callable[[Sequence[str]], Awaitable[None]]:
    """Return ``refresh`` for keys as the table of changes has them."""

    async def refresh_numbered(keys: Sequence[str]) -> None:
        await refresh([int(key) for key in keys])

    return refresh_numbered
