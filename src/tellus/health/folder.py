"""Folds what samples tell of parts into minutes, in every process for what it took in.

Memory holds it until the next round; the log holds it until it is stored. A process notes up to
when all that came to it is in the minutes, and, in the transaction that stores it, what came late.
So what a process that died had not stored is found again, and folding it twice changes nothing.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from tellus.fleet.model import Reading
from tellus.fleet.model_health import NOTHING_TOLD
from tellus.health import rules, store, store_due
from tellus.health.model import Folded, FoldedRow, HealthSpan, Place, SpanKey
from tellus.health.store_due import Late
from tellus.kernel.clock import Clock
from tellus.kernel.ids import new_id
from tellus.kernel.units import CLOCK_TOLERANCE_MS, HOUR_MS, MINUTE_MS
from tellus.storage.database import Database, Tx
from tellus.telemetry.model import Sample

LATE_MS: Final = MINUTE_MS
"""Samples older than this when they are applied are noted as late."""

LOCK: Final = "component_minutes"
"""Held while minutes are read to be put together with others."""

_ROWS_AT_ONCE: Final = 200
_TOLD_AT_ONCE: Final = 16
_FOLDED_AT_ONCE: Final = 64
_LOOKED_AT_AT_ONCE: Final = 500
_SURE_MS: Final = 5 * MINUTE_MS  # longer than any commit takes: what was noted before is told

InTransaction = Callable[[Tx, Sequence[HealthSpan]], None]


class _Waiting:
    """What samples of a minute tell, and since when (ms) the first of them waits.

    They are folded some at a time: that is cheaper than one by one, and memory holds few of them.
    """

    __slots__ = ("folded", "since_ms", "told", "words")

    def __init__(self, since_ms: int) -> None:
        self.since_ms = since_ms
        self.told: list[rules.Told] = []
        self.folded: Folded | None = None
        self.words: tuple[Any, ...] = ()

    def fold(self) -> Folded:
        """Return what all samples come to."""
        if self.told:
            fresh = rules.fold(self.told)
            self.folded = fresh if self.folded is None else rules.merge(self.folded, fresh)
            self.words = rules.words_of(self.told[-1])
            self.told = []
        return self.folded or Folded({}, {})


class Folder:
    """What samples of this process tell of parts, on its way to the minutes.

    A minute is stored by the first round after its end. It is stored before that, too, where it has
    waited for ``patience_ms``, or a status differs from what was stored last.
    """

    def __init__(self, database: Database, clock: Clock, patience_ms: int) -> None:
        self._database = database
        self._clock = clock
        self._patience_ms = patience_ms
        self.folder_id = new_id("fold")
        self._waiting: dict[SpanKey, _Waiting] = {}
        self._words: dict[Place, tuple[Any, ...]] = {}
        self._noted: set[SpanKey] = set()
        self._came_late = False
        self.in_tx: list[InTransaction] = []
        """Called with the minutes of each part of a round, in its transaction."""
        self.written = 0
        """Minutes written since the start; one that grows is counted each time."""

    def on_samples(self, tx: Tx, samples: Sequence[Sample]) -> None:
        """Note which of a batch are late; on the writer, in the transaction that stores them."""
        late_ms = self._clock.now_ms() - LATE_MS
        late = [one for one in samples if one[0] < late_ms and type(one[6]) is not Reading]
        if late:
            spans: dict[tuple[int, int], tuple[int, int]] = {}
            for one in late:
                low_ms, high_ms = spans.get(one[1:3], (one[0], one[0]))
                spans[one[1:3]] = min(low_ms, one[0]), max(high_ms, one[0])
            self._came_late = True
            noted_ms = self._clock.now_ms()
            rows = [Late(*place, *spans[place]) for place in sorted(spans)]
            store_due.note_late(tx, self.folder_id, noted_ms, rows)

    def on_durable(self, samples: Sequence[Sample]) -> None:
        """Keep what tells of parts until the next round; called after every commit."""
        for sample in samples:
            if type(sample[6]) is not Reading:
                self.take(sample)

    def take(self, sample: Sample) -> None:
        """Keep what a sample tells of parts, unless its clock ran ahead."""
        time_ms, device_no, connector_id, _, received_ms, _, reading = sample
        if time_ms > received_ms + CLOCK_TOLERANCE_MS:
            return
        key = (device_no, connector_id, time_ms - time_ms % MINUTE_MS)
        waiting = self._waiting.get(key)
        if waiting is None:
            waiting = self._waiting[key] = _Waiting(self._clock.now_ms())
        health = reading.component_health or NOTHING_TOLD
        waiting.told.append((time_ms, health, reading.temperature_c))
        if len(waiting.told) >= _TOLD_AT_ONCE:
            waiting.fold()

    async def note(self) -> None:
        """Note that this process is there, before the first samples come.

        Raises:
            ApiError: the store cannot take it now.
        """
        await self._database.write(self._note_progress, self._find_progress())

    def _find_progress(self) -> int:
        """Return up to when (ms) all that came here is in the minutes."""
        waits_ms = (waiting.since_ms for waiting in self._waiting.values())
        return min(waits_ms, default=self._clock.now_ms())

    async def leave(self) -> None:
        """Store all there is, and leave nothing for others to take over; nothing comes after.

        Raises:
            ApiError: the store cannot take it now; it is found again in the samples.
        """
        self._patience_ms = 0
        await self.flush()
        if not self._waiting:
            await self._database.write(store_due.remove_own, self.folder_id)

    async def flush(self) -> None:
        """Store what is due.

        Raises:
            ApiError: the store cannot take it now; it waits on.
        """
        begun_ms = self._clock.now_ms()
        self._forget_hours(begun_ms)
        keys = await self._list_due(begun_ms)
        while keys:
            await self._store(keys[:_ROWS_AT_ONCE])
            del keys[:_ROWS_AT_ONCE]
        folded_ms = min(begun_ms, self._find_progress())
        await self._database.write(self._note_progress, folded_ms)

    async def _list_due(self, now_ms: int) -> list[SpanKey]:
        due = []
        for number, (key, waiting) in enumerate(tuple(self._waiting.items()), 1):
            if number % _LOOKED_AT_AT_ONCE == 0:
                await asyncio.sleep(0)
            if (
                key[2] + MINUTE_MS <= now_ms
                or waiting.since_ms + self._patience_ms <= now_ms
                or _words(waiting) != self._words.get(key[:2])
            ):
                due.append(key)
        return sorted(due)

    async def _store(self, keys: Sequence[SpanKey]) -> None:
        taken = {key: self._waiting.pop(key) for key in keys}
        try:
            rows = []
            for start in range(0, len(keys), _FOLDED_AT_ONCE):
                part = keys[start : start + _FOLDED_AT_ONCE]
                rows += [FoldedRow(key, taken[key].fold()) for key in part]
                await asyncio.sleep(0)
            hours = {(*key[:2], rules.hour_of(key[2])) for key in keys} - self._noted
            await self._database.write(put_minutes, rows, hours, self.in_tx)
        except BaseException:
            self._put_back(taken)
            raise
        now_ms = self._clock.now_ms()
        self._noted.update(key for key in hours if key[2] + HOUR_MS > now_ms)
        for key, waiting in taken.items():
            self._words[key[:2]] = waiting.words
        self.written += len(rows)

    def _put_back(self, taken: dict[SpanKey, _Waiting]) -> None:
        for key, waiting in taken.items():
            newer = self._waiting.get(key)
            if newer is not None:
                waiting.folded = rules.merge(waiting.fold(), newer.fold())
            self._waiting[key] = waiting

    def _note_progress(self, tx: Tx, folded_ms: int) -> None:
        store_due.note_folded(tx, self.folder_id, folded_ms, self._clock.now_ms())
        if self._came_late:
            store_due.remove_late(tx, self.folder_id, folded_ms - _SURE_MS)

    def _forget_hours(self, now_ms: int) -> None:
        """Note hours anew once they are over: from then on they may be settled at any time."""
        self._noted = {key for key in self._noted if key[2] + HOUR_MS > now_ms}


def _words(waiting: _Waiting) -> tuple[Any, ...]:
    return rules.words_of(waiting.told[-1]) if waiting.told else waiting.words


def put_minutes(
    tx: Tx,
    rows: Sequence[FoldedRow],
    hours: Iterable[SpanKey],
    reactions: Iterable[InTransaction],
) -> None:
    """Put minutes together with what is stored of them, and note that these hours lack them.

    Those of devices that were deleted meanwhile are left out: what they left may be erased already.
    """
    tx.lock(LOCK)
    gone = store.list_deleted(tx, {row.key[0] for row in rows})
    rows = [row for row in rows if row.key[0] not in gone]
    held = store.find_spans(tx, store.MINUTES, [row.key for row in rows])
    merged = [
        FoldedRow(key, rules.merge(held[key], folded) if key in held else folded)
        for key, folded in rows
    ]
    store.put_spans(tx, store.MINUTES, merged)
    due = [hour for hour in hours if hour[0] not in gone]
    if due:
        store_due.note_due(tx, due)
    spans: list[HealthSpan] | None = None
    for react in reactions if merged else ():
        spans = spans or [row.span() for row in merged]
        react(tx, spans)
