"""The recent log where several processes share the store: nothing of it is in memory.

The store has an index by connector for reading it. Packs change under a lock per connector, which
whoever takes in something late takes too: so a sample is found either in the log or in its pack,
and never twice, whichever process packs and whichever takes in.
"""

from collections.abc import Iterable, Sequence

from tellus.kernel.units import MINUTE_MS
from tellus.storage.database import Database, Tx
from tellus.storage.instance import find_instance_value, note_instance_value
from tellus.telemetry import rules, store
from tellus.telemetry.compaction import pack_places
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

# Another process may pack by a clock that runs ahead of this one's by up to this.
_CLOCKS_APART_MS = MINUTE_MS
# Whoever takes in something late of these places waits meanwhile, and holds up its whole batch.
_PLACES_AT_ONCE = 4
_PACKED_TO_KEY = "packed_to_ms"


class SharedLog:
    """A ``RecentLog`` that asks the store."""

    def __init__(self) -> None:
        self._packed_to_ms = 0

    async def load(self, database: Database) -> None:
        """Learn how far samples were packed, perhaps by another process."""
        self._packed_to_ms = int(await database.read(find_instance_value, _PACKED_TO_KEY) or 0)

    def note(self, samples: Sequence[Sample]) -> None:
        """Nothing is kept in memory."""

    def version(self) -> int:
        """Return nothing of use: other processes pack too."""
        return 0

    def list_late(self, samples: Iterable[Sample]) -> Hours:
        """Return the hours whose packs may hold some of ``samples`` already.

        Late is also what was packed before the clock was put back, as far as this process knows.
        """
        return hours_before(samples, self._packed_to_ms, rules.PACKING_AGE_MS - _CLOCKS_APART_MS)

    def list_unsure(self, tx: Tx, uploads: Sequence[Upload]) -> Hours:
        """Lock the packs of what is late; return the hours whose packs have grown since."""
        late: Hours = {}
        for upload in uploads:
            for place, hours in self.list_late(upload.samples).items():
                late.setdefault(place, set()).update(hours)
        if not late:
            return {}
        lock_packs(tx, late)
        sizes = store.list_pack_sizes(
            tx, [(*place, hour) for place in late for hour in late[place]]
        )
        unsure: Hours = {}
        for upload in uploads:
            for place, hours in self.list_late(upload.samples).items():
                grown = {
                    hour
                    for hour in hours
                    if sizes.get((*place, hour), 0) != upload.sizes.get((*place, hour), 0)
                }
                if grown:
                    unsure.setdefault(place, set()).update(grown)
        return unsure

    def reader(self, place: Place, from_ms: int, to_ms: int) -> ReadRecent:
        """Return what reads the place's part of the log."""

        def read(tx: Tx, until_ms: int) -> list[PastSample]:
            return store.list_log_between(tx, *place, from_ms, min(until_ms, to_ms))

        return read

    def explorer(self, place: Place) -> ReadSpan:
        """Return what reads the place's part of the log."""

        def read(tx: Tx, from_ms: int, to_ms: int) -> list[PastSample]:
            return store.list_log_between(tx, *place, from_ms, to_ms)

        return read

    async def compact(self, database: Database, keep_states: KeepStates, now_ms: int) -> int:
        """Pack everything outside the fresh span; return how many samples moved."""
        span = rules.fresh_span(now_ms, self._packed_to_ms)
        places = await database.read(store.list_aged_places, span)
        moved = 0
        for start in range(0, len(places), _PLACES_AT_ONCE):
            part = places[start : start + _PLACES_AT_ONCE]
            moved += await database.write(_pack, part, span, keep_states)
        if span[0] > self._packed_to_ms:
            self._packed_to_ms = span[0]
            await database.write(note_instance_value, _PACKED_TO_KEY, str(span[0]))
        return moved


def lock_packs(tx: Tx, places: Iterable[Place]) -> None:
    """Let nobody else pack these places, or take in something late of them, meanwhile."""
    tx.lock(*(f"packs:{device_no}:{connector_id}" for device_no, connector_id in places))


def _pack(tx: Tx, places: Sequence[Place], span: tuple[int, int], keep_states: KeepStates) -> int:
    """Move what lies outside ``span`` into packs; another process may have done it meanwhile."""
    lock_packs(tx, places)
    aged = [(place, store.list_log_outside(tx, *place, span)) for place in places]
    rows = pack_places(tx, aged)
    keep_states(
        tx,
        [
            rules.restore_sample(*place, sample)
            for place, found in aged
            for sample in found
            if not sample.clock_suspect
        ],
    )
    for row in rows:
        store.upsert_pack(
            tx, row.device_no, row.connector_id, row.hour_ms, row.samples, row.content
        )
        store.remove_log_samples(tx, row.device_no, row.connector_id, row.taken)
    return sum(len(row.taken) for row in rows)
