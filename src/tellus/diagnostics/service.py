"""Detection as one: what comes in, what looks at it, and what looks after what was found."""

from typing import Final, NamedTuple

from tellus.diagnostics import store_conditions, store_counts, store_inbox
from tellus.diagnostics.desk import Alerts, Desk
from tellus.diagnostics.detectors import Detectors
from tellus.diagnostics.findings import Covers, Findings
from tellus.diagnostics.firmware_health import FirmwareHealth
from tellus.diagnostics.intake import Intake
from tellus.diagnostics.lookout import Lookout
from tellus.diagnostics.observing import Observing, Sources
from tellus.diagnostics.thresholds import Thresholds
from tellus.diagnostics.upkeep import Upkeep
from tellus.diagnostics.upstream import Upstream
from tellus.firmware.releases import ReleaseCatalogue
from tellus.fleet.catalogue import Catalogue
from tellus.fleet.directory import Directory
from tellus.fleet.queries import FleetQueries
from tellus.kernel.clock import Clock
from tellus.kernel.units import SECOND_MS

_FORGET_EVERY: Final = 600
_UPKEEP_EVERY_MS: Final = 5 * SECOND_MS

ERASED: Final = {
    "inbox of detection": store_inbox.remove_of_device,
    "conditions": store_conditions.remove_of_device,
    "counts of starts": store_counts.remove_of_device,
}
"""What is erased with a device, and how."""


class Ground(NamedTuple):
    """What detection stands on beside its sources."""

    directory: Directory
    catalogue: Catalogue
    queries: FleetQueries
    alerts: Alerts
    releases: ReleaseCatalogue
    clock: Clock
    hold_s: float
    covers: Covers


class DetectionService:
    """Finds faults; ``intake`` and ``lookout`` hear of facts, ``turn`` is for the node on duty."""

    def __init__(self, sources: Sources, ground: Ground) -> None:
        database, directory = sources.database, ground.directory
        self._database = database
        self._clock = ground.clock
        self._queries = ground.queries
        self._hold_ms = round(ground.hold_s * SECOND_MS)
        self.thresholds = Thresholds(sources.faults, ground.catalogue)
        self.intake = Intake(directory, ground.clock, self.thresholds)
        self.lookout = Lookout(database, directory, ground.clock, self.thresholds)
        self.desk = Desk(
            database,
            directory,
            Findings(sources.faults, ground.catalogue, ground.covers),
            ground.alerts,
        )
        observing = Observing(sources)
        self.detectors = Detectors(database, directory, self.desk, observing, self.thresholds)
        self._upkeep = Upkeep(database, directory, self.desk, observing, self.thresholds)
        area_km = self.thresholds.of_model("").area_km
        self._upstream = Upstream(directory, self._hold_ms, area_km)
        self.firmware = FirmwareHealth(
            database, directory, sources.faults, ground.releases, ground.clock
        )
        self._turns = 0
        self._kept_up_ms = 0

    async def turn(self) -> None:
        """Look at what is due, then after what is the case.

        Raises:
            ApiError: the store cannot take it now; nothing is lost.
        """
        now_ms = self._clock.now_ms()
        taken = await self.detectors.take(now_ms)
        if taken or abs(now_ms - self._kept_up_ms) >= _UPKEEP_EVERY_MS:
            await self._upkeep.turn(self._upstream, self._queries, self._hold_ms, now_ms)
            self._kept_up_ms = now_ms
        await self.firmware.turn(self.desk)
        if self._turns % _FORGET_EVERY == 0:
            await self._upkeep.forget(now_ms)
        self._turns += 1

    async def count_waiting(self) -> int:
        """Return how many items wait in the inbox."""
        return await self._database.read(store_inbox.count_waiting)
