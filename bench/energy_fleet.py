"""A year of a large fleet's energy, written straight into the tables of sums.

No session, sample or record stands behind it, which is what makes it quick: it is there to measure
how sums are read, not how they come about. Sites agree with their operator, and hours with days.
"""

import contextlib
import random
from array import array
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import apsw
import psycopg

from tellus.energy.store_sums import pack_minutes
from tellus.kernel.units import DAY_MS, HOUR_MS

SITES = 100
DEVICES = 1_000
START_MS = 1_735_689_600_000  # 2025-01-01T00:00Z
HOURS = 365 * 24
FINE_SITES = 10
"""Of so many sites the minutes are there too: those of which a subset is asked."""

_KINDS = 24
_QUARTER_NKWH = 40_000_000_000

_TABLES = {
    "energy_hours": (
        "scope_id",
        "hour_ms",
        *(f"{name}_{k}" for name in ("charge", "discharge", "peak") for k in range(4)),
    ),
    "energy_days": ("scope_id", "day_ms", "charge", "discharge", "peak"),
    "energy_minutes": ("scope_id", "hour_ms", "content"),
    "sites": ("site_id", "operator_id", "name", "timezone", "region", "active", "created_ms"),
}

Hour = tuple[int, ...]
"""Charge, discharge and peak of the four quarters of an hour (nano-kWh)."""


class Fleet(NamedTuple):
    """Whose year it is."""

    operator_id: str
    site_ids: list[str]

    @property
    def scopes(self) -> list[str]:
        """Return the operator and the sites."""
        return [self.operator_id, *self.site_ids]


class Writer(Protocol):
    """A store that rows are poured into."""

    def ask(self, sql: str) -> list[Any]:
        """Return the rows of a query."""
        ...

    def pour(self, table: str, rows: Iterable[Sequence[Any]]) -> None:
        """Append rows to a table, the columns as in ``_TABLES``."""
        ...


class SQLiteWriter:
    """Writes to a file that no server has open."""

    def __init__(self, data_dir: Path) -> None:
        self._store = apsw.Connection(str(data_dir / "tellus.db"))

    def ask(self, sql: str) -> list[Any]:
        """Return the rows of a query."""
        return self._store.execute(sql).fetchall()

    def pour(self, table: str, rows: Iterable[Sequence[Any]]) -> None:
        """Append rows to a table."""
        columns = _TABLES[table]
        places = ", ".join("?" * len(columns))
        with self._store:
            self._store.executemany(
                f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({places})", rows
            )

    def close(self) -> None:
        """Put everything into the file, and let go of it."""
        self._store.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        self._store.close()


class PostgresWriter:
    """Writes to a database."""

    def __init__(self, url: str) -> None:
        self._store = psycopg.connect(url, autocommit=True)

    def ask(self, sql: str) -> list[Any]:
        """Return the rows of a query."""
        return self._store.execute(sql).fetchall()

    def pour(self, table: str, rows: Iterable[Sequence[Any]]) -> None:
        """Append rows to a table."""
        with self._store.cursor().copy(
            f"COPY {table} ({', '.join(_TABLES[table])}) FROM STDIN"
        ) as copy:
            for row in rows:
                copy.write_row(row)

    def close(self) -> None:
        """Let the server know what is there now, and leave."""
        self._store.execute("VACUUM ANALYZE")
        self._store.close()


@contextlib.contextmanager
def writing(data_dir: Path, url: str) -> Iterator[Writer]:
    """Open the database at ``url``, or where that is empty the file in ``data_dir``."""
    writer = PostgresWriter(url) if url else SQLiteWriter(data_dir)
    try:
        yield writer
    finally:
        writer.close()


def write_year(writer: Writer) -> Fleet:
    """Write sites and a year of sums for the operator that the platform begins with."""
    ((operator_id,),) = writer.ask("SELECT value FROM instance WHERE name = 'built_in_operator_id'")
    ((region,),) = writer.ask(f"SELECT region FROM operators WHERE operator_id = '{operator_id}'")
    site_ids = [f"site_bench{number:03}" for number in range(SITES)]
    rows = [(one, operator_id, one, "Europe/Oslo", region, 1, START_MS) for one in site_ids]
    writer.pour("sites", rows)
    fleet = Fleet(operator_id, site_ids)
    kinds = _kinds(random.Random(1))
    writer.pour("energy_hours", _hours(fleet, kinds))
    writer.pour("energy_days", _days(fleet, kinds))
    writer.pour("energy_minutes", _minutes(fleet, random.Random(2)))
    return fleet


def _kinds(rng: random.Random) -> list[list[Hour]]:
    """Return kinds of hours, each what the operator and every site do in it."""
    kinds = []
    for kind in range(_KINDS):
        busy = 0.2 + 0.8 * kind / _KINDS
        sites = [
            tuple(
                round(rng.random() * busy * _QUARTER_NKWH) // share
                for share in (1, 1, 1, 1, 9, 9, 9, 9, 14, 14, 14, 14)
            )
            for _ in range(SITES)
        ]
        operator = tuple(sum(values) for values in zip(*sites, strict=True))
        kinds.append([operator, *sites])
    return kinds


def _kind_of(number: int) -> int:
    return (number * 7 + number // 24) % _KINDS


def _hours(fleet: Fleet, kinds: list[list[Hour]]) -> Iterator[Sequence[Any]]:
    for position, scope_id in enumerate(fleet.scopes):
        for number in range(HOURS):
            hour = kinds[_kind_of(number)][position]
            yield (scope_id, START_MS + number * HOUR_MS, *hour)


def _days(fleet: Fleet, kinds: list[list[Hour]]) -> Iterator[Sequence[Any]]:
    for position, scope_id in enumerate(fleet.scopes):
        for first in range(0, HOURS, 24):
            hours = [kinds[_kind_of(number)][position] for number in range(first, first + 24)]
            charge, discharge = (sum(sum(hour[k : k + 4]) for hour in hours) for k in (0, 4))
            peak = max(max(hour[8:]) for hour in hours)
            yield scope_id, START_MS + first // 24 * DAY_MS, charge, discharge, peak


def _minutes(fleet: Fleet, rng: random.Random) -> Iterator[Sequence[Any]]:
    contents = [
        pack_minutes(array("q", [rng.randrange(_QUARTER_NKWH // 14) for _ in range(60)]))
        for _ in range(_KINDS)
    ]
    for scope_id in fleet.site_ids[:FINE_SITES]:
        for number in range(HOURS):
            yield scope_id, START_MS + number * HOUR_MS, contents[_kind_of(number)]
