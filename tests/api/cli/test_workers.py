"""``tellus serve --workers``: several processes on one port, kept alive and replaced in turn."""

import os
import secrets
import signal
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.api.cli.console import Console, Served, wait_until
from tests.databases import postgres_server

WORKERS = 2
PLAIN = ssl.create_default_context()
"""Made once: else every call would read all certificates, for plain HTTP too."""


class Crew(Served):
    """A platform of two workers."""

    def __init__(self, data_dir: Path, url: str) -> None:
        words = ("--database-url", url, "--workers", str(WORKERS), "--limit-scale", "1000")
        super().__init__(data_dir, *words)

    def nodes(self) -> list[dict[str, Any]]:
        """The nodes that ``tellus status`` lists."""
        console = Console(self.data_dir.parent, options=("--data-dir", str(self.data_dir)))
        ended = console.run("status", "--json")
        return ended.json["nodes"] if ended.code == 0 else []

    def pids(self) -> set[int]:
        """The workers that were asked and are ready."""
        return {node["pid"] for node in self.nodes() if node["ready"]}

    def await_workers(self, others: set[int] | None = None) -> set[int]:
        """Return the workers once all are there, none of ``others`` among them."""
        found: set[int] = set()

        def complete() -> bool:
            found.clear()
            found.update(self.pids())
            return len(found) == WORKERS and not found & (others or set())

        wait_until(complete, "all workers", 60)
        return found


@pytest.fixture
def crew(tmp_path: Path) -> Iterator[Crew]:
    """A platform of two workers that are ready."""
    url = postgres_server().make_database(f"workers_{secrets.token_hex(4)}")
    platform = Crew(tmp_path / "data", url)
    try:
        platform.await_ready()
        platform.await_workers()
        yield platform
    finally:
        if platform.process.poll() is None:
            platform.stop()


def is_alive(pid: int) -> bool:
    """Whether a process is there."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


class Caller:
    """Calls all the time, each time on a fresh connection; tries again only where none was made.

    A connection that nobody had accepted when its listener went is closed by the system, before
    anything of the request was read: that is tried again as well.
    """

    def __init__(self, base_url: str) -> None:
        self._url = f"{base_url}/v1/device/token"
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._call, daemon=True)
        self.statuses: list[int] = []
        self.closed = 0
        self._thread.start()

    def _call(self) -> None:
        while not self._ending.is_set():
            try:
                answer = httpx.post(self._url, json={}, timeout=20, verify=PLAIN)
            except (httpx.ConnectError, httpx.ReadError, httpx.RemoteProtocolError):
                self.closed += 1
            else:
                if answer.status_code == 503 and "retry-after" in answer.headers:
                    self.closed += 1  # accepted as the worker began to stop: "try again"
                else:
                    self.statuses.append(answer.status_code)
            time.sleep(0.005)

    def end(self) -> None:
        """Call no more."""
        self._ending.set()
        self._thread.join(30)


def test_workers__two_of_them__serve_on_one_port_and_are_listed(crew: Crew) -> None:
    """Both answer at the one address, say who they are, and one has the duty."""
    nodes = crew.nodes()
    assert len(nodes) == WORKERS
    assert {node["base_url"] for node in nodes} == {crew.access["base_url"]}
    assert [node["ready"] for node in nodes] == [True] * WORKERS
    assert all(node["memory_bytes"] > 0 for node in nodes)
    assert len({node["node_id"] for node in nodes}) == WORKERS
    wait_until(lambda: sum(node["on_duty"] for node in crew.nodes()) == 1, "the duty")
    shown = Console(crew.data_dir, options=("--data-dir", str(crew.data_dir))).run("status").out
    assert all(node["node_id"] in shown for node in nodes)


def test_workers__one_is_killed__another_takes_its_place(crew: Crew) -> None:
    """A worker that dies is started anew, and the other one serves on."""
    before = crew.await_workers()
    killed = min(before)
    os.kill(killed, signal.SIGKILL)
    after = crew.await_workers({killed})
    assert before - {killed} < after


def test_workers__told_to_renew__are_replaced_without_a_failed_request(crew: Crew) -> None:
    """SIGHUP replaces one after the other; whoever calls meanwhile is answered."""
    before = crew.await_workers()
    caller = Caller(crew.access["base_url"])
    try:
        crew.process.send_signal(signal.SIGHUP)
        after = crew.await_workers(before)
    finally:
        caller.end()
    assert not any(is_alive(pid) for pid in before)
    assert len(after) == WORKERS
    assert set(caller.statuses) == {400}, (set(caller.statuses), caller.closed)
    assert len(caller.statuses) > 50
    assert caller.closed < len(caller.statuses) / 20


def test_workers__told_to_stop__end_all_with_success(crew: Crew) -> None:
    """SIGTERM ends everything in order, and nothing is left."""
    workers = crew.await_workers()
    assert crew.stop() == 0
    assert not any(is_alive(pid) for pid in workers)


def test_workers__without_postgresql__are_refused(tmp_path: Path) -> None:
    """A SQLite file belongs to one process, and the message says what to do."""
    console = Console(tmp_path)
    ended = console.run("serve", "--data-dir", str(tmp_path / "data"), "--workers", "2")
    assert ended.code == 2
    assert "--workers needs a database that they can share: --database-url" in ended.err
    assert not (tmp_path / "data").exists()


def test_workers__port_of_somebody_else__are_refused(tmp_path: Path) -> None:
    """A port that is taken is told of at once."""
    url = postgres_server().url()
    with socket.create_server(("127.0.0.1", 0)) as holder:
        words = ("--database-url", url, "--workers", "2", "--port", str(holder.getsockname()[1]))
        ended = Console(tmp_path).run("serve", "--data-dir", str(tmp_path / "data"), *words)
    assert ended.code == 1
    assert "in use" in ended.err
