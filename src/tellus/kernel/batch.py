"""Batches of uploads: items are judged one by one, a bad one is rejected alone (rule U5)."""

from typing import Annotated, Any

import msgspec

from tellus.kernel.errors import ApiError

BATCH_ITEMS = 500


class BatchRequest(msgspec.Struct, frozen=True):
    """1 to 500 items of the kind the path names, each in the shape of the single upload."""

    items: Annotated[list[msgspec.Raw], msgspec.Meta(min_length=1, max_length=BATCH_ITEMS)]


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
