"""One transaction's worth of operations: applied together, failing alone."""

import time
from collections.abc import Iterator
from functools import partial
from typing import Any, Protocol, TypeAlias

from tellus.storage.database import HotKind, Tx, Waiter
from tellus.storage.faults import Fault

Queued: TypeAlias = tuple[HotKind | None, Any, Waiter]
"""A hot kind and its operation, or None and a cold write's bound function; who waits for it."""

Group: TypeAlias = tuple[HotKind, list[Queued]]

_ATTEMPTS = 3


class Transactions(Protocol):
    """What a back end's connection does for a batch."""

    @property
    def tx(self) -> Tx:
        """Return what operations run their statements on."""
        ...

    def begin(self) -> None:
        """Begin a transaction."""
        ...

    def rollback(self) -> None:
        """Undo the transaction and end it."""
        ...

    def savepoint(self) -> None:
        """Begin a part that can be undone alone; parts do not nest."""
        ...

    def release(self) -> None:
        """End the part."""
        ...

    def undo(self) -> None:
        """Undo the part and end it."""
        ...

    def check(self) -> None:
        """Raise where the transaction takes no more statements, although nobody has said so."""
        ...

    def classify(self, error: BaseException) -> Fault:
        """Tell what an error means."""
        ...


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


def apply_parted(session: Transactions, taken: list[Queued]) -> Batch:
    """Apply hot operations again, in ever smaller parts, after their commit has failed.

    Raises:
        Exception: the transaction as a whole is lost, for a reason that is no operation's own.
    """
    session.rollback()
    session.begin()
    return _apply_halves(session, _in_groups(taken)[0])


def apply_batch(session: Transactions, taken: list[Queued], apply_s: float) -> Batch:
    """Begin a transaction and apply ``taken``; the caller commits.

    Hot operations go first, one call per kind. Cold writes follow, each in a savepoint, until
    ``apply_s`` seconds have passed (at least one, where there are any).

    Raises:
        Exception: the transaction as a whole is lost, for a reason that is no operation's own.
    """
    deadline_s = time.perf_counter() + apply_s
    hot, cold = _in_groups(taken)
    session.begin()
    batch = _apply_hot(session, hot)
    if len(taken) == len(cold) == 1:
        batch.add_cold(cold[0], *_apply_alone(session, cold[0][1]))
        return batch
    for position, queued in enumerate(cold):
        if position and time.perf_counter() > deadline_s:
            batch.left = cold[position:]
            break
        batch.add_cold(queued, *_in_savepoint(session, partial(queued[1], session.tx)))
    return batch


def _in_groups(taken: list[Queued]) -> tuple[list[Group], list[Queued]]:
    """Return the hot operations by kind, and the cold writes.

    Kinds go by their names, so that all processes take their locks in one order.
    """
    groups: dict[int, Group] = {}
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
    return sorted(groups.values(), key=_name), cold


def _name(group: Group) -> str:
    return group[0].name


def _apply_hot(session: Transactions, groups: list[Group]) -> Batch:
    attempt = 1
    while True:
        batch = Batch()
        try:
            for kind, queued in groups:
                batch.add_hot(kind, queued, _outcomes(session.tx, kind, queued))
        except Exception as error:
            fault = session.classify(error)
            if fault is Fault.OPERATION:
                session.rollback()
                session.begin()
                return _apply_halves(session, groups)
            if fault is not Fault.RETRY or attempt >= _ATTEMPTS:
                raise
            attempt += 1
            session.rollback()
            session.begin()
        else:
            return batch


def _apply_halves(session: Transactions, groups: list[Group]) -> Batch:
    """Apply again with savepoints, halving what fails until the bad operations stand alone."""
    batch = Batch()
    for kind, queued in groups:
        outcomes: list[Any] = []
        waiting = [queued]
        while waiting:
            part = waiting.pop()
            result, error = _in_savepoint(session, partial(_outcomes, session.tx, kind, part))
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


def _outcomes(tx: Tx, kind: HotKind, queued: list[Queued]) -> list[Any]:
    outcomes = kind.apply_many(tx, [operation for _, operation, _ in queued])
    if len(outcomes) != len(queued):
        raise RuntimeError(
            f"{kind.name} returned {len(outcomes)} outcomes for {len(queued)} operations"
        )
    return outcomes


def _apply_alone(session: Transactions, work: Any) -> tuple[Any, Exception | None]:
    """Run the only work of a transaction, which needs no savepoint in it."""
    try:
        result = work(session.tx)
        session.check()
    except Exception as error:
        if session.classify(error) is not Fault.OPERATION:
            raise
        session.rollback()
        session.begin()
        return None, error
    return result, None


def _in_savepoint(session: Transactions, work: Any) -> tuple[Any, Exception | None]:
    """Run ``work``; undo its changes alone where it raises, and return what it raised."""
    session.savepoint()
    try:
        result = work()
        session.check()
    except Exception as error:
        if session.classify(error) is not Fault.OPERATION:
            raise
        session.undo()
        return None, error
    session.release()
    return result, None
