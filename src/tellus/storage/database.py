"""The port: what a feature may ask of a database, whichever it is.

SQL is the subset that SQLite and PostgreSQL share: ``ON CONFLICT``, ``RETURNING``, epoch
milliseconds as 64-bit integers, double precision, JSON as text, parameters ``$1…`` numbered in
order of first use. A 200 is a durable write: both doors return only after the commit has reached
the disk.
"""

from collections.abc import Callable, Sequence
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

T = TypeVar("T")
P = ParamSpec("P")

Row = tuple[Any, ...]


class Tx(Protocol):
    """A transaction, or a read snapshot (then only ``rows`` and ``row`` work)."""

    def rows(self, sql: str, *parameters: Any) -> list[Row]:
        """Run one statement and return all its rows (also those of ``RETURNING``)."""
        ...

    def row(self, sql: str, *parameters: Any) -> Row | None:
        """Run one statement and return its first row, or None."""
        ...

    def execute(self, sql: str, *parameters: Any) -> int:
        """Run one statement and return how many rows it changed."""
        ...

    def insert_many(self, head: str, rows: Sequence[Sequence[Any]], tail: str = "") -> int:
        """Run ``head VALUES (…), (…) … tail`` over all ``rows`` in few statements.

        ``head`` is ``INSERT INTO table (columns)``, ``tail`` such as ``ON CONFLICT DO NOTHING``.
        Returns how many rows changed. All rows have the same number of values.
        """
        ...

    def insert_later(
        self,
        head: str,
        rows: Sequence[Sequence[Any]],
        tail: str = "",
        counted: Callable[[int], object] | None = None,
    ) -> None:
        """Like ``insert_many``, at the latest with the next statement that answers, or the commit.

        What it raises is raised there. ``counted`` is then called with how many rows changed; it
        runs on the writer, and the transaction may still be undone. For hot kinds: what waits goes
        to the server in one trip.
        """
        ...

    def insert_returning(self, head: str, rows: Sequence[Sequence[Any]], tail: str) -> list[Row]:
        """Like ``insert_many`` with a ``tail`` that ends in ``RETURNING …``; returns its rows."""
        ...

    def lock(self, *aggregates: str) -> None:
        """Let no other transaction decide about ``aggregates`` until this one ends.

        To be called before the decision is read for. What is locked together is locked in an order
        that is the same everywhere; whoever needs several asks for them at once. Nothing to do
        where there is one writer.
        """
        ...


class HotKind(Protocol):
    """A kind of operation that is applied many at a time through ``Database.submit``.

    ``apply_many`` runs on the writer inside the transaction and returns one outcome per operation,
    in order; it uses at most one multi-row statement per table. When it raises, the batch is rolled
    back and run again in ever smaller parts, so that a bad one fails alone: an outcome that is an
    exception fails its own operation too. It may therefore see an operation more than once, and
    changes nothing but the database. ``after_commit`` runs on the event loop once the commit is
    durable and before the callers are released; it sees the operations that did not fail.
    """

    name: str

    def apply_many(self, tx: Tx, operations: Sequence[Any]) -> list[Any]:
        """Apply ``operations`` and return an outcome each."""
        ...

    def after_commit(self, operations: Sequence[Any], outcomes: Sequence[Any]) -> None:
        """Let memory follow what is now durable."""
        ...


class Waiter(Protocol):
    """Who hears of one operation, on the event loop and once: a future, or what is like one."""

    def done(self) -> bool:
        """Tell whether there is nobody to tell any more."""
        ...

    def set_result(self, result: Any, /) -> None:
        """Hear that the operation is durable, with its outcome."""
        ...

    def set_exception(self, exception: Any, /) -> None:
        """Hear why it is not, or not known to be."""
        ...


class Database(Protocol):
    """A store of facts with two doors in and one out."""

    is_shared: bool
    """Whether other processes may write to it too, so that memory alone does not know it all."""

    def enqueue(self, kind: HotKind, operation: Any, waiter: Waiter) -> None:
        """Queue one hot operation like ``submit``, which is this with a future, and return at once.

        ``waiter`` hears of the outcome later, never before this returns. What ``submit`` raises
        because it could not queue the operation is raised here, and not told.
        """
        ...

    async def submit(self, kind: HotKind, operation: Any) -> Any:
        """Queue one hot operation; return its outcome once it is durable.

        Raises:
            TooManyRequests: the queue is full or would take over 500 ms.
            Unavailable: the disk is full, the store is failing or stopping; outcome unknown.
        """
        ...

    async def write(
        self,
        work: Callable[Concatenate[Tx, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Run ``work(tx, …)`` on the writer in a savepoint; return its result once durable.

        What ``work`` raises undoes its own changes alone and is raised here. On a shared database
        it has a transaction of its own, decides under ``tx.lock``, and may be run again when it was
        in the way of another.
        """
        ...

    async def read(
        self,
        work: Callable[Concatenate[Tx, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Run ``work(tx, …)`` on a reader thread over one snapshot; it cannot write."""
        ...

    async def scrub(self) -> bool:
        """Let nothing that was deleted before stay in the store's own files.

        Tells whether that is done. A reader may have kept a log from being emptied; nothing to do
        where the files are a server's, which clears them by itself.
        """
        ...
