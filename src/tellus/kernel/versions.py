"""Firmware versions: two schemes side by side, each ordered within itself only.

Semantic (``3.0.2``, ``4.1.0-rc1``) and dated (``260420.0107``: YYMMDD.build).
"""

import re
from typing import NamedTuple

_DATED = re.compile(r"(\d{6})\.(\d{1,6})")
_SEMANTIC = re.compile(r"[vV]?(\d{1,6})\.(\d{1,6})(?:\.(\d{1,6}))?(?:[-+.]?([0-9A-Za-z.\-+]*))?")


class Version(NamedTuple):
    """A parsed version: ``scheme`` is ``semantic``, ``dated`` or ``unknown``; ``key`` orders."""

    scheme: str
    key: tuple[int, ...]
    text: str


def parse_version(text: str) -> Version:
    """Return the version ``text`` stands for; what fits no scheme is ``unknown``."""
    dated = _DATED.fullmatch(text)
    if dated:
        return Version("dated", (int(dated[1]), int(dated[2])), text)
    semantic = _SEMANTIC.fullmatch(text)
    if semantic:
        released = 0 if semantic[4] else 1
        key = (int(semantic[1]), int(semantic[2]), int(semantic[3] or 0), released)
        return Version("semantic", key, text)
    return Version("unknown", (), text)


def compare_versions(left: str, right: str) -> int | None:
    """Return -1, 0 or 1, or None where the two are not of one scheme and cannot be ordered."""
    a, b = parse_version(left), parse_version(right)
    if a.scheme != b.scheme or a.scheme == "unknown":
        return 0 if left == right else None
    return (a.key > b.key) - (a.key < b.key)
