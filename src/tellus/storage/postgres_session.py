"""A connection to PostgreSQL with its transactions; made anew when it is lost."""

import time
from collections.abc import Callable
from typing import Final

import psycopg
from psycopg.pq import TransactionStatus

from tellus.storage.faults import Fault, TransactionLost
from tellus.storage.postgres_connection import is_alive
from tellus.storage.postgres_faults import SpoiltTransaction, classify
from tellus.storage.postgres_tx import Connection, PostgresTx

WRITE: Final = b"BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"
_IDLE_S: Final = 0.1
READ: Final = b"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"


class PostgresSession:
    """A ``WriterSession`` (see the writer); cold writes and reads have one each too."""

    look_every_s: float | None = 2.0

    def __init__(
        self, connect: Callable[[], Connection], opening: bytes = WRITE, *, defers: bool = False
    ) -> None:
        """Connect; with ``defers`` a transaction begins with its first statement."""
        self._connect = connect
        self._opening = opening
        self.defers = defers
        self._connection = connect()
        self._used_s = time.monotonic()
        self.tx = PostgresTx(self._connection)

    def begin(self) -> None:
        """Begin a transaction; on another connection where this one turns out to be gone.

        Nothing was said on it yet, so nothing can have been lost with it.
        """
        self.tx.locked.clear()
        self.tx.forget()
        if self.defers:
            if not is_alive(self._connection) or self._is_stale():
                self.reopen()
            self.tx.open_later(self._opening)
            return
        if is_alive(self._connection):
            try:
                self.tx.run(self._opening)
            except psycopg.Error as error:
                if self.classify(error) is not Fault.LOST:
                    raise
            else:
                return
        self.reopen()
        self.tx.run(self._opening)

    def _is_stale(self) -> bool:
        """Tell whether a connection that was idle for a while has been closed meanwhile.

        Asked only then: the question costs the interpreter lock.
        """
        idle_s, self._used_s = time.monotonic() - self._used_s, time.monotonic()
        if idle_s < _IDLE_S:
            return False
        try:
            self.look()
        except psycopg.Error:
            return True
        return False

    def commit(self) -> None:
        """End the transaction; returns once it is durable.

        Raises:
            SpoiltTransaction: the server undid it, as a statement in it had failed.
            psycopg.Error: what was left to be done with it failed.
        """
        if not self.tx.is_opening:
            self._require_open()
        if self.tx.commit() != b"COMMIT":
            raise SpoiltTransaction("The transaction was undone at its commit")

    def rollback(self) -> None:
        """Undo the transaction."""
        opening = self.tx.is_opening
        self.tx.forget()
        if not opening:
            self.tx.run(b"ROLLBACK")

    def savepoint(self) -> None:
        """Begin a part that can be undone alone."""
        self.tx.settle()
        self.tx.run(b"SAVEPOINT operation")

    def release(self) -> None:
        """End the part."""
        self.tx.run(b"RELEASE operation")

    def undo(self) -> None:
        """Undo the part and end it."""
        self.tx.forget()
        self.tx.run(b"ROLLBACK TO operation; RELEASE operation")

    def check(self) -> None:
        """Do what was to be done later; raise where the transaction takes no more statements.

        Raises:
            SpoiltTransaction: a statement failed, and whoever ran it went on.
            TransactionLost: an operation ended it.
            psycopg.Error: what was to be done failed, or the connection is gone.
        """
        self.tx.settle()
        self._require_open()

    def _require_open(self) -> None:
        status = self._connection.pgconn.transaction_status
        if status == TransactionStatus.INTRANS:
            return
        if status == TransactionStatus.INERROR:
            raise SpoiltTransaction("A statement failed and its error was hidden")
        if status == TransactionStatus.IDLE:
            raise TransactionLost("An operation ended the transaction")
        raise psycopg.OperationalError("The connection is gone")

    def classify(self, error: BaseException) -> Fault:
        """Tell what an error means."""
        if not is_alive(self._connection):
            return Fault.LOST
        if self._opening is READ and isinstance(error, psycopg.errors.ReadOnlySqlTransaction):
            return Fault.OPERATION
        return classify(error)

    def is_own_error(self, error: BaseException) -> bool:
        """Tell whether PostgreSQL raised an error."""
        return isinstance(error, psycopg.Error | SpoiltTransaction)

    def recover(self, fault: Fault, *, begins: bool) -> None:
        """End the transaction, if it still is one."""
        del fault, begins
        self.tx.forget()
        try:
            if self._connection.pgconn.transaction_status != TransactionStatus.IDLE:
                self.rollback()
        except psycopg.Error:
            self._connection.close()  # the next ``begin`` connects anew

    def rest(self) -> None:
        """Nothing to do between batches: the server looks after its log."""

    def look(self) -> None:
        """Ask the server for a sign of life."""
        if not is_alive(self._connection):
            raise psycopg.OperationalError("The connection is gone")
        self.tx.run(b"SELECT 1")

    def reopen(self) -> None:
        """Connect anew.

        Raises:
            psycopg.OperationalError: the server cannot be reached.
        """
        self._connection.close()
        self._connection = self._connect()
        self.tx = PostgresTx(self._connection)

    def finish(self) -> None:
        """Nothing to do at the end: commits are durable one by one."""

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def interrupt(self) -> None:
        """Break off the statement that runs; called from another thread."""
        if is_alive(self._connection):
            self._connection.cancel_safe(timeout=2.0)
