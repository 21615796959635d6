"""Stored files on their way to a caller, as fast as it reads, never held whole."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from tellus.kernel.call import Call
from tellus.kernel.errors import Unauthenticated
from tellus.kernel.files import FileAnswer, safe_name
from tellus.surfaces.envelope import NO_STORE, Header

NOSNIFF: Final[Header] = (b"x-content-type-options", b"nosniff")
_SANDBOXED: Final[Header] = (b"content-security-policy", b"default-src 'none'; sandbox")
_PIECE_BYTES: Final = 64 * 1024

Send = Callable[[dict[str, Any]], Awaitable[Any]]


class StoredDownload:
    """One stored file on its way; ``deliver`` is to be called once, whatever happens."""

    def __init__(
        self,
        file: FileAnswer,
        call: Call[Any, Any],
        until_left: Callable[[], Awaitable[Any]],
        ended: Callable[[], None],
    ) -> None:
        self._file = file
        self._principal = call.principal
        self._until_left = until_left
        self._ended = ended
        self._ready: bytes | None = None

    async def open(self) -> None:
        """Read the first piece; raises what the reading raises."""
        self._ready = await anext(self._file.pieces, None)

    async def deliver(self, headers: Sequence[Header], send: Send) -> None:
        """Send the file; return when it is complete, or the caller has left.

        Raises:
            ApiError: a piece could not be read or the client was revoked: the body has no end then.
        """
        left = asyncio.ensure_future(self._until_left())
        try:
            await send(self._head(headers))
            while self._ready is not None and not left.done():
                await self._send_ready(self._ready, send, left)
                if self._principal.revoked:
                    raise Unauthenticated
                self._ready = await anext(self._file.pieces, None)
            if not left.done():
                await send({"type": "http.response.body", "body": b""})
        finally:
            left.cancel()
            self._ended()

    def _head(self, headers: Sequence[Header]) -> dict[str, Any]:
        file = self._file
        name = f'attachment; filename="{safe_name(file.name)}"'
        own: list[Header] = [
            (b"content-type", file.media_type.encode("ascii")),
            (b"content-disposition", name.encode("ascii")),
            NO_STORE,
            NOSNIFF,
            _SANDBOXED,
        ]
        if file.size is not None:
            own.append((b"content-length", b"%d" % file.size))
        replaced = {header[0] for header in own}
        kept = [header for header in headers if header[0] not in replaced]
        return {"type": "http.response.start", "status": 200, "headers": own + kept}

    async def _send_ready(self, ready: bytes, send: Send, left: "asyncio.Future[None]") -> None:
        """Send a piece in smaller ones: each waits until the caller has taken those before."""
        view = memoryview(ready)
        for start in range(0, len(view), _PIECE_BYTES):
            if left.done():
                return
            piece = bytes(view[start : start + _PIECE_BYTES])
            await send({"type": "http.response.body", "body": piece, "more_body": True})
