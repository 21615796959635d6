"""Builds diagnostics: component health, configuration, reports, alerts, detectors, runbooks."""

from typing import Any, NamedTuple

from tellus.audit.service import AuditService
from tellus.building import Ground
from tellus.bus.port import Bus
from tellus.commands.service import CommandService
from tellus.diagnostics.catalogue.faults import FaultDictionary
from tellus.firmware.releases import ReleaseCatalogue
from tellus.fleet.administration import DeviceAdministration
from tellus.fleet.catalogue import Catalogue
from tellus.fleet.erasure import ErasureService, Part
from tellus.fleet.events import EventKind
from tellus.fleet.network import NetworkService
from tellus.fleet.presence import PresenceWatch
from tellus.fleet.queries import FleetQueries
from tellus.identity.keys import KeyRing
from tellus.identity.service import IdentityService
from tellus.kernel.units import DAY_MS
from tellus.reports.files import FileService
from tellus.reports.service import ReportService, UploadTerms
from tellus.rounds import Rounds
from tellus.sessions.service import RecordService
from tellus.telemetry.service import TelemetryService

_FILES_EVERY_S = 60.0
_REPORTS_EVERY_S = 5.0


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
        self._build_network()
        self._build_reports()

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

    @property
    def services(self) -> tuple[Any, ...]:
        """Return what handlers may ask for."""
        return (self.faults, self.network, self.files, self.reports)

    def begin(self, rounds: Rounds) -> None:
        """Begin what runs by itself; what is ``once`` on the node on duty alone."""
        rounds.run_every(_FILES_EVERY_S, self.files.sweep, once=True)
        rounds.run_every(_REPORTS_EVERY_S, self.reports.sweep, once=True)
