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
        self._build_health()

    @property
    def services(self) -> tuple[Any, ...]:
        """Return what handlers may ask for."""
        return (self.faults, self.health, self.health_queries)

    def _build_health(self) -> None:
        telemetry = self._beneath.telemetry
        database, directory = self._ground.database, self._ground.directory
        patience_ms = round(self._ground.settings.health.patience_s * SECOND_MS)
        self.health = HealthService(database, telemetry, self._ground.clock, patience_ms)
        self.health_queries = HealthQueries(database, directory, self._beneath.catalogue)

    async def stop(self) -> None:
        """Store what is owed, once nothing comes in any more.

        Raises:
            ApiError: the store does not take it.
        """
        await self.health.stop()

    def begin(self, rounds: Rounds) -> None:
        """Begin what runs by itself; what is ``once`` on the node on duty alone."""
        health = self._ground.settings.health
        rounds.run(self.health.begin())
        rounds.run_every(health.flush_s, self.health.turn)
        rounds.run_every(health.upkeep_s, self.health.upkeep, once=True)
