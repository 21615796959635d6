"""Lists as files: read page by page, written as fast as the caller reads, never held whole.

A page is read and turned into bytes on threads, in a snapshot that has ended before the first of
them is sent. What fails before the first page is answered like any failure; what fails later ends
the connection in the middle of the body, so that nobody takes a part for the whole.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

from tellus.kernel.call import Call
from tellus.kernel.errors import TooManyRequests, Unauthenticated
from tellus.kernel.limits import FILES_PER_CLIENT
from tellus.kernel.tables import Row, Table
from tellus.kernel.units import SECOND_MS
from tellus.surfaces.endpoint import Endpoint
from tellus.surfaces.envelope import NO_STORE, Header
from tellus.surfaces.streaming_files import StoredDownload
from tellus.surfaces.streaming_formats import Encoder, FileFormat

_PIECE_BYTES: Final = 64 * 1024
_RETRY_AFTER_S: Final = 5
_VARY: Final[Header] = (b"vary", b"accept")

Send = Callable[[dict[str, Any]], Awaitable[Any]]


class Download:
    """One file on its way to one caller; ``deliver`` is to be called once, whatever happens."""

    def __init__(
        self,
        table: Table[Any],
        kind: FileFormat,
        call: Call[Any, Any],
        until_left: Callable[[], Awaitable[Any]],
        ended: Callable[[], None],
        check: Callable[[], object],
    ) -> None:
        self._table = table
        self._kind = kind
        self._principal = call.principal
        self._now_ms = call.now_ms
        self._until_left = until_left
        self._ended = ended
        self._check = check
        self._encoder: Encoder | None = None
        self._ready = b""
        self._more = True

    async def open(self) -> None:
        """Read the first page; raises what the reading raises."""
        self._encoder = await asyncio.to_thread(self._kind.make_encoder, self._table.columns)
        self._ready = self._encoder.begin() + await self._next()

    async def deliver(self, headers: Sequence[Header], send: Send) -> None:
        """Send the file; return when it is complete, or the caller has left.

        Raises:
            ApiError: a page could not be read, the client was revoked, or ``check`` refuses; the
                body has no end then.
        """
        left = asyncio.ensure_future(self._until_left())
        try:
            async with aclosing(self._table.pages):
                await send(self._head(headers))
                while self._more and not left.done():
                    await self._send_ready(send, left)
                    if self._principal.revoked:
                        raise Unauthenticated
                    self._check()
                    if not left.done():
                        self._ready = await self._next()
                if not left.done():
                    await self._send_ready(send, left)
                    await send({"type": "http.response.body", "body": b""})
        finally:
            left.cancel()
            self._ended()

    def _head(self, headers: Sequence[Header]) -> dict[str, Any]:
        """Return the beginning of the answer: ``headers`` with a file's instead of JSON's."""
        time = datetime.fromtimestamp(self._now_ms // SECOND_MS, UTC).strftime("%Y%m%dT%H%M%SZ")
        name = f'attachment; filename="{self._table.name}-{time}.{self._kind.ending}"'
        own: list[Header] = [
            (b"content-type", self._kind.content_type.encode()),
            (b"content-disposition", name.encode("ascii")),
            NO_STORE,
            _VARY,
        ]
        kept = [header for header in headers if header[0] != b"content-type"]
        return {"type": "http.response.start", "status": 200, "headers": own + kept}

    async def _next(self) -> bytes:
        """Return the bytes of the next page; after the last one those of the file's end."""
        encoder = self._encoder
        if encoder is None:
            raise RuntimeError("The file has not been opened")
        page = await anext(self._table.pages, None)
        if page is None:
            self._more = False
            return await asyncio.to_thread(encoder.end)
        return await asyncio.to_thread(self._encode, encoder, page)

    def _encode(self, encoder: Encoder, page: Sequence[Any]) -> bytes:
        to_rows = self._table.to_rows
        rows: list[Row] = [row for item in page for row in to_rows(item)]
        return encoder.add(rows)

    async def _send_ready(self, send: Send, left: "asyncio.Future[None]") -> None:
        """Send what is ready, in pieces: each waits until the caller has taken those before."""
        ready, self._ready = memoryview(self._ready), b""
        for start in range(0, len(ready), _PIECE_BYTES):
            if left.done():
                return
            piece = bytes(ready[start : start + _PIECE_BYTES])
            await send({"type": "http.response.body", "body": piece, "more_body": True})


class Downloads:
    """The files that are under way, so many for each client and no more."""

    def __init__(self) -> None:
        self._open: Counter[str] = Counter()

    def __len__(self) -> int:
        """Return how many files are under way."""
        return self._open.total()

    async def begin(
        self,
        endpoint: Endpoint,
        call: Call[Any, Any],
        kind: FileFormat,
        check: Callable[[], object] = lambda: None,
    ) -> Download:
        """Return the list that answers ``call`` as a file, its first page read.

        ``check`` is called before each further page; what it raises ends the file.

        Raises:
            TooManyRequests: the client takes as many files already as it may.
            ApiError: what the handler raises.
        """
        ended, until_left = self._count(endpoint, call)
        try:
            table = await endpoint.tabulate(call)
            download = Download(table, kind, call, until_left, ended, check)
            await download.open()
        except BaseException:
            ended()
            raise
        return download

    async def begin_stored(self, endpoint: Endpoint, call: Call[Any, Any]) -> StoredDownload:
        """Return the stored file that answers ``call``, its first piece read; raises likewise."""
        ended, until_left = self._count(endpoint, call)
        try:
            download = StoredDownload(await endpoint.handle(call), call, until_left, ended)
            await download.open()
        except BaseException:
            ended()
            raise
        return download

    def _count(
        self, endpoint: Endpoint, call: Call[Any, Any]
    ) -> tuple[Callable[[], None], Callable[[], Awaitable[Any]]]:
        """Count one more file of a client; return what ends it, and what tells of its leaving."""
        client, until_left = call.principal.principal_id, call.left
        if until_left is None:
            raise TypeError(f"{endpoint.route.operation_id} does not hear when its caller leaves")
        if self._open[client] >= FILES_PER_CLIENT:
            message = f"This client takes {FILES_PER_CLIENT} files already"
            raise TooManyRequests(_RETRY_AFTER_S, message)
        self._open[client] += 1
        return partial(self._end, client), until_left

    def _end(self, client: str) -> None:
        self._open[client] -= 1
        if not self._open[client]:
            del self._open[client]
