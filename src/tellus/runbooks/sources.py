"""What runbooks read, and what they act through: the services below them."""

from collections.abc import Sequence
from typing import NamedTuple

from tellus.alerts.service import AlertService
from tellus.commands.service import CommandService
from tellus.diagnostics.catalogue.faults import FaultDictionary
from tellus.diagnostics.vehicles import VehicleList
from tellus.firmware.releases import ReleaseCatalogue
from tellus.fleet.catalogue import Catalogue
from tellus.fleet.directory import Directory
from tellus.fleet.queries import FleetQueries
from tellus.health.model import HealthSpan
from tellus.health.service import HealthService
from tellus.reports.files import FileService
from tellus.storage.database import Database
from tellus.telemetry.service import TelemetryService


class Sources(NamedTuple):
    """All that runbooks read, and what they act through."""

    database: Database
    directory: Directory
    catalogue: Catalogue
    queries: FleetQueries
    telemetry: TelemetryService
    commands: CommandService
    releases: ReleaseCatalogue
    faults: FaultDictionary
    files: FileService
    alerts: AlertService
    health: HealthService
    vehicles: VehicleList


def first_word(spans: Sequence[HealthSpan], connector_id: int, name: str) -> str | None:
    """Return the last word of a status from a connector's span, else from any, else None."""
    mine = [span for span in spans if span.connector_id == connector_id]
    words = [span.words[name] for span in (*mine, *spans) if name in span.words]
    return words[0] if words else None
