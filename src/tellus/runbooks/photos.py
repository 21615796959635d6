"""What kind of photo an upload is, by its media type or else by how its bytes begin."""

from collections.abc import AsyncIterator
from typing import Final

from tellus.kernel.errors import InvalidParameter
from tellus.kernel.files import OCTETS, Upload

ENDINGS: Final = {"image/jpeg": "jpg", "image/png": "png", "image/webp": "webp"}
"""The media types of photos, and how their files' names end."""

_LONGEST_MARK: Final = 12


async def recognize(upload: Upload) -> Upload:
    """Return the upload with the media type of a photo.

    A caller that says which image it sends is believed. ``application/octet-stream``, which is all
    that generated clients can say, is looked at.

    Raises:
        InvalidParameter: it is no JPEG, PNG or WebP.
    """
    found = upload
    if upload.media_type == OCTETS:
        head = await _read_head(upload.pieces)
        found = Upload(_kind_of(head), upload.size, _joined(head, upload.pieces))
    if found.media_type not in ENDINGS:
        message = "A photo is a JPEG, PNG or WebP image"
        raise InvalidParameter(message, "Content-Type", upload.media_type)
    return found


async def _read_head(pieces: AsyncIterator[bytes]) -> bytes:
    head = b""
    while len(head) < _LONGEST_MARK:
        piece = await anext(pieces, None)
        if piece is None:
            break
        head += piece
    return head


def _kind_of(head: bytes) -> str:
    if head.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    return "image/webp" if head[:4] == b"RIFF" and head[8:12] == b"WEBP" else OCTETS


async def _joined(head: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    if head:
        yield head
    async for piece in rest:
        yield piece
