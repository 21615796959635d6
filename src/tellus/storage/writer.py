"""The writer: one thread, one connection, everything that was queued in one commit.

While one batch is being synced to disk the next one gathers, so a slow disk makes batches larger
rather than requests fewer. Each statement gives up the interpreter lock and may wait for it a whole
switch interval, so the good path has no savepoint per operation: a batch of hot operations that
fails is rolled back and halved until the bad ones stand alone.
"""

import asyncio
import queue
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import structlog

from tellus.kernel.clock import Clock
from tellus.kernel.errors import Unavailable
from tellus.storage.batch import Batch, Queued, Transactions, apply_batch, apply_parted
from tellus.storage.faults import Fault
from tellus.storage.stats import StorageStats

BATCH_OPERATIONS = 512
_APPLY_S = 0.005
_FEWEST = 16
_WEIGHT = 0.2
_RECONNECT_FROM_S, _RECONNECT_TO_S = 0.05, 1.0

log = structlog.get_logger(__name__)


class WriterSession(Transactions, Protocol):
    """The writer's connection: what a back end does around its batches."""

    @property
    def look_every_s(self) -> float | None:
        """Return how long to idle before ``look``; None for ever."""
        ...

    @property
    def defers(self) -> bool:
        """Tell whether statements may wait for the commit, and so fail only there."""
        ...

    def commit(self) -> None:
        """End the transaction; returns once it is durable."""
        ...

    def is_own_error(self, error: BaseException) -> bool:
        """Tell whether the database raised an error, and not the code around it."""
        ...

    def recover(self, fault: Fault, *, begins: bool) -> None:
        """Make ready for the next batch after a lost one; ``begins`` at the first of its kind."""
        ...

    def rest(self) -> None:
        """Do what is to be done between batches, when nobody waits."""
        ...

    def look(self) -> None:
        """See whether the database is still there; raises where it is not."""
        ...

    def reopen(self) -> None:
        """Connect anew; raises where that cannot be done yet."""
        ...

    def finish(self) -> None:
        """Do what is to be done once the last batch is committed."""
        ...

    def close(self) -> None:
        """Give the connection up."""
        ...


class Writer:
    """The queue and the thread's work; ``serve`` runs on the thread, the rest on the loop."""

    def __init__(
        self,
        open_session: Callable[[], WriterSession],
        clock: Clock,
        stats: StorageStats,
        lose: Callable[[str], None],
    ) -> None:
        self._open = open_session
        self._clock = clock
        self._stats = stats
        self._lose = lose
        self._queue: queue.SimpleQueue[list[Queued] | None] = queue.SimpleQueue()
        self._gathered: list[Queued] = []
        self._handed_over = 0
        self._received = 0
        self._taken: list[Queued] = []
        self._left: list[Queued] = []
        self._ending = False
        self._limit = BATCH_OPERATIONS
        self._operation_cpu_s = 0.0
        self._batch_s = 0.0
        self._round = BATCH_OPERATIONS
        self._started_s: float | None = None
        self._loop: asyncio.AbstractEventLoop

    # ------------------------------------------------------------------ on the loop

    @property
    def depth(self) -> int:
        """Return how many operations wait."""
        return len(self._gathered) + self._handed_over - self._received + len(self._left)

    def put(self, queued: Queued) -> None:
        """Queue an operation; who waits for it hears once it is durable.

        What one turn of the loop brings is handed over at its end, in one piece: waking the thread
        for each would make it fight the loop for the interpreter and commit crumbs.
        """
        gathered = self._gathered
        gathered.append(queued)
        if len(gathered) == 1:
            self._loop.call_soon(self._hand_over)

    def end(self) -> None:
        """Let the thread finish what is queued and end."""
        self._hand_over()
        self._queue.put(None)

    def _hand_over(self) -> None:
        gathered = self._gathered
        if gathered:
            self._gathered = []
            self._handed_over += len(gathered)
            self._queue.put(gathered)

    def estimate_wait_s(self, depth: int) -> float:
        """Return how long an operation behind ``depth`` others is likely to wait, in seconds."""
        wait_s = self._batch_s * (1 + depth / self._round)
        started_s = self._started_s
        if started_s is not None:
            wait_s = max(wait_s, self._clock.monotonic_s() - started_s)
        return wait_s

    def _release(self, batch: Batch) -> None:
        """Let memory follow, then answer; runs on the loop, once per commit."""
        for kind, operations, outcomes in batch.committed():
            try:
                kind.after_commit(operations, outcomes)
            except Exception:
                # The facts are durable: their callers must hear so whatever memory says.
                self._stats.after_commit_errors += 1
                log.exception("storage.after_commit_failed", kind=kind.name)
        batch.answer()

    # ---------------------------------------------------------------- on the thread

    def serve(
        self, loop: asyncio.AbstractEventLoop, ready: Callable[[BaseException | None], None]
    ) -> None:
        """Open, tell ``ready``, and commit batches until the end or a fatal error."""
        self._loop = loop
        try:
            session = self._open()
        except BaseException as error:  # noqa: BLE001 - whatever it is, the starter must hear it
            ready(error)
            return
        ready(None)
        try:
            self._serve(session)
        except BaseException as error:  # noqa: BLE001 - a dead writer must never look alive
            self._give_up(error)
        finally:
            session.close()

    def _serve(self, session: WriterSession) -> None:
        while True:
            taken = self._take(session)
            if not taken:
                break
            self._taken = taken
            self._commit(session, taken)
            self._taken = []
            session.rest()
        session.finish()

    def _take(self, session: WriterSession) -> list[Queued]:
        """Return what is queued, waiting for a first operation; empty at the end."""
        taken, self._left = self._left, []
        if not taken and not self._ending:
            self._started_s = None
            self._receive(self._wait(session), taken)
        self._started_s = self._clock.monotonic_s()
        limit = self._limit
        try:
            while len(taken) < limit and not self._ending:
                self._receive(self._queue.get_nowait(), taken)
            self._round = limit
        except queue.Empty:
            self._round = BATCH_OPERATIONS
        if len(taken) > limit:
            taken, self._left = taken[:limit], taken[limit:]
        return taken

    def _wait(self, session: WriterSession) -> list[Queued] | None:
        """Return what is handed over next, looking after an idle connection meanwhile."""
        while True:
            try:
                return self._queue.get(timeout=session.look_every_s)
            except queue.Empty:
                try:
                    session.look()
                except Exception as error:  # noqa: BLE001 - sorted by what it means
                    self._lose_batch(session, [], error)

    def _receive(self, handed_over: list[Queued] | None, taken: list[Queued]) -> None:
        if handed_over is None:
            self._ending = True
        else:
            taken += handed_over
            self._received += len(handed_over)

    def _commit(self, session: WriterSession, taken: list[Queued]) -> None:
        begun_s, begun_cpu_s = time.perf_counter(), time.thread_time()
        try:
            batch = apply_batch(session, taken, _APPLY_S)
            applied_s, applied_cpu_s = time.perf_counter(), time.thread_time()
            batch = self._end(session, taken, batch)
        except Exception as error:  # noqa: BLE001 - sorted by what it means
            self._lose_batch(session, taken, error)
            return
        ended_s = time.perf_counter()
        self._left = batch.left + self._left
        done = len(taken) - len(batch.left)
        self._count(batch, done, applied_s - begun_s, ended_s - applied_s)
        self._note_health()
        self._call(self._release, batch)
        if batch.left:
            self._round = done
        self._learn(done, applied_cpu_s - begun_cpu_s)

    def _end(self, session: WriterSession, taken: list[Queued], batch: Batch) -> Batch:
        """Commit; where statements waited for that and one fails, apply all again in parts."""
        try:
            session.commit()
        except Exception as error:
            fault = session.classify(error)
            if not session.defers or fault not in {Fault.OPERATION, Fault.RETRY}:
                raise
            batch = apply_parted(session, taken)
            session.commit()
        return batch

    def _note_health(self) -> None:
        if self._stats.ailment:
            self._stats.ailment = ""
            log.info("storage.writes_again")

    def _count(self, batch: Batch, done: int, apply_s: float, commit_s: float) -> None:
        stats = self._stats
        stats.batches += 1
        stats.operations += done - batch.failures
        stats.failed_operations += batch.failures
        stats.split_batches += batch.splits
        stats.batch_sizes.observe(done)
        stats.apply_seconds.observe(apply_s)
        stats.commit_seconds.observe(commit_s)

    def _learn(self, done: int, cpu_s: float) -> None:
        """Size the next batch to 5 ms of work.

        Work is measured in processor time: waiting for the interpreter lock would make a batch
        look heavy, the next one smaller, and so on down.
        """
        if done >= _FEWEST:  # in smaller ones the cost of a transaction hides that of its parts
            self._operation_cpu_s += _WEIGHT * (cpu_s / done - self._operation_cpu_s)
            fitting = int(_APPLY_S / max(self._operation_cpu_s, 1e-7))
            self._limit = max(_FEWEST, min(BATCH_OPERATIONS, fitting))
        if self._started_s is not None:
            took_s = self._clock.monotonic_s() - self._started_s
            self._batch_s += _WEIGHT * (took_s - self._batch_s)

    def _lose_batch(self, session: WriterSession, taken: list[Queued], error: Exception) -> None:
        """Answer a batch with "unavailable"; go on, or give up where the disk is broken."""
        fault = session.classify(error)
        if fault is Fault.RETRY:
            fault = Fault.BUSY
        elif fault is Fault.OPERATION:
            # Nothing of one operation reaches this far, so the transaction itself is in doubt.
            fault = Fault.BUSY if session.is_own_error(error) else Fault.FATAL
        self._stats.lost_batches[fault] = self._stats.lost_batches.get(fault, 0) + 1
        begins = fault != self._stats.ailment
        if begins:
            # Once per ailment: a full disk fails thousands of batches a minute.
            self._stats.ailment = str(fault)
            log.error("storage.batch_lost", cause=str(fault), error=repr(error))
        self._call(refuse, taken, "Storage cannot write now; the outcome is unknown")
        if fault is Fault.FATAL:
            raise error
        if fault is Fault.LOST:
            self._taken = []
            self._reconnect(session)
        else:
            session.recover(fault, begins=begins)

    def _reconnect(self, session: WriterSession) -> None:
        """Connect anew, however long that takes; whoever waits meanwhile is turned away."""
        pause_s = _RECONNECT_FROM_S
        while not self._ending:
            try:
                session.reopen()
            except Exception as error:  # noqa: BLE001 - whatever it is, it may pass
                log.warning("storage.unreachable", error=str(error))
                self._turn_away(pause_s)
                pause_s = min(2 * pause_s, _RECONNECT_TO_S)
            else:
                self._note_health()
                return

    def _turn_away(self, pause_s: float) -> None:
        until_s = time.monotonic() + pause_s
        waiting, self._left = self._left, []
        while not self._ending:
            self._call(refuse, waiting, "Storage cannot be reached")
            waiting = []
            left_s = until_s - time.monotonic()
            if left_s <= 0:
                return
            try:
                self._receive(self._queue.get(timeout=left_s), waiting)
            except queue.Empty:
                return

    def _give_up(self, error: BaseException) -> None:
        """Fail everything that waits and tell the store, which takes nothing more."""
        self._stats.failed = True
        log.critical("storage.failed", error=repr(error))
        self._call(self._lose, f"{type(error).__name__}: {error}")
        self._call(self.refuse_all, "Storage has failed")

    def refuse_all(self, message: str) -> None:
        """Answer all that waits with "unavailable"; on the loop, if the thread is gone or hangs."""
        waiting = self._taken + self._left
        while True:
            try:
                handed_over = self._queue.get_nowait()
            except queue.Empty:
                break
            if handed_over is not None:
                waiting += handed_over
        waiting += self._gathered
        self._gathered = []
        refuse(waiting, message)

    def _call(self, function: Callable[..., None], *args: Any) -> None:
        try:
            self._loop.call_soon_threadsafe(function, *args)
        except RuntimeError:
            # The loop is closed: nobody waits any more, what is committed stays committed.
            log.warning("storage.nobody_waits")


def refuse(waiting: Sequence[Queued], message: str) -> None:
    """Answer ``waiting`` with "unavailable"."""
    for _kind, _operation, waiter in waiting:
        if not waiter.done():
            waiter.set_exception(Unavailable(message))
