"""Builds diagnostics: component health, configuration, reports, alerts, detectors, runbooks."""

from typing import Any, Final, NamedTuple

from tellus.agents.board import AgentBoard
from tellus.agents.hunters import (
    AnomalyHunter,
    Hunter,
    MaintenanceDispatcher,
    RepeatFaultHunter,
)
from tellus.agents.model import AgentName
from tellus.agents.service import AgentService
from tellus.agents.worklist import WorkList
from tellus.alerts.feed import AlertFeed
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
from tellus.health.queries import HealthQueries
from tellus.health.service import HealthService
from tellus.identity.keys import KeyRing
from tellus.identity.service import IdentityService
from tellus.kernel.units import SECOND_MS
from tellus.rounds import Rounds
from tellus.sessions.service import RecordService
from tellus.telemetry.service import TelemetryService

_TIDY_EVERY_S: Final = 60.0
_KEEP_EVERY_S: Final = 0.1
_AGENTS_EVERY_S: Final = 30.0


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
        self._build_health()
        self._build_alerts()
        self._build_webhooks()
        self._build_agents()

    def _build_health(self) -> None:
        telemetry = self._beneath.telemetry
        database, directory = self._ground.database, self._ground.directory
        patience_ms = round(self._ground.settings.health.patience_s * SECOND_MS)
        self.health = HealthService(database, telemetry, self._ground.clock, patience_ms)
        self.health_queries = HealthQueries(database, directory, self._beneath.catalogue)

    def _build_alerts(self) -> None:
        ground, devices = self._ground, self._beneath.devices
        kept_days = ground.settings.alerts.kept_days
        self.alerts = AlertService(ground.database, ground.clock, kept_days=kept_days)
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

    def _build_agents(self) -> None:
        database, directory = self._ground.database, self._ground.directory
        work = WorkList(database, directory, self.alerts)
        hunters: dict[AgentName, Hunter] = {
            AgentName.ANOMALY_HUNTER: AnomalyHunter(database, self.health),
            AgentName.REPEAT_FAULT_HUNTER: RepeatFaultHunter(
                database, {fault.code: fault.title for fault in self.faults}
            ),
            AgentName.MAINTENANCE_DISPATCHER: MaintenanceDispatcher(
                database, self.health_queries, work
            ),
        }
        every_ms = self._ground.settings.agents.every_s * SECOND_MS
        self.agents = AgentService(
            database, directory, hunters, self._ground.clock, every_ms=every_ms
        )
        self.agent_board = AgentBoard(self.agents, work, directory)
        erasures = self._beneath.erasures
        erasures.add(erasures.part("agent_proposals", self.agents.erase_some))

    @property
    def services(self) -> tuple[Any, ...]:
        """Return what handlers may ask for."""
        return (
            self.faults,
            self.health,
            self.health_queries,
            self.alerts,
            self.webhooks,
            self.agents,
            self.agent_board,
        )

    def begin(self, rounds: Rounds) -> None:
        """Begin what runs by itself; what is ``once`` on the node on duty alone."""
        health = self._ground.settings.health
        rounds.run_every(health.flush_s, self.health.turn)
        rounds.run_every(health.upkeep_s, self.health.upkeep, once=True)
        rounds.run_every(_TIDY_EVERY_S, self.alerts.tidy, once=True)
        rounds.run_every(_KEEP_EVERY_S, self.deliveries.keep, once=True)
        rounds.run_every(_TIDY_EVERY_S, self.deliveries.prune, once=True)
        every_s = min(_AGENTS_EVERY_S, self._ground.settings.agents.every_s)
        rounds.run_every(every_s, self.agents.turn, once=True)

    async def start(self) -> None:
        """Take up what an earlier run was sending."""
        await self.deliveries.start()

    async def stop(self) -> None:
        """Let what is on its way arrive."""
        await self.deliveries.stop()
