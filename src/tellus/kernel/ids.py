"""Identifiers: opaque, prefixed by kind, with 100 random bits so that none can be guessed."""

import re
import secrets

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_LENGTH = 20
_IDENTIFIER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:\-]{0,63}")


def new_id(prefix: str) -> str:
    """Return a fresh identifier such as ``dvc_3k7…``: the prefix and 100 random bits in base 32."""
    number = secrets.randbits(5 * _LENGTH)
    return prefix + "_" + "".join(_ALPHABET[(number >> 5 * k) & 31] for k in range(_LENGTH))


def new_secret(prefix: str) -> str:
    """Return a fresh secret of 48 random bytes (384 bits), URL-safe, with a recognisable prefix."""
    return prefix + "_" + secrets.token_urlsafe(48)


def is_identifier(text: str) -> bool:
    """Tell whether ``text`` may be a serial number or an identifier: 1 to 64 safe characters."""
    return _IDENTIFIER.fullmatch(text) is not None
