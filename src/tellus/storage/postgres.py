"""The PostgreSQL back end: group commit through one writer, cold writes and reads from pools.

Any number of processes may share one database. Hot operations are applied many at a time on the
writer's connection; every other write has a transaction of its own, which takes the lock of what it
decides about; a read sees one snapshot. Unlike a failing disk under SQLite, a server that goes away
is not fatal: what was under way is answered with "unavailable", and connections are made anew.
"""

import asyncio
import contextlib
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any, Concatenate, Final, ParamSpec, Self, TypeVar

import psycopg
import structlog

from tellus.kernel.clock import Clock, SystemClock
from tellus.kernel.errors import TooManyRequests, Unavailable
from tellus.storage.admission import LONGEST_WAIT_S, bind, ended, retry_s, tell_opened
from tellus.storage.database import Database, HotKind, Tx, Waiter
from tellus.storage.faults import Fault
from tellus.storage.migrate import Migration, load_migrations
from tellus.storage.postgres_connection import (
    Address,
    DatabaseUnreachable,
    connect,
    require_durable,
)
from tellus.storage.postgres_partitions import keep_partitions
from tellus.storage.postgres_pool import ColdWriters, Readers
from tellus.storage.postgres_schema import migrate
from tellus.storage.postgres_session import READ, WRITE, PostgresSession
from tellus.storage.postgres_tx import Connection, PostgresTx
from tellus.storage.refusals import StorageRefused
from tellus.storage.stats import StorageStats
from tellus.storage.writer import Writer

T = TypeVar("T")
P = ParamSpec("P")

_SWITCH_INTERVAL_S: Final = 0.0005
_REACH_WITHIN_S: Final = 10.0
_REACH_EVERY_S: Final = 0.25
_NOT_YET: Final = ("starting up", "shutting down", "recovery", "too many", "not yet accepting")
_KEEP_PARTITIONS_EVERY_S: Final = 600.0
_KEEP_PARTITIONS_AGAIN_S: Final = 30.0

log = structlog.get_logger(__name__)


class PostgresDatabase(Database):
    """A ``Database`` (see the port) on a PostgreSQL server."""

    is_shared = True

    def __init__(
        self,
        address: Address,
        *,
        clock: Clock,
        readers: int,
        writers: int,
        queue_operations: int,
        queue_reads: int,
        migrations: tuple[Migration, ...] | None,
    ) -> None:
        self._stats = StorageStats()
        self.failed = asyncio.Event()
        """Set when the writer has come to an end that it should not have: stop the process."""
        self.failure: str | None = None
        """Why ``failed`` is set."""
        self._address = address
        self._clock = clock
        self._queue_operations = queue_operations
        self._queue_reads = queue_reads
        self._migrations = migrations
        self._writer = Writer(
            partial(self._open_session, defers=True), clock, self._stats, self._fail
        )
        self._cold = ColdWriters(writers, self._open_session, self._stats)
        self._readers = Readers(readers, partial(self._open_session, READ), self._stats)
        self._thread: threading.Thread | None = None
        self._keeping: asyncio.Task[None] | None = None
        self._refusal: str | None = "Storage has not started"
        self._loop: asyncio.AbstractEventLoop

    @classmethod
    def open(
        cls,
        url: str,
        *,
        clock: Clock | None = None,
        readers: int = 2,
        writers: int = 4,
        queue_operations: int = 5_000,
        queue_reads: int = 1_000,
        application_name: str = "tellus",
        migrations: tuple[Migration, ...] | None = None,
    ) -> Self:
        """Describe the store at ``url``; nothing is touched before ``start``.

        ``readers`` and ``writers`` are connections for queries and for cold writes; one more is for
        hot operations. ``queue_operations`` and ``queue_reads`` bound what may wait.
        ``application_name`` is what the server calls this process; ``migrations`` replaces those of
        the package.
        """
        return cls(
            Address(url, application_name),
            clock=SystemClock() if clock is None else clock,
            readers=readers,
            writers=writers,
            queue_operations=queue_operations,
            queue_reads=queue_reads,
            migrations=migrations,
        )

    @property
    def stats(self) -> StorageStats:
        """Return what the store has counted since its start."""
        self._stats.queue_depth = self._writer.depth + self._cold.waiting
        self._stats.reads_waiting = self._readers.waiting
        return self._stats

    async def start(self) -> None:
        """Connect, check, migrate and begin to serve on the running loop.

        Raises:
            DatabaseUnreachable: the server does not answer within 10 s, or does not let us in.
            StorageRefused: not durable, too old, or migrated by a newer release.
        """
        self._loop = asyncio.get_running_loop()
        sys.setswitchinterval(_SWITCH_INTERVAL_S)
        await self._loop.run_in_executor(None, self._prepare)
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
            await self._loop.run_in_executor(None, self._cold.start, self._loop)
            await self._loop.run_in_executor(None, self._readers.start, self._loop)
        except BaseException:
            await self.stop()
            raise
        self._refusal = self.failure and "Storage has failed"
        self._keeping = asyncio.create_task(self._keep_partitions())

    async def stop(self, timeout_s: float = 15.0) -> None:
        """Take nothing more, commit what is queued, close the connections.

        Returns within about ``timeout_s``; what could not be committed by then is answered with
        "unavailable".
        """
        self._refusal = self._refusal or "Storage is stopping"
        if self._keeping is not None:
            self._keeping.cancel()
        deadline_s = time.monotonic() + timeout_s
        pools = (self._readers, self._cold)
        for pool in pools:
            pool.end()
        if self._thread is not None:
            self._writer.end()
        if not await ended(lambda: any(pool.alive for pool in pools), deadline_s - timeout_s / 2):
            for pool in pools:
                pool.interrupt()
        await ended(lambda: any(pool.alive for pool in pools), deadline_s - timeout_s / 4)
        if self._thread is not None:
            await ended(self._thread.is_alive, deadline_s)
        # Committed batches are answered by callbacks that the threads have left with the loop.
        await asyncio.sleep(0)
        self._writer.refuse_all("Storage is stopping")
        for pool in pools:
            pool.refuse_all("Storage is stopping")

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
        depth = self._writer.depth
        self._admit(depth, self._writer.estimate_wait_s(depth) if depth else 0.0)
        self._writer.put((kind, operation, waiter))

    async def write(
        self,
        work: Callable[Concatenate[Tx, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Run ``work(tx, …)`` in a transaction; return its result once durable (see the port).

        Where transactions were in each other's way ``work`` is run again from its beginning.
        """
        self._admit(self._writer.depth, self._cold.estimate_wait_s())
        future: asyncio.Future[T] = self._loop.create_future()
        self._cold.ask(bind(work, *args, **kwargs), future)
        return await future

    async def read(
        self,
        work: Callable[Concatenate[Tx, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Run ``work(tx, …)`` over one snapshot (see the port).

        Raises:
            TooManyRequests: too many reads wait.
            Unavailable: the store is not running, or the server cannot be reached.
        """
        if self._refusal is not None:
            raise Unavailable(self._refusal)
        if self._readers.waiting >= self._queue_reads:
            self._stats.refused_reads += 1
            raise TooManyRequests(retry_s(), "Too many queries are waiting")
        future: asyncio.Future[T] = self._loop.create_future()
        self._readers.ask(bind(work, *args, **kwargs), future)
        return await future

    async def scrub(self) -> bool:
        """Do nothing (see the port): the server clears its own files, by vacuum and by its log."""
        return True

    def _admit(self, hot_depth: int, wait_s: float) -> None:
        """Turn a write away where it cannot be taken or would wait too long."""
        if self._refusal is not None:
            raise Unavailable(self._refusal)
        if self._stats.ailment == Fault.LOST:
            raise Unavailable("Storage cannot be reached")
        depth = hot_depth + self._cold.waiting
        if depth >= self._queue_operations or wait_s > LONGEST_WAIT_S:
            self._stats.refused_operations += 1
            raise TooManyRequests(retry_s(), "Too many writes are waiting")

    def _prepare(self) -> None:
        """Bring the schema up to date before anything else is opened."""
        connection = self._reach()
        try:
            known = load_migrations(dialect="postgres") if self._migrations is None else None
            migrate(connection, known or self._migrations or (), self._clock)
        finally:
            connection.close()

    def _reach(self) -> Connection:
        """Connect, waiting a while for a server that is just starting."""
        until_s = time.monotonic() + _REACH_WITHIN_S
        while True:
            try:
                return self._connect()
            except psycopg.OperationalError as error:
                reason = str(error).strip()
                # "FATAL" comes from a server that is there and has said no.
                said_no = "FATAL" in reason and not any(word in reason for word in _NOT_YET)
                if said_no or time.monotonic() > until_s:
                    raise DatabaseUnreachable(
                        f"PostgreSQL cannot be used ({self._address}): {reason}"
                    ) from None
            time.sleep(_REACH_EVERY_S)

    def _connect(self) -> Connection:
        connection = connect(self._address)
        try:
            require_durable(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _open_session(self, opening: bytes = WRITE, *, defers: bool = False) -> PostgresSession:
        return PostgresSession(self._connect, opening, defers=defers)

    async def _keep_partitions(self) -> None:
        pause_s = _KEEP_PARTITIONS_EVERY_S
        while True:
            await asyncio.sleep(pause_s)
            try:
                done = await self._loop.run_in_executor(None, self._keep_partitions_once)
            except (psycopg.Error, StorageRefused) as error:
                # There are days ahead, and a next time.
                log.warning("storage.partitions_failed", error=str(error).strip())
                done = False
            pause_s = _KEEP_PARTITIONS_EVERY_S if done else _KEEP_PARTITIONS_AGAIN_S

    def _keep_partitions_once(self) -> bool:
        """Do it on a connection of its own: cold writes wait for nothing here."""
        with contextlib.closing(self._connect()) as connection:
            return keep_partitions(PostgresTx(connection), self._clock.now_ms())

    def _fail(self, reason: str) -> None:
        self.failure = reason
        self._refusal = "Storage has failed"
        self.failed.set()
