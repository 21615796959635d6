"""What checking consent takes from uploads and queries: a server that requires it against one not.

    python -m bench.consent [--turns 9] [--uploads 10000] [--queries 5000]

Both have the same core and take turns at the same requests, one of them after the other over eight
connections; what counts is the processor time of the server for each.
"""

import argparse
import asyncio
import json
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import count, cycle
from pathlib import Path

from bench.figures import Figure, at_least, format_figures, middle
from bench.processes import Server
from bench.tellus_server import MODEL, Charger, client_tokens, encode, register, tellus
from bench.wire import HttpConnection, call, get, post
from tellus.kernel.clock import SystemClock
from tellus.kernel.units import to_text

RUNNER = "consent"
CHARGERS = 100
CONNECTIONS = 8
REQUIRED, NOT_REQUIRED = "consent required", "own fleet"
UPLOADS, QUERIES = "upload", "query"
_GOAL = 0.97
_FIRMWARE = "4.1.0"
_SERVICES = ["diagnostics", "v2g_dispatch", "flexibility", "energy_reporting", "firmware"]
_PATHS = (
    "/v1/operator/devices?size=20",
    "/v1/operator/devices/{}",
    "/v1/operator/devices/{}/events",
    "/v1/operator/charging-records",
)


@dataclass
class Side:
    """A server with its chargers and a client, and the processor time of each turn (µs each)."""

    name: str
    server: Server
    chargers: list[Charger]
    token: str
    spent_us: dict[str, list[float]] = field(default_factory=dict)

    async def take_turn(self, kind: str, requests: Sequence[bytes]) -> None:
        """Send all requests; each has to be answered with 200."""
        connections = [await HttpConnection.open(self.server.port) for _ in range(CONNECTIONS)]
        left = iter(requests)

        async def work(connection: HttpConnection) -> None:
            for request in left:
                status, answer = await connection.ask(request)
                if status != 200:
                    raise RuntimeError(f"{self.name}: {kind} was answered {status}: {answer!r}")

        before_s = self.server.processor_s()
        await asyncio.gather(*map(work, connections))
        spent_s = self.server.processor_s() - before_s
        for connection in connections:
            connection.close()
        self.spent_us.setdefault(kind, []).append(spent_s * 1e6 / len(requests))

    def make_uploads(self, number: int, first_ms: int) -> list[bytes]:
        """Return uploads of samples, each later than the one before."""
        chargers, times = cycle(self.chargers), count(first_ms)
        requests = []
        for _ in range(number):
            charger = next(chargers)
            sample = {
                "timestamp": to_text(next(times)), "connector_id": 1, "state": "charging",
                "voltage": 401.2, "current": 125.4, "power": 50.3, "energy_delivered": 12.3,
            }  # fmt: skip
            requests.append(post("/v1/device/telemetry", charger.token, encode(sample)))
        return requests

    def make_queries(self, number: int) -> list[bytes]:
        """Return queries of lists and single devices, in turns."""
        chargers, paths = cycle(self.chargers), cycle(_PATHS)
        return [
            get(next(paths).format(next(chargers).device_id), self.token) for _ in range(number)
        ]


def measure(turns: int = 5, uploads: int = 6_000, queries: int = 3_000) -> list[Figure]:
    """Let both sides take turns."""
    with tempfile.TemporaryDirectory(prefix="tellus-bench-") as name, ExitStack() as running:
        folder = Path(name)
        sides = [
            _start(running, folder, REQUIRED, {"TELLUS_CONSENT__REQUIRED": "true"}),
            _start(running, folder, NOT_REQUIRED, {}),
        ]
        asyncio.run(_run(sides, turns, uploads, queries))
    return _report(*sides)


async def _run(sides: list[Side], turns: int, uploads: int, queries: int) -> None:
    now_ms = SystemClock().now_ms
    for number in range(turns + 1):
        for side in sides if number % 2 else sides[::-1]:
            await side.take_turn(UPLOADS, side.make_uploads(uploads, now_ms() - uploads))
            await side.take_turn(QUERIES, side.make_queries(queries))
        if number == 0:  # heads are known and caches filled from now on
            for side in sides:
                side.spent_us.clear()


def _start(running: ExitStack, folder: Path, name: str, environment: dict[str, str]) -> Side:
    place = folder / name.replace(" ", "-")
    place.mkdir()
    server = running.enter_context(tellus(place, environment=environment))
    return asyncio.run(_furnish(place, name, server))


async def _furnish(place: Path, name: str, server: Server) -> Side:
    """Register chargers; agree to everything for each of them where that is required."""
    chargers = await register(server.port, CHARGERS)
    (token,) = await client_tokens(place, server.port)
    if name == REQUIRED:
        await _agree(place, server, chargers)
    return Side(name, server, chargers, token)


async def _agree(place: Path, server: Server, chargers: Sequence[Charger]) -> None:
    held = json.loads((place / "data" / "admin.json").read_text())
    connection = await HttpConnection.open(server.port)
    login = {
        "client_id": held["service_account_id"],
        "client_secret": held["service_account_secret"],
        "grant_type": "client_credentials",
    }
    got = await call(connection, post("/v1/admin/oauth/token", "", encode(login)))
    ask: Callable[[str, object], Awaitable[object]] = lambda path, body: call(  # noqa: E731
        connection, post(path, got["access_token"], encode(body))
    )
    release = {
        "models": [MODEL], "firmware_version": _FIRMWARE, "platform_build": "260420.0107",
        "url": "https://firmware.example/4.1.0.bin", "sha256": "0f" * 32, "size": 1,
    }  # fmt: skip
    await ask("/v1/admin/firmware/releases", release)
    for charger in chargers:
        consent = {"services": _SERVICES, "granted_by": "bench", "device_id": charger.device_id}
        await ask("/v1/admin/consents", consent | {"to": "2125-01-01T00:00:00Z"})
    connection.close()


def _report(ours: Side, theirs: Side) -> list[Figure]:
    figures = []
    for kind in (UPLOADS, QUERIES):
        for side in (ours, theirs):
            spent_us = middle(side.spent_us[kind])
            figures.append(
                Figure(RUNNER, f"{side.name}, processor time of one {kind}", spent_us, "us")
            )
        pairs = zip(ours.spent_us[kind], theirs.spent_us[kind], strict=True)
        ratio = middle(other / one for one, other in pairs)
        words = f"{kind}: with / without, by a processor second"
        figures.append(at_least(RUNNER, words, ratio, "ratio", _GOAL))
    return figures


def main() -> None:
    """Read the arguments, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--turns", type=int, default=9)
    parser.add_argument("--uploads", type=int, default=10_000, help="per turn")
    parser.add_argument("--queries", type=int, default=5_000, help="per turn")
    given = parser.parse_args()
    print(format_figures(measure(given.turns, given.uploads, given.queries)))


if __name__ == "__main__":
    main()
