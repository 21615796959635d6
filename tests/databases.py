"""Databases for tests: SQLite files, and a PostgreSQL server of the test session's own.

The server is started from its binaries when a test first needs it and stopped at the end of the
session. Each test gets a database of its own, copied from one that was migrated once.
"""

import atexit
import os
import pwd
import shutil
import signal
import socket
import sqlite3
import subprocess
import tempfile
import time
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import IO, Any

import psycopg
import pytest

from tellus.kernel.clock import Clock, SystemClock
from tellus.storage.migrate import load_migrations
from tellus.storage.postgres import PostgresDatabase
from tellus.storage.postgres_connection import Address, connect
from tellus.storage.postgres_schema import migrate
from tellus.storage.sqlite import SQLiteDatabase

SQLITE, POSTGRES, BOTH = "sqlite", "postgres", "both"
MISSING = "needs PostgreSQL's server binaries (initdb, postgres), which are not installed"
TEMPLATE = "migrated"
_READY_WITHIN_S = 30.0


class Choice:
    """Which database tests run on now; the option ``--database`` and fixtures set it."""

    kind = SQLITE


def find_binaries() -> Path | None:
    """Return the folder of PostgreSQL's server binaries, the newest, or None."""
    folders = [found.parent for found in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    folders.sort(key=lambda folder: int(folder.parent.name))
    on_path = shutil.which("initdb")
    if on_path is not None:
        folders.insert(0, Path(on_path).resolve().parent)
    folders = [folder for folder in folders if (folder / "postgres").exists()]
    return folders[-1] if folders else None


class PostgresServer:
    """A server on a free port of 127.0.0.1, in a folder that goes away with it."""

    def __init__(self, *, settings: tuple[str, ...] = (), core: int | None = None) -> None:
        binaries = find_binaries()
        if binaries is None:
            pytest.skip(MISSING)
        self._binaries = binaries
        self._settings = settings
        self._pinned = () if core is None else ("taskset", "-c", str(core))
        self._folder = Path(tempfile.mkdtemp(prefix="tellus-postgres-"))
        self._account = _unprivileged_account()
        self._log: IO[bytes] | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._made = 0
        self.port = _free_port()
        if self._account:
            os.chown(self._folder, self._account["user"], self._account["group"])
        subprocess.run(
            [
                binaries / "initdb", "--pgdata", self._data, "--username", "tellus",
                "--auth", "trust", "--encoding", "UTF8", "--no-locale", "--no-sync",
            ],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd=self._folder,
            **self._account,
        )  # fmt: skip

    @property
    def _data(self) -> Path:
        return self._folder / "data"

    def url(self, name: str = "postgres") -> str:
        """The address of one of its databases."""
        return f"postgresql://tellus@127.0.0.1:{self.port}/{name}"

    def start(self) -> None:
        """Start it and wait until it answers."""
        self._log = (self._folder / "log").open("ab")
        settings = (
            f"port={self.port}", "listen_addresses=127.0.0.1", "unix_socket_directories=",
            "max_connections=400", "shared_buffers=64MB", "max_wal_size=512MB",
            "autovacuum_naptime=10s", *self._settings,
        )  # fmt: skip
        command: list[Any] = [*self._pinned, self._binaries / "postgres", "-D", self._data]
        for setting in settings:
            command += ("-c", setting)
        self._process = subprocess.Popen(
            command, stdout=self._log, stderr=self._log, cwd=self._folder, **self._account
        )
        until_s = time.monotonic() + _READY_WITHIN_S
        while True:
            try:
                psycopg.connect(self.url(), connect_timeout=2).close()
                return
            except psycopg.OperationalError:
                if time.monotonic() > until_s or self._process.poll() is not None:
                    raise AssertionError((self._folder / "log").read_text()) from None
                time.sleep(0.05)

    def stop(self, *, at_once: bool = False) -> None:
        """End it: in order, or ``at_once`` like a crash."""
        process, self._process = self._process, None
        if process is not None:
            if at_once:
                process.send_signal(signal.SIGQUIT)  # no checkpoint, recovery at the next start
            else:
                process.send_signal(signal.SIGINT)  # sessions are ended
            process.wait(30)
        if self._log is not None:
            self._log.close()
            self._log = None

    def remove(self) -> None:
        """Stop it and remove its files."""
        self.stop(at_once=True)
        shutil.rmtree(self._folder, ignore_errors=True)

    def make_database(self, name: str = "", template: str = "template0") -> str:
        """Make a database, empty or a copy; return its address."""
        self._made += 1
        made = name or f"test_{self._made}"
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{made}" TEMPLATE "{template}"')
        return self.url(made)


def _unprivileged_account() -> dict[str, Any]:
    """PostgreSQL refuses to run as root: return how to start it as somebody else."""
    if os.geteuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
    pytest.skip("PostgreSQL does not run as root, and there is no other account")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@cache
def postgres_server() -> PostgresServer:
    """The session's server, started at the first call."""
    server = PostgresServer()
    atexit.register(server.remove)
    server.start()
    return server


@cache
def _scratch() -> str:
    return postgres_server().make_database("scratch")


def emptied_database() -> str:
    """The address of a database with nothing in it, one and the same at every call.

    Emptying it is several times quicker than making another one.
    """
    with psycopg.connect(_scratch(), autocommit=True) as connection:
        name = connection.info.dbname
        connection.execute(f"ALTER DATABASE {name} RESET ALL")
        connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    return _scratch()


@cache
def _template() -> str:
    """A database with the schema of the package, to be copied."""
    connection = connect(Address(postgres_server().make_database(TEMPLATE)))
    try:
        migrate(connection, load_migrations(dialect=POSTGRES), SystemClock())
    finally:
        connection.close()
    return TEMPLATE


@cache
def database_url(data_dir: Path) -> str:
    """The address of the migrated database that belongs to ``data_dir``, made at the first call."""
    return postgres_server().make_database(template=_template())


def serve_arguments(data_dir: Path) -> tuple[str, ...]:
    """What ``tellus serve`` needs to be told of the database that tests run on now."""
    if Choice.kind == SQLITE:
        return ()
    return ("--database-url", database_url(data_dir))


def open_database(path: Path, clock: Clock) -> SQLiteDatabase | PostgresDatabase:
    """Describe the store of one test, on the database that tests run on now."""
    if Choice.kind == SQLITE:
        return SQLiteDatabase.open(path, clock=clock)
    return PostgresDatabase.open(database_url(path), clock=clock)


def query(data_dir: Path, sql: str) -> list[tuple[Any, ...]]:
    """Run a query on the store of a running server over ``data_dir``."""
    if Choice.kind == POSTGRES:
        with psycopg.connect(database_url(data_dir)) as connection:
            return connection.execute(sql).fetchall()
    name = f"file:{data_dir / 'tellus.db'}?mode=ro"
    with closing(sqlite3.connect(name, uri=True)) as store:
        return store.execute(sql).fetchall()


def change(data_dir: Path, sql: str) -> None:
    """Run a statement on the store of a running server over ``data_dir``."""
    if Choice.kind == POSTGRES:
        with psycopg.connect(database_url(data_dir)) as connection:
            connection.execute(sql)
        return
    with closing(sqlite3.connect(data_dir / "tellus.db", timeout=30)) as store, store:
        store.execute(sql)
