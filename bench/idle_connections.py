"""What a connection costs that waits: idle keep-alive, and a parked long-poll; waking them all.

python -m bench.idle_connections [--connections 1000,5000]
"""

import argparse
import asyncio
import contextlib
import resource
import signal
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import uvloop

from bench.figures import Figure, at_most, format_figures
from bench.processes import Server
from bench.tellus_server import Charger, register, tellus
from bench.wire import HttpConnection, get, post

RUNNER = "idle_connections"
_HEARTBEAT = b'{"timestamp":"%s","status":"online","fault_code":0}'
_CONNECTIONS_PER_DEVICE = 4
_CONNECTORS = 2
_AT_ONCE = 200
_SETTLE_S = 1.5
_POLL_GOAL_KIB = 32
_WAKE_GOAL_S = 1.0


def raise_file_limit() -> None:
    """Let this process and those it starts open as many files as they may."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


async def open_many(port: int, count: int) -> list[HttpConnection]:
    """Open ``count`` connections, some hundred at a time."""
    opened: list[HttpConnection] = []
    while len(opened) < count:
        some = min(_AT_ONCE, count - len(opened))
        opened += await asyncio.gather(*(HttpConnection.open(port) for _ in range(some)))
    return opened


async def measure_idle(server: Server, chargers: Sequence[Charger], count: int) -> Figure:
    """Return the memory of a connection that has carried one request and waits for the next."""
    before = server.resident_bytes()
    connections = await open_many(server.port, count)
    for start in range(0, count, _AT_ONCE):
        answers = await asyncio.gather(
            *(
                connections[number].ask(_heartbeat(chargers[number // _CONNECTIONS_PER_DEVICE]))
                for number in range(start, min(count, start + _AT_ONCE))
            )
        )
        _require_ok(answers)
    await asyncio.sleep(_SETTLE_S)
    each_kib = (server.resident_bytes() - before) / count / 1024
    for connection in connections:
        connection.close()
    return Figure(RUNNER, f"idle keep-alive, {count:,}, each", each_kib, "KiB")


async def measure_parked(server: Server, chargers: Sequence[Charger], count: int) -> list[Figure]:
    """Return the memory of a parked long-poll, and how long a stop takes to release them all."""
    before = server.resident_bytes()
    connections = await open_many(server.port, count)
    waiting = []
    for number, connection in enumerate(connections):
        device, connector = divmod(number, _CONNECTORS)
        path = f"/v1/device/commands?connector_id={connector + 1}&wait=60"
        waiting.append(connection.ask(get(path, chargers[device].token)))
        if number % _AT_ONCE == _AT_ONCE - 1:
            await asyncio.sleep(0.02)
    await asyncio.sleep(_SETTLE_S)
    parked = sum(not future.done() for future in waiting)
    each_kib = (server.resident_bytes() - before) / count / 1024
    began_s = time.perf_counter()
    server.process.send_signal(signal.SIGTERM)
    _require_ok(await asyncio.gather(*waiting))
    woken_s = time.perf_counter() - began_s
    return [
        at_most(RUNNER, f"parked long-poll, {count:,}, each", each_kib, "KiB", _POLL_GOAL_KIB),
        at_most(RUNNER, f"polls of {count:,} that were not parked", count - parked, "", 0),
        at_most(RUNNER, f"a stop releases all {count:,}", woken_s, "s", _WAKE_GOAL_S),
    ]


def _heartbeat(charger: Charger) -> bytes:
    text = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    return post("/v1/device/heartbeat", charger.token, _HEARTBEAT % text.encode())


def _require_ok(answers: Sequence[tuple[int, bytes]]) -> None:
    for status, body in answers:
        if status != 200:
            raise RuntimeError(f"answered {status}: {body[:300]!r}")


@contextlib.contextmanager
def _fresh_server() -> Iterator[Server]:
    with (
        tempfile.TemporaryDirectory(prefix="tellus-bench-") as name,
        tellus(Path(name), core=None) as server,
    ):
        yield server


def measure(counts: Sequence[int] = (1_000, 5_000)) -> list[Figure]:
    """Measure each count on servers of their own, so that freed memory does not hide any."""
    raise_file_limit()
    figures = []
    for count in counts:
        with _fresh_server() as server:
            figures.append(uvloop.run(_idle(server, count)))
        with _fresh_server() as server:
            figures += uvloop.run(_parked(server, count))
    return figures


async def _idle(server: Server, count: int) -> Figure:
    chargers = await register(server.port, -(-count // _CONNECTIONS_PER_DEVICE))
    return await measure_idle(server, chargers, count)


async def _parked(server: Server, count: int) -> list[Figure]:
    chargers = await register(server.port, -(-count // _CONNECTORS))
    return await measure_parked(server, chargers, count)


def main() -> None:
    """Read the arguments, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--connections", default="1000,5000")
    counts = [int(text) for text in parser.parse_args().connections.split(",")]
    print(format_figures(measure(counts)))


if __name__ == "__main__":
    main()
