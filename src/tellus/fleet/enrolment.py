"""Enrolment tokens: what a charger shows when it registers, derived and therefore not stored.

A site has a key, and each serial number expected there has a token made with it. A token names
neither site nor serial number, so it is of no use for another charger.
"""

import base64
import hmac

from tellus.fleet.model import Provisioning

_PREFIX = "enr_"
_FINGERPRINT_BYTES = 16


class EnrolmentTokens:
    """Makes and checks enrolment tokens under one instance-wide key of 32 bytes."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def token(self, provisioning: Provisioning) -> str:
        """Return the token (384 bits, URL-safe) of a provisioned serial number."""
        site_key = hmac.digest(self._key, f"site\0{provisioning.site_id}".encode(), "sha256")
        message = f"{provisioning.sn}\0{provisioning.token_round}".encode()
        code = hmac.digest(site_key, message, "sha384")
        return _PREFIX + base64.urlsafe_b64encode(code).decode()

    def is_token_of(self, provisioning: Provisioning, text: str) -> bool:
        """Tell whether ``text`` is the token of a serial number, in constant time."""
        expected = self.token(provisioning).encode()
        return hmac.compare_digest(expected, text.encode("utf-8", "replace"))

    def fingerprint(self, text: str) -> bytes:
        """Return what to remember of a proof; empty for none."""
        if not text:
            return b""
        content = b"proof\0" + text.encode("utf-8", "replace")
        return hmac.digest(self._key, content, "sha256")[:_FINGERPRINT_BYTES]
