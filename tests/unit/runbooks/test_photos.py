"""What is taken for a photo, and that none of its bytes is lost by looking."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from tellus.kernel.errors import InvalidParameter
from tellus.kernel.files import OCTETS, Upload
from tellus.runbooks.photos import recognize

PNG = b"\x89PNG\r\n\x1a\n" + b"pins"
JPEG = b"\xff\xd8\xff\xe0" + b"fan" * 9
WEBP = b"RIFF\x24\x00\x00\x00WEBPVP8 "


def take(body: bytes, media_type: str, at_once: int) -> tuple[str, bytes]:
    """What an upload in pieces of so many bytes is taken for, and its bytes."""

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(body), at_once):
            yield body[start : start + at_once]

    async def whole() -> tuple[str, bytes]:
        found = await recognize(Upload(media_type, len(body), pieces()))
        return found.media_type, b"".join([piece async for piece in found.pieces])

    return asyncio.run(whole())


@pytest.mark.parametrize("at_once", [1, 5, 1_000])
@pytest.mark.parametrize(
    ("body", "kind"), [(PNG, "image/png"), (JPEG, "image/jpeg"), (WEBP, "image/webp")]
)
def test_recognize__bytes_of_no_named_kind__are_looked_at(
    body: bytes, kind: str, at_once: int
) -> None:
    """However the bytes arrive, what they are is found, and all of them go on."""
    assert take(body, OCTETS, at_once) == (kind, body)


def test_recognize__kind_that_is_named__is_believed() -> None:
    """Who says that it is a photo need not begin it in one of the usual ways."""
    assert take(b"raw", "image/jpeg", 2) == ("image/jpeg", b"raw")


@pytest.mark.parametrize(
    ("body", "kind"),
    [(PNG, "image/gif"), (PNG, "text/html"), (b"GIF89a" + PNG, OCTETS), (b"", OCTETS),
     (b"RIFF\x24\x00\x00\x00WAVEfmt ", OCTETS), (PNG[:7], OCTETS)],
)  # fmt: skip
def test_recognize__anything_else__is_refused(body: bytes, kind: str) -> None:
    """Other kinds, and bytes that are no photo, are invalid."""
    with pytest.raises(InvalidParameter):
        take(body, kind, 4)
