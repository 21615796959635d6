"""Texts that people write, in which the number of a vehicle may stand and must not be stored."""

from typing import Any, Final

import msgspec

from tellus.kernel.errors import InvalidParameter
from tellus.kernel.vins import replace_vins

FREE_TEXTS: Final = frozenset(
    {
        "Note", "address", "answer", "answered_by", "customer", "evidence", "granted_by", "make",
        "name", "note", "notes", "params", "reason", "values", "vehicle", "withdrawn_reason",
    }
)  # fmt: skip
"""Fields whose value, with all that is in it, is for people: no identifier, secret or address."""

_NESTED: Final = (dict, list)
_VIN_CHARACTERS: Final = 17


def mask_body(body: bytes) -> bytes:
    """Return a JSON ``body`` with the VINs in its free texts masked, or itself if there are none.

    ``body`` has been found to be valid.

    Raises:
        InvalidParameter: a property that nobody knows, and nobody looked at, has a number that is
            out of range.
    """
    try:
        plain = msgspec.json.decode(body)
    except msgspec.ValidationError:
        raise InvalidParameter("The body has a number that is out of range", "body") from None
    masked = _mask(plain)
    return body if masked == plain else msgspec.json.encode(masked)


def _mask(value: Any) -> Any:
    """Return ``value`` with its free texts masked; lists of plain values are not looked through."""
    if isinstance(value, dict):
        return {
            name: _mask_all(held) if name in FREE_TEXTS else _mask(held)
            for name, held in value.items()
        }
    if isinstance(value, list) and any(isinstance(one, _NESTED) for one in value):
        return [_mask(one) for one in value]
    return value


def _mask_all(value: Any) -> Any:
    """Return ``value`` with all texts and names in it masked; most are too short to hold any."""
    if isinstance(value, str):
        return replace_vins(value) if len(value) >= _VIN_CHARACTERS else value
    if isinstance(value, dict):
        return {_mask_all(name): _mask_all(held) for name, held in value.items()}
    if isinstance(value, list):
        return [_mask_all(one) for one in value]
    return value
