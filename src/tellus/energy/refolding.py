"""Folding marks: a window at a time, a few windows in one transaction."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final, NamedTuple

from tellus.energy import store_places, store_progress
from tellus.energy.aside import Aside
from tellus.energy.facts import Explore, Source, limit_mw
from tellus.energy.gone import refold
from tellus.energy.model_rows import Change, Connector, Home, Mark
from tellus.energy.pace import Pace, patiently
from tellus.energy.writing import Refold, Written, write_refolds
from tellus.fleet.catalogue import Catalogue
from tellus.kernel.errors import ApiError
from tellus.kernel.units import DAY_MS
from tellus.storage.database import Database, Tx
from tellus.telemetry.recent import ReadSpan

# Longer windows are folded in turns, so that no transaction is long.
_TURN_MS: Final = 2 * DAY_MS
# A snapshot is read for about as long as this, and what it brought is written in one transaction.
_BATCH_S: Final = 0.03
_CONNECTORS_AT_ONCE: Final = 16
_ATTEMPTS: Final = 5


class Job(NamedTuple):
    """What is left of a mark: fold from ``from_ms`` on."""

    mark: Mark
    from_ms: int
    attempts: int = 0


class Batch(NamedTuple):
    """What a snapshot brought: refolds with the jobs that remain after each, and its cost (s)."""

    refolds: list[Refold]
    remaining: list[Job]
    untouched: list[Job]
    spent_s: float


class Refolder:
    """Folds marks; one batch at a time, whoever asks."""

    def __init__(
        self,
        database: Database,
        catalogue: Catalogue,
        explore: Explore,
        pace: Pace,
        aside: Aside,
    ) -> None:
        self._aside = aside
        self._database = database
        self._catalogue = catalogue
        self._explore = explore
        self._pace = pace
        self._turn = asyncio.Lock()
        self.samples = 0
        self.windows = 0

    async def fold(self, marks: Sequence[Mark], *, rests: bool) -> bool:
        """Fold all of ``marks`` as far as facts are folded; tell whether anything got done.

        The marks were read on the writer: what they were made for is in the log's index by now.
        Those set aside are left as they are. With ``rests`` it keeps to the pace.
        """
        jobs = [Job(mark, mark.from_ms) for mark in self._aside.without(marks)]
        done = False
        while jobs:
            async with self._turn:
                batch, rest = jobs[:_CONNECTORS_AT_ONCE], jobs[_CONNECTORS_AT_ONCE:]
                left, spent_s, written = await self._fold_batch(batch)
            jobs = left + rest
            done = done or written
            if rests:
                await self._pace.rest(spent_s)
        return done

    async def _fold_batch(self, jobs: Sequence[Job]) -> tuple[list[Job], float, bool]:
        """Fold some jobs; return what is left of them, the time spent, and if any was written."""
        readers = {job.mark.connector: self._explore(job.mark.connector) for job in jobs}
        batch: Batch = await self._database.read(self._read_batch, jobs, readers)
        written = await self._write(batch.refolds)
        self._pace.note_held(written.held_s)
        left = list(batch.untouched)
        by_connector = {job.mark.connector: job for job in jobs}
        for one in batch.refolds:
            job = by_connector[one.mark.connector]
            if self._aside.holds(one.mark.connector):
                continue
            if one.mark.connector in written.refused:
                # Somebody else has folded it, or changed what it was folded on: look again.
                if job.attempts < _ATTEMPTS:
                    left.append(job._replace(attempts=job.attempts + 1))
            else:
                self.samples += one.change.samples
                self.windows += 1
        left += [job for job in batch.remaining if job.mark.connector not in written.refused]
        return left, batch.spent_s + written.held_s, len(written.refused) < len(batch.refolds)

    async def _write(self, refolds: list[Refold]) -> Written:
        """Write some refolds; if that fails one by one, so that one that cannot be fails alone."""
        try:
            return await patiently(partial(self._database.write, write_refolds, refolds))
        except ApiError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever the store says of what was folded
            if len(refolds) == 1:
                self._aside.put(refolds[0].mark.connector, error)
                return Written({refolds[0].mark.connector}, 0.0)
        each = [await self._write([one]) for one in refolds]
        return Written(
            {connector for one in each for connector in one.refused},
            max(one.held_s for one in each),
        )

    def _read_batch(
        self, tx: Tx, jobs: Sequence[Job], readers: Mapping[Connector, ReadSpan]
    ) -> Batch:
        begun_s = time.perf_counter()
        until_ms = store_progress.find_folded_to(tx) or 0
        homes = store_places.read_homes(tx, [job.mark.device_no for job in jobs])
        batch = Batch([], [], [], 0.0)
        for job in jobs:
            if batch.refolds and time.perf_counter() - begun_s > _BATCH_S:
                batch.untouched.append(job)
                continue
            connector = job.mark.connector
            home = homes.get(connector[0])
            if home is None:
                nothing = Change(connector, [], [], [], {}, 0)
                batch.refolds.append(Refold(job.mark, nothing, None))
                continue
            source = Source(tx, connector, home, readers[connector])
            read_job = partial(self._read_job, batch, job, source, home, until_ms)
            self._aside.attempt(connector, read_job)
        return batch._replace(spent_s=time.perf_counter() - begun_s)

    def _read_job(self, batch: Batch, job: Job, source: Source, home: Home, until_ms: int) -> None:
        """Add to the batch what the next turn of a job changes, and what is left of it."""
        mark = job.mark
        begin_ms = source.find_first(job.from_ms, min(mark.to_ms + 1, until_ms))
        if begin_ms is None and mark.from_ms == mark.to_ms < until_ms:
            # What was pending there may be so still, or have turned into something since.
            begin_ms = mark.from_ms
        if begin_ms is None:
            nothing = Change(mark.connector, [], [], [], {}, 0)
            left_ms = until_ms if mark.to_ms >= until_ms else None
            batch.refolds.append(Refold(mark, nothing, left_ms))
            return
        span = (begin_ms, min(mark.to_ms, begin_ms + _TURN_MS))
        limit = limit_mw(home, mark.connector_id, self._catalogue)
        found = refold(source, span, until_ms, limit)
        next_ms = found.to_ms + 1
        if found.is_open:
            left_ms = until_ms if found.is_pending or mark.to_ms >= until_ms else None
            batch.refolds.append(Refold(mark, found.change, left_ms, until_ms))
        elif next_ms > mark.to_ms:
            batch.refolds.append(Refold(mark, found.change, None))
        else:
            batch.refolds.append(Refold(mark, found.change, next_ms))
            batch.remaining.append(Job(mark, next_ms))
