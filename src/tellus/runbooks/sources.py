"""What runbooks read: the services below them, and where a part may be missing, what it offers."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from tellus.alerts.service import AlertService
from tellus.commands.service import CommandService
from tellus.diagnostics.catalogue.faults import FaultDictionary
from tellus.firmware.releases import ReleaseCatalogue
from tellus.fleet.catalogue import Catalogue
from tellus.fleet.directory import Directory
from tellus.fleet.queries import FleetQueries
from tellus.health.model import HealthSpan
from tellus.reports.files import FileService
from tellus.runbooks.model import Vehicle
from tellus.runbooks.rules_v2g import Listed
from tellus.storage.database import Database, Tx
from tellus.telemetry.service import TelemetryService


class HealthReader(Protocol):
    """Component health by the minute."""

    def read_minutes(self, tx: Tx, device_no: int, from_ms: int, to_ms: int) -> list[HealthSpan]:
        """Return the minutes of a device that begin in ``[from_ms, to_ms)``."""
        ...

    def newest(self, tx: Tx, device_no: int) -> list[HealthSpan]:
        """Return what each connector of a device reported last."""
        ...


class VehicleReader(Protocol):
    """The list of vehicles that an operator lets discharge."""

    async def look_up(self, operator_id: str, vehicle: Vehicle) -> Listed:
        """Return what the operator's list says of a vehicle."""
        ...


class NoHealth:
    """Stands for component health where nothing is known of it."""

    def read_minutes(self, tx: Tx, device_no: int, from_ms: int, to_ms: int) -> list[HealthSpan]:
        """Return nothing."""
        del tx, device_no, from_ms, to_ms
        return []

    def newest(self, tx: Tx, device_no: int) -> list[HealthSpan]:
        """Return nothing."""
        del tx, device_no
        return []


class NoVehicles:
    """Stands for a list that names no vehicle."""

    async def look_up(self, operator_id: str, vehicle: Vehicle) -> Listed:
        """Return that nothing is listed."""
        del operator_id, vehicle
        return Listed(has_entries=False, is_listed=False)


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
    health: HealthReader
    vehicles: VehicleReader


def first_word(spans: Sequence[HealthSpan], connector_id: int, name: str) -> str | None:
    """Return the last word of a status from a connector's span, else from any, else None."""
    mine = [span for span in spans if span.connector_id == connector_id]
    words = [span.words[name] for span in (*mine, *spans) if name in span.words]
    return words[0] if words else None
