"""Errands: requests that are served without a task, and without a parser where their head is known.

A charger sends one head again and again; only the length of the body in it varies. What the parser
makes of a head depends on its bytes alone, so the errand that a head asks for is remembered by all
but that length, once a request with it has been served: the next one is told by a look-up.
Everything else goes the long way, and so does whatever an errand declines: what it does not accept
without a question is the pipeline's.
"""

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from tellus.surfaces.guard.protocol import GuardProtocol

Headers = list[tuple[bytes, bytes]]

HEAD_END = b"\r\n\r\n"
_LENGTH = b"ength: "  # as Content-Length ends, whether it is written with a small letter or not
_LENGTH_LINE = b"\r\ncontent-length: "
_HEAD_BYTES = 2 * 1024
_HEADS = 16_384


class Owed(Protocol):
    """An answer that is owed on a connection."""

    more_body: bool
    """Whether the body it answers is still to come."""

    def lose(self) -> None:
        """Hear that the peer is gone."""
        ...


class Errand(Protocol):
    """What a head asks for."""

    def run(self, peer: "GuardProtocol", body: bytes) -> bool:
        """Take the request and owe its answer to ``peer``, or decline it and leave no trace."""
        ...


class Clerk(Protocol):
    """Who knows errands: the application."""

    def recognise(self, method: str, target: bytes, headers: Headers) -> Errand | None:
        """Return the errand of a head as parsed (names in lower case); None where it is none."""
        ...


class NoClerk:
    """Knows no errand."""

    def recognise(self, _method: str, _target: bytes, _headers: Headers) -> Errand | None:
        """Send everything the long way."""
        return None


class Errands:
    """The errands of known heads, by the bytes of these without the length of the body."""

    def __init__(self) -> None:
        self.clerk: Clerk = NoClerk()
        self._known: dict[bytes, Errand] = {}

    def __len__(self) -> int:
        return len(self._known)

    def find(self, data: bytes) -> tuple[Errand, bytes] | None:
        """Return the errand and the body of ``data`` if it is one request whose head is known."""
        end = data.find(HEAD_END) + 4
        start = data.find(_LENGTH) + 7
        stop = data.find(b"\r", start)
        errand = self._known.get(data[:start] + data[stop:end])
        if errand is None or data[start:stop] != b"%d" % (len(data) - end):
            return None
        return errand, data[end:]

    def remember(self, data: bytes, errand: Errand) -> None:
        """Know the head of ``data`` from now on: by the parser it is one request, and no more.

        Large heads, and those that state the length in another way, are not kept. Beyond the bound
        all are forgotten.
        """
        end = data.find(HEAD_END) + 4
        start = data.find(_LENGTH) + 7
        line = data[start - len(_LENGTH_LINE) : start].lower()
        if end > _HEAD_BYTES or start > end or line != _LENGTH_LINE:
            return
        if len(self._known) >= _HEADS:
            self._known.clear()
        self._known[data[:start] + data[data.find(b"\r", start) : end]] = errand
