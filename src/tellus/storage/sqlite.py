"""The SQLite back end: group commit behind one writer, snapshots for readers.

One process per file. ``start`` takes the lock, opens, checks and migrates; a store that has started
has read back that its commits are durable.
"""

import asyncio
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

from tellus.kernel.clock import Clock, SystemClock
from tellus.kernel.errors import TooManyRequests, Unavailable
from tellus.storage.admission import LONGEST_WAIT_S, bind, ended, retry_s, tell_opened
from tellus.storage.database import Database, HotKind, Tx, Waiter
from tellus.storage.migrate import Migration, load_migrations
from tellus.storage.sqlite_connection import (
    Location,
    ProcessLock,
    open_reader,
    open_writer,
    require_durable,
)
from tellus.storage.sqlite_readers import Readers
from tellus.storage.sqlite_schema import migrate
from tellus.storage.sqlite_session import SQLiteSession
from tellus.storage.stats import StorageStats
from tellus.storage.writer import Writer

T = TypeVar("T")
P = ParamSpec("P")

# Each SQLite step gives up the interpreter lock; to get it back from a busy event loop takes up to
# one switch interval. With the default of 5 ms a batch of ten statements takes 50 ms and group
# commit collapses; with 0.5 ms it holds, and the loop loses next to nothing.
_SWITCH_INTERVAL_S = 0.0005
_SCRUB_TIMES = 60
_SCRUB_AGAIN_S = 0.05


class SQLiteDatabase(Database):
    """A ``Database`` (see the port) in one SQLite file."""

    is_shared = False

    def __init__(
        self,
        location: Location,
        *,
        clock: Clock,
        readers: int,
        queue_operations: int,
        queue_reads: int,
        migrations: tuple[Migration, ...] | None,
    ) -> None:
        self._stats = StorageStats()
        self.failed = asyncio.Event()
        """Set when the disk can no longer be trusted: stop the process and exit non-zero."""
        self.failure: str | None = None
        """Why ``failed`` is set."""
        self._location = location
        self._clock = clock
        self._queue_operations = queue_operations
        self._queue_reads = queue_reads
        self._migrations = migrations
        self._lock = ProcessLock(location.path)
        self._writer = Writer(self._open_session, clock, self._stats, self._fail)
        self._readers = Readers(partial(open_reader, location), readers, self._stats)
        self._thread: threading.Thread | None = None
        self._session: SQLiteSession | None = None
        self._refusal: str | None = "Storage has not started"
        self._reading = False
        self._loop: asyncio.AbstractEventLoop

    @classmethod
    def open(
        cls,
        path: str | PathLike[str],
        *,
        clock: Clock | None = None,
        readers: int = 2,
        queue_operations: int = 5_000,
        queue_reads: int = 1_000,
        vfs: str = "",
        synchronous: str = "FULL",
        migrations: tuple[Migration, ...] | None = None,
    ) -> Self:
        """Describe the store at ``path``; nothing is touched before ``start``.

        ``queue_operations`` and ``queue_reads`` bound what may wait. ``vfs`` names an apsw VFS;
        ``migrations`` replaces those of the package. ``synchronous`` may be raised to ``EXTRA``;
        what is weaker than ``FULL`` is refused by ``start``.
        """
        location = Location(Path(path), vfs=vfs, synchronous=synchronous)
        return cls(
            location,
            clock=SystemClock() if clock is None else clock,
            readers=readers,
            queue_operations=queue_operations,
            queue_reads=queue_reads,
            migrations=migrations,
        )

    @property
    def stats(self) -> StorageStats:
        """Return what the store has counted since its start."""
        self._stats.queue_depth = self._writer.depth
        self._stats.reads_waiting = self._readers.waiting
        return self._stats

    async def start(self) -> None:
        """Take the lock, recover, migrate and begin to serve on the running loop.

        Raises:
            StorageRefused: in use elsewhere, written by a newer release, or not durable.
            apsw.Error: the file cannot be opened or is not a database.
        """
        self._loop = asyncio.get_running_loop()
        sys.setswitchinterval(_SWITCH_INTERVAL_S)
        self._lock.acquire()
        opened: asyncio.Future[None] = self._loop.create_future()
        self._thread = threading.Thread(
            target=self._writer.serve,
            args=(self._loop, partial(tell_opened, self._loop, opened)),
            name="tellus-writer",
            daemon=True,
        )
        self._thread.start()
        try:
            await opened
            await self._loop.run_in_executor(None, self._readers.start, self._loop)
        except BaseException:
            await self.stop()
            raise
        self._reading = True
        if self.failure is None:
            self._refusal = None

    async def stop(self, timeout_s: float = 15.0) -> None:
        """Take nothing more, commit what is queued, fold the log into the file, close.

        Returns within about ``timeout_s``; what could not be committed by then is answered with
        "unavailable" and recovered or not, like after a crash.
        """
        self._refusal = self._refusal or "Storage is stopping"
        deadline_s = time.monotonic() + timeout_s
        self._reading = False
        # Readers first: a snapshot that is still read would keep the log from being emptied.
        self._readers.end()
        if not await ended(lambda: self._readers.alive, deadline_s - timeout_s / 2):
            self._readers.interrupt()
            await ended(lambda: self._readers.alive, deadline_s - timeout_s / 4)
        self._writer.end()
        thread = self._thread
        has_ended = thread is None or await ended(thread.is_alive, deadline_s)
        # Committed batches are answered by callbacks that the thread has left with the loop.
        await asyncio.sleep(0)
        self._writer.refuse_all("Storage is stopping")
        if has_ended:
            # A writer that hangs in the disk keeps the lock until the process ends.
            self._lock.release()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self.stop()

    async def submit(self, kind: HotKind, operation: Any) -> Any:
        """Queue one hot operation; return its outcome once it is durable (see the port)."""
        future: asyncio.Future[Any] = self._loop.create_future()
        self.enqueue(kind, operation, future)
        return await future

    def enqueue(self, kind: HotKind, operation: Any, waiter: Waiter) -> None:
        """Queue one hot operation; ``waiter`` hears of its outcome (see the port)."""
        self._admit()
        self._writer.put((kind, operation, waiter))

    async def write(
        self,
        work: Callable[Concatenate[Tx, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Run ``work(tx, …)`` on the writer; return its result once durable (see the port)."""
        self._admit()
        future: asyncio.Future[T] = self._loop.create_future()
        self._writer.put((None, bind(work, *args, **kwargs), future))
        return await future

    async def read(
        self,
        work: Callable[Concatenate[Tx, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Run ``work(tx, …)`` on a reader over one snapshot (see the port).

        Raises:
            TooManyRequests: too many reads wait.
            Unavailable: the store is not running, or the disk cannot be read.
        """
        if not self._reading:
            raise Unavailable(self._refusal or "Storage is stopping")
        if self._readers.waiting >= self._queue_reads:
            self._stats.refused_reads += 1
            raise TooManyRequests(retry_s(), "Too many queries are waiting")
        future: asyncio.Future[T] = self._loop.create_future()
        self._readers.ask(bind(work, *args, **kwargs), future)
        return await future

    async def scrub(self) -> bool:
        """Fold the write-ahead log into the file and cut it to nothing (see the port).

        What is deleted in the file is overwritten with zeros at once (``secure_delete``); older
        copies of its pages are in the log alone.
        """
        for _ in range(_SCRUB_TIMES):
            if self._session is not None:
                self._session.scrub_is_due = True
            # The log is emptied between two batches: once the second is through, it has been tried.
            await self.write(_do_nothing)
            await self.write(_do_nothing)
            if self._session is None or not self._session.scrub_is_due:
                return True
            await asyncio.sleep(_SCRUB_AGAIN_S)
        return False

    def _admit(self) -> None:
        """Turn a write away where it cannot be taken or would wait too long."""
        if self._refusal is not None:
            raise Unavailable(self._refusal)
        depth = self._writer.depth
        if depth >= self._queue_operations or (
            depth and self._writer.estimate_wait_s(depth) > LONGEST_WAIT_S
        ):
            self._stats.refused_operations += 1
            raise TooManyRequests(retry_s(), "Too many writes are waiting")

    _require_durable = staticmethod(require_durable)

    def _open_session(self) -> SQLiteSession:
        connection = open_writer(self._location)
        try:
            self._require_durable(connection)
            known = load_migrations() if self._migrations is None else self._migrations
            migrate(connection, known, self._clock)
        except BaseException:
            connection.close()
            raise
        self._session = SQLiteSession(connection, self._stats)
        return self._session

    def _fail(self, reason: str) -> None:
        self.failure = reason
        self._refusal = "Storage has failed"
        self.failed.set()


def _do_nothing(_tx: Tx) -> None:
    """Take a turn of the writer."""
