"""The readers: a few threads, each with a connection of its own and one snapshot per read."""

import asyncio
import queue
import threading
import time
from collections.abc import Callable
from typing import Any, TypeAlias

import apsw

from tellus.kernel.errors import Unavailable
from tellus.storage.batch import settle
from tellus.storage.faults import Fault
from tellus.storage.sqlite_faults import classify
from tellus.storage.sqlite_tx import SQLiteTx
from tellus.storage.stats import StorageStats

Question: TypeAlias = tuple[Callable[[SQLiteTx], Any], "asyncio.Future[Any]"]


class Readers:
    """A bounded pool; ``ask`` runs on the loop, ``_serve`` on the threads."""

    def __init__(
        self, open_connection: Callable[[], apsw.Connection], count: int, stats: StorageStats
    ) -> None:
        self._open = open_connection
        self._count = count
        self._stats = stats
        self._questions: queue.SimpleQueue[Question | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._connections: list[apsw.Connection] = []
        self._running = 0

    @property
    def waiting(self) -> int:
        """Return how many reads wait for a thread."""
        return self._questions.qsize()

    @property
    def alive(self) -> bool:
        """Tell whether a thread still runs."""
        return any(thread.is_alive() for thread in self._threads)

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Open the connections and start the threads; called off the loop."""
        for number in range(self._count):
            connection = self._open()
            self._connections.append(connection)
            thread = threading.Thread(
                target=self._serve,
                args=(loop, connection),
                name=f"tellus-reader-{number}",
                daemon=True,
            )
            thread.start()
            self._threads.append(thread)

    def ask(self, work: Callable[[SQLiteTx], Any], future: "asyncio.Future[Any]") -> None:
        """Queue a read."""
        self._questions.put((work, future))

    def end(self) -> None:
        """Let each thread finish what is queued before this and end."""
        for _ in self._threads:
            self._questions.put(None)

    def interrupt(self) -> None:
        """Break off reads that run too long to wait for."""
        for connection in self._connections:
            try:
                connection.interrupt()
            except apsw.ConnectionClosedError:
                continue

    def _serve(self, loop: asyncio.AbstractEventLoop, connection: apsw.Connection) -> None:
        tx = SQLiteTx(connection)
        try:
            while (question := self._questions.get()) is not None:
                work, future = question
                if future.cancelled():
                    continue
                begun_s = time.perf_counter()
                result, error = _read(connection, tx, work)
                self._stats.reads += 1
                self._stats.read_seconds.observe(time.perf_counter() - begun_s)
                try:
                    loop.call_soon_threadsafe(settle, future, result, error)
                except RuntimeError:
                    break  # the loop is closed: nobody waits
        finally:
            connection.close()


def _read(
    connection: apsw.Connection, tx: SQLiteTx, work: Callable[[SQLiteTx], Any]
) -> tuple[Any, Exception | None]:
    try:
        connection.execute("BEGIN")
        try:
            return work(tx), None
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
    except Exception as error:  # noqa: BLE001 - handed to whoever asked
        if classify(error, connection) is Fault.OPERATION or _tried_to_write(error):
            return None, error
        unavailable = Unavailable("Storage cannot read now")
        unavailable.__cause__ = error
        return None, unavailable


def _tried_to_write(error: Exception) -> bool:
    code = getattr(error, "extendedresult", None)
    return isinstance(error, apsw.ReadOnlyError) and code == apsw.SQLITE_READONLY
