"""Threads with a connection each: for cold writes, and for reads."""

import asyncio
import queue
import random
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any, Final, TypeAlias

import structlog

from tellus.kernel.errors import Unavailable
from tellus.storage.batch import settle
from tellus.storage.faults import Fault
from tellus.storage.postgres_session import PostgresSession
from tellus.storage.postgres_tx import PostgresTx
from tellus.storage.stats import StorageStats

Work: TypeAlias = Callable[[PostgresTx], Any]
Question: TypeAlias = tuple[Work, "asyncio.Future[Any]"]

_ATTEMPTS: Final = 8
_PAUSE_S: Final = 0.01
_STRIPES: Final = 64
_WEIGHT: Final = 0.2

log = structlog.get_logger(__name__)


class Pool(ABC):
    """A queue that a few threads serve; ``ask`` runs on the loop, ``_serve`` on the threads."""

    def __init__(self, name: str, count: int, open_session: Callable[[], PostgresSession]) -> None:
        self._name = name
        self._count = count
        self._open = open_session
        self._questions: queue.SimpleQueue[Question | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._sessions: list[PostgresSession] = []
        self._loop: asyncio.AbstractEventLoop
        self._took_s = 0.0

    @property
    def waiting(self) -> int:
        """Return how many wait for a thread."""
        return self._questions.qsize()

    @property
    def alive(self) -> bool:
        """Tell whether a thread still runs."""
        return any(thread.is_alive() for thread in self._threads)

    def estimate_wait_s(self) -> float:
        """Return how long one more is likely to wait, in seconds."""
        return self._took_s * self.waiting / self._count

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Connect and start the threads; called off the loop."""
        self._loop = loop
        for number in range(self._count):
            session = self._open()
            self._sessions.append(session)
            name = f"tellus-{self._name}-{number}"
            thread = threading.Thread(target=self._serve, args=(session,), name=name, daemon=True)
            thread.start()
            self._threads.append(thread)

    def ask(self, work: Work, future: "asyncio.Future[Any]") -> None:
        """Queue ``work``."""
        self._questions.put((work, future))

    def end(self) -> None:
        """Let each thread finish what is queued before this and end."""
        for _ in self._threads:
            self._questions.put(None)

    def interrupt(self) -> None:
        """Break off what runs too long to wait for."""
        for session in self._sessions:
            session.interrupt()

    def refuse_all(self, message: str) -> None:
        """Answer what still waits with "unavailable"; on the loop, once the threads are gone."""
        while True:
            try:
                question = self._questions.get_nowait()
            except queue.Empty:
                return
            if question is not None:
                settle(question[1], None, Unavailable(message))

    def _serve(self, session: PostgresSession) -> None:
        try:
            while (question := self._questions.get()) is not None:
                begun_s = time.perf_counter()
                self._handle(session, *question)
                self._took_s += _WEIGHT * (time.perf_counter() - begun_s - self._took_s)
        except BaseException:
            log.exception("storage.thread_failed", thread=self._name)
            raise
        finally:
            session.close()

    @abstractmethod
    def _handle(self, session: PostgresSession, work: Work, future: "asyncio.Future[Any]") -> None:
        """Do ``work`` and answer; on a thread."""

    def _answer(self, future: "asyncio.Future[Any]", result: Any, error: Exception | None) -> None:
        try:
            self._loop.call_soon_threadsafe(settle, future, result, error)
        except RuntimeError:
            log.warning("storage.nobody_waits")  # the loop is closed


class Readers(Pool):
    """Queries, each over one snapshot."""

    def __init__(
        self, count: int, open_session: Callable[[], PostgresSession], stats: StorageStats
    ) -> None:
        super().__init__("reader", count, open_session)
        self._stats = stats

    def _handle(self, session: PostgresSession, work: Work, future: "asyncio.Future[Any]") -> None:
        if future.cancelled():
            return
        begun_s = time.perf_counter()
        result, error = _read(session, work)
        self._stats.reads += 1
        self._stats.read_seconds.observe(time.perf_counter() - begun_s)
        self._answer(future, result, error)
        # Ended once the answer is on its way: a snapshot changes nothing.
        session.recover(Fault.OPERATION, begins=False)


def _read(session: PostgresSession, work: Work) -> tuple[Any, Exception | None]:
    try:
        session.begin()
        result = work(session.tx)
        session.check()
    except Exception as error:  # noqa: BLE001 - handed to whoever asked
        fault = session.classify(error)
        if fault is Fault.OPERATION:
            return None, error
        return None, _unavailable("Storage cannot read now", error)
    return result, None


class ColdWriters(Pool):
    """Cold writes, each in a transaction of its own.

    Those that decided under one lock are answered in the order of their commits, so that memory
    follows in that order: between commit and answer they hold a lock of this process as well.
    """

    def __init__(
        self, count: int, open_session: Callable[[], PostgresSession], stats: StorageStats
    ) -> None:
        super().__init__("cold-writer", count, open_session)
        self._stats = stats
        self._stripes = [threading.Lock() for _ in range(_STRIPES)]

    def _handle(self, session: PostgresSession, work: Work, future: "asyncio.Future[Any]") -> None:
        attempt = 1
        while True:
            try:
                self._write(session, work, future)
                return
            except Exception as error:  # noqa: BLE001 - handed to whoever asked
                fault = session.classify(error)
                session.recover(fault, begins=False)
                if fault is Fault.RETRY and attempt < _ATTEMPTS:
                    time.sleep(random.uniform(0, _PAUSE_S * attempt))  # noqa: S311 - no secret
                    attempt += 1
                    continue
                self._refuse(future, fault, error)
                return

    def _write(self, session: PostgresSession, work: Work, future: "asyncio.Future[Any]") -> None:
        begun_s = time.perf_counter()
        session.begin()
        result = work(session.tx)
        session.check()
        applied_s = time.perf_counter()
        with ExitStack() as order:
            for stripe in self._stripes_of(session.tx.locked):
                order.enter_context(stripe)
            session.commit()
            self._note(applied_s - begun_s, time.perf_counter() - applied_s)
            self._answer(future, result, None)

    def _stripes_of(self, keys: Sequence[int]) -> list[threading.Lock]:
        """Return the locks of ``keys`` in the order in which everybody takes them."""
        return [self._stripes[number] for number in sorted({key % _STRIPES for key in keys})]

    def _note(self, apply_s: float, commit_s: float) -> None:
        stats = self._stats
        stats.operations += 1
        stats.apply_seconds.observe(apply_s)
        stats.commit_seconds.observe(commit_s)
        if stats.ailment in {Fault.FULL, Fault.BUSY}:
            stats.ailment = ""
            log.info("storage.writes_again")

    def _refuse(self, future: "asyncio.Future[Any]", fault: Fault, error: Exception) -> None:
        self._stats.failed_operations += 1
        if fault is Fault.OPERATION:
            self._answer(future, None, error)
            return
        if fault is Fault.FULL:
            self._stats.ailment = str(fault)
        log.error("storage.write_lost", cause=str(fault), error=repr(error))
        message = "Storage cannot write now; the outcome is unknown"
        self._answer(future, None, _unavailable(message, error))


def _unavailable(message: str, cause: Exception) -> Unavailable:
    unavailable = Unavailable(message)
    unavailable.__cause__ = cause
    return unavailable
