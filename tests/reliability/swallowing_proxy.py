"""A proxy before PostgreSQL that can begin to swallow what chosen connections carry.

It tells connections apart by the name that they give themselves at their start. A swallowed one
stays open on both sides, as behind a firewall that has forgotten it.
"""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import uvloop

_GREETING = b"application_name\0"


class Half(asyncio.Protocol):
    """One side of a connection; hands what it reads to the other."""

    def __init__(self, proxy: "SwallowingProxy") -> None:
        self.proxy = proxy
        self.transport: asyncio.Transport
        self.other: Half | None = None
        self.early: list[bytes] = []
        self.swallows = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Know the way out."""
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is of no such class
        self.proxy.halves.add(self)

    def data_received(self, data: bytes) -> None:
        """Pass on, or not."""
        if self.swallows:
            self.proxy.swallowed_bytes += len(data)
        elif self.other is not None:
            self.other.transport.write(data)
        else:
            self.early.append(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """An end on one side is an end on both, but for what is swallowed."""
        del exc
        self.proxy.halves.discard(self)
        if self.other is not None and not self.swallows:
            self.other.transport.close()


class Front(Half):
    """The side of a node."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Connect to the database."""
        super().connection_made(transport)
        self.task = asyncio.ensure_future(self._join())

    def data_received(self, data: bytes) -> None:
        """Note the name at the start."""
        if _GREETING in data:
            name = data.partition(_GREETING)[2].partition(b"\0")[0].decode()
            self.proxy.connections[self] = name
        super().data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        self.proxy.connections.pop(self, None)
        super().connection_lost(exc)

    async def _join(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            _, back = await loop.create_connection(
                lambda: Half(self.proxy), "127.0.0.1", self.proxy.target_port
            )
        except OSError:
            self.transport.abort()
            return
        back.other, self.other = self, back
        for data in self.early:
            back.transport.write(data)
        for data in back.early:
            self.transport.write(data)


class SwallowingProxy:
    """Listens on a free port for ``target_port`` of this machine, in a thread of its own."""

    def __init__(self, target_port: int) -> None:
        self.target_port = target_port
        self.port = 0
        self.connections: dict[Front, str] = {}
        self.halves: set[Half] = set()
        self.swallowed_bytes = 0
        self._loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._server: asyncio.Server

    def start(self) -> None:
        """Listen."""
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)

    async def _listen(self) -> None:
        self._server = await self._loop.create_server(lambda: Front(self), "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    def swallow(self, ending: str) -> int:
        """Swallow from now on what the connections carry whose name ends so; return how many."""

        async def begin() -> int:
            chosen = [front for front, name in self.connections.items() if name.endswith(ending)]
            for front in chosen:
                front.swallows = True
                if front.other is not None:
                    front.other.swallows = True
            return len(chosen)

        return asyncio.run_coroutine_threadsafe(begin(), self._loop).result(10)

    def stop(self) -> None:
        """Close everything."""
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _close(self) -> None:
        self._server.close()
        while self.halves:
            for half in tuple(self.halves):
                half.transport.abort()
            await asyncio.sleep(0.01)


@contextmanager
def swallowing_proxy(target_port: int) -> Iterator[SwallowingProxy]:
    """A proxy for the length of a block."""
    proxy = SwallowingProxy(target_port)
    proxy.start()
    try:
        yield proxy
    finally:
        proxy.stop()


def through(proxy: SwallowingProxy, database: str) -> str:
    """Return the address of a database behind the proxy."""
    more: dict[str, Any] = {"sslmode": "disable", "gssencmode": "disable"}
    query = "&".join(f"{name}={value}" for name, value in more.items())
    return f"postgresql://tellus@127.0.0.1:{proxy.port}/{database}?{query}"
