"""A mixed load of a small fleet and its operator, which keeps a ledger of what was acknowledged.

Samples alone and in batches, also old ones, events, charging records, heartbeats, commands and what
chargers say of them. Whatever got no answer is sent again, unchanged, until it gets one; some of
what was acknowledged is sent again too.
"""

import asyncio
import itertools
import random
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from tests.reliability.lanes import BrokenLaneError, Lane, Reply
from tests.reliability.ledger import Ledger, Write, text_of
from tests.server import Client, Device

BATCH_SAMPLES = 20
LATE_MS = 40 * 60_000
CONNECTORS = (1, 2)
LANES_PER_CHARGER = 3
_RETRY_S = 0.15
_PAUSE_S = 0.03
_REPEATED_SHARE = 0.02
_REMEMBERED = 200


def now_ms() -> int:
    """Return the time as the load stamps it."""
    return int(time.time() * 1000)


@dataclass
class Charger:
    """One charger: its own clock that never gives the same instant twice, what it is to report."""

    device: Device
    stamp_ms: int = 0
    reports: deque[tuple[str, str]] = field(default_factory=deque)
    seen_commands: set[str] = field(default_factory=set)

    def stamp(self, steps: int = 1) -> int:
        """Return the first of `steps` instants in a row that nothing else was stamped with."""
        first = max(self.stamp_ms + 1, now_ms())
        self.stamp_ms = first + steps - 1
        return first


class MixedLoad:
    """Keeps `chargers` busy while `running` is set; ends when `stop` is called."""

    def __init__(self, port: int, chargers: list[Device], client: Client, seed: int) -> None:
        self.ledger = Ledger()
        self.running = asyncio.Event()
        self.requests = 0
        self.busy = 0
        self._port = port
        self._client = client
        self._rng = random.Random(seed)
        self._chargers = [Charger(device) for device in chargers]
        self._numbers = itertools.count(1)
        self._recent: deque[tuple[Charger, Write]] = deque(maxlen=_REMEMBERED)
        self._lanes: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Open the lanes; they wait for `running`."""
        for charger in self._chargers:
            for _ in range(LANES_PER_CHARGER):
                self._lanes.append(asyncio.create_task(self._drive(charger)))
        self._lanes.append(asyncio.create_task(self._control()))

    async def stop(self) -> None:
        """Let every lane finish what it has sent, and end."""
        await self.pause()
        for lane in self._lanes:
            lane.cancel()
        ended = await asyncio.gather(*self._lanes, return_exceptions=True)
        bugs = [end for end in ended if not isinstance(end, asyncio.CancelledError)]
        assert not bugs, bugs

    async def pause(self) -> None:
        """Start nothing new; return once all that was sent has an answer."""
        self.running.clear()
        while self.busy:
            self._raise_bugs()
            await asyncio.sleep(0.005)

    def _raise_bugs(self) -> None:
        for lane in self._lanes:
            if lane.done() and not lane.cancelled():
                lane.result()

    async def rest(self) -> None:
        """Let a lane wait before what it sends next."""
        await asyncio.sleep(self._rng.random() * _PAUSE_S)

    # ------------------------------------------------------------------ chargers

    async def _drive(self, charger: Charger) -> None:
        choices = (
            (self._sample, 60), (self._late_sample, 3), (self._batch, 4), (self._event, 12),
            (self._record, 8), (self._heartbeat, 8), (self._report, 8),
        )  # fmt: skip
        makers, weights = [maker for maker, _ in choices], [weight for _, weight in choices]
        async with Lane(self._port, charger.device.token) as lane:
            while True:
                await self.running.wait()
                self.busy += 1
                try:
                    write = self._rng.choices(makers, weights)[0](charger)
                    await self._upload(lane, charger, write)
                    if self._rng.random() < _REPEATED_SHARE:
                        await self._repeat(lane)
                finally:
                    self.busy -= 1
                await self.rest()

    async def _upload(self, lane: Lane, charger: Charger, write: Write) -> None:
        if write.keys:
            self.ledger.note_sent(write)
        reply = await self._insist(lane, write)
        if reply.status != 200:
            return
        if "commands" in (reply.data or {}):
            self._take_commands(charger, reply.data["commands"])
        elif "items" in (reply.data or {}):
            outcomes = [item["outcome"] for item in reply.data["items"]]
            if set(outcomes) - {"stored", "duplicate"} or len(outcomes) != len(write.keys):
                self.ledger.failures.append(f"{write.target} answered {outcomes}")
        self.ledger.note_acknowledged(write.keys, write.time_ms)
        self._recent.append((charger, write))

    async def _insist(self, lane: Lane, write: Write) -> Reply:
        """Send a write until it is answered; an outcome unknown or put off is asked for again."""
        known = True
        while True:
            try:
                reply = await lane.ask("POST", write.target, write.body)
            except BrokenLaneError:
                self.ledger.unknown_outcomes += known
                known = False
                await asyncio.sleep(_RETRY_S * (0.5 + self._rng.random()))
                continue
            self.requests += 1
            details = reply.body.get("details") or {}
            if reply.status == 409 and details.get("reason") == "conflicting_session":
                return reply  # right: another start of the connector is under way
            self.ledger.statuses[reply.status] += 1
            if reply.status in {429, 503}:
                await asyncio.sleep(_RETRY_S)
                continue
            if reply.status not in {200, 409}:
                self.ledger.failures.append(f"{write.target} answered {reply}")
            return reply

    async def _repeat(self, lane: Lane) -> None:
        charger, write = self._rng.choice(self._recent) if self._recent else (None, None)
        if write is None or charger is None:
            return
        own, lane.token = lane.token, charger.device.token
        self.ledger.repeats += 1
        await self._insist(lane, write)
        lane.token = own

    def _take_commands(self, charger: Charger, commands: list[dict[str, Any]]) -> None:
        for command in commands:
            command_id = command["command_id"]
            if command_id not in charger.seen_commands:
                charger.seen_commands.add(command_id)
                charger.reports.append((command_id, "accepted"))

    # ------------------------------------------------------------------ what they send

    def _sample(self, charger: Charger) -> Write:
        return self._telemetry(charger, charger.stamp())

    def _late_sample(self, charger: Charger) -> Write:
        return self._telemetry(charger, charger.stamp() - LATE_MS)

    def _telemetry(self, charger: Charger, time_ms: int) -> Write:
        body, key = self._reading(charger, time_ms)
        return Write("/v1/device/telemetry", body, (key,), time_ms)

    def _batch(self, charger: Charger) -> Write:
        first = charger.stamp(BATCH_SAMPLES)
        pairs = [self._reading(charger, first + step) for step in range(BATCH_SAMPLES)]
        items = {"items": [body for body, _ in pairs]}
        return Write("/v1/device/telemetry/batch", items, tuple(key for _, key in pairs), first)

    def _reading(self, charger: Charger, time_ms: int) -> tuple[dict[str, Any], tuple[Any, ...]]:
        # Not "charging": a connector in a session takes no start, and starts are part of the load.
        number, connector_id = next(self._numbers), self._rng.choice(CONNECTORS)
        key = ("telemetry", charger.device.device_id, connector_id, time_ms, number)
        return {
            "timestamp": text_of(time_ms),
            "connector_id": connector_id,
            "state": "preparing",
            "voltage": 400.0,
            "current": 125.0,
            "power": 50.0,
            "energy_delivered": number,
        }, key

    def _event(self, charger: Charger) -> Write:
        number, time_ms = next(self._numbers), charger.stamp()
        body = {
            "timestamp": text_of(time_ms),
            "event_type": "alarm",
            "connector_id": 1,
            "data": {"number": number},
        }
        key = ("event", charger.device.device_id, number)
        return Write("/v1/device/events", body, (key,), time_ms)

    def _record(self, charger: Charger) -> Write:
        number, time_ms = next(self._numbers), charger.stamp()
        body = {
            "record_id": f"rec-{number}",
            "connector_id": 1,
            "start_time": text_of(time_ms),
            "end_time": text_of(time_ms + 1),
            "energy": 1.5,
            "max_power": 50.0,
            "avg_power": 40.0,
            "meter_start": 10.0,
            "meter_end": 11.5,
            "vehicle_info": {"vin": f"TESTVEHKL{number:08d}"},
        }
        key = ("record", charger.device.device_id, f"rec-{number}")
        return Write("/v1/device/charging-records", body, (key,), time_ms)

    def _heartbeat(self, charger: Charger) -> Write:
        fault = self._rng.random() < 0.3
        body = {
            "timestamp": text_of(charger.stamp()),
            "status": "fault" if fault else "online",
            "fault_code": 421 if fault else 0,
        }
        return Write("/v1/device/heartbeat", body, (), 0)

    def _report(self, charger: Charger) -> Write:
        if not charger.reports:
            return self._heartbeat(charger)
        command_id, status = charger.reports.popleft()
        if status == "accepted":
            charger.reports.append((command_id, "completed"))
        time_ms = charger.stamp()
        body = {"command_id": command_id, "status": status, "timestamp": text_of(time_ms)}
        key = ("report", command_id, status, time_ms)
        return Write("/v1/device/command-status", body, (key,), time_ms)

    # ------------------------------------------------------------------ the operator

    async def _control(self) -> None:
        async with Lane(self._port, self._client.token) as lane:
            while True:
                await self.running.wait()
                self.busy += 1
                try:
                    await self._issue(lane, self._rng.choice(self._chargers))
                finally:
                    self.busy -= 1
                await asyncio.sleep(0.02)

    async def _issue(self, lane: Lane, charger: Charger) -> None:
        """Start a connector under a transaction of its own, so that a repeat is the same start."""
        target = f"/v1/operator/devices/{charger.device.device_id}/connectors/1/start"
        body = {"transaction_id": f"tx-{next(self._numbers)}"}
        reply = await self._insist(lane, Write(target, body, (), 0))
        if reply.status != 200:
            return
        again = await self._insist(lane, Write(target, body, (), 0))
        if again.status != 200 or again.data["command_id"] != reply.data["command_id"]:
            self.ledger.failures.append(f"a repeated start answered {again}, first {reply}")
        key = ("command", charger.device.device_id, reply.data["command_id"])
        self.ledger.sent[key] = self.ledger.acknowledged[key] = now_ms()
