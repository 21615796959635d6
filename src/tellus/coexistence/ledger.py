"""The ledger of reads: counted in memory, the first of each day on disk before it is answered."""

from collections.abc import Iterable
from typing import Final

import structlog

from tellus.coexistence import store
from tellus.coexistence.model import ReadCount, ReadGroup
from tellus.kernel.clock import Clock
from tellus.kernel.errors import ApiError
from tellus.kernel.units import DAY_MS
from tellus.storage.database import Database

_PRUNED_AT_ONCE: Final = 500
_MOST_KNOWN: Final = 200_000
"""How many devices are remembered by reader; beyond that each is written anew the next time."""

log = structlog.get_logger(__name__)


class _Tally:
    """What was counted since it was last written."""

    __slots__ = ("first_ms", "last_ms", "seconds", "times")

    def __init__(self, now_ms: int) -> None:
        self.times = self.seconds = 0
        self.first_ms = self.last_ms = now_ms


_Tallies = dict[tuple[int, ReadGroup], dict[str, _Tally]]


class ReadLedger:
    """Counts the reads that this node answers."""

    def __init__(self, database: Database, clock: Clock, *, kept_days: int = 730) -> None:
        self._database = database
        self._clock = clock
        self._kept_days = kept_days
        self._day = 0
        self._known: dict[ReadGroup, set[str]] = {}
        self._remembered = 0
        self._tallies: _Tallies = {}

    def count(
        self, group: ReadGroup, scope_ids: Iterable[str], now_ms: int, *, seconds: int = 0
    ) -> bool:
        """Count a read of each, or ``seconds`` of a stream; tell whether one is new today.

        Then ``flush`` is to have it on disk before the read is answered.
        """
        day = now_ms // DAY_MS
        if day != self._day or self._remembered > _MOST_KNOWN:
            self._day, self._remembered = day, 0
            self._known.clear()
        tallies = self._tallies.setdefault((day, group), {})
        known = self._known.setdefault(group, set())
        before = len(known)
        for scope_id in scope_ids:
            tally = tallies.get(scope_id)
            if tally is None:
                tally = tallies[scope_id] = _Tally(now_ms)
                known.add(scope_id)
            if seconds:
                tally.seconds += seconds
            else:
                tally.times += 1
            tally.last_ms = now_ms
        self._remembered += len(known) - before
        return len(known) > before

    async def flush(self) -> None:
        """Add what was counted to the store.

        What the store does not take now is kept for later, and the read is answered all the same:
        what was stored before stays readable.
        """
        if not self._tallies:
            return
        taken, self._tallies = self._tallies, {}
        counts = [
            ReadCount(scope_id, day, group, one.times, one.seconds, one.first_ms, one.last_ms)
            for (day, group), tallies in taken.items()
            for scope_id, one in tallies.items()
        ]
        try:
            await self._database.write(store.add_counts, counts)
        except ApiError as error:
            log.warning("reads_not_written", counts=len(counts), code=error.code)
            self._put_back(taken)
        except BaseException:
            self._put_back(taken)
            raise

    async def prune(self) -> None:
        """Delete some counts of days that are long over."""
        before = self._clock.now_ms() // DAY_MS - self._kept_days
        await self._database.write(store.remove_before, before, _PRUNED_AT_ONCE)

    def _put_back(self, taken: _Tallies) -> None:
        for key, tallies in taken.items():
            present = self._tallies.setdefault(key, tallies)
            if present is tallies:
                continue
            for scope_id, tally in tallies.items():
                held = present.setdefault(scope_id, tally)
                if held is not tally:
                    held.times += tally.times
                    held.seconds += tally.seconds
                    held.first_ms = min(held.first_ms, tally.first_ms)
