"""Builds diagnostics: component health, configuration, reports, alerts, detectors, runbooks."""

from functools import partial
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
from tellus.alerts.listing import AlertList
from tellus.alerts.model_webhooks import OwedDelivery, Target
from tellus.alerts.operator_api_webhooks import show_event
from tellus.alerts.sending import STEPS, WebhookCourier, WebhookTargets
from tellus.alerts.service import AlertService
from tellus.alerts.webhooks import WebhookService
from tellus.alerts.withdrawal import cancel_deliveries
from tellus.audit.service import AuditService
from tellus.building import Ground
from tellus.bus.port import ALERT_CHANGED, Bus
from tellus.commands.service import CommandService
from tellus.configuration import store_devices as config_devices
from tellus.configuration.profiles import ProfileService
from tellus.configuration.service import ConfigurationService
from tellus.configuration.sites import SiteConfigurations
from tellus.consent.model import Service
from tellus.consent.service import ConsentService
from tellus.delivery.engine import Outbox
from tellus.diagnostics.catalogue.faults import FaultDictionary
from tellus.diagnostics.observing import Sources as DetectionSources
from tellus.diagnostics.service import ERASED as DETECTION_PARTS
from tellus.diagnostics.service import DetectionService
from tellus.diagnostics.service import Ground as DetectionGround
from tellus.diagnostics.vehicles import VehicleList
from tellus.firmware.releases import ReleaseCatalogue
from tellus.fleet.administration import DeviceAdministration
from tellus.fleet.catalogue import Catalogue
from tellus.fleet.erasure import ErasureService, Part
from tellus.fleet.events import EventKind
from tellus.fleet.network import NetworkService
from tellus.fleet.presence import PresenceWatch
from tellus.fleet.queries import FleetQueries
from tellus.fleet.service import HeartbeatKind
from tellus.health.queries import HealthQueries
from tellus.health.service import HealthService
from tellus.identity.keys import KeyRing
from tellus.identity.service import IdentityService
from tellus.kernel.units import DAY_MS, SECOND_MS
from tellus.reports.files import FileService
from tellus.reports.service import ReportService, UploadTerms
from tellus.rounds import Rounds
from tellus.runbooks import store as store_runbooks
from tellus.runbooks.library import RunbookCatalogue
from tellus.runbooks.service import RunbookService
from tellus.runbooks.sources import Sources
from tellus.sessions.service import RecordService
from tellus.telemetry.service import TelemetryService
from tellus.transfers.model import TransferKind
from tellus.transfers.service import RegionalCourier, TransferService

_FILES_EVERY_S: Final = 60.0
_REPORTS_EVERY_S: Final = 5.0
_TIDY_EVERY_S: Final = 60.0
_CONFIGURATION_EVERY_S: Final = 5.0
_KEEP_EVERY_S: Final = 0.1
_LOOKOUT_EVERY_S: Final = 3.0
_AGENTS_EVERY_S: Final = 30.0


class Beneath(NamedTuple):
    """What diagnostics needs of the platform below it."""

    identity: IdentityService
    keys: KeyRing
    audit: AuditService
    catalogue: Catalogue
    presence: PresenceWatch
    events: EventKind
    heartbeats: HeartbeatKind
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
        self._library = self._load_library()
        self._build_health()
        self._build_network()
        self._build_reports()
        self._build_alerts()
        self._build_configuration()
        self._build_webhooks()
        self._build_detection()
        self._build_runbooks()
        self._build_agents()

    def _build_network(self) -> None:
        """Build the view of how devices are connected."""
        database, directory = self._ground.database, self._ground.directory
        self.network = NetworkService(database, directory, self._beneath.presence)

    def _build_reports(self) -> None:
        """Build files, and the diagnostic reports that are some of them."""
        settings, database, directory, clock, _ = self._ground
        self.files = FileService(database, clock)
        terms = UploadTerms(
            self._beneath.keys.derive("uploads"),
            settings.server.public_url,
            settings.retention.files_days * DAY_MS,
        )
        self.reports = ReportService(
            database, directory, self._beneath.commands, self.files, terms, clock
        )
        erasures = self._beneath.erasures
        erasures.add(
            erasures.part("diagnostic_reports", self.reports.erase_some),
            Part("files", self.files.erase_some),
        )

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

    def follow_consents(self, consents: ConsentService) -> None:
        """Take in and tell nothing of devices whose owners do not agree, where they have to."""
        if consents.required:
            withheld = partial(consents.list_withheld, Service.DIAGNOSTICS)
            self.alerts.withheld = self.webhooks.withheld = withheld
            self.detection.intake.withheld = withheld
            consents.in_tx += [cancel_deliveries, self.reports.withdraw]

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
            RegionalCourier(
                WebhookCourier(clock, allows_private=is_near),
                TransferService(database, settings.instance.region, clock),
                TransferKind.WEBHOOKS,
            ),
            clock,
            turn_s=settings.alerts.turn_s,
            kept_days=settings.alerts.deliveries_kept_days,
        )
        self.webhooks.wake = self.deliveries.wake
        self.alerts.in_tx.append(self.webhooks.owe)
        self.alerts.told.append(lambda _numbers: self.deliveries.wake())

    def _load_library(self) -> RunbookCatalogue:
        """Read the runbooks, with the times of this installation."""
        settings = self._ground.settings.runbooks
        times_s = {
            "back_online": (settings.boot_s, settings.return_s),
            "reset_worked": (settings.reset_s, settings.release_s),
        }
        return RunbookCatalogue.load(self.faults, times_s)

    def _build_runbooks(self) -> None:
        """Build runbooks, which read all that is below them."""
        ground, beneath = self._ground, self._beneath
        sources = Sources(
            database=ground.database,
            directory=ground.directory,
            catalogue=beneath.catalogue,
            queries=beneath.queries,
            telemetry=beneath.telemetry,
            commands=beneath.commands,
            releases=beneath.releases,
            faults=self.faults,
            files=self.files,
            alerts=self.alerts,
            health=self.health,
            vehicles=self.vehicles,
        )
        kept_ms = ground.settings.runbooks.kept_days * DAY_MS
        self.runbooks = RunbookService(sources, self._library, ground.clock, kept_ms=kept_ms)
        leave = self.runbooks.leave_behind
        beneath.devices.react(in_tx=leave, after_commit=lambda _moved: None)
        erase = beneath.erasures.part("runbooks", store_runbooks.remove_device)
        beneath.erasures.add(erase)

    def _build_health(self) -> None:
        telemetry = self._beneath.telemetry
        database, directory = self._ground.database, self._ground.directory
        patience_ms = round(self._ground.settings.health.patience_s * SECOND_MS)
        self.health = HealthService(database, telemetry, self._ground.clock, patience_ms)
        self.health_queries = HealthQueries(database, directory, self._beneath.catalogue)

    def _build_configuration(self) -> None:
        database, beneath = self._ground.database, self._beneath
        self.profiles = ProfileService(database)
        self.vehicles = VehicleList(database)
        directory, clock = self._ground.directory, self._ground.clock
        self.configuration = ConfigurationService(database, directory, beneath.commands, clock)
        self.site_configurations = SiteConfigurations(
            directory, beneath.queries, self.profiles, self.configuration
        )
        beneath.commands.on_more.append(self.configuration.hear)
        beneath.devices.react(in_tx=self.configuration.clear, after_commit=lambda _moved: None)
        erase = beneath.erasures.part("configuration", config_devices.remove_device)
        beneath.erasures.add(erase)

    def _build_detection(self) -> None:
        """Build what finds faults, and let it hear of facts."""
        ground, beneath = self._ground, self._beneath
        settings = ground.settings.diagnostics
        facts = (beneath.telemetry, beneath.presence, self.faults, self.health)
        read = (self.configuration.read_running, self.health_queries.read_wear)
        sources = DetectionSources(ground.database, *facts, *read)
        fleet = (ground.directory, beneath.catalogue, beneath.queries)
        told = (self.alerts, beneath.releases, ground.clock)
        terms = (settings.hold_s, self._library.covers)
        self.detection = DetectionService(sources, DetectionGround(*fleet, *told, *terms))
        for name, remove in DETECTION_PARTS.items():
            beneath.erasures.add(beneath.erasures.part(name, remove))
        if settings.enabled:
            intake = self.detection.intake
            beneath.events.in_tx.append(intake.on_events)
            beneath.heartbeats.in_tx.append(intake.on_heartbeats)
            beneath.records.react(intake.on_records)
            self.health.in_tx.append(intake.on_minutes)
            self.configuration.in_tx.append(intake.on_configurations)
            beneath.telemetry.kind.told.append(self.detection.lookout.on_samples)

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
        settings = self._ground.settings.agents
        self.agents = AgentService(
            database,
            directory,
            hunters,
            self._ground.clock,
            every_ms=settings.every_s * SECOND_MS,
            kept_ms=settings.kept_days * DAY_MS,
        )
        self.agent_board = AgentBoard(self.agents, work, directory, self._beneath.records)
        erasures = self._beneath.erasures
        erasures.add(erasures.part("agent_proposals", self.agents.erase_some))

    @property
    def services(self) -> tuple[Any, ...]:
        """Return what handlers may ask for."""
        return (
            self.faults,
            self.health,
            self.health_queries,
            self.network,
            self.files,
            self.reports,
            self.alerts,
            self.alert_list,
            self.webhooks,
            self.detection.firmware,
            self.profiles,
            self.vehicles,
            self.configuration,
            self.site_configurations,
            self.runbooks,
            self.agents,
            self.agent_board,
        )

    def begin(self, rounds: Rounds) -> None:
        """Begin what runs by itself; what is ``once`` on the node on duty alone."""
        health = self._ground.settings.health
        rounds.run(self.health.begin())
        rounds.run_every(health.flush_s, self.health.turn)
        rounds.run_every(health.upkeep_s, self.health.upkeep, once=True)
        rounds.run_every(_CONFIGURATION_EVERY_S, self.configuration.turn, once=True)
        if self._ground.settings.diagnostics.enabled:
            rounds.run_every(_LOOKOUT_EVERY_S, self.detection.lookout.flush)
            turn_s = self._ground.settings.diagnostics.turn_s
            rounds.run_every(turn_s, self.detection.turn, once=True)
        rounds.run_every(_FILES_EVERY_S, self.files.sweep, once=True)
        rounds.run_every(_REPORTS_EVERY_S, self.reports.sweep, once=True)
        for tidy in (self.alerts.tidy, self.runbooks.tidy, self.agents.tidy):
            rounds.run_every(_TIDY_EVERY_S, tidy, once=True)
        turn_s = self._ground.settings.runbooks.turn_s
        rounds.run_every(turn_s, self.runbooks.mover.turn, once=True)
        rounds.run_every(_KEEP_EVERY_S, self.deliveries.keep, once=True)
        rounds.run_every(_TIDY_EVERY_S, self.deliveries.prune, once=True)

        every_s = min(_AGENTS_EVERY_S, self._ground.settings.agents.every_s)
        rounds.run_every(every_s, self.agents.turn, once=True)

    async def start(self) -> None:
        """Read memory back from the store, and take up what an earlier run was sending."""
        await self.configuration.start()
        await self.deliveries.start()

    async def stop(self) -> None:
        """Store what is owed, and let what is on its way arrive.

        Raises:
            ApiError: the store does not take it.
        """
        await self.health.stop()
        await self.deliveries.stop()
