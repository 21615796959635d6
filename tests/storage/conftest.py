"""The back ends that the contract suite runs on; a new one adds itself to ``BACKENDS``."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, Self

import apsw
import psycopg
import pytest

from tellus.kernel.clock import Clock
from tellus.storage.database import Database, Row
from tellus.storage.migrate import Migration
from tellus.storage.postgres import PostgresDatabase
from tellus.storage.sqlite import SQLiteDatabase
from tests.databases import POSTGRES, SQLITE, emptied_database, postgres_server
from tests.storage.facts import FACTS


class RunningDatabase(Database, Protocol):
    """A store with its life: every back end opens as an async context."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(self, *error: object) -> None: ...


class Backend(Protocol):
    """One kind of database, empty at the start of a test."""

    def open(
        self, clock: Clock | None = None, queue_operations: int = 5_000
    ) -> RunningDatabase: ...

    def peek(self, sql: str) -> list[Row]:
        """Return what a connection that is not the store's sees: the committed state."""
        ...


class SQLiteBackend:
    def __init__(self, folder: Path) -> None:
        self.path = folder / "tellus.db"

    def open(
        self,
        clock: Clock | None = None,
        queue_operations: int = 5_000,
        migrations: tuple[Migration, ...] = (FACTS,),
        **options: Any,
    ) -> SQLiteDatabase:
        return SQLiteDatabase.open(
            self.path,
            clock=clock,
            queue_operations=queue_operations,
            migrations=migrations,
            **options,
        )

    def peek(self, sql: str) -> list[Row]:
        connection = apsw.Connection(str(self.path))
        try:
            return connection.execute(sql).fetchall()
        finally:
            connection.close()


class PostgresBackend:
    def __init__(self, _folder: Path) -> None:
        self.server = postgres_server()
        self.url = emptied_database()

    def open(
        self,
        clock: Clock | None = None,
        queue_operations: int = 5_000,
        migrations: tuple[Migration, ...] | None = (FACTS,),
        **options: Any,
    ) -> PostgresDatabase:
        return PostgresDatabase.open(
            self.url,
            clock=clock,
            queue_operations=queue_operations,
            migrations=migrations,
            **options,
        )

    def peek(self, sql: str) -> list[Row]:
        with psycopg.connect(self.url) as connection:
            return connection.execute(sql).fetchall()


BACKENDS: dict[str, Callable[[Path], Backend]] = {
    POSTGRES: PostgresBackend,
    SQLITE: SQLiteBackend,
}


@pytest.fixture(params=sorted(BACKENDS))
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Backend:
    """Each back end in turn."""
    return BACKENDS[request.param](tmp_path)


@pytest.fixture
def postgres(tmp_path: Path) -> PostgresBackend:
    """PostgreSQL alone, for what only it promises."""
    return PostgresBackend(tmp_path)


@pytest.fixture
def sqlite(tmp_path: Path) -> SQLiteBackend:
    """SQLite alone, for what only it promises."""
    return SQLiteBackend(tmp_path)
