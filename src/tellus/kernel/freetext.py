"""Texts that people write, in which the number of a vehicle may stand and must not be stored."""

from typing import Any, Final

import msgspec

from tellus.kernel.vins import replace_vins

FREE_TEXTS: Final = frozenset(
    {
        "Note", "address", "answered_by", "customer", "evidence", "granted_by", "make", "name",
        "note", "notes", "params", "reason", "values", "vehicle", "withdrawn_reason",
    }
)  # fmt: skip
"""Fields whose value, with all that is in it, is for people: no identifier, secret or address."""


def mask_body(body: bytes) -> bytes:
    """Return a JSON ``body`` with the VINs in its free texts masked, or itself if there are none.

    ``body`` has been found to be valid.
    """
    plain = msgspec.json.decode(body)
    masked = _mask(plain)
    return body if masked == plain else msgspec.json.encode(masked)


def _mask(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            name: replace_vins(held) if name in FREE_TEXTS else _mask(held)
            for name, held in value.items()
        }
    if isinstance(value, list):
        return [_mask(one) if isinstance(one, dict | list) else one for one in value]
    return value
