"""Component health, as long as it is kept: minutes for days, hours for years."""

from tellus.fleet.erasure import ErasureService, Part
from tellus.health import store_retention
from tellus.kernel.retention import Aged, Step, timed
from tellus.kernel.units import DAY_MS
from tellus.storage.database import Database, Tx


class HealthMinutesTier:
    """Component health by the minute (see ``telemetry.retention.Tier``).

    Age counts from the minute itself: what came late is kept in its hour.
    """

    name = "component_minutes"

    def __init__(self, database: Database, kept_days: int) -> None:
        self._database = database
        self.kept_days = kept_days

    def begin(self) -> None:
        """Nothing to get ready."""

    def plan(self, tx: Tx, now_ms: int) -> Aged:
        """Return the minutes whose time has come."""
        return store_retention.sum_minutes_before(tx, now_ms - self.kept_days * DAY_MS)

    def find_oldest(self, tx: Tx) -> int | None:
        """Return the start (ms) of the oldest minute."""
        return store_retention.find_oldest_minute(tx)

    async def step(self, now_ms: int, limit: int) -> Step:
        """Drop up to ``limit`` minutes."""
        removed, held_s = await self._database.write(
            timed(store_retention.remove_minutes_before), now_ms - self.kept_days * DAY_MS, limit
        )
        return Step(removed, held_s, removed == limit)


class HealthHoursTier:
    """Component health by the hour (see ``telemetry.retention.Tier``)."""

    name = "component_hours"

    def __init__(self, database: Database, kept_days: int) -> None:
        self._database = database
        self.kept_days = kept_days

    def begin(self) -> None:
        """Nothing to get ready."""

    def plan(self, tx: Tx, now_ms: int) -> Aged:
        """Return the hours whose time has come."""
        return store_retention.sum_hours_before(tx, now_ms - self.kept_days * DAY_MS)

    def find_oldest(self, tx: Tx) -> int | None:
        """Return the start (ms) of the oldest hour."""
        return store_retention.find_oldest_hour(tx)

    async def step(self, now_ms: int, limit: int) -> Step:
        """Drop up to ``limit`` hours."""
        removed, held_s = await self._database.write(
            timed(store_retention.remove_hours_before), now_ms - self.kept_days * DAY_MS, limit
        )
        return Step(removed, held_s, removed == limit)


def health_parts(erasures: ErasureService) -> tuple[Part, Part]:
    """Return the parts of an erasure that component health is."""
    return (
        erasures.part("component_minutes", store_retention.remove_minutes_of),
        erasures.part("component_hours", store_retention.remove_hours_of),
    )
