"""What the steps of one telemetry request cost on the event loop, in microseconds each.

python -m bench.hot_path [--seconds 0.3]
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from bench.figures import Figure, format_figures
from tellus.bus.memory import MemoryBus
from tellus.fleet.directory import Connector, Device, Directory
from tellus.fleet.model import Reading
from tellus.fleet.service import FleetService
from tellus.identity.keys import create_key_file
from tellus.identity.service import IdentityService
from tellus.kernel.call import Audience, Principal
from tellus.kernel.clock import SystemClock
from tellus.kernel.decoding import BodyDecoder
from tellus.kernel.limits import RATES, window_of
from tellus.kernel.units import to_text
from tellus.storage.sqlite import SQLiteDatabase
from tellus.surfaces.device import DEVICE_ROUTES
from tellus.surfaces.guard import phases
from tellus.surfaces.guard.draining import DrainState
from tellus.surfaces.guard.protocol import GuardProtocol
from tellus.surfaces.guard.proxies import TrustedProxies
from tellus.surfaces.guard.server import build_server
from tellus.surfaces.hot import HotRoutes
from tellus.surfaces.http import Pipeline
from tellus.surfaces.ratelimit import Limiter
from tellus.surfaces.routing import Router
from tellus.telemetry.device_api import TelemetryUpload, upload_telemetry
from tellus.telemetry.ingest import TelemetryKind, Upload
from tellus.telemetry.model import Sample
from tellus.telemetry.recent_own import OwnLog
from tellus.telemetry.rules import make_sample
from tellus.telemetry.service import TelemetryService

RUNNER = "hot_path"
ROUTE = "/v1/device/telemetry"
NOW = to_text(SystemClock().now_ms())
BODY = (
    b'{"timestamp":"%s","connector_id":1,"state":"charging",'
    b'"voltage":401.2,"current":125.4,"power":50.3,"energy_delivered":12.345,"soc":55,'
    b'"temperature":35.6,"phase_details":{"phase_a":{"voltage":230.1,"current":72.4},'
    b'"phase_b":{"voltage":229.8,"current":72.6},"phase_c":{"voltage":230.4,"current":72.1}}}'
) % NOW.encode()
READING = Reading(
    "charging", 401.2, 125.4, 50.3, 12.345, 55, 35.6, None,
    ((230.1, 72.4), (229.8, 72.6), (230.4, 72.1)),
)  # fmt: skip
_SCALE = 1_000_000.0
_AT_ONCE = 1_000
_BATCH = 64


class StubDatabase:
    """Takes everything and stores nothing."""

    is_shared = False

    async def submit(self, _kind: Any, operation: Upload) -> Any:
        """Say that it is stored."""
        return [True] * len(operation.samples) if operation.told else None


class StubTx:
    """A transaction in which every statement finds and changes nothing."""

    def rows(self, *_given: Any) -> list[Any]:
        """Return nothing."""
        return []

    def insert_later(self, *_given: Any) -> None:
        """Change nothing."""


class QuietRecorder:
    """A recorder that lets nothing pass: whatever goes wrong ends the measurement."""

    def failure(self, _request_id: str, endpoint: str, error: Exception, _address: str) -> None:
        """Raise what was refused."""
        raise RuntimeError(f"{endpoint} refused: {error!r}")

    def crash(self, _request_id: str, endpoint: str, error: BaseException) -> None:
        """Raise the bug."""
        raise RuntimeError(f"{endpoint} failed") from error


def each_us(work: Callable[[], Any], seconds: float) -> float:
    """Return the least time of ``work`` in several runs of it, in microseconds each."""
    best_s = float("inf")
    deadline_s = time.perf_counter() + seconds
    while time.perf_counter() < deadline_s:
        began_s = time.perf_counter()
        for _ in range(_AT_ONCE):
            work()
        best_s = min(best_s, (time.perf_counter() - began_s) / _AT_ONCE)
    return best_s * 1e6


def run_now(coroutine: Any) -> None:
    """Drive a coroutine that never has to wait."""
    try:
        coroutine.send(None)
    except StopIteration:
        return
    raise RuntimeError("it waits")


def pipeline_call(identity: Any, telemetry: TelemetryService, token: str) -> Callable[[], Any]:
    """Return one whole request through the pipeline, as the server would make it."""
    clock = SystemClock()
    routes = [route for route in DEVICE_ROUTES if route.handler is upload_telemetry]
    router = Router(routes, {TelemetryService: telemetry})
    pipeline = Pipeline(
        router, identity, Limiter(_SCALE), clock, DrainState(), cast("Any", QuietRecorder()),
        TrustedProxies(()),
    )  # fmt: skip
    scope = {
        "type": "http", "method": "POST", "path": ROUTE, "query_string": b"",
        "client": ("127.0.0.1", 5), "extensions": {},
        "headers": [
            (b"host", b"127.0.0.1:8600"),
            (b"authorization", b"Bearer " + token.encode()),
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(BODY)),
        ],
    }  # fmt: skip

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": BODY, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        if message.get("status", 200) != 200:
            raise RuntimeError(repr(message))

    return lambda: run_now(pipeline(scope, receive, send))


class StubTransport:
    """A connection whose far end takes everything."""

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return addresses."""
        return ("127.0.0.1", 5) if name in {"peername", "sockname"} else default

    def write(self, answer: bytes) -> None:
        """Take an answer, which must be good."""
        if not answer.startswith(b"HTTP/1.1 200 "):
            raise RuntimeError(repr(answer))

    def is_closing(self) -> bool:
        """Stay open."""
        return False


def short_way_call(identity: Any, telemetry: TelemetryService, token: str) -> Callable[[], Any]:
    """Return one whole request by the short way: its bytes in, its operation queued, its answer."""
    clock = SystemClock()
    queued: list[Any] = []
    router = Router(
        [route for route in DEVICE_ROUTES if route.hot is not None], {TelemetryService: telemetry}
    )
    pipeline = Pipeline(
        router, identity, Limiter(_SCALE), clock, DrainState(), cast("Any", QuietRecorder()),
        TrustedProxies(()),
    )  # fmt: skip
    clerk = HotRoutes(
        router.endpoints, pipeline, lambda *operation: queued.append(operation), clock
    )
    server = build_server(pipeline, clerk=clerk)
    server.config.load()
    server.guard.refresh_date(time.time())
    protocol = GuardProtocol(server.guard, server.config, {})
    protocol.connection_made(cast("Any", StubTransport()))
    data = (
        b"POST %b HTTP/1.1\r\nHost: 127.0.0.1:8600\r\nAuthorization: Bearer %b\r\n"
        b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
        % (ROUTE.encode(), token.encode(), len(BODY), BODY)
    )
    protocol.reading = phases.Reading.IDLE  # not its first request

    def call() -> None:
        protocol.data_received(data)
        queued.pop()[2].set_result(None)

    return call


class Parts:
    """The platform's parts that a telemetry request passes, without a store behind them."""

    def __init__(self, identity: IdentityService) -> None:
        self.identity = identity
        directory = Directory()
        for number in range(1, _BATCH + 1):
            device = Device(number, f"dvc_{number}", f"SN-{number}", "opr_1", "site_1")
            device.connectors[1] = Connector(1)
            directory.add(device)
        fleet = cast("FleetService", QuietFleet())
        self.telemetry = TelemetryService(
            cast("Any", StubDatabase()), directory, fleet, MemoryBus(), SystemClock()
        )
        self.kind = TelemetryKind(directory, fleet, OwnLog(), MemoryBus())


class QuietFleet:
    """The fleet's door with nothing behind it."""

    def advance_connectors(self, _tx: Any, _states: Any) -> None:
        """Store nothing."""

    def see_connectors(self, _tx: Any, _keys: Any, _now_ms: int) -> None:
        """Store nothing."""


def make_uploads() -> Callable[[], list[Upload]]:
    """Return a maker of batches, each sample newer than all before."""
    made = 0

    def batch() -> list[Upload]:
        nonlocal made
        made += 1
        time_ms = int(time.time() * 1_000) - 60_000 + made
        return [
            Upload(
                (Sample(time_ms, number, 1, made, time_ms, b"content%d" % made, READING),),
                version=0,
            )
            for number in range(1, _BATCH + 1)
        ]

    return batch


def measure(seconds: float = 0.3) -> list[Figure]:
    """Return the cost of each step."""
    with tempfile.TemporaryDirectory() as name:
        return asyncio.run(_measure(Path(name), seconds))


async def _measure(folder: Path, seconds: float) -> list[Figure]:
    clock = SystemClock()
    keys = create_key_file(folder / "keys.json")
    async with SQLiteDatabase.open(folder / "bench.db") as database:
        identity = IdentityService(database, keys, clock)
        await identity.start()
        principal, token = await _device(identity, database, clock)
    parts = Parts(identity)
    decoder = BodyDecoder(TelemetryUpload)
    window = window_of(principal, "device_hot", _SCALE)
    batches = make_uploads()
    tx = cast("Any", StubTx())

    def batch_on_writer() -> None:
        uploads = batches()
        parts.kind.after_commit(uploads, parts.kind.apply_many(tx, uploads))

    steps: dict[str, tuple[Callable[[], Any], int]] = {
        "decode the body": (lambda: decoder.decode(BODY), 1),
        "authenticate, token known": (lambda: identity.authenticate(token, Audience.DEVICE), 1),
        f"rate window of {RATES['device_hot'].limit} in 1 s, scaled": (
            lambda: window.take(clock.monotonic_s()), 1,
        ),
        "make a sample: encode and digest": (
            lambda: make_sample(1, 1, 1_773_483_305_250, 1_773_483_305_300, READING), 1,
        ),
        "batch of 64, without SQL, each": (batch_on_writer, _BATCH),
        "whole pipeline, nothing stored": (
            pipeline_call(identity, parts.telemetry, token), 1,
        ),
        "the short way from bytes to bytes, nothing stored": (
            short_way_call(identity, parts.telemetry, token), 1,
        ),
    }  # fmt: skip
    return [
        Figure(RUNNER, name, each_us(work, seconds) / count, "us")
        for name, (work, count) in steps.items()
    ]


async def _device(
    identity: IdentityService, database: Any, clock: SystemClock
) -> tuple[Principal, str]:
    """Return a device's principal with a token that has been verified once."""

    def add(tx: Any) -> Any:
        identity.add_device(tx, 1, "dvc_1", "opr_1", clock.now_ms())
        return identity.issue_device_secret(tx, 1, clock.now_ms())

    issued = await database.write(add)
    identity.remember_device(issued.record)
    token = await identity.issue_device_token("dvc_1", issued.text, "127.0.0.1")
    return identity.authenticate(token.text, Audience.DEVICE), token.text


def main() -> None:
    """Read the arguments, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--seconds", type=float, default=0.3, help="per step")
    print(format_figures(measure(parser.parse_args().seconds)))


if __name__ == "__main__":
    main()
