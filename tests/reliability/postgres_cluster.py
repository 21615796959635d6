"""A PostgreSQL server of a test's own: a fresh cluster on a free port of 127.0.0.1.

PostgreSQL refuses to run as root; then it runs as another user, who owns the cluster's folder.
"""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

ADMINISTRATOR = "postgres"
OWNER = "tellus"
DATABASE = "tellus"
_USERS = ("postgres", "nobody")
_PLACES = "/usr/lib/postgresql/*/bin"


@dataclass
class Cluster:
    """A cluster and the server that runs on it; ``folder`` also has room for its backups."""

    programs: Path
    folder: Path
    port: int
    user: str

    @property
    def data(self) -> Path:
        """The cluster's own directory."""
        return self.folder / "cluster"

    @property
    def server_url(self) -> str:
        """The server as its administrator sees it."""
        return f"postgresql://{ADMINISTRATOR}@127.0.0.1:{self.port}/postgres"

    def url(self, database: str = DATABASE) -> str:
        """A database as its owner sees it."""
        return f"postgresql://{OWNER}@127.0.0.1:{self.port}/{database}"

    @property
    def prefix(self) -> tuple[str, ...]:
        """What runs a command as the server's user."""
        if os.geteuid() != 0:
            return ()
        return ("setpriv", f"--reuid={self.user}", f"--regid={self.user}", "--clear-groups", "--")

    def own(self, path: Path) -> Path:
        """Make a folder that belongs to the server's user."""
        path.mkdir()
        if os.geteuid() == 0:
            shutil.chown(path, self.user, self.user)
        return path

    def start(self) -> None:
        """Start the server and wait until it takes connections."""
        log = f"--log={self.folder}/server.log"
        self.run("pg_ctl", f"--pgdata={self.data}", log, "--silent", "--wait", "start")

    def destroy(self) -> None:
        """End the server at once, as a crash would, and remove its cluster."""
        self.halt()
        shutil.rmtree(self.data)

    def halt(self) -> None:
        """End the server at once, if it runs."""
        if (self.data / "postmaster.pid").exists():
            halting = ("--mode=immediate", "--silent", "--wait", "stop")
            self.run("pg_ctl", f"--pgdata={self.data}", *halting)

    def ask(self, sql: str, database: str = "postgres") -> str:
        """Run a statement as the administrator; return what psql prints of it."""
        url = f"postgresql://{ADMINISTRATOR}@127.0.0.1:{self.port}/{database}"
        return self.run("psql", url, "-AtXc", sql).strip()

    def run(self, program: str, *arguments: str) -> str:
        """Run a program of PostgreSQL as the server's user; return what it prints."""
        done = subprocess.run(
            [*self.prefix, self.programs / program, *arguments],
            check=False,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, (program, done.stdout, done.stderr)
        return done.stdout


def find_programs() -> Path:
    """Return the folder of PostgreSQL's programs, the newest; skip the test without one."""
    found = sorted(
        (path for path in Path("/").glob(_PLACES[1:]) if (path / "initdb").exists()),
        key=lambda path: int(path.parent.name),
    )
    if not found and (initdb := shutil.which("initdb")):
        found = [Path(initdb).resolve().parent]
    if not found:
        pytest.skip("PostgreSQL is not installed here")
    return found[-1]


def find_user() -> str:
    """Return whom the server may run as; skip the test where there is nobody."""
    if os.geteuid() != 0:
        return pwd.getpwuid(os.geteuid()).pw_name
    known = {entry.pw_name for entry in pwd.getpwall()}
    user = next((name for name in _USERS if name in known), None)
    if user is None or shutil.which("setpriv") is None:
        pytest.skip("PostgreSQL refuses to run as root, and there is nobody else to run it as")
    return user


@contextmanager
def running_cluster(settings: Sequence[str] = ()) -> Iterator[Cluster]:
    """A server with an empty database of an ordinary owner, for the length of a block.

    ``settings`` are lines for postgresql.conf, in which FOLDER stands for the cluster's folder.
    """
    programs, user = find_programs(), find_user()
    # Not below pytest's folder, which nobody else may enter.
    folder = Path(tempfile.mkdtemp(prefix="tellus-postgres-"))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        cluster = Cluster(programs, folder, probe.getsockname()[1], user)
    try:
        if os.geteuid() == 0:
            shutil.chown(folder, user, user)
        folder.chmod(0o755)
        trust = ("--auth=trust", f"--username={ADMINISTRATOR}", "--no-instructions")
        cluster.run("initdb", f"--pgdata={cluster.data}", "--encoding=UTF8", *trust)
        lines = [
            "listen_addresses = '127.0.0.1'",
            f"port = {cluster.port}",
            f"unix_socket_directories = '{folder}'",
            *(line.replace("FOLDER", str(folder)) for line in settings),
        ]
        with (cluster.data / "postgresql.conf").open("a") as configuration:
            configuration.write("\n".join(lines) + "\n")
        cluster.start()
        cluster.ask(f"CREATE ROLE {OWNER} LOGIN")
        cluster.ask(f"CREATE DATABASE {DATABASE} OWNER {OWNER}")
        yield cluster
    finally:
        cluster.halt()
        shutil.rmtree(folder, ignore_errors=True)
