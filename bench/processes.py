"""Starting servers on a chosen processor, waiting for them, and ending them by their id."""

import contextlib
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

SERVER_CORE = 0
LOAD_CORE = 1
_POLL_S = 0.05
_STOP_S = 35.0


class SkippedError(Exception):
    """This measurement cannot be taken here; the message says why."""


class Server:
    """A running process that listens on ``port``."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, log: Path) -> None:
        self.process = process
        self.port = port
        self.log = log

    @property
    def url(self) -> str:
        """Return the base URL."""
        return f"http://127.0.0.1:{self.port}"

    def resident_bytes(self) -> int:
        """Return the resident memory of the process."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def processor_s(self) -> float:
        """Return the processor time that the process and its children have taken."""
        pid = self.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        ticks = 0
        for number in (str(pid), *children):
            fields = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Keep the process from running, so that its background work falls into its own rounds."""
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """End the process in order; kill it where it does not end."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


def free_port() -> int:
    """Return a port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def cores(pinned: int | None) -> Sequence[str]:
    """Return the words before a command that keep it on one processor, none for None."""
    if pinned is None or (os.cpu_count() or 1) <= pinned:
        return ()
    return ("taskset", "-c", str(pinned))


@contextlib.contextmanager
def serving(
    command: Sequence[str],
    port: int,
    log: Path,
    *,
    core: int | None = SERVER_CORE,
    environment: Mapping[str, str] | None = None,
    ready_path: str | None = None,
    within_s: float = 30.0,
) -> Iterator[Server]:
    """Run ``command`` until the block ends; yields once ``port`` answers.

    With ``ready_path`` it has to answer 200 there. ``core`` None leaves the process where it likes.
    """
    words = [*cores(core), *command]
    with log.open("ab") as sink:
        process = subprocess.Popen(
            words,
            stdout=sink,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env={**os.environ, **(environment or {})},
        )
    server = Server(process, port, log)
    try:
        wait_ready(server, ready_path, within_s)
        yield server
    finally:
        server.stop()


def wait_ready(server: Server, path: str | None, within_s: float, poll_s: float = _POLL_S) -> float:
    """Wait until the server answers; return how long that took (s)."""
    began_s = time.perf_counter()
    while time.perf_counter() - began_s < within_s:
        if server.process.poll() is not None:
            tail = server.log.read_text(errors="replace")[-2_000:]
            raise RuntimeError(f"{server.process.args!r} ended at its start:\n{tail}")
        if _answers(server, path):
            return time.perf_counter() - began_s
        time.sleep(poll_s)
    raise RuntimeError(f"{server.process.args!r} did not answer within {within_s:g} s")


def _answers(server: Server, path: str | None) -> bool:
    try:
        if path is None:
            with socket.create_connection(("127.0.0.1", server.port), timeout=1):
                return True
        with urllib.request.urlopen(server.url + path, timeout=1) as answer:  # noqa: S310 - http
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False
