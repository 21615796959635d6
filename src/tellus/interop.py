"""Builds the interop with platforms of other operators, and joins it to what it follows."""

from functools import partial
from typing import Any, Final, NamedTuple

from tellus.bus.port import DEVICE_CHANGED, Bus
from tellus.commands.service import CommandService
from tellus.config import Settings
from tellus.fleet.catalogue import Catalogue
from tellus.fleet.directory import Directory
from tellus.fleet.events import EventKind
from tellus.fleet.presence import PresenceWatch
from tellus.identity.keys import KeyRing
from tellus.identity.service import IdentityService
from tellus.kernel.clock import Clock
from tellus.kernel.units import SECOND_MS
from tellus.legacy.delivery import Delivery
from tellus.legacy.following import OrderFollower
from tellus.legacy.foreign import ForeignService
from tellus.legacy.model_outbox import Destination, OwedPush
from tellus.legacy.orders import OrderService
from tellus.legacy.outbox import PeerOutbox
from tellus.legacy.outbox_desk import OutboxDesk
from tellus.legacy.outbox_destinations import PeerDestinations
from tellus.legacy.peers import PeerService
from tellus.legacy.sharing import Showcase
from tellus.legacy.stations import StationService
from tellus.legacy.telling import Teller
from tellus.rounds import Rounds
from tellus.sessions.service import RecordService
from tellus.storage.database import Database
from tellus.transfers.model import TransferKind
from tellus.transfers.service import RegionalCourier, TransferService

_LOOK_EVERY_S: Final = 1.0
_KEEP_EVERY_S: Final = 0.1
_PRUNE_EVERY_S: Final = 60.0


class Fleet(NamedTuple):
    """What interop needs of the platform below it."""

    directory: Directory
    catalogue: Catalogue
    presence: PresenceWatch
    commands: CommandService
    events: EventKind
    records: RecordService
    bus: Bus


class Interop:
    """All of interop: off in effect until a peer is configured."""

    def __init__(
        self,
        database: Database,
        identity: IdentityService,
        keys: KeyRing,
        fleet: Fleet,
        settings: Settings,
        clock: Clock,
    ) -> None:
        directory, catalogue, legacy = fleet.directory, fleet.catalogue, settings.legacy
        window_ms = legacy.start_window_s * SECOND_MS
        self.peers = PeerService(database, identity, keys, directory, clock)
        showcase = Showcase(directory, catalogue, fleet.presence)
        self.stations = StationService(database, showcase, clock)
        teller = Teller(directory, catalogue)
        self.orders = OrderService(
            database, self.stations, fleet.commands, catalogue, teller, clock, window_ms
        )
        self.follower = OrderFollower(database, self.orders, teller, clock, window_ms)
        self.foreign = ForeignService(database)
        self.outbox = PeerOutbox(
            database,
            PeerDestinations(database, keys),
            self._courier(settings, database, clock),
            clock,
            turn_s=legacy.turn_s,
            kept_days=legacy.pushes_kept_days,
        )
        self.desk = OutboxDesk(database, self.outbox)
        fleet.bus.subscribe(DEVICE_CHANGED, self.stations.note_moved)
        fleet.presence.told.append(lambda fact: self.stations.note_moved((fact.device_no,)))
        fleet.events.in_tx.append(self.follower.note_events)
        fleet.records.react(self.follower.note_records)

    @staticmethod
    def _courier(
        settings: Settings, database: Database, clock: Clock
    ) -> RegionalCourier[Destination, OwedPush]:
        """Return what sends pushes, to other regions by a grant alone."""
        # All of a sandbox is on one machine.
        is_near = settings.legacy.allow_private_addresses or settings.instance.sandbox
        transfers = TransferService(database, settings.instance.region, clock)
        return RegionalCourier(Delivery(allows_private=is_near), transfers, TransferKind.PUSHES)

    @property
    def services(self) -> tuple[Any, ...]:
        """Return what handlers may ask for."""
        return self.peers, self.stations, self.orders, self.foreign, self.desk

    def begin(self, rounds: Rounds) -> None:
        """Begin what runs by itself, on the node on duty alone."""
        once = partial(rounds.run_every, once=True)
        once(_LOOK_EVERY_S, self.stations.watch)
        once(_LOOK_EVERY_S, self.follower.sweep)
        once(_KEEP_EVERY_S, self.outbox.keep)
        once(_PRUNE_EVERY_S, self.outbox.prune)
        once(_PRUNE_EVERY_S, self.foreign.prune)
