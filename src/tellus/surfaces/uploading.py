"""Bodies that are files: handed to the handler piece by piece, never held whole.

The handler sets the pace: where it is behind, nothing more is read from the caller. What is larger
than its route takes is refused before the first byte where the size was announced, else where it
is passed.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final, TypeVar

from tellus.kernel.call import Call
from tellus.kernel.errors import (
    InvalidParameter,
    PayloadTooLarge,
    TooManyRequests,
    TooSlow,
    UnsupportedMedia,
)
from tellus.kernel.files import OCTETS, Upload, read_media_type
from tellus.kernel.limits import UPLOADS_OF_CHARGERS, UPLOADS_PER_CLIENT
from tellus.surfaces.envelope import Header
from tellus.surfaces.guard.connections import connection_of
from tellus.surfaces.media import Receive

STALL_S: Final = 120.0
"""How long an upload may bring nothing at all."""

GRACE_S: Final = 60.0
"""How long an upload may fall behind its least pace beside what other bodies may."""

SIGNED_BYTES: Final = 8 * 1024 * 1024
"""The largest body of a signed request: it is held whole until its signature is checked."""

CLOSE: Final[Header] = (b"connection", b"close")
_RETRY_AFTER_S: Final = 5

T = TypeVar("T")

Scope = dict[str, Any]


def open_upload(receive: Receive, scope: Scope, limit_bytes: int) -> Upload:
    """Return the body of a request as an upload of at most ``limit_bytes``.

    Raises:
        PayloadTooLarge: it was announced as larger.
        UnsupportedMedia: it is encoded, such as with gzip.
    """
    media_type, size = OCTETS, None
    for name, value in scope["headers"]:
        if name == b"content-length":
            size = int(value)
        elif name == b"content-type":
            media_type = read_media_type(value.decode("latin-1"))
        elif name == b"content-encoding" and value.strip().lower() not in (b"", b"identity"):
            text = "The body must not be encoded"
            raise UnsupportedMedia(text, "content-encoding", value.decode("latin-1"))
    if size is not None and size > limit_bytes:
        raise PayloadTooLarge(limit_bytes)
    connection = connection_of(scope)
    if connection is not None:
        connection.body_grace_s = GRACE_S
    return Upload(media_type, size, _pieces(receive, limit_bytes))


def upload_of(body: bytes, scope: Scope) -> Upload:
    """Return as an upload what had to be read whole, because its signature is over all of it."""
    given = [value for name, value in scope["headers"] if name == b"content-type"]
    media_type = read_media_type(given[0].decode("latin-1")) if given else OCTETS
    return Upload(media_type, len(body), _whole(body))


async def _whole(body: bytes) -> AsyncIterator[bytes]:
    yield body


async def _pieces(receive: Receive, limit_bytes: int) -> AsyncIterator[bytes]:
    size, more = 0, True
    while more:
        try:
            message = await asyncio.wait_for(receive(), STALL_S)
        except TimeoutError:
            raise TooSlow from None
        if message["type"] == "http.disconnect":
            text = "The body ended before it was complete"
            raise InvalidParameter(text, "body")
        piece = message.get("body", b"")
        more = message.get("more_body", False)
        size += len(piece)
        if size > limit_bytes:
            raise PayloadTooLarge(limit_bytes)
        if piece:
            yield piece


class Uploads:
    """The uploads that are under way, so many for each client and for all chargers."""

    def __init__(self) -> None:
        self._open: Counter[str] = Counter()

    def __len__(self) -> int:
        """Return how many uploads are under way."""
        return self._open.total()

    async def take(self, call: Call[Any, Any], answer: Callable[[], Awaitable[T]]) -> T:
        """Return what ``answer`` does, which reads the upload of ``call``, and count it meanwhile.

        Chargers have no token here: they count together, whatever they upload.

        Raises:
            TooManyRequests: as many go on already as may.
        """
        caller = call.principal.principal_id
        if self._open[caller] >= (UPLOADS_PER_CLIENT if caller else UPLOADS_OF_CHARGERS):
            message = "Too many uploads at once"
            raise TooManyRequests(_RETRY_AFTER_S, message)
        self._open[caller] += 1
        try:
            return await answer()
        finally:
            self._open[caller] -= 1
            if not self._open[caller]:
                del self._open[caller]
