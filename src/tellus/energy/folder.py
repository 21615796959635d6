"""The folder: keeps the sums up with the facts, a little at a time beside everything else.

``energy_folded_to_ms`` is the instant before which every fact is in the sums, unless a mark says
otherwise. A round folds what came since on what is open and moves it on; marks are folded again
around what they mark. What a connector's sessions were folded to is kept with them, so that a round
that was not finished counts nothing twice.
"""

import asyncio
from functools import partial

import structlog

from tellus.energy import store_facts, store_marks, store_progress
from tellus.energy.aside import Aside
from tellus.energy.facts import Explore
from tellus.energy.live import News, Slice, fold_slice, read_boundaries, read_page
from tellus.energy.marks import LATE_MS
from tellus.energy.pace import Pace, patiently
from tellus.energy.refolding import Refolder
from tellus.energy.writing import Written, write_live
from tellus.fleet.catalogue import Catalogue
from tellus.kernel.clock import Clock
from tellus.kernel.errors import ApiError, Unavailable
from tellus.kernel.units import MINUTE_MS, SECOND_MS
from tellus.storage.database import Database, Row, Tx

# A fact is in the store, or marked, once it is this old: what is younger than LATE_MS when it is
# applied is not marked, and 15 s are left between that and the snapshot that a round reads.
SETTLED_MS = LATE_MS + 15 * SECOND_MS
_BEHIND_MS = 10 * MINUTE_MS
_LONGEST_ROUND_MS = 2 * MINUTE_MS
_ROUND_MS = 15 * SECOND_MS
_QUIET_MS = 5 * SECOND_MS
_LONGEST_WAIT_MS = MINUTE_MS
_PAGE_SAMPLES = 2_000
_ROUND_SAMPLES = 200_000
_CONNECTORS_AT_ONCE = 50
_MARKS_AT_ONCE = 32
_MARKED_AT_ONCE = 2_000
_BEFORE_ALL_MS = -(2**62)

log = structlog.get_logger(__name__)


class Folder:
    """Folds what is new and what was marked; ``pace`` says how much of a processor it may take."""

    def __init__(
        self,
        database: Database,
        catalogue: Catalogue,
        explore: Explore,
        clock: Clock,
        share: float,
        patience_s: float,
    ) -> None:
        self._database = database
        self._catalogue = catalogue
        self._clock = clock
        self.patience_s = patience_s
        self.connectors_at_once = _CONNECTORS_AT_ONCE
        self.pace = Pace(share)
        self.aside = Aside(clock)
        self.refolder = Refolder(database, catalogue, explore, self.pace, self.aside)
        self.samples = 0
        self.folded_to_ms: int | None = None
        self.marks_waiting = 0

    async def start(self) -> None:
        """Begin at the first start: mark what is stored already.

        Raises:
            ApiError: the store cannot take it now.
        """
        self.folded_to_ms = await self._database.read(store_progress.find_folded_to)
        if self.folded_to_ms is None:
            await self._catch_up(_BEFORE_ALL_MS)

    async def turn(self) -> None:
        """Fold marks that are ripe, then what is new.

        In this order, as a round marks where a session begins: the next one then finds it open.
        """
        goes_on = True
        while goes_on:
            await self.fold_marks()
            goes_on = await self.round()

    async def round(self) -> bool:
        """Fold what is new on what is open; tell whether there was any time to fold.

        Raises:
            ApiError: the store cannot take it now; what is done is done.
        """
        held_ms, to_ms = await self._database.write(self._begin_round)
        self.folded_to_ms = held_ms
        if held_ms is None or to_ms - held_ms > _BEHIND_MS:
            await self._catch_up(_BEFORE_ALL_MS if held_ms is None else held_ms)
            return True
        if to_ms < held_ms + _ROUND_MS:
            return False
        self.pace.lag_s = (to_ms - held_ms) / SECOND_MS
        to_ms = min(to_ms, held_ms + _LONGEST_ROUND_MS)
        news, to_ms = await self._gather(held_ms, to_ms)
        await self._fold(news, (held_ms, to_ms))
        move = partial(self._database.write, store_progress.move_folded_to, held_ms, to_ms)
        if await patiently(move):
            self.folded_to_ms = to_ms
        return True

    def _begin_round(self, tx: Tx) -> tuple[int | None, int]:
        """Return how far facts are folded and may be folded now; what is earlier is in the store.

        It runs as a write: who was before it on the writer has committed when it has.
        """
        store_progress.lock_progress(tx)
        now_ms = self._clock.now_ms()
        held_ms = store_progress.find_folded_to(tx)
        to_ms = now_ms - SETTLED_MS
        if self._database.is_shared:
            # There others write too, and what they applied may be under way.
            oldest_ms = store_progress.find_oldest_write_ms(tx)
            if oldest_ms is not None:
                to_ms = min(to_ms, oldest_ms - LATE_MS - SECOND_MS)
        if held_ms is not None and held_ms + _ROUND_MS <= to_ms <= held_ms + _BEHIND_MS:
            store_progress.note_round(tx, min(to_ms, held_ms + _LONGEST_ROUND_MS))
        return held_ms, to_ms

    async def _gather(self, from_ms: int, to_ms: int) -> tuple[News, int]:
        """Return the facts in ``[from_ms, to_ms)``, and up to where: many are left to later."""
        news = News({}, {}, {})
        position: Row | None = (from_ms - 1, 2**62, 0, 0)
        samples = 0
        while position is not None:
            if samples >= _ROUND_SAMPLES and position[0] > from_ms:
                to_ms = position[0]
                for points in news.points.values():
                    while points and points[-1].time_ms >= to_ms:
                        points.pop()
                break
            at_once = not self._database.is_shared
            page = partial(read_page, limit=_PAGE_SAMPLES, at_once=at_once)
            position, spent_s = await self._database.read(page, news, position, to_ms)
            samples += _PAGE_SAMPLES
            await self.pace.rest(spent_s)
        await self._database.read(read_boundaries, news, from_ms, to_ms)
        return news, to_ms

    async def _fold(self, news: News, span: tuple[int, int]) -> None:
        connectors = news.connectors()
        marked = await self._database.read(store_marks.list_marked)
        size = self.connectors_at_once
        for start in range(0, len(connectors), size):
            part = connectors[start : start + size]
            done: Slice = await self._database.read(
                fold_slice, self._catalogue, news, part, marked, span, self.aside
            )
            held_s = 0.0
            if done.changes or done.marks:
                written = await self._write(done, span)
                held_s = written.held_s
                self.pace.note_held(held_s)
            self.samples += sum(change.samples for change in done.changes)
            await self.pace.rest(done.spent_s + held_s)

    async def _write(self, done: Slice, span: tuple[int, int]) -> Written:
        """Write a slice; if that fails one by one, so that one that cannot be is marked instead."""
        now_ms = self._clock.now_ms()
        write = self._database.write
        try:
            return await patiently(
                partial(write, write_live, done.changes, done.marks, span, now_ms)
            )
        except ApiError:
            raise
        except Exception as error:
            if not done.changes:
                raise
            if len(done.changes) == 1 and not done.marks:
                connector = done.changes[0].connector
                self.aside.note(connector, error)
                return await patiently(partial(write, write_live, [], [connector], span, now_ms))
        await self._write(Slice([], done.marks, 0.0), span)
        each = [await self._write(Slice([one], [], 0.0), span) for one in done.changes]
        return max(each, key=lambda one: one.held_s)

    async def _catch_up(self, from_ms: int) -> None:
        """Mark whatever has facts from ``from_ms`` on, and go on from now."""
        held_ms, to_ms = await self._database.write(self._begin_round)
        found = await self._database.read(store_facts.list_connectors_with_facts, from_ms, to_ms)
        log.info("energy.catching_up", connectors=len(found))
        for start in range(0, len(found), _MARKED_AT_ONCE):
            part = found[start : start + _MARKED_AT_ONCE]
            spans = [(*connector, from_ms, to_ms - 1) for connector in part]
            await self._database.write(store_marks.put_marks, spans, self._clock.now_ms())
        if await self._database.write(store_progress.move_folded_to, held_ms, to_ms):
            self.folded_to_ms = to_ms

    async def fold_marks(self) -> int:
        """Fold what is marked and has been quiet for a while; return how many marks it took."""
        folded = 0
        while True:
            now_ms = self._clock.now_ms()
            ripe = (now_ms - _QUIET_MS, now_ms - _LONGEST_WAIT_MS)
            # A write, so that whatever a mark was made for is known here as well (see refolding).
            most = _MARKS_AT_ONCE + len(self.aside)
            found = await self._database.write(store_marks.list_ripe, *ripe, most)
            marks = self.aside.without(found)
            if not marks:
                return folded
            if not await self.refolder.fold(marks, rests=True):
                return folded
            folded += len(marks)

    async def look(self) -> None:
        """See how far facts are folded, perhaps by another node."""
        self.folded_to_ms = await self._database.read(store_progress.find_folded_to)
        self.marks_waiting, _ = await self._database.read(store_marks.count_marks)

    async def settle(self, operator_id: str) -> int:
        """Fold all that is marked of an operator's connectors, so that the sums tell of it.

        Return up to where (ms) facts were folded when it began; a round may move that on.

        Raises:
            Unavailable: it takes too long; it goes on by itself.
        """
        folded_to_ms, is_waiting = await self._database.read(self._look_at, operator_id)
        if folded_to_ms is None:
            raise Unavailable("Energy is being summed up for the first time")
        if not is_waiting:
            return folded_to_ms
        marks = await self._database.write(store_marks.list_of_operator, operator_id, None)
        try:
            async with asyncio.timeout(self.patience_s):
                await self.refolder.fold(marks, rests=False)
        except TimeoutError:
            raise Unavailable("Energy is being summed up anew") from None
        return folded_to_ms

    def is_settled(self, tx: Tx, operator_id: str, settled_to_ms: int) -> bool:
        """Tell whether a snapshot holds all that was settled with facts up to ``settled_to_ms``.

        A round may have moved on since: then whom it marked is in neither the sums nor the tail.
        """
        folded_to_ms, is_waiting = self._look_at(tx, operator_id)
        return folded_to_ms == settled_to_ms or not is_waiting

    def _look_at(self, tx: Tx, operator_id: str) -> tuple[int | None, bool]:
        most = 1 + len(self.aside)
        waiting = store_marks.list_of_operator(tx, operator_id, most)
        return store_progress.find_folded_to(tx), bool(self.aside.without(waiting))
