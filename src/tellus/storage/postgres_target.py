"""A PostgreSQL database as the target of a move: one transaction, kept whole or not at all."""

from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Final, Self

import psycopg

from tellus.kernel.clock import Clock
from tellus.kernel.units import DAY_MS
from tellus.storage.migrate import load_migrations
from tellus.storage.moving import MoveFailed, Pieces, Table
from tellus.storage.postgres_connection import (
    Address,
    DatabaseUnreachable,
    connect,
    require_durable,
)
from tellus.storage.postgres_partitions import PARTITIONED, make_pieces
from tellus.storage.postgres_schema import SCHEMA_LOCK, migrate
from tellus.storage.postgres_tx import Connection, PostgresTx

_SIGNATURE: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TRAILER: Final = b"\xff\xff"
_BLOCK_BYTES: Final = 1 << 18
_PIECES_BACK_MS: Final = 10 * 365 * DAY_MS
_PATIENCE: Final = "SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0"
_COLUMNS: Final = (
    "SELECT c.relname::text, array_agg(a.attname::text ORDER BY a.attnum)"
    " FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid"
    " WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p')"
    " AND NOT c.relispartition AND a.attnum > 0 AND NOT a.attisdropped GROUP BY c.relname"
)
_NUMBERED: Final = (
    "SELECT c.relname::text, a.attname::text FROM pg_class c"
    " JOIN pg_attribute a ON a.attrelid = c.oid"
    " WHERE c.relnamespace = current_schema()::regnamespace AND a.attidentity <> ''"
)
_TRIGGERED: Final = (
    "SELECT DISTINCT t.tgrelid::regclass::text FROM pg_trigger t"
    " JOIN pg_class c ON c.oid = t.tgrelid"
    " WHERE NOT t.tgisinternal AND c.relnamespace = current_schema()::regnamespace"
)
_INDEXES: Final = (
    "SELECT i.indexrelid::regclass::text,"
    " replace(pg_get_indexdef(i.indexrelid), ' ON ONLY ', ' ON ')"
    " FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid"
    " WHERE c.relnamespace = current_schema()::regnamespace AND NOT c.relispartition"
    " AND NOT EXISTS (SELECT 1 FROM pg_constraint k WHERE k.conindid = i.indexrelid)"
)


class PostgresTarget:
    """The database at ``url``, with the schema of this release.

    A node that is started on it meanwhile waits for the end.

    Raises:
        StorageRefused: from ``with``: it cannot be reached, or not be used.
    """

    def __init__(self, url: str, clock: Clock) -> None:
        self._address = Address(url, "tellus migrate-store")
        self._clock = clock
        self._connection: Connection
        self._triggered: list[str] = []
        self._indexes: list[str] = []

    def __enter__(self) -> Self:
        try:
            self._connection = connect(self._address)
        except psycopg.OperationalError as error:
            raise DatabaseUnreachable(
                f"PostgreSQL cannot be used ({self._address}): {str(error).strip()}"
            ) from None
        try:
            require_durable(self._connection)
            migrate(self._connection, load_migrations(dialect="postgres"), self._clock)
            self._begin()
        except BaseException:
            self._connection.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._connection.close()  # what was not committed is gone

    def list_tables(self) -> list[Table]:
        """Return all tables with their columns."""
        rows = self._connection.execute(_COLUMNS).fetchall()
        return [Table(name, tuple(columns)) for name, columns in rows]

    def has_rows(self, table: Table) -> bool:
        """Tell whether a table holds anything."""
        found = self._connection.execute(f"SELECT 1 FROM {table.name} LIMIT 1".encode())
        return found.fetchone() is not None

    def find_pieces(self, table: Table) -> Pieces | None:
        """Return how a table lies in pieces that stay for long, None where it does not."""
        for kept in PARTITIONED:
            if kept.table == table.name and not kept.drops_empty:
                return Pieces(kept.column, kept.days * DAY_MS)
        return None

    def make_pieces(self, table: Table, starts_ms: Iterable[int]) -> None:
        """Make the pieces that begin at these instants; clocks that were far off get none."""
        now_ms = self._clock.now_ms()
        sensible = [one for one in starts_ms if now_ms - _PIECES_BACK_MS < one <= now_ms]
        make_pieces(PostgresTx(self._connection), table.name, sensible)

    def copy(self, table: Table, rows: Iterable[bytes]) -> None:
        """Write rows that are spelt in bytes.

        Raises:
            MoveFailed: PostgreSQL does not take one of them.
        """
        place = f"{table.name} ({', '.join(table.columns)})"
        command = f"COPY {place} FROM STDIN (FORMAT binary)".encode()
        block = bytearray(_SIGNATURE)
        try:
            with self._connection.cursor().copy(command) as copy:
                for row in rows:
                    block += row
                    if len(block) > _BLOCK_BYTES:
                        copy.write(bytes(block))
                        block.clear()
                copy.write(bytes(block + _TRAILER))
        except psycopg.Error as error:
            raise MoveFailed(f"PostgreSQL refuses a row of {table.name}: {error}") from None

    def read_back(self, table: Table) -> Iterator[bytes]:
        """Return the rows of a table, spelt in bytes; the server sends each by itself."""
        # A query, because a table in pieces cannot be copied out by its name.
        query = f"SELECT {', '.join(table.columns)} FROM {table.name}"
        command = f"COPY ({query}) TO STDOUT (FORMAT binary)".encode()
        with self._connection.cursor().copy(command) as copy:
            first = True
            for block in copy:
                row = bytes(block)
                if first:
                    row, first = row.removeprefix(_SIGNATURE), False
                if row and row != _TRAILER:
                    yield row

    def commit(self) -> None:
        """Let numbering go on behind what was copied, build the indexes, and keep everything."""
        for table, column in self._connection.execute(_NUMBERED).fetchall():
            self._connection.execute(
                f"SELECT setval(pg_get_serial_sequence('{table}', '{column}'),"
                f" COALESCE(MAX({column}), 1), MAX({column}) IS NOT NULL) FROM {table}".encode()
            )
        for definition in self._indexes:
            self._connection.execute(definition.encode())
        for table in self._triggered:
            self._connection.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER".encode())
        self._connection.execute("COMMIT")
        self._connection.execute("SET statement_timeout = 0")
        self._connection.execute("ANALYZE")

    def _begin(self) -> None:
        self._connection.execute("BEGIN")
        self._connection.execute(_PATIENCE)
        PostgresTx(self._connection).lock(SCHEMA_LOCK)
        # What is copied is no change that anybody is to hear of.
        self._triggered = [row[0] for row in self._connection.execute(_TRIGGERED).fetchall()]
        for table in self._triggered:
            self._connection.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER".encode())
        # To build an index of all rows at once is several times quicker than row by row.
        for index, definition in self._connection.execute(_INDEXES).fetchall():
            self._connection.execute(f"DROP INDEX {index}".encode())
            self._indexes.append(definition)
