"""Builds diagnostics: component health, configuration, reports, alerts, detectors, runbooks."""

from typing import Any, Final, NamedTuple

from tellus.alerts.feed import AlertFeed
from tellus.alerts.listing import AlertList
from tellus.alerts.model_webhooks import OwedDelivery, Target
from tellus.alerts.operator_api_webhooks import show_event
from tellus.alerts.sending import STEPS, WebhookCourier, WebhookTargets
from tellus.alerts.service import AlertService
from tellus.alerts.webhooks import WebhookService
from tellus.audit.service import AuditService
from tellus.building import Ground
from tellus.bus.port import ALERT_CHANGED, Bus
from tellus.commands.service import CommandService
from tellus.delivery.engine import Outbox
from tellus.diagnostics.catalogue.faults import FaultDictionary
from tellus.firmware.releases import ReleaseCatalogue
from tellus.fleet.administration import DeviceAdministration
from tellus.fleet.catalogue import Catalogue
from tellus.fleet.erasure import ErasureService
from tellus.fleet.events import EventKind
from tellus.fleet.presence import PresenceWatch
from tellus.fleet.queries import FleetQueries
from tellus.identity.keys import KeyRing
from tellus.identity.service import IdentityService
from tellus.rounds import Rounds
from tellus.sessions.service import RecordService
from tellus.telemetry.service import TelemetryService

_TIDY_EVERY_S: Final = 60.0
_KEEP_EVERY_S: Final = 0.1


class Beneath(NamedTuple):
    """What diagnostics needs of the platform below it."""

    identity: IdentityService
    keys: KeyRing
    audit: AuditService
    catalogue: Catalogue
    presence: PresenceWatch
    events: EventKind
    devices: DeviceAdministration
    queries: FleetQueries
    telemetry: TelemetryService
    records: RecordService
    commands: CommandService
    releases: ReleaseCatalogue
    bus: Bus
    erasures: ErasureService


class Diagnosing:
    """All of diagnostics, each part built from those before it."""

    def __init__(self, ground: Ground, beneath: Beneath) -> None:
        self._ground = ground
        self._beneath = beneath
        self.faults = FaultDictionary.load()
        self._build_alerts()
        self._build_webhooks()

    def _build_alerts(self) -> None:
        ground, devices = self._ground, self._beneath.devices
        kept_days = ground.settings.alerts.kept_days
        self.alerts = AlertService(ground.database, ground.clock, kept_days=kept_days)
        self.alert_list = AlertList(self.alerts, ground.directory, self._beneath.records)
        devices.react(in_tx=self.alerts.leave_behind, after_commit=self.alerts.note_moved)
        self.alerts.told.append(lambda numbers: self._beneath.bus.publish(ALERT_CHANGED, numbers))
        self.alert_feed = AlertFeed(ground.database, ground.clock)
        erasures = self._beneath.erasures
        erasures.add(erasures.part("alerts", self.alerts.erase_some))

    def _build_webhooks(self) -> None:
        ground, settings = self._ground, self._ground.settings
        # All of a sandbox is on one machine.
        is_near = settings.alerts.allow_private_addresses or settings.instance.sandbox
        database, keys, clock = ground.database, self._beneath.keys, ground.clock
        self.webhooks = WebhookService(database, keys, clock, show_event, allows_private=is_near)
        self.deliveries: Outbox[OwedDelivery, Target] = Outbox(
            database,
            STEPS,
            WebhookTargets(database, keys, clock),
            WebhookCourier(clock, allows_private=is_near),
            clock,
            turn_s=settings.alerts.turn_s,
            kept_days=settings.alerts.deliveries_kept_days,
        )
        self.webhooks.wake = self.deliveries.wake
        self.alerts.in_tx.append(self.webhooks.owe)
        self.alerts.told.append(lambda _numbers: self.deliveries.wake())

    @property
    def services(self) -> tuple[Any, ...]:
        """Return what handlers may ask for."""
        return (self.faults, self.alerts, self.alert_list, self.webhooks)

    def begin(self, rounds: Rounds) -> None:
        """Begin what runs by itself; what is ``once`` on the node on duty alone."""
        rounds.run_every(_TIDY_EVERY_S, self.alerts.tidy, once=True)
        rounds.run_every(_KEEP_EVERY_S, self.deliveries.keep, once=True)
        rounds.run_every(_TIDY_EVERY_S, self.deliveries.prune, once=True)

    async def start(self) -> None:
        """Take up what an earlier run was sending."""
        await self.deliveries.start()

    async def stop(self) -> None:
        """Let what is on its way arrive."""
        await self.deliveries.stop()
