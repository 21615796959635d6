"""Builds diagnostics: component health, configuration, reports, alerts, detectors, runbooks."""

from typing import Any, Final, NamedTuple

from tellus.alerts.service import AlertService
from tellus.audit.service import AuditService
from tellus.building import Ground
from tellus.bus.port import Bus
from tellus.commands.service import CommandService
from tellus.configuration import store_devices as config_devices
from tellus.configuration.profiles import ProfileService
from tellus.configuration.service import ConfigurationService
from tellus.diagnostics.catalogue.faults import FaultDictionary
from tellus.diagnostics.observing import Sources
from tellus.diagnostics.service import ERASED as DETECTION_PARTS
from tellus.diagnostics.service import DetectionService
from tellus.diagnostics.service import Ground as DetectionGround
from tellus.diagnostics.vehicles import VehicleList
from tellus.firmware.releases import ReleaseCatalogue
from tellus.fleet.administration import DeviceAdministration
from tellus.fleet.catalogue import Catalogue
from tellus.fleet.erasure import ErasureService
from tellus.fleet.events import EventKind
from tellus.fleet.presence import PresenceWatch
from tellus.fleet.queries import FleetQueries
from tellus.fleet.service import HeartbeatKind
from tellus.health.queries import HealthQueries
from tellus.health.service import HealthService
from tellus.identity.keys import KeyRing
from tellus.identity.service import IdentityService
from tellus.rounds import Rounds
from tellus.sessions.service import RecordService
from tellus.telemetry.service import TelemetryService

_TIDY_EVERY_S: Final = 60.0
_LOOKOUT_EVERY_S: Final = 3.0
_CONFIGURATION_EVERY_S: Final = 5.0


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
        self._build_health()
        self._build_alerts()
        self._build_configuration()
        self._build_detection()

    def _build_health(self) -> None:
        telemetry = self._beneath.telemetry
        database, directory = self._ground.database, self._ground.directory
        self.health = HealthService(database, telemetry, self._ground.clock)
        self.health_queries = HealthQueries(database, directory, self._beneath.catalogue)

    def _build_alerts(self) -> None:
        ground, devices = self._ground, self._beneath.devices
        kept_days = ground.settings.alerts.kept_days
        self.alerts = AlertService(ground.database, ground.clock, kept_days=kept_days)
        devices.react(in_tx=self.alerts.leave_behind, after_commit=self.alerts.note_moved)

    def _build_configuration(self) -> None:
        database, beneath = self._ground.database, self._beneath
        self.profiles = ProfileService(database)
        self.vehicles = VehicleList(database)
        self.configuration = ConfigurationService(
            database,
            self._ground.directory,
            beneath.queries,
            beneath.commands,
            self._ground.clock,
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
        sources = Sources(ground.database, *facts, self.configuration.read_running)
        fleet = (ground.directory, beneath.catalogue, beneath.queries)
        told = (self.alerts, beneath.releases, ground.clock)
        self.detection = DetectionService(sources, DetectionGround(*fleet, *told, settings.hold_s))
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

    @property
    def services(self) -> tuple[Any, ...]:
        """Return what handlers may ask for."""
        configuration = (self.profiles, self.vehicles, self.configuration)
        found = (self.alerts, self.detection.firmware)
        health = (self.health, self.health_queries)
        return (self.faults, *health, *found, *configuration)

    def begin(self, rounds: Rounds) -> None:
        """Begin what runs by itself; what is ``once`` on the node on duty alone."""
        rounds.run_every(_TIDY_EVERY_S, self.alerts.tidy, once=True)
        if self._ground.settings.diagnostics.enabled:
            rounds.run_every(_LOOKOUT_EVERY_S, self.detection.lookout.flush)
            turn_s = self._ground.settings.diagnostics.turn_s
            rounds.run_every(turn_s, self.detection.turn, once=True)
        health = self._ground.settings.health
        rounds.run_every(health.flush_s, self.health.turn)
        rounds.run_every(health.upkeep_s, self.health.upkeep, once=True)
        rounds.run_every(_CONFIGURATION_EVERY_S, self.configuration.turn, once=True)
