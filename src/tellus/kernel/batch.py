"""Batches of uploads: items are judged one by one, a bad one is rejected alone (rule U5)."""

from typing import Annotated, Any

import msgspec

from tellus.kernel.errors import ApiError, PayloadTooLarge

BATCH_ITEMS = 500
ITEM_BYTES = 64 * 1024
"""The most an item may take: what the single upload of its kind takes, or one would evade it."""


class BatchRequest(msgspec.Struct, frozen=True):
    """Up to 500 items of the kind the path names, each in the shape of the single upload."""

    items: Annotated[list[msgspec.Raw], msgspec.Meta(max_length=BATCH_ITEMS)]


class BatchItem(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of one item: ``stored``, ``duplicate`` or ``rejected`` (then with the reason)."""

    outcome: str
    code: int | msgspec.UnsetType = msgspec.UNSET
    message: str | msgspec.UnsetType = msgspec.UNSET
    details: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET


class BatchResponse(msgspec.Struct, frozen=True):
    """One outcome per item, in the order of the request."""

    items: list[BatchItem]


STORED = BatchItem("stored")
DUPLICATE = BatchItem("duplicate")


def rejected(error: ApiError) -> BatchItem:
    """Return the outcome of an item that failed with ``error``."""
    return BatchItem("rejected", error.code, error.message, error.details or msgspec.UNSET)


def read_item(item: msgspec.Raw) -> bytes:
    """Return an item as it was sent.

    Raises:
        PayloadTooLarge: it is larger than the single upload may be.
    """
    raw = bytes(item)
    if len(raw) > ITEM_BYTES:
        raise PayloadTooLarge(ITEM_BYTES)
    return raw
