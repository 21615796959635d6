"""The writer: one thread, one connection, everything that was queued in one commit.

While one batch is being synced to disk the next one gathers, so a slow disk makes batches larger
rather than requests fewer. Every SQLite step gives up the interpreter lock and may wait for it a
whole switch interval, so the good path has no savepoint per operation: a batch of hot operations
that fails is rolled back and halved until the bad ones stand alone.
"""

import asyncio
import queue
import time
from collections.abc import Callable, Sequence
from typing import Any

import apsw
import structlog

from tellus.kernel.clock import Clock
from tellus.kernel.errors import Unavailable
from tellus.storage.sqlite_batch import Batch, Queued, apply_batch
from tellus.storage.sqlite_faults import Fault, classify
from tellus.storage.sqlite_tx import SQLiteTx
from tellus.storage.stats import StorageStats

BATCH_OPERATIONS = 512
_APPLY_S = 0.005
_FEWEST = 16
_CHECKPOINT_PAGES = 1_000
_RESTART_PAGES = 16_000
_RESTART_WAIT_MS = 100
_WEIGHT = 0.2

log = structlog.get_logger(__name__)


class Writer:
    """The queue and the thread's work; ``serve`` runs on the thread, the rest on the loop."""

    def __init__(
        self,
        open_connection: Callable[[], apsw.Connection],
        clock: Clock,
        stats: StorageStats,
        lose: Callable[[str], None],
    ) -> None:
        self._open = open_connection
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
        self._ailment: Fault | None = None
        self._copied_pages = 0
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
            connection = self._open()
        except BaseException as error:  # noqa: BLE001 - whatever it is, the starter must hear it
            ready(error)
            return
        connection.set_wal_hook(self._note_log_pages)
        ready(None)
        try:
            self._serve(connection)
        except BaseException as error:  # noqa: BLE001 - a dead writer must never look alive
            self._give_up(error)
        finally:
            connection.close()

    def _serve(self, connection: apsw.Connection) -> None:
        tx = SQLiteTx(connection)
        while True:
            taken = self._take()
            if not taken:
                break
            self._taken = taken
            self._commit(connection, tx, taken)
            self._taken = []
            if self._stats.wal_pages < self._copied_pages:
                self._copied_pages = 0  # the log began anew
            if self._stats.wal_pages - self._copied_pages >= _CHECKPOINT_PAGES:
                self._checkpoint(connection)
        self._close_log(connection)

    def _take(self) -> list[Queued]:
        """Return what is queued, waiting for a first operation; empty at the end."""
        taken, self._left = self._left, []
        if not taken and not self._ending:
            self._started_s = None
            self._receive(self._queue.get(), taken)
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

    def _receive(self, handed_over: list[Queued] | None, taken: list[Queued]) -> None:
        if handed_over is None:
            self._ending = True
        else:
            taken += handed_over
            self._received += len(handed_over)

    def _commit(self, connection: apsw.Connection, tx: SQLiteTx, taken: list[Queued]) -> None:
        begun_s, begun_cpu_s = time.perf_counter(), time.thread_time()
        try:
            batch = apply_batch(connection, tx, taken, _APPLY_S)
            applied_s, applied_cpu_s = time.perf_counter(), time.thread_time()
            connection.execute("COMMIT")
        except Exception as error:  # noqa: BLE001 - sorted by what it means
            self._lose_batch(connection, taken, error)
            return
        ended_s = time.perf_counter()
        self._left = batch.left + self._left
        done = len(taken) - len(batch.left)
        self._count(batch, done, applied_s - begun_s, ended_s - applied_s)
        self._call(self._release, batch)
        if batch.left:
            self._round = done
        if self._ailment is not None:
            self._ailment = None
            self._stats.ailment = ""
            log.info("storage.writes_again")
        self._learn(done, applied_cpu_s - begun_cpu_s)

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

    def _lose_batch(
        self, connection: apsw.Connection, taken: list[Queued], error: Exception
    ) -> None:
        """Answer a batch with "unavailable"; go on, or give up where the disk is broken."""
        fault = classify(error, connection)
        if fault is Fault.OPERATION:
            # Nothing of one operation reaches this far, so the transaction itself is in doubt.
            fault = Fault.BUSY if isinstance(error, apsw.Error) else Fault.FATAL
        self._stats.lost_batches[fault] = self._stats.lost_batches.get(fault, 0) + 1
        begins = fault is not self._ailment
        if begins:
            # Once per ailment: a full disk fails thousands of batches a minute.
            self._ailment = fault
            self._stats.ailment = str(fault)
            log.error("storage.batch_lost", cause=str(fault), error=repr(error))
        self._call(refuse, taken, "Storage cannot write now; the outcome is unknown")
        if fault is Fault.FATAL:
            raise error
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        if begins and fault is Fault.FULL:
            # Once its pages are copied the log is written from the start again, in the space that
            # it has: often enough to go on with.
            self._checkpoint(connection)

    def _checkpoint(self, connection: apsw.Connection) -> None:
        """Copy the log into the database; when readers have kept it long, insist for a moment."""
        pages = self._stats.wal_pages
        begun_s = time.perf_counter()
        try:
            if pages < _RESTART_PAGES:
                connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
            else:
                self._restart_log(connection)
        except apsw.Error as error:
            if classify(error, connection) is Fault.FATAL:
                raise
            log.warning("storage.checkpoint_put_off", error=str(error), wal_pages=pages)
        self._stats.checkpoints += 1
        self._stats.checkpoint_seconds.observe(time.perf_counter() - begun_s)
        # While readers hold the log it goes on growing: copy again after as many new pages.
        self._copied_pages = pages

    def _restart_log(self, connection: apsw.Connection) -> None:
        timeout_ms = connection.pragma("busy_timeout")
        connection.set_busy_timeout(_RESTART_WAIT_MS)
        try:
            connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_RESTART)
        finally:
            connection.set_busy_timeout(int(timeout_ms))

    def _close_log(self, connection: apsw.Connection) -> None:
        try:
            connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
        except apsw.Error as error:
            log.warning("storage.last_checkpoint_failed", error=str(error))

    def _note_log_pages(self, _connection: apsw.Connection, _database: str, pages: int) -> int:
        self._stats.wal_pages = pages
        return apsw.SQLITE_OK

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
