"""Pages as the contract publishes them, and opaque cursors for those who read everything."""

import base64
from typing import Annotated, Any, Generic, TypeVar

import msgspec

from tellus.kernel.errors import InvalidParameter

Item = TypeVar("Item")

PAGE_LAST = 10**15
SIZE_LARGEST = 100

_INTEGERS = range(-(2**63), 2**63)

PageNumber = Annotated[int, msgspec.Meta(ge=1, le=PAGE_LAST)]
PageSize = Annotated[int, msgspec.Meta(ge=1, le=SIZE_LARGEST)]


class PageQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=False):
    """``page`` from 1 and ``size`` from 1 to 100."""

    page: PageNumber = 1
    size: PageSize = 20

    @property
    def offset(self) -> int:
        """Return how many items stand before this page."""
        return (self.page - 1) * self.size


class Page(msgspec.Struct, Generic[Item], frozen=True, omit_defaults=False):
    """One page of a list: ``total`` counts all that match, on this page or not."""

    total: int
    page: int
    size: int
    items: list[Item]
    next_cursor: str | msgspec.UnsetType = msgspec.UNSET


def write_cursor(*position: Any) -> str:
    """Return an opaque, URL-safe cursor for ``position`` (numbers and texts)."""
    return base64.urlsafe_b64encode(msgspec.json.encode(position)).rstrip(b"=").decode()


def read_cursor(text: str, *shape: type) -> tuple[Any, ...]:
    """Return the position a cursor was made of.

    Raises:
        InvalidParameter: it is not one of ours, or for another list.
    """
    try:
        raw = base64.urlsafe_b64decode(text.encode() + b"=" * (-len(text) % 4))
        position = msgspec.json.decode(raw)
        if [type(part) for part in position] == list(shape) and all(map(_is_storable, position)):
            return tuple(position)
    except (ValueError, TypeError, msgspec.DecodeError):
        pass
    message = "Parameter 'cursor' is not one of this list"
    raise InvalidParameter(message, "cursor", text)


def _is_storable(part: Any) -> bool:
    """Tell whether the store can be asked about ``part``: its integers have 64 bits."""
    return not isinstance(part, int) or part in _INTEGERS
