"""The writer's connection to SQLite: transactions, and the log folded back between them."""

import time

import apsw
import structlog

from tellus.storage.faults import Fault, TransactionLost
from tellus.storage.sqlite_faults import classify
from tellus.storage.sqlite_tx import SQLiteTx
from tellus.storage.stats import StorageStats

_CHECKPOINT_PAGES = 1_000
_RESTART_PAGES = 16_000
_RESTART_WAIT_MS = 100
_SCRUB_WAIT_MS = 20

log = structlog.get_logger(__name__)


class SQLiteSession:
    """A ``WriterSession`` (see the writer) over one connection."""

    look_every_s: float | None = None
    defers = False

    def __init__(self, connection: apsw.Connection, stats: StorageStats) -> None:
        self.tx = SQLiteTx(connection)
        self._connection = connection
        self._stats = stats
        self._copied_pages = 0
        self.scrub_is_due = False
        """Set by whoever wants the log emptied; cleared once it is."""
        connection.set_wal_hook(self._note_log_pages)

    def begin(self) -> None:
        """Begin a transaction that writes."""
        self._connection.execute("BEGIN IMMEDIATE")

    def commit(self) -> None:
        """End the transaction durably."""
        self._connection.execute("COMMIT")

    def rollback(self) -> None:
        """Undo the transaction."""
        self.check()
        self._connection.execute("ROLLBACK")

    def savepoint(self) -> None:
        """Begin a part that can be undone alone."""
        self._connection.execute("SAVEPOINT operation")

    def release(self) -> None:
        """End the part."""
        self._connection.execute("RELEASE operation")

    def undo(self) -> None:
        """Undo what was done since the savepoint."""
        self.check()
        self._connection.execute("ROLLBACK TO operation")
        self._connection.execute("RELEASE operation")

    def check(self) -> None:
        """Raise where an operation ended the transaction.

        Raises:
            TransactionLost: it did.
        """
        if not self._connection.in_transaction:
            raise TransactionLost("An operation ended the transaction that others share")

    def classify(self, error: BaseException) -> Fault:
        """Tell what an error means."""
        return classify(error, self._connection)

    def is_own_error(self, error: BaseException) -> bool:
        """Tell whether SQLite raised an error."""
        return isinstance(error, apsw.Error)

    def recover(self, fault: Fault, *, begins: bool) -> None:
        """End the transaction; once a disk turns out full, make room in the log."""
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")
        if begins and fault is Fault.FULL:
            # Once its pages are copied the log is written from the start again, in the space that
            # it has: often enough to go on with.
            self._checkpoint()

    def rest(self) -> None:
        """Fold the log into the file when it has grown."""
        if self.scrub_is_due:
            self._empty_log()
        if self._stats.wal_pages < self._copied_pages:
            self._copied_pages = 0  # the log began anew
        if self._stats.wal_pages - self._copied_pages >= _CHECKPOINT_PAGES:
            self._checkpoint()

    def look(self) -> None:
        """Nothing to see: a file does not go away while it is open."""

    def reopen(self) -> None:
        """Nothing to do: SQLite has no connection that could be lost."""

    def finish(self) -> None:
        """Empty the log."""
        try:
            self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
        except apsw.Error as error:
            log.warning("storage.last_checkpoint_failed", error=str(error))

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _checkpoint(self) -> None:
        """Copy the log into the database; when readers have kept it long, insist for a moment."""
        pages = self._stats.wal_pages
        begun_s = time.perf_counter()
        try:
            if pages < _RESTART_PAGES:
                self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
            else:
                self._restart_log()
        except apsw.Error as error:
            if self.classify(error) is Fault.FATAL:
                raise
            log.warning("storage.checkpoint_put_off", error=str(error), wal_pages=pages)
        self._stats.checkpoints += 1
        self._stats.checkpoint_seconds.observe(time.perf_counter() - begun_s)
        # While readers hold the log it goes on growing: copy again after as many new pages.
        self._copied_pages = pages

    def _restart_log(self) -> None:
        self._checkpoint_within(_RESTART_WAIT_MS, apsw.SQLITE_CHECKPOINT_RESTART)

    def _empty_log(self) -> None:
        """Copy the log and cut it to nothing, unless a reader keeps it longer than a moment."""
        try:
            self._checkpoint_within(_SCRUB_WAIT_MS, apsw.SQLITE_CHECKPOINT_TRUNCATE)
        except apsw.Error as error:
            if self.classify(error) is Fault.FATAL:
                raise
            return
        self._stats.wal_pages = self._copied_pages = 0
        self.scrub_is_due = False

    def _checkpoint_within(self, wait_ms: int, mode: int) -> None:
        timeout_ms = self._connection.pragma("busy_timeout")
        self._connection.set_busy_timeout(wait_ms)
        try:
            self._connection.wal_checkpoint(mode=mode)
        finally:
            self._connection.set_busy_timeout(int(timeout_ms))

    def _note_log_pages(self, _connection: apsw.Connection, _database: str, pages: int) -> int:
        self._stats.wal_pages = pages
        return apsw.SQLITE_OK
