"""The recent log of a process that has its database to itself: its instants are in memory."""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence

from tellus.storage.database import Database, Tx
from tellus.telemetry import rules, store
from tellus.telemetry.compaction import compact
from tellus.telemetry.log import LogIndex
from tellus.telemetry.model import PastSample, Sample
from tellus.telemetry.recent import (
    Hours,
    KeepStates,
    Place,
    ReadRecent,
    ReadSpan,
    Upload,
    hours_before,
)

_START_PAGE = 50_000
_INSTANTS_AT_ONCE = 500
_OLDER_AT_ONCE = 50
_ALL = 2**63
_BEFORE_ALL = (-(2**63), 0, 0, 0)

Follow = Callable[[Iterable[Sample]], set[Place]]
"""Moves memory forward to samples of the log; returns the connectors for which one counted."""


class OwnLog(LogIndex):
    """A ``RecentLog`` whose index nobody else changes."""

    async def load(self, database: Database) -> None:
        """Read back which instants the log holds."""
        position: tuple[int, ...] = _BEFORE_ALL
        while True:
            rows = await database.read(store.list_log_times, position, _START_PAGE)
            for time_ms, device_no, connector_id, _ in rows:
                self.note_time(device_no, connector_id, time_ms)
            if len(rows) < _START_PAGE:
                return
            position = rows[-1]

    def version(self) -> int:
        """Return how often a connector's samples were packed."""
        return self.packings

    def list_late(self, samples: Iterable[Sample]) -> Hours:
        """Return the hours whose packs may hold some of ``samples`` already.

        Only late ones can be packed, and those of clocks that run ahead. Late is also what was
        packed before the platform's clock was put back.
        """
        return hours_before(samples, self.packed_to_ms, rules.PACKING_AGE_MS)

    def list_unsure(self, tx: Tx, uploads: Sequence[Upload]) -> Hours:
        """Return the late hours of connectors that were packed since the uploads looked."""
        del tx  # the writer that asks is the one that packs
        unsure: Hours = {}
        version = self.packings
        for upload in uploads:
            if upload.version == version:
                continue
            for place, hours in self.list_late(upload.samples).items():
                if self.was_packed_since(place, upload.version):
                    unsure.setdefault(place, set()).update(hours)
        return unsure

    def reader(self, place: Place, from_ms: int, to_ms: int) -> ReadRecent:
        """Return what looks the place's instants up by key: those of now, before the snapshot."""
        times_ms = self.between(*place, from_ms, to_ms)

        def read(tx: Tx, until_ms: int) -> list[PastSample]:
            wanted_ms = [time_ms for time_ms in times_ms if time_ms < until_ms]
            return store.list_log_samples(tx, *place, wanted_ms)

        return read

    def explorer(self, place: Place) -> ReadSpan:
        """Return what looks the place's instants up by key: those of now, before the snapshot."""
        came_ms = self.copy(*place)
        times_ms: list[int] = []

        def read(tx: Tx, from_ms: int, to_ms: int) -> list[PastSample]:
            if came_ms and not times_ms:
                times_ms.extend(sorted(set(came_ms)))
            wanted_ms = times_ms[bisect_left(times_ms, from_ms) : bisect_left(times_ms, to_ms)]
            return store.list_log_samples_at_once(tx, *place, wanted_ms)

        return read

    async def compact(self, database: Database, keep_states: KeepStates, now_ms: int) -> int:
        """Pack everything outside the fresh span; return how many samples moved."""
        return await compact(database, self, keep_states, now_ms)

    async def recover(self, database: Database, follow: Follow) -> None:
        """Let memory follow what connectors last said by the log."""
        places = list(self.connectors())
        for start in range(0, len(places), _INSTANTS_AT_ONCE):
            part = places[start : start + _INSTANTS_AT_ONCE]
            newest = [(self.newest(*place), *place) for place in part]
            found = follow(await database.read(store.list_log_instants, newest))
            for place in part:
                if place not in found:
                    await self._recover_older(database, follow, place)

    async def _recover_older(self, database: Database, follow: Follow, place: Place) -> None:
        """Follow the newest that counts of a connector: its last sample does not."""
        times_ms = self.between(*place, -_ALL, _ALL)
        for stop in range(len(times_ms), 0, -_OLDER_AT_ONCE):
            part = times_ms[max(0, stop - _OLDER_AT_ONCE) : stop]
            instants = [(time_ms, *place) for time_ms in part]
            if follow(await database.read(store.list_log_instants, instants)):
                return
