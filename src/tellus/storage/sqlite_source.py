"""A SQLite store as the source of a move: locked, and read table by table."""

from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import apsw

from tellus.storage.database import Row
from tellus.storage.moving import Pieces, Table
from tellus.storage.sqlite_connection import Location, ProcessLock, open_reader


class SQLiteSource:
    """The store in the file ``path``, which must exist and be up to date.

    Raises:
        DatabaseInUse: from ``with``: a platform runs on it.
    """

    def __init__(self, path: Path) -> None:
        self._lock = ProcessLock(path)
        self._location = Location(path)
        self._connection: apsw.Connection

    def __enter__(self) -> Self:
        self._lock.acquire()
        try:
            self._connection = open_reader(self._location)
            self._connection.execute("BEGIN")
        except BaseException:
            self._lock.release()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._connection.close(force=True)
        self._lock.release()

    def list_tables(self) -> list[Table]:
        """Return all tables with their columns."""
        rows = self._connection.execute(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%'"
            " ESCAPE '\\' ORDER BY name"
        ).fetchall()
        names = [str(name) for (name,) in rows]
        return [Table(name, self._list_columns(name)) for name in names]

    def count(self, table: Table) -> int:
        """Return how many rows a table has."""
        rows: list[Any] = self._connection.execute(f"SELECT count(*) FROM {table.name}").fetchall()
        return int(rows[0][0])

    def read(self, table: Table) -> Iterable[Row]:
        """Return the rows of a table, in the order of its key."""
        return self._connection.execute(f"SELECT {', '.join(table.columns)} FROM {table.name}")

    def list_periods(self, table: Table, pieces: Pieces) -> list[int]:
        """Return the beginnings (ms) of all periods of that width in which a table has rows."""
        column, width_ms = pieces
        rows = self._connection.execute(f"SELECT DISTINCT {column} / {width_ms} FROM {table.name}")
        return sorted(period * width_ms for (period,) in rows)

    def _list_columns(self, table: str) -> tuple[str, ...]:
        rows = self._connection.execute("SELECT name FROM pragma_table_info(?)", (table,))
        return tuple(str(name) for (name,) in rows)
