"""Builds diagnostics: component health, configuration, reports, alerts, detectors, runbooks."""

from typing import Any, Final, NamedTuple

from tellus.audit.service import AuditService
from tellus.building import Ground
from tellus.bus.port import Bus
from tellus.commands.service import CommandService
from tellus.configuration import store_devices as config_devices
from tellus.configuration.profiles import ProfileService
from tellus.configuration.service import ConfigurationService
from tellus.configuration.sites import SiteConfigurations
from tellus.diagnostics.catalogue.faults import FaultDictionary
from tellus.diagnostics.vehicles import VehicleList
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

_CONFIGURATION_EVERY_S: Final = 5.0


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
        self._build_configuration()

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

    @property
    def services(self) -> tuple[Any, ...]:
        """Return what handlers may ask for."""
        configuration = (self.profiles, self.configuration, self.site_configurations)
        return (self.faults, *configuration, self.vehicles)

    def begin(self, rounds: Rounds) -> None:
        """Begin what runs by itself; what is ``once`` on the node on duty alone."""
        rounds.run_every(_CONFIGURATION_EVERY_S, self.configuration.turn, once=True)
