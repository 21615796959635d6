"""Moving a whole store to another database, table by table, and proof that nothing changed.

What is moved is told by the schema of the source. Both sides spell a row in the same bytes, which
are those of PostgreSQL's binary COPY, and add up a digest of each: sums do not depend on an order.
The target keeps nothing before all sums are equal.
"""

import hashlib
import struct
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, NamedTuple, Protocol

from tellus.storage.database import Row
from tellus.storage.refusals import StorageRefused

OWN_TABLES: Final = frozenset({"schema_migrations", "nodes", "leases", "changes"})
"""What each database keeps about itself and about the processes that use it."""

_DIGEST_BYTES: Final = 16
_MODULUS: Final = 1 << 8 * _DIGEST_BYTES
_TOLD_EVERY_ROWS: Final = 5_000
_COUNT = struct.Struct("!h").pack
_LENGTH = struct.Struct("!i").pack
_INTEGER = struct.Struct("!iq").pack
_REAL = struct.Struct("!id").pack
_NULL: Final = _LENGTH(-1)

Told = Callable[[int], object]
"""Hears how many rows have been copied or read back since the last time."""


class Table(NamedTuple):
    """A table and its columns, in the order in which they are read and written."""

    name: str
    columns: tuple[str, ...]


class Pieces(NamedTuple):
    """A table lies in pieces by the instants (ms) in ``column``; each is ``width_ms`` wide."""

    column: str
    width_ms: int


class Sum(NamedTuple):
    """How many rows there are, and the sum of their digests."""

    rows: int
    checksum: str


class MovedTable(NamedTuple):
    """A table that is the same on both sides."""

    name: str
    rows: int
    checksum: str


class MoveFailed(StorageRefused):
    """The store was not moved; the target holds what it held before."""


class Source(Protocol):
    """A store that nobody writes to."""

    def list_tables(self) -> list[Table]:
        """Return all tables with their columns."""
        ...

    def count(self, table: Table) -> int:
        """Return how many rows a table has."""
        ...

    def read(self, table: Table) -> Iterable[Row]:
        """Return the rows of a table, one after the other."""
        ...

    def list_periods(self, table: Table, pieces: Pieces) -> list[int]:
        """Return the beginnings (ms) of all periods of that width in which a table has rows."""
        ...


class Target(Protocol):
    """A store in one transaction; what is copied is there at ``commit``, all of it or nothing."""

    def list_tables(self) -> list[Table]:
        """Return all tables with their columns."""
        ...

    def has_rows(self, table: Table) -> bool:
        """Tell whether a table holds anything."""
        ...

    def find_pieces(self, table: Table) -> Pieces | None:
        """Return how a table lies in pieces that stay for long, None where it does not."""
        ...

    def make_pieces(self, table: Table, starts_ms: Iterable[int]) -> None:
        """Make the pieces that begin at these instants (ms), as far as they make sense."""
        ...

    def copy(self, table: Table, rows: Iterable[bytes]) -> None:
        """Write rows that are spelt in bytes."""
        ...

    def read_back(self, table: Table) -> Iterator[bytes]:
        """Return the rows of a table, spelt in bytes."""
        ...

    def commit(self) -> None:
        """Let numbering go on behind what was copied, and keep everything."""
        ...


class Totaller:
    """Adds up digests of rows."""

    def __init__(self, told: Told) -> None:
        self._told = told
        self._rows = 0
        self._sum = 0

    def follow(self, rows: Iterable[bytes]) -> Iterator[bytes]:
        """Pass ``rows`` on, and add them up."""
        digest = hashlib.blake2b
        decode = int.from_bytes
        rows_told = 0
        for row in rows:
            self._rows += 1
            self._sum += decode(digest(row, digest_size=_DIGEST_BYTES).digest(), "big")
            if self._rows - rows_told == _TOLD_EVERY_ROWS:
                self._told(_TOLD_EVERY_ROWS)
                rows_told = self._rows
            yield row
        self._told(self._rows - rows_told)

    def total(self) -> Sum:
        """Return what was added up."""
        return Sum(self._rows, f"{self._sum % _MODULUS:0{2 * _DIGEST_BYTES}x}")


def find_moved(source: Source, target: Target) -> list[Table]:
    """Return the tables to be moved.

    Raises:
        MoveFailed: the target holds something already, or has other tables or columns.
    """
    known = {table.name: table for table in target.list_tables()}
    moved = [table for table in source.list_tables() if table.name not in OWN_TABLES]
    for table in moved:
        there = known.get(table.name)
        if there is None or sorted(there.columns) != sorted(table.columns):
            raise MoveFailed(f"The table {table.name} is another one in the target")
    held = [table.name for table in moved if target.has_rows(table)]
    if held:
        raise MoveFailed(
            f"The target is not empty: there are rows in {', '.join(held)}. Name a fresh database"
        )
    return moved


def move_store(
    source: Source, target: Target, tables: Iterable[Table], told: Told
) -> list[MovedTable]:
    """Copy ``tables``, compare both sides and commit; each row is told twice.

    Raises:
        MoveFailed: what the target holds is not what the source holds.
    """
    moved = []
    for table in tables:
        pieces = target.find_pieces(table)
        if pieces is not None:
            target.make_pieces(table, source.list_periods(table, pieces))
        sent, found = Totaller(told), Totaller(told)
        target.copy(table, sent.follow(map(spell_row, source.read(table))))
        for _ in found.follow(target.read_back(table)):
            pass
        if sent.total() != found.total():
            raise MoveFailed(
                f"The copy of {table.name} differs: {_words(sent.total())} were read,"
                f" {_words(found.total())} are in the target. Nothing was kept of it"
            )
        moved.append(MovedTable(table.name, *found.total()))
    target.commit()
    return moved


def spell_row(row: Row) -> bytes:
    """Return a row in the bytes of PostgreSQL's binary COPY."""
    parts = [_COUNT(len(row))]
    for value in row:
        if value is None:
            parts.append(_NULL)
        elif type(value) is int:
            parts.append(_INTEGER(8, value))
        elif type(value) is float:
            parts.append(_REAL(8, value))
        else:
            content = _content(value)
            parts += (_LENGTH(len(content)), content)
    return b"".join(parts)


def _content(value: Any) -> bytes:
    return value.encode() if isinstance(value, str) else bytes(value)


def _words(total: Sum) -> str:
    return f"{total.rows} rows with checksum {total.checksum}"
