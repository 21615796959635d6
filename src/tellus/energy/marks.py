"""Marks made where facts come in: of what is late, and of whatever settles what is folded already.

Each is written in the transaction of its fact, so that there is never one without the other.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from tellus.energy import store_marks
from tellus.energy.facts import is_believed, parts_sessions
from tellus.energy.store_marks import Span
from tellus.fleet.model import EventsStored
from tellus.kernel.clock import Clock
from tellus.kernel.units import SECOND_MS
from tellus.sessions.model import RecordsStored
from tellus.storage.database import Database, Tx
from tellus.telemetry.model import Sample

LATE_MS: Final = 30 * SECOND_MS
"""Facts older than this when they are applied are marked; rounds keep further away than this."""

_OWING_MS: Final = 10 * SECOND_MS


class Marker:
    """Reacts to facts; the reactions run on the writer, in the transaction of the facts."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._owed: list[Span] = []

    def on_samples(self, tx: Tx, samples: Sequence[Sample]) -> None:
        """Mark the late ones among samples; repeats may be among them."""
        late_ms = self._clock.now_ms() - LATE_MS
        late = [sample for sample in samples if sample[0] < late_ms]
        if late:
            store_marks.put_marks(tx, _spans(late), self._clock.now_ms())

    def on_events(self, tx: Tx, stored: EventsStored) -> None:
        """Mark late events that part sessions."""
        now_ms = self._clock.now_ms()
        spans = [
            (event.device_no, event.connector_id, event.time_ms, event.time_ms)
            for event in stored.events
            if event.time_ms < now_ms - LATE_MS
            and event.connector_id
            and not event.clock_suspect
            and parts_sessions(event.event_type)
        ]
        if spans:
            store_marks.put_marks(tx, spans, now_ms)

    def on_records(self, tx: Tx, stored: RecordsStored) -> None:
        """Mark what charging records span: they settle what samples say."""
        spans = [
            (
                record.source.device_no,
                record.content.connector_id,
                record.content.start_ms,
                record.content.end_ms,
            )
            for record in stored.records
            if is_believed(record.content.start_ms, record.content.end_ms, record.flags)
        ]
        if spans:
            store_marks.put_marks(tx, spans, self._clock.now_ms())

    def on_durable(self, samples: Sequence[Sample]) -> None:
        """Note samples whose commit took so long that a round may have passed their time.

        For a database that several processes share; where there is one writer, rounds wait for it.
        """
        slow_ms = self._clock.now_ms() - _OWING_MS
        self._owed += _spans(sample for sample in samples if sample[4] < slow_ms)

    async def pay(self) -> None:
        """Mark the samples whose commit took long.

        Raises:
            ApiError: the store cannot take it now; it is tried again next time.
        """
        if not self._owed:
            return
        owed, self._owed = self._owed, []
        try:
            await self._database.write(store_marks.put_marks, owed, self._clock.now_ms())
        except BaseException:
            self._owed += owed
            raise


def _spans(samples: Iterable[Sample]) -> list[Span]:
    return [(sample[1], sample[2], sample[0], sample[0]) for sample in samples]
