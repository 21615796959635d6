"""The ledger of reads: counted in memory, the first of each day on disk before it is answered."""

import asyncio
from collections.abc import Iterable
from typing import Final

import structlog

from tellus.coexistence import store
from tellus.coexistence.model import ReadCount, ReadGroup, ReadScope
from tellus.kernel.clock import Clock
from tellus.kernel.errors import ApiError
from tellus.kernel.units import DAY_MS, SECOND_MS
from tellus.storage.database import Database

_DEVICE: Final = ReadScope.DEVICE.value
_PATIENCE_MS: Final = 10 * SECOND_MS
_PRUNED_AT_ONCE: Final = 500
_MOST_KNOWN: Final = 200_000
"""How many devices are remembered by reader; beyond that each is written anew the next time."""

log = structlog.get_logger(__name__)


class Tally:
    """What was counted since it was last written; ``is_new`` until the first of today is stored."""

    __slots__ = ("first_ms", "is_new", "last_ms", "seconds", "times")

    def __init__(self, now_ms: int, *, is_new: bool) -> None:
        self.times = self.seconds = 0
        self.first_ms = self.last_ms = now_ms
        self.is_new = is_new


_Tallies = dict[tuple[int, ReadGroup], dict[str, Tally]]


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
        self._lock = asyncio.Lock()
        self._again_ms = 0
        self.latest: dict[tuple[str, str, str], Tally] = {}
        """Tallies of single devices by reader, kind and device: for ``count_again``."""
        self.day_from_ms = self.day_to_ms = 0

    def count_again(self, key: tuple[str, str, str], now_ms: int) -> bool | None:
        """Count a read of one device that was read lately; None where ``count`` is to do it."""
        tally = self.latest.get(key)
        if tally is None or not self.day_from_ms <= now_ms < self.day_to_ms:
            return None
        tally.times += 1
        tally.last_ms = now_ms
        return tally.is_new

    def count(
        self, group: ReadGroup, scope_ids: Iterable[str], now_ms: int, *, seconds: int = 0
    ) -> bool:
        """Count a read of each, or ``seconds`` of a stream; tell whether the first is not stored.

        Then ``settle`` is to have it on disk before the read is answered. Reads at the same time
        wait for the same write.
        """
        day = now_ms // DAY_MS
        if day != self._day or self._remembered > _MOST_KNOWN:
            self._begin(day)
        tallies = self._tallies.setdefault((day, group), {})
        is_new = False
        for scope_id in scope_ids:
            tally = tallies.get(scope_id)
            if tally is None:
                known = self._known.get(group, ())
                tally = tallies[scope_id] = Tally(now_ms, is_new=scope_id not in known)
                if group.scope == _DEVICE:
                    self.latest[group.reader_id, group.kind, scope_id] = tally
            if seconds:
                tally.seconds += seconds
            else:
                tally.times += 1
            tally.last_ms = now_ms
            if tally.is_new:
                is_new = True
        return is_new

    def _begin(self, day: int) -> None:
        self._day, self._remembered = day, 0
        self.day_from_ms, self.day_to_ms = day * DAY_MS, (day + 1) * DAY_MS
        self._known.clear()
        self.latest.clear()

    async def settle(self) -> None:
        """Have on disk what was counted, unless the store refused it only just now."""
        if self._clock.now_ms() >= self._again_ms:
            await self.flush()

    async def flush(self) -> None:
        """Add what was counted to the store; return once also what others are adding is there.

        What the store does not take now is kept for later, and the read is answered all the same:
        what was stored before stays readable. Whoever waits may be cancelled, the write is not:
        what it has stored would be told twice.
        """
        if self._tallies or self._lock.locked():
            await asyncio.shield(self._write())

    async def _write(self) -> None:
        async with self._lock:
            taken, self._tallies = self._tallies, {}
            self.latest.clear()
            counts = [
                ReadCount(scope_id, day, group, one.times, one.seconds, one.first_ms, one.last_ms)
                for (day, group), tallies in taken.items()
                for scope_id, one in tallies.items()
            ]
            if not counts:
                return
            try:
                await self._database.write(store.add_counts, counts)
            except ApiError as error:
                log.warning("reads_not_written", counts=len(counts), code=error.code)
                self._again_ms = self._clock.now_ms() + _PATIENCE_MS
                self._put_back(taken)
            except BaseException:
                self._put_back(taken)
                raise
            else:
                self._again_ms = 0
                self._remember(taken)

    def _remember(self, stored: _Tallies) -> None:
        """Take what was stored of today as known."""
        for (day, group), tallies in stored.items():
            if day == self._day:
                known = self._known.setdefault(group, set())
                before = len(known)
                known.update(tallies)
                self._remembered += len(known) - before
                for scope_id in tallies.keys() & self._tallies.get((day, group), {}).keys():
                    self._tallies[day, group][scope_id].is_new = False

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
