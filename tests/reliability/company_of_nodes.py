"""What a fleet and operators see of several nodes while parts of them fail, and its audit."""

import asyncio
import itertools
import json
import math
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from tests.reliability.lanes import BrokenLaneError, Lane
from tests.reliability.ledger import Findings, Ledger, ms_of
from tests.reliability.mixed_load import now_ms
from tests.reliability.node_group import ROOT, NodeGroup
from tests.reliability.readback import command_of, events_of
from tests.reliability.roaming_fleet import RoamingLane, keys_of
from tests.reliability.test_kill import audit
from tests.server import Client, Device

PROCESSES_OF = 1250
AUDIT_LANES = 6
_STREAMED = 20


class Share:
    """A part of the fleet in a process of its own."""

    def __init__(
        self, folder: Path, ports: Sequence[int], first: int, count: int, rate: float
    ) -> None:
        self.devices: list[str] = []
        self._result = folder / f"roaming-{first}.json"
        words = (",".join(map(str, ports)), str(first), str(count), str(rate), str(self._result))
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.reliability.roaming_fleet", *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )

    def wait_for(self, word: str) -> str:
        """Wait until the share says so; return what it says beside it."""
        assert self._process.stdout is not None
        said, _, more = self._process.stdout.readline().strip().partition(" ")
        assert said == word, f"a share of the fleet said {said!r}, not {word}"
        return more

    def stop(self) -> dict[str, Any]:
        """Let it finish what is under way; return what came of it."""
        assert self._process.stdin is not None
        self._process.stdin.write("stop\n")
        self._process.stdin.flush()
        self.wait_for("stopped")
        document: dict[str, Any] = json.loads(self._result.read_text())
        return document

    def end(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()


@contextmanager
def roaming(
    folder: Path, ports: Sequence[int], chargers: int, rate: float
) -> Iterator[list[Share]]:
    """Connect a fleet from as many processes as it needs; ends them by their ids."""
    count = max(2, -(-chargers // PROCESSES_OF))
    size = -(-chargers // count)
    shares = [
        Share(folder, ports, first, min(size, chargers - first), rate / count)
        for first in range(0, chargers, size)
    ]
    try:
        for share in shares:
            share.devices = json.loads(share.wait_for("connected"))
        yield shares
    finally:
        for share in shares:
            share.end()


class Watch:
    """An operator's stream on one node, opened again whenever it ends."""

    def __init__(self, base_url: str, client: Client, devices: Sequence[str]) -> None:
        self.opened = 0
        self.frames = 0
        self.newest_ms = 0
        query = quote(",".join(devices), safe=",")
        self._url = f"{base_url.replace('http', 'ws', 1)}/v1/operator/stream?devices={query}"
        self._head = {"Authorization": f"Bearer {client.token}"}

    async def run(self) -> None:
        """Read until cancelled."""
        while True:
            try:
                async with connect(
                    self._url,
                    additional_headers=self._head,
                    compression=None,
                    proxy=None,
                    ping_interval=None,
                ) as stream:
                    self.opened += 1
                    async for text in stream:
                        self.frames += 1
                        at_ms = ms_of(json.loads(text)["timestamp"])
                        self.newest_ms = max(self.newest_ms, at_ms)
            except (OSError, WebSocketException, TimeoutError):
                pass
            await asyncio.sleep(0.2)


class Operators:
    """Clients that command chargers by way of any node, and watch streams on each."""

    def __init__(self, group: NodeGroup, devices: Sequence[str]) -> None:
        self.ledger = Ledger()
        self.client = group.create_client()
        self._watching: list[asyncio.Task[None]] = []
        self._finished: set[str] = set()
        self._ports = group.ports
        self._devices = devices
        chosen = devices[:_STREAMED]
        self.watches = [
            Watch(server.base_url, group.create_client(), chosen) for server in group.servers
        ]

    async def run(self, every_s: float, ending: asyncio.Event) -> None:
        """Issue a command to one charger after the other until told to end."""
        self._watching = [asyncio.create_task(watch.run()) for watch in self.watches]
        async with self._lane() as lane:
            for number in itertools.count():
                if ending.is_set():
                    break
                await self._issue(lane, self._devices[number % len(self._devices)])
                await asyncio.sleep(every_s)

    def _lane(self) -> Lane:
        return RoamingLane(self._ports, self.client.token, random.Random(len(self._ports)))

    async def _issue(self, lane: Lane, device_id: str) -> None:
        target = f"/v1/operator/devices/{device_id}/commands"
        body = {"command": "trigger_message", "params": {"message": "Heartbeat"}}
        try:
            reply = await lane.ask("POST", target, body)
        except BrokenLaneError:
            self.ledger.unknown_outcomes += 1
            return
        self.ledger.statuses[reply.status] += 1
        if reply.status == 200:
            key = ("command", device_id, reply.data["command_id"])
            self.ledger.sent[key] = self.ledger.acknowledged[key] = int(time.time() * 1000)
        elif reply.status not in {429, 503}:
            self.ledger.failures.append(f"a command was answered {reply}")

    async def list_unfinished(self) -> list[str]:
        """Return the commands that have not been carried out."""
        unfinished = []
        async with self._lane() as lane:
            for kind, _, command_id in tuple(self.ledger.acknowledged):
                if kind == "command" and command_id not in self._finished:
                    shown = await command_of(lane, command_id)
                    if shown is not None and shown["status"] == "completed":
                        self._finished.add(command_id)
                    else:
                        unfinished.append(command_id)
        return unfinished

    async def leave(self) -> None:
        """Close the streams."""
        for task in self._watching:
            task.cancel()
        ended = await asyncio.gather(*self._watching, return_exceptions=True)
        assert all(isinstance(end, asyncio.CancelledError) for end in ended), ended


@dataclass
class Outcome:
    """What came of it all."""

    ledger: Ledger = field(default_factory=Ledger)
    findings: list[Findings] = field(default_factory=list)
    deliveries: Counter[str] = field(default_factory=Counter)
    came_ms: dict[str, int] = field(default_factory=dict)
    deaf_ms: int = 0
    devices: list[str] = field(default_factory=list)
    unfinished: list[str] = field(default_factory=list)
    online: list[int] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    stream_lag_s: list[float] = field(default_factory=list)
    streams_opened: list[int] = field(default_factory=list)
    requests: int = 0
    newcomers: int = 0
    load_s: float = 0.0
    notes: list[str] = field(default_factory=list)

    def add(self, document: dict[str, Any]) -> None:
        """Take over what a share of the fleet wrote down."""
        self.devices += document["devices"]
        self.ledger.sent |= keys_of(document["sent"])
        self.ledger.acknowledged |= keys_of(document["acknowledged"])
        self.ledger.statuses.update({int(k): n for k, n in document["statuses"].items()})
        self.ledger.failures += document["failures"]
        self.ledger.unknown_outcomes += document["unknown_outcomes"]
        self.ledger.repeats += document["repeats"]
        self.requests += document["requests"]
        self.newcomers += document["newcomers"]
        self.load_s = max(self.load_s, document["load_s"])
        self.deliveries.update(document["deliveries"])
        self.came_ms |= document["came_ms"]

    def add_operators(self, ledger: Ledger) -> None:
        """Take over what operators were answered."""
        self.ledger.sent |= ledger.sent
        self.ledger.acknowledged |= ledger.acknowledged
        self.ledger.statuses.update(ledger.statuses)
        self.ledger.failures += ledger.failures
        self.ledger.unknown_outcomes += ledger.unknown_outcomes

    @property
    def lost(self) -> list[Any]:
        """Return what was acknowledged and is not there."""
        return [key for found in self.findings for key in found.lost]

    @property
    def duplicates(self) -> list[Any]:
        """Return what is there twice."""
        return [key for found in self.findings for key in found.duplicates]

    @property
    def phantoms(self) -> list[Any]:
        """Return what is there and was never sent."""
        return [key for found in self.findings for key in found.phantoms]

    @property
    def commands(self) -> list[str]:
        """Return the commands that were acknowledged to operators."""
        return [str(key[2]) for key in self.ledger.acknowledged if key[0] == "command"]

    @property
    def delays_s(self) -> list[float]:
        """Return how long commands took to their chargers once nodes were deafened, sorted.

        One that never came took forever; an answer and its command may overtake each other.
        """
        return sorted(
            (self.came_ms[str(key[2])] - time_ms) / 1000 if key[2] in self.came_ms else math.inf
            for key, time_ms in self.ledger.acknowledged.items()
            if key[0] == "command" and time_ms >= self.deaf_ms
        )

    def share_s(self, percent: int) -> float:
        """Return within which time so many of a hundred of those came."""
        delays_s = self.delays_s
        return delays_s[min(len(delays_s) - 1, len(delays_s) * percent // 100)]

    @property
    def twice(self) -> list[str]:
        """Return the commands that reached a charger more than once."""
        return [command_id for command_id, times in self.deliveries.items() if times > 1]

    def __str__(self) -> str:
        looked_for = sum(found.looked_for for found in self.findings)
        return (
            f"{len(self.devices)} chargers, {self.newcomers} of them new, {self.requests} requests"
            f" in {self.load_s:.0f} s: acknowledged writes {len(self.ledger.acknowledged)} (looked"
            f" for {looked_for}), lost {len(self.lost)}, duplicates {len(self.duplicates)}, never"
            f" sent {len(self.phantoms)}; outcomes unknown {self.ledger.unknown_outcomes}, repeats"
            f" {self.ledger.repeats}, answers {dict(self.ledger.statuses)}; commands"
            f" {len(self.commands)}, delivered twice {len(self.twice)}, unfinished"
            f" {len(self.unfinished)}, from deaf nodes after {self.share_s(50):.2f} s (p50),"
            f" {self.share_s(99):.2f} s (p99); streams opened {self.streams_opened}, their newest"
            f" frame {[f'{lag_s:.1f} s' for lag_s in self.stream_lag_s]} old at the end; online"
            f" {self.online}, faults {len(self.faults)}; {'; '.join(self.notes)}"
        )


class _Still:
    """A ledger as the audit wants it: nothing is under way."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger

    async def pause(self) -> None:
        """Nothing to wait for."""


async def look_back(group: NodeGroup, client: Client, outcome: Outcome) -> None:
    """Compare the ledger with what the nodes return, each asked for a part of the fleet."""
    still: Any = _Still(outcome.ledger)
    ended_ms = now_ms()
    for port in group.ports:
        async with Lane(port, client.token) as lane:
            target = "/v1/operator/devices?status=online&size=1"
            outcome.online.append((await lane.ask("GET", target)).data["total"])

    async def look(part: int) -> None:
        port = group.ports[part % len(group.ports)]
        devices = [Device(one, "", "", "") for one in outcome.devices[part::AUDIT_LANES]]
        outcome.findings.append(await audit(port, devices, client, still, 0))

    await asyncio.gather(*(look(part) for part in range(AUDIT_LANES)))
    async with Lane(group.ports[0], client.token) as lane:
        for device_id in outcome.devices:
            async for event in events_of(lane, device_id, 0):
                # What chargers miss since the load has ended is their own affair.
                if event["origin"] == "platform" and ms_of(event["timestamp"]) < ended_ms:
                    outcome.faults.append(str(event["data"]))
