"""A transaction on one SQLite connection: the SQL of the port, few and large statements."""

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import Any

import apsw

from tellus.storage.database import Row

_LARGEST_INSERT_ROWS = 512
_ROUND_ROWS = 64
# apsw does not keep longer statements prepared; in these SQLite's 32,766 variables have no room.
_CACHED_CHARACTERS = 16_000
_REMEMBERED = 2_048

# Literals are matched to be left alone: '$1' in quotes is text.
_PARAMETER = re.compile(r"'[^']*'|\$(\d+)")

_numbered: dict[str, str] = {}
_inserts: dict[tuple[str, str, int, int], str] = {}


def number_parameters(sql: str) -> str:
    """Return ``sql`` with ``$1`` as ``?1``: SQLite binds the former by name, not by number."""
    known = _numbered.get(sql)
    if known is None:
        if len(_numbered) >= _REMEMBERED:
            _numbered.clear()
        known = _PARAMETER.sub(lambda match: f"?{match[1]}" if match[1] else match[0], sql)
        _numbered[sql] = known
    return known


class SQLiteTx:
    """A transaction or a read snapshot, as the port describes it."""

    __slots__ = ("_changes", "_execute")

    def __init__(self, connection: apsw.Connection) -> None:
        self._execute = connection.execute
        self._changes = connection.changes

    def rows(self, sql: str, *parameters: Any) -> list[Row]:
        """Run one statement and return all its rows."""
        return self._execute(number_parameters(sql), parameters).fetchall()

    def row(self, sql: str, *parameters: Any) -> Row | None:
        """Run one statement and return its first row, or None."""
        found = self._execute(number_parameters(sql), parameters).fetchall()
        return found[0] if found else None

    def execute(self, sql: str, *parameters: Any) -> int:
        """Run one statement and return how many rows it changed."""
        self._execute(number_parameters(sql), parameters).fetchall()
        return self._changes()

    def insert_many(self, head: str, rows: Sequence[Sequence[Any]], tail: str = "") -> int:
        """Insert ``rows`` in few statements; return how many rows changed."""
        changed = 0
        for sql, values in _insert_statements(head, rows, tail):
            self._execute(sql, values)
            changed += self._changes()
        return changed

    def insert_later(
        self,
        head: str,
        rows: Sequence[Sequence[Any]],
        tail: str = "",
        counted: Callable[[int], object] | None = None,
    ) -> None:
        """Insert ``rows`` at once: nothing is gained by waiting."""
        changed = self.insert_many(head, rows, tail)
        if counted is not None:
            counted(changed)

    def insert_returning(self, head: str, rows: Sequence[Sequence[Any]], tail: str) -> list[Row]:
        """Insert ``rows`` in few statements; return the rows of ``RETURNING``."""
        returned: list[Row] = []
        for sql, values in _insert_statements(head, rows, tail):
            returned += self._execute(sql, values).fetchall()
        return returned

    def lock(self, *aggregates: str) -> None:
        """Do nothing: one writer decides about everything, one transaction after the other."""


def _insert_statements(
    head: str, rows: Sequence[Sequence[Any]], tail: str
) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Cut ``rows`` into a multiple of 64 and a rest: one statement or two, of texts that recur.

    Each statement may wait for the interpreter lock, and each text that is new must be compiled:
    one statement of the very number of rows would save a step and be compiled nearly every time.
    """
    if not rows:
        return
    width = len(rows[0])
    fitting = (_CACHED_CHARACTERS - len(head) - len(tail)) // (2 * width + 2)
    largest = min(_LARGEST_INSERT_ROWS, fitting)
    largest = max(1, largest - largest % _ROUND_ROWS if largest > _ROUND_ROWS else largest)
    position, left = 0, len(rows)
    while left:
        size = min(largest, left - left % _ROUND_ROWS if left > _ROUND_ROWS else left)
        part = rows[position : position + size]
        values = tuple(chain.from_iterable(part))
        if len(values) != size * width:
            raise ValueError("All rows of one insert must have the same number of values")
        yield _insert_text(head, tail, size, width), values
        position += size
        left -= size


def _insert_text(head: str, tail: str, size: int, width: int) -> str:
    key = (head, tail, size, width)
    known = _inserts.get(key)
    if known is None:
        if len(_inserts) >= _REMEMBERED:
            _inserts.clear()
        one = f"({','.join('?' * width)})"
        known = f"{head} VALUES {','.join([one] * size)} {tail}"
        _inserts[key] = known
    return known
