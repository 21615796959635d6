"""Looking at a database, and at the disk below it, without a running platform."""

import secrets
import statistics
import time
from pathlib import Path
from typing import Final, NamedTuple

import apsw

from tellus.storage.migrate import READ_LEDGER, find_pending, load_migrations
from tellus.storage.refusals import StorageRefused
from tellus.storage.sqlite_connection import Location, open_writer, require_durable

_COMMITS: Final = 20
_BUSY_MS: Final = 2_000


class DatabaseFacts(NamedTuple):
    """What a database file says of itself; ``problem`` is why it cannot be used, or None."""

    schema_version: int
    pending_migrations: int
    problem: str | None


def sqlite_version() -> str:
    """Return the version of the SQLite library that the store uses."""
    return apsw.sqlite_lib_version()


def examine_database(path: Path, *, deep: bool = False) -> DatabaseFacts:
    """Read a database file without changing it, also while a platform uses it.

    ``deep`` reads every page and looks for damage; that takes as long as reading the file does.
    """
    known = load_migrations()
    try:
        connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
        try:
            connection.set_busy_timeout(_BUSY_MS)
            applied = list(connection.execute(READ_LEDGER))
            damage = _find_damage(connection) if deep else None
        finally:
            connection.close()
        pending = len(find_pending(applied, known))
    except StorageRefused as error:
        return DatabaseFacts(0, 0, str(error))
    except apsw.Error as error:
        return DatabaseFacts(0, 0, f"{path} cannot be read: {error}")
    newest = max((version for version, _ in applied), default=0)
    return DatabaseFacts(
        newest, pending, None if damage is None else f"{path} is damaged: {damage}"
    )


def _find_damage(connection: apsw.Connection) -> str | None:
    (first,) = next(iter(connection.execute("PRAGMA quick_check(1)")))
    return None if first == "ok" else str(first)


def measure_commits_s(folder: Path) -> float:
    """Return the median time of a durable commit in ``folder``, on a database of its own.

    Raises:
        NotDurable: SQLite is too old, or cannot be made durable there.
        OSError: the folder cannot be written.
    """
    path = folder / f".probe-{secrets.token_hex(4)}.db"
    times_s = []
    try:
        connection = open_writer(Location(path))
        try:
            require_durable(connection)
            connection.execute("CREATE TABLE probe (number INTEGER)")
            for number in range(_COMMITS):
                began_s = time.perf_counter()
                connection.execute("INSERT INTO probe VALUES (?)", (number,))
                times_s.append(time.perf_counter() - began_s)
        finally:
            connection.close()
    except apsw.Error as error:
        raise OSError(f"SQLite cannot write in {folder}: {error}") from error
    finally:
        for leftover in folder.glob(f"{path.name}*"):
            leftover.unlink(missing_ok=True)
    return statistics.median(times_s)
