"""Migrations: numbered SQL files shipped in the package, applied once each and in order.

A file is named ``NNNN_what.sql``; what only one database says (triggers) follows it in a file
``NNNN_what.<dialect>.sql``, which that database runs as part of the same migration. Types that the
databases spell differently are tokens (``{{serial}}``, ``{{blob}}``, ``{{clustered}}``), which each
back end fills in. What was applied is recorded with a checksum, so that a file edited after its
release is noticed and never half applied.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable

from tellus.storage.refusals import DatabaseTooNew, MigrationChanged

LEDGER = """CREATE TABLE IF NOT EXISTS schema_migrations (
    version BIGINT PRIMARY KEY,
    name TEXT NOT NULL,
    checksum TEXT NOT NULL,
    applied_ms BIGINT NOT NULL
)"""
"""The table of what was applied; it exists before the first migration."""

READ_LEDGER = "SELECT version, checksum FROM schema_migrations ORDER BY version"
WRITE_LEDGER = (
    "INSERT INTO schema_migrations (version, name, checksum, applied_ms) VALUES ($1, $2, $3, $4)"
)

_FILE_NAME = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")
_DIALECT_NAME = re.compile(r"(\d{4}_[a-z0-9_]+)\.(?:sqlite|postgres)\.sql")
_TOKEN = re.compile(r"\{\{(\w+)\}\}")


@dataclass(frozen=True, slots=True)
class Migration:
    """One file: its number, its name, the SHA-256 of its text and the text with tokens unfilled."""

    version: int
    name: str
    checksum: str
    sql: str


def load_migrations(
    folder: Traversable | None = None, dialect: str = "sqlite"
) -> tuple[Migration, ...]:
    """Return the migrations of ``folder`` (by default those of the package) in order.

    Each is the shared file and, after it, the one of ``dialect`` where there is one.

    Raises:
        ValueError: a file is misnamed, or the numbers are not 1, 2, 3 ….
    """
    source = resources.files("tellus.storage") / "migrations" if folder is None else folder
    found = []
    for entry in source.iterdir():
        if not entry.name.endswith(".sql"):
            continue
        addition = _DIALECT_NAME.fullmatch(entry.name)
        if addition is not None and (source / f"{addition[1]}.sql").is_file():
            continue
        parts = _FILE_NAME.fullmatch(entry.name)
        if parts is None:
            raise ValueError(f"Migration {entry.name} is not named NNNN_what.sql")
        beside = source / f"{entry.name.removesuffix('.sql')}.{dialect}.sql"
        files = [entry, beside] if beside.is_file() else [entry]
        sql = "\n".join(file.read_text(encoding="utf-8") for file in files)
        sql = sql.replace("\r\n", "\n")
        checksum = hashlib.sha256(sql.encode()).hexdigest()
        found.append(Migration(int(parts[1]), parts[2], checksum, sql))
    found.sort(key=lambda migration: migration.version)
    if [migration.version for migration in found] != list(range(1, len(found) + 1)):
        raise ValueError("Migrations must be numbered 0001, 0002, … without gaps")
    return tuple(found)


def fill_tokens(sql: str, types: Mapping[str, str]) -> str:
    """Return ``sql`` with each ``{{token}}`` replaced by what the database calls it.

    Raises:
        ValueError: a token is unknown.
    """

    def spell(match: re.Match[str]) -> str:
        if match[1] not in types:
            raise ValueError(f"Migrations know no type token {match[0]}")
        return types[match[1]]

    return _TOKEN.sub(spell, sql)


def find_pending(
    applied: Iterable[tuple[int, str]], known: tuple[Migration, ...]
) -> tuple[Migration, ...]:
    """Return the migrations still to be applied, given (version, checksum) of those that were.

    Raises:
        DatabaseTooNew: the database holds a version that this release does not know.
        MigrationChanged: a version was applied with another text.
    """
    by_version = {migration.version: migration for migration in known}
    newest = known[-1].version if known else 0
    applied = tuple(applied)
    reached = max((version for version, _ in applied), default=0)
    done = set()
    for version, checksum in applied:
        migration = by_version.get(version)
        if migration is None:
            raise DatabaseTooNew(
                f"The database is at schema version {reached}, this release knows up to {newest}: "
                "run the release that wrote it, or a newer one, or restore a backup"
            )
        if migration.checksum != checksum:
            raise MigrationChanged(
                f"Migration {version:04d}_{migration.name} was applied to this database with "
                "another text than this release ships: use the release that wrote the database"
            )
        done.add(version)
    return tuple(migration for migration in known if migration.version not in done)
