"""The schema in SQLite's words, and bringing a file up to date."""

import re
from collections.abc import Iterator
from typing import Any

import apsw

from tellus.kernel.clock import Clock
from tellus.storage.migrate import (
    LEDGER,
    READ_LEDGER,
    WRITE_LEDGER,
    Migration,
    fill_tokens,
    find_pending,
)
from tellus.storage.sqlite_tx import number_parameters

_TYPES = {"serial": "INTEGER PRIMARY KEY", "blob": "BLOB", "clustered": " WITHOUT ROWID"}
_STRICT_TYPES = (
    (re.compile(r"\bBIGINT\b"), "INTEGER"),
    (re.compile(r"\bDOUBLE PRECISION\b"), "REAL"),
)
_TABLE = re.compile(r"\A(?:\s|--[^\n]*\n)*CREATE TABLE\b")


def migrate(connection: apsw.Connection, known: tuple[Migration, ...], clock: Clock) -> list[str]:
    """Apply what is pending, each migration in a transaction of its own; return their names.

    Raises:
        DatabaseTooNew, MigrationChanged: see ``find_pending``; nothing was changed.
    """
    applied: list[Any] = []
    if connection.table_exists(None, "schema_migrations"):
        applied = connection.execute(READ_LEDGER).fetchall()
    pending = find_pending(applied, known)
    for migration in pending:
        with connection:
            connection.execute(LEDGER)
            for statement in sqlite_statements(migration.sql):
                connection.execute(statement)
            connection.execute(
                number_parameters(WRITE_LEDGER),
                (migration.version, migration.name, migration.checksum, clock.now_ms()),
            )
    return [f"{migration.version:04d}_{migration.name}" for migration in pending]


def sqlite_statements(sql: str) -> Iterator[str]:
    """Split a migration into statements in SQLite's words.

    Tables are STRICT, so that a value of the wrong type fails here as it would in PostgreSQL; the
    portable type names have to be told in the few words that STRICT knows.
    """
    text = ""
    for line in fill_tokens(sql, _TYPES).splitlines(keepends=True):
        text += line
        if apsw.complete(text):
            yield _make_strict(text)
            text = ""
    if re.sub(r"--[^\n]*", "", text).strip():
        raise ValueError("A migration ends in the middle of a statement")


def _make_strict(statement: str) -> str:
    for portable, strict in _STRICT_TYPES:
        statement = portable.sub(strict, statement)
    if not _TABLE.match(statement):
        return statement
    body = statement.rstrip().removesuffix(";").rstrip()
    return body + (", STRICT" if body.endswith("WITHOUT ROWID") else " STRICT")
