"""Events and what happened to connections, where they are kept for a time only."""

from tellus.fleet import store_network, store_retention
from tellus.kernel.retention import Aged, Step, timed
from tellus.kernel.units import DAY_MS
from tellus.storage.database import Database, Tx


class EventTier:
    """Events of devices (see ``telemetry.retention.Tier``)."""

    name = "events"

    def __init__(self, database: Database, kept_days: int) -> None:
        self._database = database
        self.kept_days = kept_days

    def begin(self) -> None:
        """Nothing to get ready."""

    def plan(self, tx: Tx, now_ms: int) -> Aged:
        """Return the events whose time has come."""
        return store_retention.sum_events_before(tx, now_ms - self.kept_days * DAY_MS)

    def find_oldest(self, tx: Tx) -> int | None:
        """Return the time (ms) of the oldest event."""
        return store_retention.find_oldest_event(tx)

    async def step(self, now_ms: int, limit: int) -> Step:
        """Drop up to ``limit`` events."""
        removed, held_s = await self._database.write(
            timed(store_retention.remove_events_before), now_ms - self.kept_days * DAY_MS, limit
        )
        return Step(removed, held_s, removed == limit)


class ConnectionTier:
    """What happened to the connections of devices (see ``telemetry.retention.Tier``)."""

    name = "connections"

    def __init__(self, database: Database, kept_days: int) -> None:
        self._database = database
        self.kept_days = kept_days

    def begin(self) -> None:
        """Nothing to get ready."""

    def plan(self, tx: Tx, now_ms: int) -> Aged:
        """Return the entries whose time has come."""
        return store_network.sum_entries_before(tx, now_ms - self.kept_days * DAY_MS)

    def find_oldest(self, tx: Tx) -> int | None:
        """Return the time (ms) of the oldest entry."""
        return store_network.find_oldest_entry(tx)

    async def step(self, now_ms: int, limit: int) -> Step:
        """Drop up to ``limit`` entries."""
        removed, held_s = await self._database.write(
            timed(store_network.remove_entries_before), now_ms - self.kept_days * DAY_MS, limit
        )
        return Step(removed, held_s, removed == limit)
