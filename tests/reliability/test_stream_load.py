"""The stream under load: slow and dead subscribers cost neither the others nor memory."""

import asyncio
import itertools
import os
import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.reliability.lanes import Lane
from tests.reliability.ledger import text_of
from tests.reliability.process_figures import resident_bytes
from tests.reliability.subscribers import Deaf, Reader, ended
from tests.server import Client, Device, RunningServer, start_server

SECONDS = float(os.environ.get("TELLUS_TEST_STREAM_SECONDS", "6"))
SUBSCRIBERS = 200
DEAF = 40
DEVICES = 20
CONNECTORS = 2
WIDE_DEVICES = 12  # watched by those that never read: their frames are large
WIDE_CONNECTORS = 200
PER_CLIENT = 20
WATCHED = 3
CADENCE_S = 0.25
SLOW_AFTER_S = 2.0
PATIENCE_S = 30.0
AGE_P99_S = CADENCE_S + 1.0
GROWTH_BYTES = 12 * 1024 * 1024
PLANTED = Path(__file__).with_name("planted.py")
SETTINGS = {
    "TELLUS_STREAM__CADENCE_S": str(CADENCE_S),
    "TELLUS_STREAM__SLOW_AFTER_S": str(SLOW_AFTER_S),
}

pytestmark = pytest.mark.slow


@dataclass
class Outcome:
    """What a run of the stream came to."""

    ages_s: list[float] = field(default_factory=list)
    fewest_frames: int = 0
    closed_readers: int = 0
    seconds: float = 0.0
    grown_bytes: int = 0
    ends: list[int] = field(default_factory=list)

    @property
    def age_p99_s(self) -> float:
        """Return the age that 99% of the good subscribers' frames stayed below."""
        return statistics.quantiles(self.ages_s, n=100)[98]

    def __str__(self) -> str:
        ends = {code: self.ends.count(code) for code in sorted(set(self.ends))}
        return (
            f"{SUBSCRIBERS} subscribers, {len(self.ages_s)} frames, age p50 "
            f"{statistics.median(self.ages_s) * 1e3:.0f} ms, p99 {self.age_p99_s * 1e3:.0f} ms "
            f"(cadence {CADENCE_S * 1e3:.0f} ms); {DEAF} that never read ended with {ends}; "
            f"memory grew by {self.grown_bytes / 2**20:.1f} MiB in {self.seconds:.0f} s"
        )


class Fleet:
    """Chargers that report all the time, and clients that may watch them."""

    def __init__(self, server: RunningServer) -> None:
        self.server = server
        self.port = int(server.base_url.rpartition(":")[2])
        self.devices = [server.register() for _ in range(DEVICES)]
        self.wide = [server.register() for _ in range(WIDE_DEVICES)]
        self.ids = [device.device_id for device in self.devices]
        self.clients = [server.create_client() for _ in range((SUBSCRIBERS + DEAF) // PER_CLIENT)]

    def start(self) -> list[asyncio.Task[None]]:
        """Let all chargers report."""
        work = [self._report(device, CONNECTORS) for device in self.devices]
        work += [self._report(device, WIDE_CONNECTORS) for device in self.wide]
        return [asyncio.create_task(one) for one in work]

    async def _report(self, device: Device, connectors: int) -> None:
        """Send all connectors once, then one after the other, four samples a second."""
        async with Lane(self.port, device.token) as lane:
            items = [_sample(connector) for connector in range(1, connectors + 1)]
            await lane.ask("POST", "/v1/device/telemetry/batch", {"items": items})
            for number in itertools.count():
                body = _sample(number % connectors + 1)
                reply = await lane.ask("POST", "/v1/device/telemetry", body)
                assert reply.status == 200, reply
                await asyncio.sleep(CADENCE_S * 0.9)

    def seats(self) -> Iterator[tuple[Client, list[str]]]:
        """Yield who watches what, a client never the same set twice; wide devices come last."""
        wide = [device.device_id for device in self.wide]
        for number in range(SUBSCRIBERS + DEAF):
            client, turn = self.clients[number // PER_CLIENT], number % PER_CLIENT
            narrow = [self.ids[(turn + n) % DEVICES] for n in range(WATCHED)]
            yield client, narrow if number < SUBSCRIBERS else narrow[:1] + wide


def _sample(connector_id: int) -> dict[str, Any]:
    return {
        "timestamp": text_of(int(time.time() * 1000)),
        "connector_id": connector_id,
        "state": "charging",
        "voltage": 400.123,
        "current": 125.456,
        "power": 50.789,
        "energy_delivered": 12.3456,
        "soc": 55,
        "temperature": 31.25,
    }


async def until_only(streams: int, server: RunningServer, within_s: float) -> None:
    """Wait, for so long at most, until no more streams are open than these."""
    until_s = time.monotonic() + within_s
    while time.monotonic() < until_s:
        page = (await asyncio.to_thread(httpx.get, f"{server.base_url}/metrics", timeout=30)).text
        line = next(one for one in page.splitlines() if one.startswith("tellus_streams_open"))
        if float(line.split()[-1]) <= streams:
            return
        await asyncio.sleep(0.25)


async def run_stream(server: RunningServer, seconds: float, within_s: float) -> Outcome:
    """Let good and deaf subscribers watch a busy fleet side by side.

    How soon a deaf one's buffers are full depends on the machine: ``within_s`` is the patience.
    """
    fleet, outcome = Fleet(server), Outcome(seconds=seconds)
    work = fleet.start()
    seats = list(fleet.seats())
    await asyncio.sleep(0.5)
    readers = []
    for client, devices in seats[:SUBSCRIBERS]:
        readers.append(reader := Reader())
        work.append(asyncio.create_task(reader.run(server.base_url, devices, client.token)))
    await asyncio.sleep(2.0)
    before_bytes = resident_bytes(server.process.pid)
    deaf = [
        await asyncio.to_thread(Deaf, server.base_url, devices, client.token)
        for client, devices in seats[SUBSCRIBERS:]
    ]
    for reader in readers:
        reader.ages_s.clear()
    await asyncio.sleep(seconds)
    if within_s:
        await until_only(SUBSCRIBERS, server, within_s)
    outcome.grown_bytes = resident_bytes(server.process.pid) - before_bytes
    await ended(work)
    outcome.ages_s = [age_s for reader in readers for age_s in reader.ages_s]
    outcome.fewest_frames = min(len(reader.ages_s) for reader in readers)
    outcome.closed_readers = sum(reader.closed_with is not None for reader in readers)
    with ThreadPoolExecutor(DEAF) as threads:
        outcome.ends = list(threads.map(Deaf.ending, deaf))
    print(outcome)
    return outcome


def serve_and_watch(folder: Path, seconds: float, *program: str, within_s: float = 0.0) -> Outcome:
    """Run the stream against a server of its own."""
    server = start_server(
        folder / "data", environment=SETTINGS, program=program or ("-m", "tellus")
    )
    try:
        return asyncio.run(run_stream(server, seconds, within_s))
    finally:
        server.kill()


def test_stream__with_subscribers_that_never_read__serves_the_others_in_time(
    tmp_path: Path,
) -> None:
    """Frames reach 200 subscribers fresh, the deaf ones are closed with 4408, memory is bounded."""
    outcome = serve_and_watch(tmp_path, SECONDS, within_s=PATIENCE_S)
    assert outcome.age_p99_s < AGE_P99_S
    assert outcome.fewest_frames > SECONDS
    assert outcome.closed_readers == 0
    assert outcome.ends == [4408] * DEAF
    assert outcome.grown_bytes < GROWTH_BYTES


def test_stream_harness__server_that_queues_for_the_slow__is_caught(tmp_path: Path) -> None:
    """The harness sees a server that keeps frames for subscribers that do not take them."""
    outcome = serve_and_watch(tmp_path, 4.0, str(PLANTED), "queue_for_the_slow")
    assert outcome.grown_bytes > GROWTH_BYTES
    assert 4408 not in outcome.ends


@dataclass
class Pinged:
    """How two peers of a quiet device fared that is pinged often."""

    dead: int
    given_up_s: float
    reader: Reader


@pytest.fixture(scope="module")
def pinged(tmp_path_factory: pytest.TempPathFactory) -> Pinged:
    """A peer that answers no ping and one that does, on one server, for two pings and more."""
    folder = tmp_path_factory.mktemp("pinged")
    server = start_server(folder / "data", program=(str(PLANTED), "ping_often"))
    try:
        silent, reader = server.register(), Reader()
        dead = Deaf(server.base_url, [silent.device_id], server.create_client().token)
        began_s = time.monotonic()

        async def watch(token: str) -> None:
            watching = reader.run(server.base_url, [silent.device_id], token)
            task = asyncio.create_task(watching)
            await asyncio.sleep(4.0)  # two pings of a second each would have been answered by then
            await ended([task])

        asyncio.run(watch(server.create_client().token))
        return Pinged(dead.ending(), time.monotonic() - began_s, reader)
    finally:
        server.kill()


def test_stream__of_a_dead_peer__is_given_up(pinged: Pinged) -> None:
    """A peer that answers no ping is dropped, although nothing is to be sent to it."""
    print(f"a dead peer was given up within {pinged.given_up_s:.1f} s")
    assert pinged.dead == 1006


def test_stream__of_a_quiet_device__stays_open_over_pings(pinged: Pinged) -> None:
    """A peer that answers its pings stays, however little there is to say."""
    assert (pinged.reader.frames, pinged.reader.closed_with) == (1, None)
