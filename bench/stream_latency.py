"""From a sample sent to its frame received, and frames a second to 200 subscribers.

python -m bench.stream_latency [--seconds 10]
"""

import argparse
import asyncio
import itertools
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import uvloop

from bench.figures import Figure, at_least, at_most, format_figures, percentile
from bench.processes import Server
from bench.tellus_server import Charger, client_tokens, register, tellus
from bench.wire import HttpConnection, StreamReader, post

RUNNER = "stream"
TELEMETRY_PATH = "/v1/device/telemetry"
STREAM_PATH = "/v1/operator/stream?devices="
SAMPLES_PER_S = 2_000
CADENCE_S = 1.0
# A little above the cadence, so that no frame has to wait for its turn.
PERIOD_S = 1.2
SUBSCRIBERS = 200
_DEVICES_PER_STREAM = 250
_STREAMS_PER_CLIENT = 20
_FAN_OUT_DEVICES = 70
_FAN_OUT_EACH = 50
_FAN_OUT_CADENCE_S = 0.1
_CONNECTIONS = 32
_TICK_S = 0.004
_PIPELINED = 100  # the server closes a connection on which more wait
_WARM_S = 2.0
_GOAL_P99_MS = 100
_GOAL_FRAMES_PER_S = 50_000


class Frame(msgspec.Struct):
    """The part of a frame that says which sample it shows."""

    device_id: str
    timestamp: str


class Fleet:
    """Chargers that send at a steady pace over a few keep-alive connections."""

    def __init__(self, connections: Sequence[HttpConnection], chargers: Sequence[Charger]) -> None:
        self._connections = connections
        self._chargers = chargers
        self.sent_s: dict[tuple[str, str], float] = {}
        self.sent = 0
        self.refused = 0
        self._counter = itertools.count()

    @classmethod
    async def connect(cls, port: int, chargers: Sequence[Charger]) -> "Fleet":
        """Open the connections."""
        opened = [await HttpConnection.open(port) for _ in range(_CONNECTIONS)]
        return cls(opened, chargers)

    async def run(self, per_s: float, seconds: float, *, remember: bool = True) -> None:
        """Send ``per_s`` samples a second, the chargers in turn."""
        chargers = self._chargers
        began_s = time.perf_counter()
        position = 0
        while (elapsed_s := time.perf_counter() - began_s) < seconds:
            due = int(elapsed_s * per_s)
            while position < due:
                number = position % len(chargers)
                self._send(number, chargers[number], remember=remember)
                position += 1
            await asyncio.sleep(_TICK_S)

    def _send(self, number: int, charger: Charger, *, remember: bool) -> None:
        now = datetime.now(UTC)
        text = f"{now:%Y-%m-%dT%H:%M:%S}.{now.microsecond // 1000:03d}Z"
        if text.endswith(".000Z"):
            text = text[:-5] + "Z"
        body = (
            f'{{"timestamp":"{text}","connector_id":1,"state":"charging","voltage":401.2,'
            f'"current":125.4,"power":50.3,"energy_delivered":{next(self._counter) / 1000},'
            '"soc":55,"temperature":35.6}'
        )
        if remember:
            self.sent_s[charger.device_id, text] = time.perf_counter()
        self.sent += 1
        connection = self._connections[number % len(self._connections)]
        if connection.unanswered >= _PIPELINED:
            self.refused += 1
            return
        request = post(TELEMETRY_PATH, charger.token, body.encode())
        connection.ask(request).add_done_callback(self._answered)

    def _answered(self, future: "asyncio.Future[tuple[int, bytes]]") -> None:
        if future.exception() is not None or future.result()[0] != 200:
            self.refused += 1

    def close(self) -> None:
        """Close the connections."""
        for connection in self._connections:
            connection.close()


async def subscribe(
    port: int,
    tokens: Sequence[str],
    groups: Sequence[Sequence[Charger]],
    on_frame: Callable[[bytes], None],
) -> list[StreamReader]:
    """Open one stream per group of chargers, 20 of each client."""
    readers = []
    for number, group in enumerate(groups):
        token = tokens[number // _STREAMS_PER_CLIENT]
        path = STREAM_PATH + ",".join(charger.device_id for charger in group)
        readers.append(await StreamReader.open(port, path, token, on_frame))
    return readers


async def measure_latency(folder: Path, server: Server, seconds: float) -> list[Figure]:
    """Return p50 and p99 from sending a sample to receiving its frame."""
    chargers = await register(server.port, round(SAMPLES_PER_S * PERIOD_S))
    tokens = await client_tokens(folder, server.port)
    groups = [
        chargers[start : start + _DEVICES_PER_STREAM]
        for start in range(0, len(chargers), _DEVICES_PER_STREAM)
    ]
    fleet = await Fleet.connect(server.port, chargers)
    waits_ms: list[float] = []
    decode = msgspec.json.Decoder(Frame).decode

    def on_frame(payload: bytes) -> None:
        frame = decode(payload)
        sent_s = fleet.sent_s.pop((frame.device_id, frame.timestamp), None)
        if sent_s is not None:
            waits_ms.append((time.perf_counter() - sent_s) * 1_000)

    readers = await subscribe(server.port, tokens, groups, on_frame)
    await fleet.run(SAMPLES_PER_S, _WARM_S)
    await asyncio.sleep(1.0)
    fleet.sent_s.clear()
    waits_ms.clear()
    before = fleet.sent
    await fleet.run(SAMPLES_PER_S, seconds)
    await asyncio.sleep(1.0)
    sent = fleet.sent - before
    for reader in readers:
        reader.close()
    fleet.close()
    return _report_latency(waits_ms, sent, fleet.refused)


def _report_latency(waits_ms: Sequence[float], sent: int, refused: int) -> list[Figure]:
    rate = f"{SAMPLES_PER_S:,} samples/s"
    return [
        Figure(RUNNER, f"sample to frame at {rate}, p50", percentile(waits_ms, 0.5), "ms"),
        at_most(
            RUNNER,
            f"sample to frame at {rate}, p99",
            percentile(waits_ms, 0.99),
            "ms",
            _GOAL_P99_MS,
        ),
        at_least(RUNNER, "samples seen as a frame of their own", len(waits_ms) / sent, "", 0.99),
        at_most(RUNNER, f"samples refused of {sent:,}", refused, "", 0),
    ]


async def measure_fan_out(folder: Path, server: Server, seconds: float) -> list[Figure]:
    """Return how many frames a second reach 200 subscribers of 50 chargers each."""
    chargers = await register(server.port, _FAN_OUT_DEVICES, "FAN")
    clients = SUBSCRIBERS // _STREAMS_PER_CLIENT
    tokens = await client_tokens(folder, server.port, clients)
    doubled = chargers + chargers
    groups = [
        doubled[shift : shift + _FAN_OUT_EACH]
        for _ in range(clients)
        for shift in range(_STREAMS_PER_CLIENT)
    ]
    received = 0

    def on_frame(_payload: bytes) -> None:
        nonlocal received
        received += 1

    readers = await subscribe(server.port, tokens, groups, on_frame)
    fleet = await Fleet.connect(server.port, chargers)
    per_s = _FAN_OUT_DEVICES / _FAN_OUT_CADENCE_S
    await fleet.run(per_s, _WARM_S, remember=False)
    before, spent_s, began_s = received, server.processor_s(), time.perf_counter()
    await fleet.run(per_s, seconds, remember=False)
    took_s = time.perf_counter() - began_s
    frames = received - before
    spent_s = server.processor_s() - spent_s
    lost = sum(reader.closed for reader in readers)
    for reader in readers:
        reader.close()
    fleet.close()
    return _report_fan_out(frames, took_s, spent_s, lost)


def _report_fan_out(frames: int, took_s: float, spent_s: float, lost: int) -> list[Figure]:
    return [
        at_least(
            RUNNER,
            f"frames to {SUBSCRIBERS} subscribers, pinned",
            frames / took_s,
            "frames/s",
            _GOAL_FRAMES_PER_S,
        ),
        Figure(RUNNER, "processor time of a frame, ingest included", spent_s * 1e6 / frames, "us"),
        at_most(RUNNER, "subscribers lost", lost, "", 0),
    ]


def measure(seconds: float = 10.0) -> list[Figure]:
    """Measure latency on a server that runs where it likes, and fan-out on one processor."""
    with tempfile.TemporaryDirectory(prefix="tellus-bench-") as name:
        folder = Path(name)
        with tellus(folder, core=None) as server:
            figures = uvloop.run(measure_latency(folder, server, seconds))
    with tempfile.TemporaryDirectory(prefix="tellus-bench-") as name:
        folder = Path(name)
        # A shorter cadence, so that it is the server that limits and not the contract.
        environment = {"TELLUS_STREAM__CADENCE_S": str(_FAN_OUT_CADENCE_S)}
        with tellus(folder, environment=environment) as server:
            return figures + uvloop.run(measure_fan_out(folder, server, seconds))


def main() -> None:
    """Read the arguments, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--seconds", type=float, default=10.0)
    print(format_figures(measure(parser.parse_args().seconds)))


if __name__ == "__main__":
    main()
