"""Rate windows that all nodes count in together, kept by the database.

Questions that come while one is being asked go together in the next statement, so that thousands of
them cost few round trips. An answer that takes too long is none: whoever asked then counts alone.
"""

import asyncio
import contextlib
import os
import socket
from collections.abc import Awaitable
from typing import Any, Final, NamedTuple

import psycopg
import structlog

from tellus.kernel.clock import Clock

_SLOW_S: Final = 0.1
_PAUSE_S: Final = 1.0
_AT_ONCE: Final = 500
_CONNECT_TIMEOUT_S: Final = 3
_LOOK_EVERY_S: Final = 2.0
_PRUNE_EVERY_S: Final = 60.0

_ASK: Final = (
    "SELECT take_slot(key, most, period, counts) FROM unnest("
    "%s::text[], %s::bigint[], %s::bigint[], %s::boolean[])"
    " AS asked (key, most, period, counts)"
)
_PRUNE: Final = (
    "DELETE FROM rate_windows WHERE idle_us < (extract(epoch FROM clock_timestamp()) * 1000000)"
)

log = structlog.get_logger(__name__)


class Question(NamedTuple):
    """A window by name, its figures, whether to take a slot, and where the answer goes."""

    key: str
    limit: int
    period_s: float
    counts: bool
    answer: "asyncio.Future[float | None]"


class DatabaseWindows:
    """``kernel.windows.SharedWindows`` over PostgreSQL; ``run`` it as long as the server runs."""

    def __init__(self, url: str, node_id: str, clock: Clock) -> None:
        self._url = url
        self._node_id = node_id
        self._clock = clock
        self._waiting: list[Question] = []
        self._asked = asyncio.Event()
        self._connected = False
        self.unanswered = 0
        """How many questions the database did not answer in time."""

    async def take(self, key: str, limit: int, period_s: float) -> float | None:
        """Accept ``key`` now and return 0.0, or the seconds until it is; None: nobody can tell."""
        return await self._ask(key, limit, period_s, counts=True)

    async def wait_s(self, key: str, limit: int, period_s: float) -> float | None:
        """Return the seconds until ``key`` is accepted, taking nothing; None: nobody can tell."""
        return await self._ask(key, limit, period_s, counts=False)

    async def run(self) -> None:
        """Answer until cancelled."""
        while True:
            try:
                await self._serve()
            except (psycopg.Error, OSError, TimeoutError) as error:
                log.warning("windows.interrupted", error=str(error).strip())
            finally:
                self._connected = False
                self._give_up(self._take_waiting())
            await asyncio.sleep(_PAUSE_S)

    # -------------------------------------------------------------------- private

    async def _ask(self, key: str, limit: int, period_s: float, *, counts: bool) -> float | None:
        if not self._connected:
            return None
        answer: asyncio.Future[float | None] = asyncio.get_running_loop().create_future()
        self._waiting.append(Question(key, limit, period_s, counts, answer))
        self._asked.set()
        return await answer

    async def _serve(self) -> None:
        async with await psycopg.AsyncConnection.connect(
            self._url,
            autocommit=True,
            connect_timeout=_CONNECT_TIMEOUT_S,
            application_name=f"{self._node_id} windows",
            options="-c synchronous_commit=off",
        ) as connection:
            self._connected = True
            pruned_s = self._clock.monotonic_s()
            while True:
                try:
                    async with asyncio.timeout(_LOOK_EVERY_S):
                        await self._asked.wait()
                except TimeoutError:
                    # An idle connection may be gone: better to know before somebody asks.
                    await self._in_time(connection, [], connection.execute("SELECT"))
                self._asked.clear()
                questions = self._take_waiting()
                if questions:
                    await self._in_time(connection, questions, self._answer(connection, questions))
                if self._clock.monotonic_s() - pruned_s > _PRUNE_EVERY_S:
                    pruned_s = self._clock.monotonic_s()
                    await self._in_time(connection, [], connection.execute(_PRUNE))

    async def _in_time(
        self,
        connection: "psycopg.AsyncConnection[Any]",
        questions: list[Question],
        work: Awaitable[Any],
    ) -> None:
        """Do ``work``; let nobody wait for it once it takes too long, and break it off then.

        To cancel the statement instead would have psycopg wait for the server's word on that, for
        ten seconds more where the way to it is silent.
        """

        def give_up() -> None:
            self._connected = False
            self._give_up(questions)
            self._give_up(self._take_waiting())
            _hang_up(connection)

        timer = asyncio.get_running_loop().call_later(_SLOW_S, give_up)
        try:
            await work
        finally:
            timer.cancel()
            self._give_up(questions)

    async def _answer(
        self, connection: "psycopg.AsyncConnection[Any]", questions: list[Question]
    ) -> None:
        # In the order of keys, so that two nodes never wait for each other.
        ordered = sorted(questions, key=lambda question: question.key)
        for start in range(0, len(ordered), _AT_ONCE):
            part = ordered[start : start + _AT_ONCE]
            columns = (
                [question.key for question in part],
                [question.limit for question in part],
                [round(question.period_s * 1_000_000) for question in part],
                [question.counts for question in part],
            )
            cursor = await connection.execute(_ASK, columns)
            rows = await cursor.fetchall()
            for question, (wait_us,) in zip(part, rows, strict=True):
                if not question.answer.done():
                    question.answer.set_result(wait_us / 1_000_000)

    def _take_waiting(self) -> list[Question]:
        questions, self._waiting = self._waiting, []
        return questions

    def _give_up(self, questions: list[Question]) -> None:
        for question in questions:
            if not question.answer.done():
                self.unanswered += 1
                question.answer.set_result(None)


def _hang_up(connection: "psycopg.AsyncConnection[Any]") -> None:
    broken = contextlib.suppress(OSError, psycopg.Error)
    with broken, socket.socket(fileno=os.dup(connection.fileno())) as end:
        end.shutdown(socket.SHUT_RDWR)
