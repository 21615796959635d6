"""One transaction's worth of operations: applied together, failing alone."""

import time
from collections.abc import Iterator
from functools import partial
from typing import Any, TypeAlias

import apsw

from tellus.storage.database import HotKind, Waiter
from tellus.storage.sqlite_faults import Fault, classify
from tellus.storage.sqlite_tx import SQLiteTx

Queued: TypeAlias = tuple[HotKind | None, Any, Waiter]
"""A hot kind and its operation, or None and a cold write's bound function; who waits for it."""


def settle(waiter: Waiter, result: Any, error: Exception | None) -> None:
    """Answer one who waits, unless they have gone; runs on the loop."""
    if waiter.done():
        return
    if error is None:
        waiter.set_result(result)
    elif isinstance(error, StopIteration):
        # A future cannot carry this one: awaiting it would look like an ordinary end.
        waiter.set_exception(RuntimeError("An operation raised StopIteration"))
    else:
        waiter.set_exception(error)


class TransactionLost(apsw.AbortError):
    """SQLite ended the transaction under an operation that hid why."""


class Batch:
    """What became of each operation of one transaction."""

    __slots__ = ("_cold", "_hot", "failures", "left", "splits")

    def __init__(self) -> None:
        self._hot: list[tuple[HotKind, list[Queued], list[Any]]] = []
        self._cold: list[tuple[Queued, Any, Exception | None]] = []
        self.left: list[Queued] = []
        """Cold writes that did not fit the time; they go first in the next transaction."""
        self.failures = 0
        self.splits = 0

    def add_hot(self, kind: HotKind, queued: list[Queued], outcomes: list[Any]) -> None:
        """Note the outcomes of one kind, one per operation."""
        self._hot.append((kind, queued, outcomes))
        self.failures += sum(isinstance(outcome, Exception) for outcome in outcomes)

    def add_cold(self, queued: Queued, result: Any, error: Exception | None) -> None:
        """Note what a cold write returned or raised."""
        self._cold.append((queued, result, error))
        self.failures += error is not None

    def committed(self) -> Iterator[tuple[HotKind, list[Any], list[Any]]]:
        """Yield the operations and outcomes of each kind that are now durable."""
        for kind, queued, outcomes in self._hot:
            if not self.failures:
                yield kind, [operation for _kind, operation, _waiter in queued], outcomes
                continue
            done = [
                (operation, outcome)
                for (_kind, operation, _waiter), outcome in zip(queued, outcomes, strict=True)
                if not isinstance(outcome, Exception)
            ]
            if done:
                yield kind, [operation for operation, _ in done], [outcome for _, outcome in done]

    def answer(self) -> None:
        """Release everybody who waits."""
        for _kind, queued, outcomes in self._hot:
            for (_, _, waiter), outcome in zip(queued, outcomes, strict=True):
                settle(waiter, outcome, outcome if isinstance(outcome, Exception) else None)
        for (_, _, waiter), result, error in self._cold:
            settle(waiter, result, error)


def apply_batch(
    connection: apsw.Connection, tx: SQLiteTx, taken: list[Queued], apply_s: float
) -> Batch:
    """Begin a transaction and apply ``taken``; the caller commits.

    Hot operations go first, one call per kind. Cold writes follow, each in a savepoint, until
    ``apply_s`` seconds have passed (at least one, where there are any).

    Raises:
        apsw.Error: the transaction as a whole is lost (disk full, I/O error, locked).
    """
    deadline_s = time.perf_counter() + apply_s
    groups: dict[int, tuple[HotKind, list[Queued]]] = {}
    cold: list[Queued] = []
    for queued in taken:
        kind = queued[0]
        if kind is None:
            cold.append(queued)
            continue
        group = groups.get(id(kind))
        if group is None:
            groups[id(kind)] = (kind, [queued])
        else:
            group[1].append(queued)
    connection.execute("BEGIN IMMEDIATE")
    batch = _apply_hot(connection, tx, list(groups.values()))
    if len(taken) == len(cold) == 1:
        batch.add_cold(cold[0], *_apply_alone(connection, tx, cold[0][1]))
        return batch
    for position, queued in enumerate(cold):
        if position and time.perf_counter() > deadline_s:
            batch.left = cold[position:]
            break
        batch.add_cold(queued, *_apply_cold(connection, tx, queued[1]))
    return batch


def _apply_hot(
    connection: apsw.Connection, tx: SQLiteTx, groups: list[tuple[HotKind, list[Queued]]]
) -> Batch:
    batch = Batch()
    try:
        for kind, queued in groups:
            batch.add_hot(kind, queued, _outcomes(tx, kind, queued))
    except Exception as error:
        if classify(error, connection) is not Fault.OPERATION:
            raise
        connection.execute("ROLLBACK")
        connection.execute("BEGIN IMMEDIATE")
        return _apply_halves(connection, tx, groups)
    return batch


def _apply_halves(
    connection: apsw.Connection, tx: SQLiteTx, groups: list[tuple[HotKind, list[Queued]]]
) -> Batch:
    """Apply again with savepoints, halving what fails until the bad operations stand alone."""
    batch = Batch()
    for kind, queued in groups:
        outcomes: list[Any] = []
        waiting = [queued]
        while waiting:
            part = waiting.pop()
            result, error = _in_savepoint(connection, partial(_outcomes, tx, kind, part))
            if error is None:
                outcomes += result
            elif len(part) == 1:
                outcomes.append(error)
            else:
                half = len(part) // 2
                waiting += [part[half:], part[:half]]
                batch.splits += 1
        batch.add_hot(kind, queued, outcomes)
    return batch


def _outcomes(tx: SQLiteTx, kind: HotKind, queued: list[Queued]) -> list[Any]:
    outcomes = kind.apply_many(tx, [operation for _, operation, _ in queued])
    if len(outcomes) != len(queued):
        raise RuntimeError(
            f"{kind.name} returned {len(outcomes)} outcomes for {len(queued)} operations"
        )
    return outcomes


def _apply_alone(
    connection: apsw.Connection, tx: SQLiteTx, work: Any
) -> tuple[Any, Exception | None]:
    """Run the only work of a transaction, which needs no savepoint in it."""
    try:
        result = work(tx)
    except Exception as error:
        if classify(error, connection) is not Fault.OPERATION:
            raise
        _require_transaction(connection)
        connection.execute("ROLLBACK")
        connection.execute("BEGIN IMMEDIATE")
        return None, error
    _require_transaction(connection)
    return result, None


def _apply_cold(
    connection: apsw.Connection, tx: SQLiteTx, work: Any
) -> tuple[Any, Exception | None]:
    return _in_savepoint(connection, partial(work, tx))


def _in_savepoint(connection: apsw.Connection, work: Any) -> tuple[Any, Exception | None]:
    """Run ``work``; undo its changes alone where it raises, and return what it raised."""
    connection.execute("SAVEPOINT operation")
    try:
        result = work()
    except Exception as error:
        if classify(error, connection) is not Fault.OPERATION:
            raise
        _require_transaction(connection)
        connection.execute("ROLLBACK TO operation")
        connection.execute("RELEASE operation")
        return None, error
    _require_transaction(connection)
    connection.execute("RELEASE operation")
    return result, None


def _require_transaction(connection: apsw.Connection) -> None:
    if not connection.in_transaction:
        raise TransactionLost("An operation ended the transaction that others share")
