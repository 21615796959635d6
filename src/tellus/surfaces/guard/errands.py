"""Errands: requests that are served without a task, and without a parser where their head is known.

A charger on a kept connection sends one head again and again. What the parser makes of a head
depends on its bytes alone, so the errand that a head asks for is remembered by them, once a request
with it has been served: the next one is told by a look-up. Everything else goes the long way, and
so does whatever an errand declines: what it does not accept without a question is the pipeline's.
"""

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from tellus.surfaces.guard.protocol import GuardProtocol

Headers = list[tuple[bytes, bytes]]

HEAD_END = b"\r\n\r\n"
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

    body_bytes: int
    """How long the body is by that head."""

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
    """The errands of known heads, by the bytes of these up to the empty line."""

    def __init__(self) -> None:
        self.clerk: Clerk = NoClerk()
        self._known: dict[bytes, Errand] = {}
        self.find = self._known.get

    def __len__(self) -> int:
        return len(self._known)

    def remember(self, head: bytes, errand: Errand) -> None:
        """Know a head from now on; beyond the bound the one known longest is forgotten."""
        if len(head) > _HEAD_BYTES:
            return
        if len(self._known) >= _HEADS:
            del self._known[next(iter(self._known))]
        self._known[head] = errand
