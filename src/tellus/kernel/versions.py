"""Firmware versions: two schemes, each with its order, and none between them (rule C18).

Semantic versions (``3.1.0``, ``3.2.0-rc.1``) are ordered by Semantic Versioning 2.0.0, section 11.
Platform builds are dated (``260420.0107``: a date and a number) and ordered as they read.
"""

import enum
import re
from typing import Final, NamedTuple

_SEMANTIC: Final = re.compile(
    r"(\d{1,9})\.(\d{1,9})\.(\d{1,9})(?:-([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?(?:\+[0-9A-Za-z.-]+)?"
)
_DATED: Final = re.compile(r"(\d{6})\.(\d{4})")
_MINORS_BEHIND: Final = 3
_RELEASED: Final = 1
_PRE_RELEASE: Final = 0


class Scheme(enum.StrEnum):
    """How a version is written."""

    SEMANTIC = "semantic"
    DATED = "dated"


class Order(enum.Enum):
    """How one version stands to another."""

    OLDER = "older"
    SAME = "same"
    NEWER = "newer"
    INCOMPARABLE = "incomparable"


Part = tuple[int, int, str]
"""An identifier of a pre-release: numbers (0, n, "") go before texts (1, 0, text)."""


class Version(NamedTuple):
    """A version as its scheme orders it: by ``numbers``, then released after any pre-release."""

    scheme: Scheme
    numbers: tuple[int, ...]
    released: int = _RELEASED
    pre_release: tuple[Part, ...] = ()


def parse_version(text: str) -> Version | None:
    """Return what a version says, None where it is of neither scheme."""
    dated = _DATED.fullmatch(text)
    if dated is not None:
        return Version(Scheme.DATED, (int(dated[1]), int(dated[2])))
    semantic = _SEMANTIC.fullmatch(text)
    if semantic is None or not text.isascii():
        return None
    numbers = (int(semantic[1]), int(semantic[2]), int(semantic[3]))
    if semantic[4] is None:
        return Version(Scheme.SEMANTIC, numbers)
    parts = tuple(_part(part) for part in semantic[4].split("."))
    return Version(Scheme.SEMANTIC, numbers, _PRE_RELEASE, parts)


def compare_versions(first: str, second: str) -> Order:
    """Tell how ``first`` stands to ``second``; only versions of one scheme can be compared.

    A text of neither scheme is comparable with nothing, but is the same as itself.
    """
    if first == second:
        return Order.SAME
    one, other = parse_version(first), parse_version(second)
    if one is None or other is None or one.scheme is not other.scheme:
        return Order.INCOMPARABLE
    if one == other:
        return Order.SAME
    return Order.OLDER if one[1:] < other[1:] else Order.NEWER


def is_at_least(version: str, gate: str) -> bool:
    """Tell whether a version is known to have reached a gate; what is unknown is below it."""
    return compare_versions(version, gate) in {Order.SAME, Order.NEWER}


def is_more_than_two_minors_behind(version: str, latest: str) -> bool:
    """Tell whether a semantic version has a lower major, or a minor three or more below.

    False where the two cannot be told apart that way: another scheme, or a dated one.
    """
    one, other = parse_version(version), parse_version(latest)
    if one is None or other is None or {one.scheme, other.scheme} != {Scheme.SEMANTIC}:
        return False
    if one.numbers[0] != other.numbers[0]:
        return one.numbers[0] < other.numbers[0]
    return other.numbers[1] - one.numbers[1] >= _MINORS_BEHIND


def sort_key(text: str) -> tuple[str, tuple[int, ...], int, tuple[Part, ...], str]:
    """Return what lists are sorted by: scheme, then order; what is of no scheme comes first."""
    version = parse_version(text)
    if version is None:
        return ("", (), _PRE_RELEASE, (), text)
    return (version.scheme.value, *version[1:], text)


def _part(text: str) -> Part:
    return (0, int(text), "") if text.isdecimal() else (1, 0, text)
