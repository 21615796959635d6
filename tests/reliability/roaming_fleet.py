"""A share of a fleet each of whose requests goes to a random node, with a ledger of its own.

`python -m tests.reliability.roaming_fleet PORTS FIRST COUNT RATE RESULT` registers its chargers,
says `connected` and who they are, works until the line `stop`, writes what came of it to the file
RESULT and ends.
"""

import asyncio
import json
import random
import resource
import secrets
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import uvloop

from tests.reliability.lanes import BrokenLaneError, Lane, Reply
from tests.reliability.ledger import Key, Write
from tests.reliability.mixed_load import Charger, MixedLoad, now_ms
from tests.server import Client, Device

POLL_WAIT_S = 10
_RETRY_S = 0.15
_ENROLLED_AT_ONCE = 16
_WITHIN_S = 30.0
_NOBODY = Client("", "", "", "")


class RoamingLane(Lane):
    """A lane to each node; every request takes one of them at random."""

    def __init__(self, ports: Sequence[int], token: str, rng: random.Random) -> None:
        super().__init__(0, token)
        self._rng = rng
        self._lanes = [Lane(port, within_s=_WITHIN_S) for port in ports]

    async def ask(self, method: str, target: str, body: Any = None) -> Reply:
        """Send a request to some node and return its answer."""
        lane = self._rng.choice(self._lanes)
        lane.token = self.token
        return await lane.ask(method, target, body)

    def close(self) -> None:
        """Drop all connections."""
        for lane in getattr(self, "_lanes", ()):
            lane.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class RoamingLoad(MixedLoad):
    """Chargers that upload, poll and report, each request to any node; ``rate`` is per second."""

    def __init__(self, ports: Sequence[int], first: int, count: int, rate: float) -> None:
        super().__init__(0, [], _NOBODY, first)
        self._ports = ports
        self._count = count
        self._pause_s = count / rate
        self.deliveries: Counter[str] = Counter()
        self.came_ms: dict[str, int] = {}
        self.newcomers = 0

    async def enrol_all(self) -> None:
        """Register the chargers, some at a time."""
        numbers = iter(range(self._count))

        async def work() -> None:
            async with RoamingLane(self._ports, "", self._rng) as lane:
                for _ in numbers:
                    self._chargers.append(Charger(await self._enrol(lane)))

        await asyncio.gather(*(work() for _ in range(_ENROLLED_AT_ONCE)))

    def start(self) -> None:
        """Let every charger work and poll."""
        for charger in self._chargers:
            self._lanes.append(asyncio.create_task(self._drive(charger)))
            self._lanes.append(asyncio.create_task(self._poll(charger)))
        self._lanes.append(asyncio.create_task(self._welcome()))

    async def _enrol(self, lane: Lane) -> Device:
        """Register on one node, get a token on another and be heard by a third."""
        serial = f"ROAM-{secrets.token_hex(8)}"
        identity = {
            "sn": serial,
            "model": "TP-DC180",
            "manufacturer": "Maker",
            "firmware_version": "3.1.0",
        }
        lane.token = ""
        reply = await self._insist(lane, Write("/v1/device/register", identity, (), 0))
        made = reply.data
        device = Device(made["device_id"], made["device_secret"], "", serial)
        device.token = lane.token = await self._log_in(lane, device)
        charger = Charger(device)
        await self._upload(lane, charger, self._heartbeat(charger))
        return device

    async def _log_in(self, lane: Lane, device: Device) -> str:
        body = {
            "device_id": device.device_id,
            "device_secret": device.device_secret,
            "grant_type": "client_credentials",
        }
        reply = await self._insist(lane, Write("/v1/device/token", body, (), 0))
        token: str = reply.body["access_token"]
        return token

    # ------------------------------------------------------------------ what they do

    async def _drive(self, charger: Charger) -> None:
        choices = (
            (self._sample, 60), (self._late_sample, 3), (self._batch, 4), (self._event, 12),
            (self._record, 8), (self._heartbeat, 12),
        )  # fmt: skip
        makers, weights = [maker for maker, _ in choices], [weight for _, weight in choices]
        async with RoamingLane(self._ports, charger.device.token, self._rng) as lane:
            while True:
                await asyncio.sleep(self._rng.uniform(0, 2 * self._pause_s))
                await self.running.wait()
                self.busy += 1
                try:
                    write = self._rng.choices(makers, weights)[0](charger)
                    await self._upload(lane, charger, write)
                    await self._say(lane, charger)
                    if self._rng.random() < 0.02:
                        await self._repeat(lane)
                finally:
                    self.busy -= 1

    async def _poll(self, charger: Charger) -> None:
        target = f"/v1/device/commands?connector_id=1&wait={POLL_WAIT_S}"
        async with RoamingLane(self._ports, charger.device.token, self._rng) as lane:
            while True:
                await self.running.wait()
                try:
                    reply = await lane.ask("GET", target)
                except BrokenLaneError:
                    await asyncio.sleep(_RETRY_S)
                    continue
                self.ledger.statuses[reply.status] += 1
                if reply.status != 200:
                    if reply.status not in {429, 503}:
                        self.ledger.failures.append(f"a poll was answered {reply}")
                    await asyncio.sleep(_RETRY_S)
                elif reply.data is not None:
                    self._take_commands(charger, [reply.data])
                    self.busy += 1
                    try:
                        await self._say(lane, charger)
                    finally:
                        self.busy -= 1

    def _take_commands(self, charger: Charger, commands: list[dict[str, Any]]) -> None:
        for command in commands:
            self.deliveries[command["command_id"]] += 1
            self.came_ms.setdefault(command["command_id"], now_ms())
        super()._take_commands(charger, commands)

    async def _say(self, lane: Lane, charger: Charger) -> None:
        """Report what was fetched, at once: a lease waits for it."""
        while charger.reports:
            await self._upload(lane, charger, self._report(charger))

    async def _welcome(self) -> None:
        """Let another charger come now and then."""
        async with RoamingLane(self._ports, "", self._rng) as lane:
            while True:
                await asyncio.sleep(0.5)
                await self.running.wait()
                self.busy += 1
                try:
                    charger = Charger(await self._enrol(lane))
                    await self._upload(lane, charger, self._sample(charger))
                    self._chargers.append(charger)  # to be audited; it says nothing more
                finally:
                    self.busy -= 1
                self.newcomers += 1

    @property
    def device_ids(self) -> list[str]:
        """Return who the chargers are."""
        return [charger.device.device_id for charger in self._chargers]

    @property
    def result(self) -> dict[str, Any]:
        """Return what the audit wants to know."""
        ledger = self.ledger
        return {
            "devices": self.device_ids,
            "sent": [[list(key), time_ms] for key, time_ms in ledger.sent.items()],
            "acknowledged": [[list(key), time_ms] for key, time_ms in ledger.acknowledged.items()],
            "statuses": {str(status): count for status, count in ledger.statuses.items()},
            "failures": ledger.failures,
            "unknown_outcomes": ledger.unknown_outcomes,
            "repeats": ledger.repeats,
            "requests": self.requests,
            "newcomers": self.newcomers,
            "deliveries": dict(self.deliveries),
            "came_ms": self.came_ms,
        }


def keys_of(pairs: Sequence[Any]) -> dict[Key, int]:
    """Return a ledger's keys and times as they were before they were written down."""
    return {tuple(key): time_ms for key, time_ms in pairs}


async def run(load: RoamingLoad, result: Path) -> None:
    """Work until told to stop."""
    await load.enrol_all()
    load.start()
    load.running.set()
    began_s = time.monotonic()
    print("connected", json.dumps(load.device_ids), flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    await load.stop()
    document = load.result | {"load_s": time.monotonic() - began_s}
    await asyncio.to_thread(result.write_text, json.dumps(document))
    print("stopped", flush=True)


def main() -> None:
    """Read the arguments and run."""
    ports = [int(text) for text in sys.argv[1].split(",")]
    first, count = int(sys.argv[2]), int(sys.argv[3])
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    load = RoamingLoad(ports, first, count, float(sys.argv[4]))
    uvloop.run(run(load, Path(sys.argv[5])))


if __name__ == "__main__":
    main()
