"""Builds diagnostics: component health, configuration, reports, alerts, detectors, runbooks."""

from typing import Any, Final, NamedTuple

from tellus.alerts.service import AlertService
from tellus.audit.service import AuditService
from tellus.building import Ground
from tellus.bus.port import Bus
from tellus.commands.service import CommandService
from tellus.diagnostics.catalogue.faults import FaultDictionary
from tellus.firmware.releases import ReleaseCatalogue
from tellus.fleet.administration import DeviceAdministration
from tellus.fleet.catalogue import Catalogue
from tellus.fleet.events import EventKind
from tellus.fleet.presence import PresenceWatch
from tellus.fleet.queries import FleetQueries
from tellus.identity.keys import KeyRing
from tellus.identity.service import IdentityService
from tellus.rounds import Rounds
from tellus.sessions.service import RecordService
from tellus.telemetry.service import TelemetryService

_TIDY_EVERY_S: Final = 60.0


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


class Diagnosing:
    """All of diagnostics, each part built from those before it."""

    def __init__(self, ground: Ground, beneath: Beneath) -> None:
        self._ground = ground
        self._beneath = beneath
        self.faults = FaultDictionary.load()
        self._build_alerts()

    def _build_alerts(self) -> None:
        ground, devices = self._ground, self._beneath.devices
        kept_days = ground.settings.alerts.kept_days
        self.alerts = AlertService(ground.database, ground.clock, kept_days=kept_days)
        devices.react(in_tx=self.alerts.leave_behind, after_commit=self.alerts.note_moved)

    @property
    def services(self) -> tuple[Any, ...]:
        """Return what handlers may ask for."""
        return (self.faults, self.alerts)

    def begin(self, rounds: Rounds) -> None:
        """Begin what runs by itself; what is ``once`` on the node on duty alone."""
        rounds.run_every(_TIDY_EVERY_S, self.alerts.tidy, once=True)
