"""A transaction on one PostgreSQL connection: the SQL of the port, few and large statements."""

import hashlib
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias, cast

import psycopg
from psycopg.adapt import PyFormat, Transformer
from psycopg.pq import ExecStatus, Format
from psycopg.pq.abc import PGresult

from tellus.storage.database import Row
from tellus.storage.postgres_arrays import COLUMN_TYPES, ColumnType

Connection: TypeAlias = psycopg.Connection[Row]
Counted: TypeAlias = Callable[[int], object]

_Statement: TypeAlias = tuple[str, tuple[int, ...]]
"""Its text and the types of its parameters."""

_HEAD = re.compile(r"\s*INSERT\s+INTO\s+(\w+)(?:\s+AS\s+\w+)?\s*\(([^)]*)\)\s*\Z", re.IGNORECASE)
_PREPARED_MOST = 200
_STATEMENTS_MOST = 300
_SEEN_MOST = 1_000
_SELDOM = 2
_GOOD = frozenset({ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK})
_COLUMNS = (
    "SELECT attname, atttypid::int8 FROM pg_attribute"
    " WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped"
)


class _Insert(NamedTuple):
    """An insert of any number of rows: its table, and the types of its columns."""

    table: str
    head: str
    tail: str
    types: tuple[ColumnType, ...]


class _Later(NamedTuple):
    """Rows to be inserted, as arrays by column; ``counted`` is told how many changed."""

    insert: _Insert
    arrays: list[bytes]
    counted: Counted | None


class PostgresTx:
    """A transaction or a read snapshot, as the port describes it.

    Each step gives up the interpreter lock and may wait for it as long as the server takes. So what
    may be done later waits, and goes as one statement: where there is nothing else, that statement
    is the whole transaction.
    """

    __slots__ = (
        "_connection",
        "_inserts",
        "_later",
        "_names",
        "_opening",
        "_seen",
        "_statements",
        "locked",
    )

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._inserts: dict[tuple[str, str], _Insert] = {}
        self._names: dict[str, bytes] = {}
        self._statements: dict[_Statement, bytes] = {}
        self._seen: dict[_Statement, int] = {}
        self._opening: bytes | None = None
        self._later: list[_Later] = []
        self.locked: list[int] = []
        """The keys of the locks that were taken since the transaction began."""

    def open_later(self, opening: bytes) -> None:
        """Begin a transaction with its first statement."""
        self._opening = opening

    @property
    def is_opening(self) -> bool:
        """Tell whether the transaction is still to begin."""
        return self._opening is not None

    def forget(self) -> None:
        """Drop what was to be done later."""
        self._opening = None
        self._later.clear()

    def settle(self) -> None:
        """Do now what was to be done later."""
        if self._opening is not None:
            opening, self._opening = self._opening, None
            self.run(opening)
        if self._later:
            later = self._later[:]
            self._later.clear()
            self._insert_all(later)

    def _run_first(self, command: bytes) -> None:
        """Run a command that answers nothing, with the beginning of the transaction if need be."""
        if self._opening is not None and not self._later:
            opening, self._opening = self._opening, None
            self.run(opening + b";" + command)
        else:
            self.settle()
            self.run(command)

    def commit(self) -> bytes:
        """Do what was to be done later and end the transaction; return what the server did."""
        if self._opening is not None and self._later:
            later = self._later[:]
            self.forget()
            if len({one.insert.table for one in later}) == len(later):
                # One statement outside a transaction is one: its answer is that of its commit.
                self._insert_all(later)
                return b"COMMIT"
            self._later += later
            self.run(b"BEGIN")
        self.settle()
        return self.run(b"COMMIT")

    def run(self, command: bytes) -> bytes:
        """Run a command without parameters in the fewest steps; return what the server did."""
        return check(self._connection.pgconn.exec_(command)).command_status or b""

    def rows(self, sql: str, *parameters: Any) -> list[Row]:
        """Run one statement and return all its rows."""
        return self._loaded(self._statement(sql, parameters))

    def row(self, sql: str, *parameters: Any) -> Row | None:
        """Run one statement and return its first row, or None."""
        found = self._loaded(self._statement(sql, parameters))
        return found[0] if found else None

    def execute(self, sql: str, *parameters: Any) -> int:
        """Run one statement and return how many rows it changed."""
        return self._statement(sql, parameters).command_tuples or 0

    def insert_many(self, head: str, rows: Sequence[Sequence[Any]], tail: str = "") -> int:
        """Insert ``rows`` in one statement; return how many rows changed."""
        if not rows:
            return 0
        return self._insert(head, rows, tail).command_tuples or 0

    def insert_later(
        self,
        head: str,
        rows: Sequence[Sequence[Any]],
        tail: str = "",
        counted: Counted | None = None,
    ) -> None:
        """Insert ``rows`` with whatever comes next."""
        if rows:
            insert = self._find(head, tail)
            self._later.append(_Later(insert, _encode(insert, rows), counted))

    def insert_returning(self, head: str, rows: Sequence[Sequence[Any]], tail: str) -> list[Row]:
        """Insert ``rows`` in one statement; return the rows of ``RETURNING``."""
        if not rows:
            return []
        return self._loaded(self._insert(head, rows, tail))

    def lock(self, *aggregates: str) -> None:
        """Let no other transaction, of whatever process, decide about ``aggregates`` meanwhile."""
        keys = sorted({lock_key(aggregate) for aggregate in aggregates})
        if keys:
            self.locked += keys
            listed = ",".join(map(str, keys))
            sql = f"SELECT pg_advisory_xact_lock(k) FROM unnest('{{{listed}}}'::int8[]) AS k"
            self._run_first(sql.encode())

    def _statement(self, sql: str, parameters: Sequence[Any]) -> PGresult:
        """Run one statement; prepared once it has come often enough."""
        self.settle()
        pgconn = self._connection.pgconn
        sent = Transformer(self._connection)
        values = sent.dump_sequence(parameters, [PyFormat.AUTO] * len(parameters))
        types = sent.types or ()
        key = (sql, types)
        name = self._statements.get(key)
        if name is None and self._is_often(key):
            name = f"statement_{len(self._statements)}".encode()
            check(pgconn.prepare(name, sql.encode(), types))
            self._statements[key] = name
        if name is not None:
            # Its stub says that no value may be None; NULL is sent as just that.
            given = cast("Sequence[bytes]", values)
            return check(pgconn.exec_prepared(name, given, sent.formats, Format.BINARY))
        return check(pgconn.exec_params(sql.encode(), values, types, sent.formats, Format.BINARY))

    def _is_often(self, key: _Statement) -> bool:
        if len(self._statements) >= _STATEMENTS_MOST:
            return False
        if len(self._seen) >= _SEEN_MOST:
            self._seen.clear()
        self._seen[key] = times = self._seen.get(key, 0) + 1
        return times > _SELDOM

    def _loaded(self, result: PGresult) -> list[Row]:
        received = Transformer(self._connection)
        received.set_pgresult(result, set_loaders=True, format=Format.BINARY)
        return received.load_rows(0, result.ntuples, tuple)

    def _insert(self, head: str, rows: Sequence[Sequence[Any]], tail: str) -> PGresult:
        insert = self._find(head, tail)
        arrays = _encode(insert, rows)
        self.settle()
        source, types = _source(insert, 1)
        return self._prepared(f"{insert.head} {source} {insert.tail}", types, arrays)

    def _insert_all(self, later: Sequence[_Later]) -> None:
        """Insert into several tables with one statement, or with one each where a table recurs."""
        if len({one.insert.table for one in later}) < len(later):
            for one in later:
                self._insert_all([one])
            return
        if len(later) == 1:
            self._insert_alone(later[0])
            return
        parts, counts = [], []
        types: list[ColumnType] = []
        for number, (insert, _, counted) in enumerate(later):
            source, held = _source(insert, len(types) + 1)
            types += held
            told = "" if counted is None else " RETURNING 1"
            parts.append(f"part_{number} AS ({insert.head} {source} {insert.tail}{told})")
            if counted is not None:
                counts.append(f"(SELECT count(*) FROM part_{number})")
        sql = f"WITH {', '.join(parts)} SELECT {', '.join(counts) or '1'}"
        result = self._prepared(sql, types, [array for one in later for array in one.arrays])
        waiting = [one.counted for one in later if one.counted is not None]
        for column, counted in enumerate(waiting):
            counted(int.from_bytes(result.get_value(0, column) or b"", "big"))

    def _insert_alone(self, later: _Later) -> None:
        """Insert into one table: the server says how many rows, without a result to count."""
        insert, arrays, counted = later
        source, types = _source(insert, 1)
        changed = self._prepared(f"{insert.head} {source} {insert.tail}", types, arrays)
        if counted is not None:
            counted(changed.command_tuples or 0)

    def _prepared(self, sql: str, types: Sequence[ColumnType], arrays: Sequence[bytes]) -> PGresult:
        """Run a statement over arrays, prepared at its first time."""
        pgconn = self._connection.pgconn
        name = self._names.get(sql)
        if name is None:
            if len(self._names) >= _PREPARED_MOST:
                for held in self._names.values():
                    self.run(b"DEALLOCATE " + held)
                self._names.clear()
            name = f"insert_{len(self._names)}".encode()
            check(pgconn.prepare(name, sql.encode(), [kind.array_oid for kind in types]))
            self._names[sql] = name
        formats = [Format.BINARY] * len(arrays)
        return check(pgconn.exec_prepared(name, arrays, formats, Format.BINARY))

    def _find(self, head: str, tail: str) -> _Insert:
        """Return what is known of an insert; the types of its columns are asked for once."""
        insert = self._inserts.get((head, tail))
        if insert is not None:
            return insert
        match = _HEAD.match(head)
        if match is None:
            raise ValueError(f"Not the head of an insert: {head}")
        known = {name: COLUMN_TYPES[oid] for name, oid in self.rows(_COLUMNS, match[1])}
        names = [name.strip() for name in match[2].split(",")]
        unknown = sorted(set(names) - known.keys())
        if unknown:
            raise psycopg.errors.UndefinedColumn(f"{match[1]} has no columns {', '.join(unknown)}")
        insert = _Insert(match[1], head, tail, tuple(known[name] for name in names))
        self._inserts[head, tail] = insert
        return insert


def check(result: PGresult) -> PGresult:
    """Return ``result`` if it is a good one.

    Raises:
        psycopg.Error: it is not.
    """
    if result.status not in _GOOD:
        raise psycopg.errors.error_from_result(result, encoding="utf-8")
    return result


def _encode(insert: _Insert, rows: Sequence[Sequence[Any]]) -> list[bytes]:
    width = len(insert.types)
    if any(len(row) != width for row in rows):
        raise ValueError("All rows of one insert must have the same number of values")
    columns = zip(*rows, strict=True)
    return [kind.encode(values) for kind, values in zip(insert.types, columns, strict=True)]


def _source(insert: _Insert, first: int) -> tuple[str, list[ColumnType]]:
    """Return the SELECT that gives the rows, from parameters that begin with number ``first``."""
    arrays = [f"${first + k}::{kind.name}[]" for k, kind in enumerate(insert.types)]
    return f"SELECT * FROM unnest({', '.join(arrays)})", list(insert.types)


def lock_key(aggregate: str) -> int:
    """Return the 64-bit number that stands for ``aggregate`` among advisory locks, everywhere."""
    digest = hashlib.blake2b(aggregate.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)
