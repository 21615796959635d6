"""Files on their way in and out, piece by piece: what handlers see of them. Nothing of HTTP."""

import re
from collections.abc import AsyncIterator
from typing import Final, NamedTuple

OCTETS: Final = "application/octet-stream"
"""The media type of what nobody has said more about."""

_WORD: Final = r"[a-z0-9][a-z0-9!#$&^_.+\-]{0,62}"
_MEDIA_TYPE: Final = re.compile(f"{_WORD}/{_WORD}")
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9._\-]+")
_NAME_CHARACTERS: Final = 100


class Upload(NamedTuple):
    """A body on its way in: its media type, its size if announced (bytes), and its pieces.

    ``pieces`` may be read once. It raises ``PayloadTooLarge`` once more came than the route takes,
    ``InvalidParameter`` when the caller left in the middle, ``TooSlow`` when nothing more came.
    """

    media_type: str
    size: int | None
    pieces: AsyncIterator[bytes]


class FileAnswer(NamedTuple):
    """A file that a handler answers with: name, media type, size (bytes), and its pieces.

    ``size`` is None where it is not known before the last piece.
    """

    name: str
    media_type: str
    size: int | None
    pieces: AsyncIterator[bytes]


def read_media_type(text: str) -> str:
    """Return the media type of a header without its parameters; ``OCTETS`` where it is none."""
    kind = text.partition(";")[0].strip().lower()
    return kind if _MEDIA_TYPE.fullmatch(kind) else OCTETS


def safe_name(text: str) -> str:
    """Return ``text`` as a file name of letters, digits, dots and dashes, never hidden or empty."""
    name = _UNSAFE.sub("-", text).strip(".-")[:_NAME_CHARACTERS]
    return name or "file"
