"""Vehicle identification numbers: how they are recognised, and what may be shown of them.

The shape is that of ISO 3779: 17 characters, letters without I, O and Q, and digits. A number is
personal data, so what looks like one is treated like one.
"""

import re
from collections.abc import Callable
from typing import Any

# Both a letter and a digit: words and plain numbers of 17 characters are none.
_SHAPE = re.compile(
    r"(?<![A-Za-z0-9])(?=\d*[A-Za-z])(?=[A-Za-z]*\d)[A-HJ-NPR-Za-hj-npr-z0-9]{17}(?![A-Za-z0-9])"
)
_SHOWN_FIRST = 3
_SHOWN_LAST = 4


def find_vin(text: str) -> str | None:
    """Return the first thing in ``text`` that has the shape of a VIN, or None."""
    found = _SHAPE.search(text)
    return found[0] if found else None


def mask_vin(vin: str) -> str:
    """Return ``vin`` with stars for all but its first 3 and last 4 characters.

    The first three name the maker and the last four are what people compare; a text too short to
    hide anything that way is stars altogether.
    """
    hidden = len(vin) - _SHOWN_FIRST - _SHOWN_LAST
    if hidden < _SHOWN_FIRST + _SHOWN_LAST:
        return hide_vin(vin)
    return vin[:_SHOWN_FIRST] + "*" * hidden + vin[-_SHOWN_LAST:]


def hide_vin(vin: str) -> str:
    """Return as many stars as ``vin`` has characters."""
    return "*" * len(vin)


def replace_vins(value: Any, replace: Callable[[str], str] = mask_vin) -> Any:
    """Return a JSON ``value`` with ``replace`` applied to all VINs in its texts and keys."""
    if isinstance(value, str):
        return _SHAPE.sub(lambda found: replace(found[0]), value)
    if isinstance(value, dict):
        return {replace_vins(k, replace): replace_vins(v, replace) for k, v in value.items()}
    if isinstance(value, list):
        return [replace_vins(item, replace) for item in value]
    return value
