"""What a signature is, and which secrets can make one (rule R7). Nothing here reads or writes."""

import hmac
import re
from calendar import timegm
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from msgspec.structs import replace

from tellus.identity.model import ClientSecret, SigningPolicy
from tellus.identity.rules import is_live
from tellus.kernel.errors import Conflict, Unauthenticated
from tellus.kernel.units import SECOND_MS

TIMESTAMP: Final = "X-Timestamp"
SIGNATURE: Final = "X-Signature"
SKEW_S: Final = 300

_TIME: Final = re.compile(rb"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z")
_DIGEST: Final = re.compile(rb"[0-9a-f]{64}")


class SignatureRefused(Unauthenticated):
    """A signature is absent, malformed, out of time or wrong; ``details.field`` names the header.

    Never which secret was tried, nor how many there are.
    """


class RotationNeeded(Conflict):
    """A client shall sign, and none of its live secrets was issued for that."""

    def __init__(self) -> None:
        super().__init__(
            "No live secret of this client can sign: a copy is kept only of those issued while"
            " signing is on. Rotate the secret and set 'signing' in that request",
            field="signing",
        )


class SignedRequest(NamedTuple):
    """What a signature covers, as it was sent, and the signature."""

    method: bytes
    target: bytes
    timestamp: bytes
    body: bytes
    signature: bytes


def check_form(timestamp: bytes | None, signature: bytes | None, now_ms: int) -> None:
    """Check all that can be checked before the body is read; None stands for an absent header.

    Raises:
        SignatureRefused: a header is absent or malformed, or the time is not within 300 s.
    """
    if signature is None:
        raise _refused(SIGNATURE, "is required: this request must be signed")
    if timestamp is None:
        raise _refused(TIMESTAMP, "is required beside a signature")
    if _DIGEST.fullmatch(signature) is None:
        raise _refused(SIGNATURE, "must be given once, as 64 lower-case hexadecimal digits")
    if abs(_read_time_ms(timestamp) - now_ms) > SKEW_S * SECOND_MS:
        raise _refused(TIMESTAMP, f"is more than {SKEW_S} s off the time of the server")


def check_signature(secrets: Iterable[bytes], request: SignedRequest) -> bytes:
    """Return the signature in its 32 bytes, if one of ``secrets`` made it.

    All are tried, and one more, each in constant time.

    Raises:
        SignatureRefused: none of them did.
    """
    given = bytes.fromhex(request.signature.decode("ascii"))
    content = request.method + request.target + request.timestamp + request.body
    good = False
    hmac.compare_digest(hmac.digest(b"no secret", content, "sha256"), given)
    for secret in secrets:
        good |= hmac.compare_digest(hmac.digest(secret, content, "sha256"), given)
    if not good:
        raise _refused(SIGNATURE, "does not belong to this request")
    return given


def secrets_under(
    policy: SigningPolicy, secrets: Sequence[ClientSecret], now_ms: int
) -> tuple[ClientSecret, ...]:
    """Return a client's secrets as ``policy`` has them: copies of the live, where it may sign.

    Raises:
        RotationNeeded: it may sign, and there is no copy of any live secret.
    """
    off = policy is SigningPolicy.OFF
    after = tuple(
        replace(secret, sealed=None) if off or not is_live(secret, now_ms) else secret
        for secret in secrets
    )
    if not off and all(secret.sealed is None for secret in after):
        raise RotationNeeded
    return after


def sealing_context(secret_id: str) -> str:
    """Return what binds a sealed copy to its secret."""
    return f"client-secret:{secret_id}"


def _read_time_ms(text: bytes) -> int:
    if _TIME.fullmatch(text) is not None:
        try:
            moment = datetime.strptime(text.decode("ascii"), "%Y-%m-%dT%H:%M:%S%z")
        except ValueError:
            pass  # such as 30 February
        else:
            return timegm(moment.utctimetuple()) * SECOND_MS
    raise _refused(TIMESTAMP, "must be given once, as in 2026-01-31T09:30:00Z")


def _refused(header: str, problem: str) -> SignatureRefused:
    return SignatureRefused(f"Header '{header}' {problem}", field=header)
