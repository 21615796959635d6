"""Vehicles age: their numbers are erased once nothing was heard of them for a time.

Erasing is dropping the key: what was sealed under it can be read by nobody any more, and the record
around it stays. Then the store sees to it that no copy of the key is left in its files.
"""

from tellus.identity import store_keys
from tellus.identity.vault import Vault
from tellus.kernel.retention import Aged, Step, timed
from tellus.kernel.units import DAY_MS
from tellus.storage.database import Database, Tx


class VehicleTier:
    """Keys of vehicles (see ``telemetry.retention.Tier``); a row is a vehicle of an operator."""

    name = "vehicles"

    def __init__(self, database: Database, vault: Vault, kept_days: int) -> None:
        self._database = database
        self._vault = vault
        self._has_dropped = False
        self.kept_days = kept_days

    def begin(self) -> None:
        """Get ready for a round."""
        self._has_dropped = False

    def plan(self, tx: Tx, now_ms: int) -> Aged:
        """Return the vehicles whose time has come."""
        return store_keys.sum_subjects_before(tx, now_ms - self.kept_days * DAY_MS)

    def find_oldest(self, tx: Tx) -> int | None:
        """Return when (ms) the vehicle was heard of that was not for longest."""
        return store_keys.find_oldest_subject(tx)

    async def step(self, now_ms: int, limit: int) -> Step:
        """Erase up to ``limit`` vehicles; once none is left, clean up behind them."""
        before_ms = now_ms - self.kept_days * DAY_MS
        erased, held_s = await self._database.write(
            timed(store_keys.delete_subjects_before), before_ms, limit
        )
        self._vault.forget(*erased)
        self._has_dropped = self._has_dropped or bool(erased)
        more = len(erased) == limit
        if not more and self._has_dropped:
            await self._database.scrub()
        return Step(len(erased), held_s, more)
