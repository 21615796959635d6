"""Signed requests at the edge: whose must be signed, and what of a request was signed."""

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple, Protocol

from tellus.identity.signing import SignedRequest, check_form
from tellus.kernel.call import Principal
from tellus.surfaces.guard.reader import TARGET_KEY

_REQUIRED = "required"
_TIMESTAMP, _SIGNATURE = b"x-timestamp", b"x-signature"

Scope = dict[str, Any]


class Signatures(Protocol):
    """What the edge asks of identity."""

    def verify_signature(self, principal: Principal, request: SignedRequest) -> bytes:
        """Return the signature in its 32 bytes; raises SignatureRefused."""
        ...

    async def answer_once(
        self, principal: Principal, signature: bytes, act: Callable[[], Awaitable[bytes]]
    ) -> bytes:
        """Return what ``act`` answers, or did when the signature was first used."""
        ...


class Signed(NamedTuple):
    """A good signature in its 32 bytes, and the body it was checked with."""

    signature: bytes
    body: bytes


async def check_signed(
    signatures: Signatures,
    scope: Scope,
    caller: tuple[Principal, bool, int],
    read: Callable[[], Awaitable[bytes]],
) -> Signed | None:
    """Return the signature of a request, or None where it has none and needs none.

    ``caller`` is the principal, whether it wants to control something, and the time (ms). The body
    is only read once the headers are in order.

    Raises:
        SignatureRefused: it is absent where it is required, malformed, out of time or wrong.
        PayloadTooLarge: the body exceeds the bound of its route.
    """
    principal, controls, now_ms = caller
    timestamp, signature = _find(scope, _TIMESTAMP), _find(scope, _SIGNATURE)
    needed = controls and principal.signing == _REQUIRED
    if not needed and timestamp is None and signature is None:
        return None
    check_form(timestamp, signature, now_ms)
    body = await read()
    request = SignedRequest(
        scope["method"].encode("ascii"),
        scope["state"][TARGET_KEY],
        timestamp or b"",
        body,
        signature or b"",
    )
    return Signed(signatures.verify_signature(principal, request), body)


def _find(scope: Scope, name: bytes) -> bytes | None:
    """Return a header; what was given more than once is joined, and so is malformed here."""
    found = [value for header, value in scope["headers"] if header == name]
    return b", ".join(found) if found else None
