"""What must not be written down: secrets, tokens and personal data, known by their key or shape.

The last net before a log line leaves the process. It errs on the side of hiding: what looks like a
secret is taken for one.
"""

import re
from typing import Any, Final

from tellus.kernel.vins import hide_vin, replace_vins

HIDDEN: Final = "[redacted]"

_TEXT_LARGEST: Final = 16_384
_DEPTH_LARGEST: Final = 8
_DISTINCT_IN_SECRET: Final = 16
_KEY: Final = re.compile(
    r"secret|token|passw|authorization|credential|cookie|signature|private|api[_-]?key|pepper"
    r"|(?:^|_)vins?(?:$|_)|(?:^|_)imei(?:$|_)",
    re.IGNORECASE,
)
_HARMLESS_KEY: Final = re.compile(r"_(?:id|ms|s|at|count|kind|type)$", re.IGNORECASE)
_JWT: Final = re.compile(r"eyJ[A-Za-z0-9_\-]{8,}(?:\.[A-Za-z0-9_\-]*){0,2}")
_PREFIXED: Final = re.compile(r"\b(?:sk|cs|enr|upl)_[A-Za-z0-9_\-]{16,}")
_SCHEME: Final = re.compile(r"\b(Bearer|Basic|Digest)\s+[^\s\"',;]+", re.IGNORECASE)
_ASSIGNED: Final = re.compile(
    r"((?:secret|token|passw(?:or)?d|authorization|signature|vin|\bimei)[\"']?\s*[=:]\s*[\"']?)"
    r"[^\s&\"',;}\])]+",
    re.IGNORECASE,
)
_IN_PATH: Final = re.compile(r"/e/[^/\s\"']+/v1/")
_RUN: Final = re.compile(r"[A-Za-z0-9_\-+]{40,}={0,2}")


def redact(value: Any, key: str = "", depth: int = 0) -> Any:
    """Return ``value`` as plain JSON data with everything that must not be written hidden.

    ``key`` is what it is filed under. What is neither text, number, list nor mapping becomes text,
    so that nothing slips through unseen.
    """
    if _names_secret(key) and value not in (None, "", True, False):
        return HIDDEN
    if value is None or isinstance(value, bool | int | float):
        return value
    if depth >= _DEPTH_LARGEST:
        return "…"
    if isinstance(value, dict):
        return {
            redact_text(str(name)): redact(held, str(name), depth + 1)
            for name, held in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [redact(held, "", depth + 1) for held in value]
    return redact_text(str(value))


def redact_text(text: str) -> str:
    """Return ``text`` with what looks like a token, a secret or a VIN hidden, and not too long."""
    text = text.encode("utf-8", "replace").decode()
    if len(text) > _TEXT_LARGEST:
        # The end of a traceback says what went wrong.
        text = "… " + text[-_TEXT_LARGEST:]
    text = _IN_PATH.sub(f"/e/{HIDDEN}/v1/", text)
    text = _SCHEME.sub(rf"\1 {HIDDEN}", text)
    text = _ASSIGNED.sub(rf"\1{HIDDEN}", text)
    text = _JWT.sub(HIDDEN, text)
    text = _PREFIXED.sub(HIDDEN, text)
    text = _RUN.sub(_hide_if_random, text)
    hidden: str = replace_vins(text, hide_vin)
    return hidden


def _names_secret(key: str) -> bool:
    """Tell whether a key is the name of a secret; words with blanks between them are no name."""
    return " " not in key and bool(_KEY.search(key)) and not _HARMLESS_KEY.search(key)


def _hide_if_random(found: re.Match[str]) -> str:
    """Hide a long run of characters unless it is plainly words or one kind of character."""
    word = found[0]
    kinds = sum(bool(re.search(kind, word)) for kind in ("[a-z]", "[A-Z]", "[0-9]"))
    is_hex = re.fullmatch(r"[0-9a-fA-F]+", word) is not None
    mixed = kinds > 2 and len(set(word)) >= _DISTINCT_IN_SECRET  # noqa: PLR2004 - all three kinds
    return HIDDEN if mixed or is_hex else word
