"""Several nodes over one PostgreSQL database, each a process with port and folder of its own."""

import socket
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tellus.identity.keys import create_key_file
from tests.server import Client, RunningServer, start_server

ROOT = Path(__file__).parents[2]


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class NodeGroup:
    """Nodes by number; ``programs`` says what each runs."""

    def __init__(
        self,
        folder: Path,
        url: str,
        programs: Sequence[Sequence[str]],
        arguments: Sequence[str] = (),
        **environment: str,
    ) -> None:
        self._folder = folder
        self._url = url
        self._programs = programs
        self._arguments = tuple(arguments)
        keys = folder / "keys.json"
        create_key_file(keys)
        self._environment = {"TELLUS_KEYS_FILE": str(keys), "PYTHONPATH": str(ROOT)} | environment
        self.ports = [free_port() for _ in programs]
        self.servers: list[RunningServer] = []

    def start_all(self) -> None:
        """Start all at once."""
        with ThreadPoolExecutor(len(self.ports)) as pool:
            self.servers = list(pool.map(self._start, range(len(self.ports))))

    def _start(self, number: int) -> RunningServer:
        return start_server(
            self._folder / f"node{number}",
            *("--database-url", self._url, "--port", str(self.ports[number])),
            *self._arguments,
            environment=self._environment,
            program=self._programs[number],
        )

    def restart(self, number: int) -> None:
        """Start a node that has ended."""
        self.servers[number] = self._start(number)

    def kill(self, number: int) -> None:
        """End a node as a power cut would."""
        self.servers[number].kill()

    def kill_all(self) -> None:
        """End them all."""
        for server in self.servers:
            server.kill()

    @property
    def administration(self) -> RunningServer:
        """A node that runs and whose folder has the first account."""
        holder = next(one for one in self.servers if (one.data_dir / "admin.json").exists())
        if not holder._admin_token:
            holder.admin("GET", "/v1/admin/operators")
        for server in self.servers:
            server._admin_token = holder._admin_token
        return next(one for one in self.servers if one.process.poll() is None)

    def nodes(self) -> list[dict[str, Any]]:
        """Return the nodes as administrators see them."""
        items: list[dict[str, Any]] = self.administration.admin("GET", "/v1/admin/nodes")["items"]
        return items

    def create_client(self, **more: Any) -> Client:
        """Create a client of the built-in operator."""
        return self.administration.create_client(**more)

    def number_on_duty(self) -> int | None:
        """Return the number of the node that has the duty, as far as it is known."""
        for node in self.nodes():
            if node["on_duty"] and node["base_url"]:
                return self.ports.index(int(node["base_url"].rpartition(":")[2]))
        return None


@contextmanager
def node_group(
    folder: Path,
    url: str,
    programs: Sequence[Sequence[str]],
    arguments: Sequence[str] = (),
    **environment: str,
) -> Iterator[NodeGroup]:
    """A group for the length of a block; what still runs then is killed."""
    group = NodeGroup(folder, url, programs, arguments, **environment)
    try:
        group.start_all()
        yield group
    finally:
        group.kill_all()


def skewed(skews_ms: Sequence[int], *plants: str) -> list[tuple[str, ...]]:
    """Return what nodes run whose clocks are off by so much."""
    return [("-m", "tests.reliability.skewed_node", str(skew_ms), *plants) for skew_ms in skews_ms]


def until(claim: Callable[[], bool], within_s: float, every_s: float = 0.02) -> float:
    """Wait until a claim holds; return how long that took, or fail."""
    began_s = time.monotonic()
    while not claim():
        took_s = time.monotonic() - began_s
        assert took_s < within_s, f"it does not hold after {took_s:.1f} s"
        time.sleep(every_s)
    return time.monotonic() - began_s
