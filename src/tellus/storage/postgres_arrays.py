"""Columns of values as PostgreSQL's binary arrays, for ``unnest``.

One array per column makes an insert of any number of rows one and the same statement, which stays
prepared. The layout is that of PostgreSQL's ``array_recv``: number of dimensions, whether there are
nulls, type of the elements, length, lower bound; then each element behind its length in bytes, a
null being a length of -1.
"""

import struct
from collections.abc import Callable, Sequence
from functools import cache
from itertools import chain, repeat
from typing import Any, Final, NamedTuple

_HEAD: Final = struct.Struct("!iiIii")
_LENGTH: Final = struct.Struct("!i").pack
_NULL: Final = _LENGTH(-1)


Encode = Callable[[Sequence[Any]], bytes]


class ColumnType(NamedTuple):
    """A type of columns: its name, the type of its arrays, and how a column of values is sent."""

    name: str
    array_oid: int
    encode: Encode


def _encode_int8(values: Sequence[Any]) -> bytes:
    if None in values:
        return _with_nulls(20, values, struct.Struct("!q").pack)
    pairs = chain.from_iterable(zip(repeat(8), values, strict=False))
    return _head(20, len(values)) + _packing("iq", len(values)).pack(*pairs)


def _encode_float8(values: Sequence[Any]) -> bytes:
    if None in values:
        return _with_nulls(701, values, struct.Struct("!d").pack)
    pairs = chain.from_iterable(zip(repeat(8), values, strict=False))
    return _head(701, len(values)) + _packing("id", len(values)).pack(*pairs)


def _encode_text(values: Sequence[Any]) -> bytes:
    if None in values:
        return _with_nulls(25, values, str.encode)
    return _joined(25, [value.encode() for value in values])


def _encode_bytea(values: Sequence[Any]) -> bytes:
    if None in values:
        return _with_nulls(17, values, bytes)
    return _joined(17, values)


def _joined(oid: int, elements: Sequence[bytes]) -> bytes:
    lengths = map(_LENGTH, map(len, elements))
    pieces = chain.from_iterable(zip(lengths, elements, strict=True))
    return _head(oid, len(elements)) + b"".join(pieces)


def _with_nulls(oid: int, values: Sequence[Any], encode: Callable[[Any], bytes]) -> bytes:
    pieces = [_HEAD.pack(1, 1, oid, len(values), 1)]
    for value in values:
        if value is None:
            pieces.append(_NULL)
        else:
            content = encode(value)
            pieces += (_LENGTH(len(content)), content)
    return b"".join(pieces)


def _head(oid: int, count: int) -> bytes:
    return _HEAD.pack(1, 0, oid, count, 1)


@cache
def _packing(element: str, count: int) -> struct.Struct:
    return struct.Struct("!" + element * count)


COLUMN_TYPES: Final[dict[int, ColumnType]] = {
    20: ColumnType("int8", 1016, _encode_int8),
    701: ColumnType("float8", 1022, _encode_float8),
    25: ColumnType("text", 1009, _encode_text),
    17: ColumnType("bytea", 1001, _encode_bytea),
}
"""By the number that PostgreSQL gives the type: the types that migrations may use."""
