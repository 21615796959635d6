"""A list as a table for files: named columns, and rows that come page by page."""

import enum
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from typing import Any, Final, Generic, NamedTuple, TypeVar

import msgspec

Item = TypeVar("Item")

PAGE_ROWS = 5_000
"""How many rows are read in one go: no transaction stays open while a client takes them."""

_FORMULAS: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_GUARD: Final = "'"

Cell = str | int | float | None
Row = Sequence[Cell]


class Kind(enum.Enum):
    """What the cells of a column hold, beside None; times are ms since 1970 UTC."""

    TEXT = "text"
    INTEGER = "integer"
    NUMBER = "number"
    TIME = "time"


class Column(NamedTuple):
    """A column of a table."""

    name: str
    kind: Kind = Kind.TEXT


class Table(msgspec.Struct, Generic[Item], frozen=True):
    """A whole list, whatever its length.

    ``pages`` yields some items at a time, each page read when it is asked for. ``to_rows`` gives
    the rows of one item, with a cell for each column in their order; it may run on any thread.
    ``name`` is that of the file, without an ending.
    """

    name: str
    columns: tuple[Column, ...]
    pages: AsyncGenerator[Sequence[Any], None]
    to_rows: Callable[[Any], Iterable[Row]]


def guard_formula(text: str) -> str:
    """Return text with an apostrophe in front where a spreadsheet would take it for a formula.

    Also where it begins with the full-width form of a sign: what chargers send is not trusted.
    """
    return _GUARD + text if text.startswith(_FORMULAS) else text
