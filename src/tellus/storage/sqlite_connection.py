"""Opening SQLite as the promises need it: one process, durable commits, readers only read."""

import fcntl
import os
from dataclasses import dataclass
from pathlib import Path

import apsw

from tellus.storage.refusals import DatabaseInUse, NotDurable

# The first release without the bug that could lose a commit when a checkpoint and a writer met
# while the log was being reset.
_OLDEST_SQLITE = (3, 51, 3)
_FULL = 2
_STATEMENTS = 1_024
_WRITER_CACHE_KIB = 16_384
_READER_CACHE_KIB = 8_192


@dataclass(frozen=True, slots=True)
class Location:
    """Where the database is and how it is reached; ``vfs`` is an apsw VFS name, "" the system's."""

    path: Path
    vfs: str = ""
    synchronous: str = "FULL"
    busy_timeout_ms: int = 5_000


class ProcessLock:
    """An exclusive lock beside the database; the system frees it when the process ends, however."""

    def __init__(self, database: Path) -> None:
        self._path = database.with_name(database.name + ".lock")
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Take the lock.

        Raises:
            DatabaseInUse: another process, or another store of this one, holds it.
        """
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.read(descriptor, 32).decode(errors="replace").strip() or "unknown"
            os.close(descriptor)
            raise DatabaseInUse(
                f"{self._path.with_suffix('')} is in use by process {holder}: "
                "stop it first, or give this one another data directory"
            ) from None
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        self._descriptor = descriptor

    def release(self) -> None:
        """Give the lock back; the file stays, as removing it would let two holders in."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def open_writer(location: Location) -> apsw.Connection:
    """Open the one connection that writes, and read back that its commits are durable.

    Raises:
        NotDurable: the library is too old, or a setting did not take.
    """
    _require_sqlite(apsw.sqlite_lib_version())
    _create_private(location)
    connection = _open(location, _WRITER_CACHE_KIB)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute(f"PRAGMA synchronous = {location.synchronous}")
    connection.execute("PRAGMA secure_delete = ON")
    connection.execute(f"PRAGMA journal_size_limit = {64 * 1024 * 1024}")
    # The writer checkpoints between batches, when nobody waits for it.
    connection.wal_autocheckpoint(0)
    # Were the log copied when a failed store is closed, a page that never reached the disk could
    # pass for one that did; an orderly stop checkpoints explicitly.
    connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
    return connection


def require_durable(connection: apsw.Connection) -> None:
    """Read back the settings that a durable commit stands on.

    Raises:
        NotDurable: one of them is not as asked.
    """
    mode = connection.pragma("journal_mode")
    level = connection.pragma("synchronous")
    if mode != "wal" or not isinstance(level, int) or level < _FULL:
        raise NotDurable(
            f"SQLite reports journal_mode={mode}, synchronous={level} where wal and 2 (FULL) are "
            "needed: acknowledged writes could be lost, so the store does not start"
        )


def open_reader(location: Location) -> apsw.Connection:
    """Open a connection that cannot write."""
    connection = _open(location, _READER_CACHE_KIB)
    connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
    connection.execute("PRAGMA query_only = ON")
    return connection


def _open(location: Location, cache_kib: int) -> apsw.Connection:
    connection = apsw.Connection(
        str(location.path),
        flags=apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE,
        vfs=location.vfs or None,
        statementcachesize=_STATEMENTS,
    )
    connection.set_busy_timeout(location.busy_timeout_ms)
    connection.execute(f"PRAGMA cache_size = -{cache_kib}")
    connection.execute("PRAGMA temp_store = MEMORY")
    # A mapped file turns a failing disk into a signal that kills the process.
    connection.execute("PRAGMA mmap_size = 0")
    # Writers of one process only: no foreign keys to check, the features own their rows.
    connection.execute("PRAGMA foreign_keys = OFF")
    return connection


def _require_sqlite(version: str) -> None:
    if tuple(int(part) for part in version.split(".")) < _OLDEST_SQLITE:
        oldest = ".".join(str(part) for part in _OLDEST_SQLITE)
        raise NotDurable(f"SQLite {version} is too old: {oldest} or newer is needed (update apsw)")


def _create_private(location: Location) -> None:
    """Create the file readable by its owner alone; SQLite gives its log the same mode."""
    if not location.vfs:
        os.close(os.open(location.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
