"""A lane: one kept-alive HTTP/1.1 connection of an asynchronous load, reopened when it breaks.

Made for load: it costs a tenth of a full client, so that the generator does not become the limit.
"""

import asyncio
import json
from types import TracebackType
from typing import Any, NamedTuple, Self

ANSWER_WITHIN_S = 15.0


class Reply(NamedTuple):
    """One answer: HTTP status, and the body as JSON."""

    status: int
    body: Any

    @property
    def data(self) -> Any:
        """The payload of the envelope."""
        return self.body.get("data")


class BrokenLaneError(Exception):
    """No answer came: whether the request took effect is not known."""


class Lane:
    """One connection to ``host:port``; asks one request at a time.

    `within_s` bounds every wait, so that a server that hangs fails the load, not the suite.
    """

    def __init__(
        self, port: int, token: str = "", *, host: str = "127.0.0.1", within_s: float = 0.0
    ) -> None:
        self.token = token
        self._place = (host, port)
        self._within_s = within_s or ANSWER_WITHIN_S
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def ask(self, method: str, target: str, body: Any = None) -> Reply:
        """Send a request and return its answer.

        Raises `BrokenLaneError` when the connection is refused or breaks, or nothing comes in time.
        """
        content = b"" if body is None else json.dumps(body).encode()
        head = f"{method} {target} HTTP/1.1\r\nHost: tellus.test\r\n"
        head += f"Authorization: Bearer {self.token}\r\nContent-Length: {len(content)}\r\n\r\n"
        try:
            async with asyncio.timeout(self._within_s):
                return await self._exchange(head.encode() + content)
        except (OSError, EOFError, TimeoutError, asyncio.LimitOverrunError) as error:
            self.close()
            raise BrokenLaneError(repr(error)) from error

    async def _exchange(self, request: bytes) -> Reply:
        if self._writer is None:
            self._reader, self._writer = await asyncio.open_connection(*self._place)
        assert self._reader is not None
        self._writer.write(request)
        head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        at = head.index(b"content-length: ") + len(b"content-length: ")
        body = await self._reader.readexactly(int(head[at : head.index(b"\r", at)]))
        if b"\r\nconnection: close" in head:
            self.close()
        return Reply(int(head[9:12]), json.loads(body))

    def close(self) -> None:
        """Drop the connection; the next request opens another."""
        if self._writer is not None:
            self._writer.transport.abort()
        self._reader = self._writer = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
