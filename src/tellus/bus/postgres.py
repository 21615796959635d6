"""The bus of several nodes: PostgreSQL's NOTIFY and LISTEN, packed.

What is published reaches the listeners of this process at once. For the other nodes it is gathered
for two milliseconds and sent after the commit that it speaks of, from a connection of its own: a
NOTIFY inside the data's transactions would halve their rate. A ping a second shows that the way is
open; when it stays out the connections are made anew, and whoever registered with ``on_gap`` hears
that messages may have been missed.
"""

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import msgspec
import psycopg
import structlog

from tellus.bus.memory import MemoryBus
from tellus.bus.port import Keys, Listener
from tellus.kernel.clock import Clock

CHANNEL: Final = "tellus"
PING: Final = "ping"

_FLUSH_S: Final = 0.002
_PING_S: Final = 1.0
_SILENT_AFTER_S: Final = 3.0
_RETRY_FROM_S, _RETRY_TO_S = 0.1, 2.0
_CONNECT_TIMEOUT_S: Final = 3
# PostgreSQL refuses 8,000 bytes; a message keeps clear of it with its head.
_KEYS_BYTES: Final = 7_000

log = structlog.get_logger(__name__)


class Message(msgspec.Struct, array_like=True):
    """What one NOTIFY carries: who sent it, a topic, and keys."""

    node_id: str
    topic: str
    keys: list[int]


_decoder = msgspec.json.Decoder(Message)


class PostgresBus:
    """A ``Bus`` (see the port) over the database at ``url``; ``run`` it as long as the server runs.

    ``follow`` takes what other nodes publish on a topic away from its listeners: memory has to
    follow first, and whoever sees to that tells them with ``tell``.
    """

    def __init__(self, url: str, node_id: str, clock: Clock) -> None:
        self._url = url
        self._node_id = node_id
        self._clock = clock
        self._local = MemoryBus()
        self._followers: dict[str, Listener] = {}
        self._gaps: list[Callable[[], None]] = []
        self._outbox: dict[str, dict[int, None]] = {}
        self._filled = asyncio.Event()
        self._heard_s = clock.monotonic_s()
        self._listening = False
        self.sent = 0
        self.received = 0

    @property
    def is_silent(self) -> bool:
        """Tell whether messages of other nodes may fail to arrive at present."""
        late_s = self._clock.monotonic_s() - self._heard_s
        return not self._listening or late_s > _SILENT_AFTER_S

    def publish(self, topic: str, keys: Keys) -> None:
        """Tell the listeners of this process now, and the other nodes soon."""
        self._local.publish(topic, keys)
        self.pass_on(topic, keys)

    def pass_on(self, topic: str, keys: Keys) -> None:
        """Tell the other nodes soon, and nobody in this process."""
        self._outbox.setdefault(topic, {}).update(dict.fromkeys(keys))
        self._filled.set()

    def tell(self, topic: str, keys: Keys) -> None:
        """Tell the listeners of this process alone."""
        self._local.publish(topic, keys)

    def subscribe(self, topic: str, listener: Listener) -> Callable[[], None]:
        """Call ``listener(keys)`` for each message; returns the way to stop."""
        return self._local.subscribe(topic, listener)

    def follow(self, topic: str, listener: Listener) -> None:
        """Give ``listener`` what other nodes publish on ``topic``, in place of its listeners."""
        self._followers[topic] = listener

    def on_gap(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` whenever listening begins: what was sent before was not heard."""
        self._gaps.append(callback)

    async def run(self) -> None:
        """Send and listen until cancelled, with new connections when the old ones fail."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep("send", self._send))
            group.create_task(self._keep("listen", self._listen))
            group.create_task(self._ping())

    # -------------------------------------------------------------------- private

    async def _keep(self, what: str, work: Callable[[Any], Any]) -> None:
        pause_s = _RETRY_FROM_S
        while True:
            began_s = self._clock.monotonic_s()
            try:
                async with await self._connect() as connection:
                    await work(connection)
            except (psycopg.Error, OSError, TimeoutError) as error:
                log.warning("bus.interrupted", part=what, error=str(error).strip())
            except Exception:
                log.exception("bus.failed", part=what)  # a listener's bug must not end the bus
            if self._clock.monotonic_s() - began_s > _SILENT_AFTER_S:
                pause_s = _RETRY_FROM_S
            await asyncio.sleep(pause_s)
            pause_s = min(_RETRY_TO_S, pause_s * 2)

    async def _connect(self) -> "psycopg.AsyncConnection[Any]":
        return await psycopg.AsyncConnection.connect(
            self._url,
            autocommit=True,
            connect_timeout=_CONNECT_TIMEOUT_S,
            application_name=f"{self._node_id} bus",
            options="-c synchronous_commit=off -c idle_in_transaction_session_timeout=0",
        )

    async def _send(self, connection: "psycopg.AsyncConnection[Any]") -> None:
        while True:
            await self._filled.wait()
            await asyncio.sleep(_FLUSH_S)
            self._filled.clear()
            outbox, self._outbox = self._outbox, {}
            payloads = [
                payload
                for topic, keys in outbox.items()
                for payload in pack(self._node_id, topic, tuple(keys))
            ]
            with hung_up_after(connection, _SILENT_AFTER_S):
                await connection.execute(
                    "SELECT pg_notify(%s, payload) FROM unnest(%s::text[]) AS payload",
                    (CHANNEL, payloads),
                )
            self.sent += len(payloads)

    async def _listen(self, connection: "psycopg.AsyncConnection[Any]") -> None:
        with hung_up_after(connection, _SILENT_AFTER_S):
            await connection.execute(f"LISTEN {CHANNEL}")
        self._heard_s = self._clock.monotonic_s()
        self._listening = True
        try:
            for callback in self._gaps:
                callback()
            while not self.is_silent:
                async for notify in connection.notifies(timeout=_PING_S):
                    self._take(notify.payload)
            log.warning("bus.silent", after_s=_SILENT_AFTER_S)
        finally:
            self._listening = False

    def _take(self, payload: str) -> None:
        try:
            message = _decoder.decode(payload)
        except msgspec.DecodeError:
            log.warning("bus.unreadable", characters=len(payload))
            return
        if message.node_id == self._node_id:
            if message.topic == PING:
                self._heard_s = self._clock.monotonic_s()
            return
        self.received += 1
        listener = self._followers.get(message.topic)
        if listener is not None:
            listener(message.keys)
        else:
            self._local.publish(message.topic, message.keys)

    async def _ping(self) -> None:
        while True:
            await asyncio.sleep(_PING_S)
            self._outbox.setdefault(PING, {})[0] = None
            self._filled.set()


@contextlib.contextmanager
def hung_up_after(connection: "psycopg.AsyncConnection[Any]", seconds: float) -> Iterator[None]:
    """Break the connection off if the block takes longer; what it waits for then fails at once.

    To cancel the statement instead would have psycopg wait for the server's word on that, for ten
    seconds more where the way to it is silent.
    """
    timer = asyncio.get_running_loop().call_later(seconds, _hang_up, connection.fileno())
    try:
        yield
    finally:
        timer.cancel()


def _hang_up(handle: int) -> None:
    with contextlib.suppress(OSError), socket.socket(fileno=os.dup(handle)) as end:
        end.shutdown(socket.SHUT_RDWR)


def pack(node_id: str, topic: str, keys: Sequence[int]) -> Iterator[str]:
    """Yield the payloads that carry ``keys``, each small enough for one NOTIFY."""
    part: list[int] = []
    size = 0
    for key in keys:
        part.append(key)
        size += len(str(key)) + 1
        if size >= _KEYS_BYTES:
            yield msgspec.json.encode(Message(node_id, topic, part)).decode()
            part, size = [], 0
    if part:
        yield msgspec.json.encode(Message(node_id, topic, part)).decode()
