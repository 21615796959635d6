"""Chargers that lose their platform and all come back at once; lean, so that thousands fit.

`python returning_fleet.py PORT FIRST COUNT SAMPLES HEARTBEAT_S RESULT` says `connected` once all
are, waits for the line `return`, writes what came of it to the file RESULT, says `returned`, and
ends with its input. Each charger holds one connection, on which it does one thing after the other;
its heartbeat goes on whatever its uploads have to wait for.
"""

import asyncio
import json
import random
import resource
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import uvloop

from tests.reliability.lanes import BrokenLaneError, Lane, Reply
from tests.reliability.ledger import text_of

SAMPLE_EVERY_MS = 5_000
BATCH_SAMPLES = 200
_ENROLLED_AT_ONCE = 64
_WITHIN_S = 90.0
_BACKOFF_S = 0.5
_BACKOFF_MOST_S = 15.0
MOMENTS = ("authenticated", "heartbeat", "uploaded", "heartbeating")


class Tally:
    """What a share of the fleet was answered."""

    def __init__(self) -> None:
        self.statuses: Counter[int] = Counter()
        self.broken = 0
        self.left = 0
        self.connected = asyncio.Event()
        self.returning = asyncio.Event()
        self.returned = asyncio.Event()

    def one_less(self, done: asyncio.Event) -> None:
        """Note that one more has come so far; set ``done`` with the last."""
        self.left -= 1
        if not self.left:
            done.set()


class Charger:
    """One charger: what it is, what it has buffered, and when it had got how far."""

    def __init__(self, number: int, port: int, heartbeat_s: float, tally: Tally) -> None:
        self.number = number
        self.device_id = ""
        self.secret = ""
        self.moments_s: dict[str, float] = {}
        self.acknowledged: list[tuple[int, float]] = []
        self.rejected: list[Any] = []
        self._heartbeat_s = heartbeat_s
        # The heartbeat goes over the same connection: it waits for a poll to end.
        self._poll = f"/v1/device/commands?connector_id=1&wait={max(1, int(heartbeat_s))}"
        self._lane = Lane(port, within_s=_WITHIN_S)
        self._turn = asyncio.Lock()
        self._tally = tally
        self._rng = random.Random(number)

    async def enrol(self) -> None:
        """Register and get a token."""
        identity = {
            "sn": f"RETURN-{self.number:06d}",
            "model": "TP-AC22",
            "manufacturer": "Maker",
            "firmware_version": "3.1.0",
        }
        made = (await self._insist("POST", "/v1/device/register", identity)).data
        self.device_id, self.secret = made["device_id"], made["device_secret"]
        await self._log_in()

    async def live(self, samples: int) -> None:
        """Be connected until the platform goes away; come back when it does, for good."""
        await self._heartbeat()
        await self._upload([self._sample(int(time.time() * 1000), 0.5)])
        self._tally.one_less(self._tally.connected)
        await self._poll_until_gone()
        await self._tally.returning.wait()
        began_s = time.monotonic()
        buffered = self._buffer(samples)
        await self._log_in()
        self._note("authenticated", began_s)
        await self._heartbeat()
        self._note("heartbeat", began_s)
        async with asyncio.TaskGroup() as duties:
            duties.create_task(self._keep_heartbeating(began_s))
            duties.create_task(self._empty_buffer(buffered, began_s))

    def _note(self, name: str, began_s: float) -> None:
        """Note when this was first so; the charger has returned when all of it is."""
        if name not in self.moments_s:
            self.moments_s[name] = time.monotonic() - began_s
            if len(self.moments_s) == len(MOMENTS):
                self._tally.one_less(self._tally.returned)

    async def _keep_heartbeating(self, began_s: float) -> None:
        while True:
            await asyncio.sleep(self._heartbeat_s)
            await self._heartbeat()
            self._note("heartbeating", began_s)

    async def _empty_buffer(self, buffered: list[dict[str, Any]], began_s: float) -> None:
        await self._upload(buffered)
        self._note("uploaded", began_s)
        while True:
            await self._insist("GET", self._poll)
            await asyncio.sleep(0)

    async def _poll_until_gone(self) -> None:
        try:
            while True:
                await self._lane.ask("GET", self._poll)
        except BrokenLaneError:
            return

    async def _log_in(self) -> None:
        body = {
            "device_id": self.device_id,
            "device_secret": self.secret,
            "grant_type": "client_credentials",
        }
        self._lane.token = ""
        self._lane.token = (await self._insist("POST", "/v1/device/token", body)).body[
            "access_token"
        ]

    async def _heartbeat(self) -> None:
        now = text_of(int(time.time() * 1000))
        body = {"timestamp": now, "status": "online", "fault_code": 0}
        await self._insist("POST", "/v1/device/heartbeat", body)

    def _buffer(self, samples: int) -> list[dict[str, Any]]:
        """Return what was sampled while the platform was away."""
        first_ms = int(time.time() * 1000) - samples * SAMPLE_EVERY_MS
        return [self._sample(first_ms + n * SAMPLE_EVERY_MS, n + 1.0) for n in range(samples)]

    def _sample(self, time_ms: int, energy_kwh: float) -> dict[str, Any]:
        return {
            "timestamp": text_of(time_ms),
            "time_ms": time_ms,
            "connector_id": 1,
            "state": "charging",
            "voltage": 400.0,
            "current": 25.0,
            "power": 10.0,
            "energy_delivered": energy_kwh,
        }

    async def _upload(self, samples: list[dict[str, Any]]) -> None:
        for start in range(0, len(samples), BATCH_SAMPLES):
            part = samples[start : start + BATCH_SAMPLES]
            items = [
                {name: one for name, one in item.items() if name != "time_ms"} for item in part
            ]
            reply = await self._insist("POST", "/v1/device/telemetry/batch", {"items": items})
            for item, outcome in zip(part, reply.data["items"], strict=True):
                if outcome["outcome"] in {"stored", "duplicate"}:
                    self.acknowledged.append((item["time_ms"], item["energy_delivered"]))
                else:
                    self.rejected.append(outcome)

    async def _insist(self, method: str, target: str, body: Any = None) -> Reply:
        """Ask until it is granted, waiting longer each time and at least as long as is asked."""
        for attempt in range(1_000):
            least_s = 0.0
            try:
                async with self._turn:
                    reply = await self._lane.ask(method, target, body)
            except BrokenLaneError:
                self._tally.broken += 1
            else:
                self._tally.statuses[reply.status] += 1
                if reply.status == 200:
                    return reply
                if reply.status not in {429, 503}:
                    raise AssertionError((target, reply))
                details = reply.body.get("details") or {}
                least_s = float(details.get("retry_after_seconds", 0))
            most_s = min(_BACKOFF_MOST_S, _BACKOFF_S * 2**attempt)
            await asyncio.sleep(least_s + self._rng.uniform(0, most_s))
        raise AssertionError((target, "was never granted"))

    @property
    def result(self) -> dict[str, Any]:
        """Return what the audit wants to know."""
        return {
            "device_id": self.device_id,
            "moments_s": self.moments_s,
            "acknowledged": self.acknowledged,
            "rejected": self.rejected,
        }


async def enrol_all(chargers: list[Charger]) -> None:
    """Register the chargers, some at a time."""
    waiting = iter(chargers)

    async def work() -> None:
        for charger in waiting:
            await charger.enrol()

    await asyncio.gather(*(work() for _ in range(_ENROLLED_AT_ONCE)))


async def run(port: int, numbers: range, samples: int, heartbeat_s: float, result: Path) -> None:
    """Live through one outage."""
    tally = Tally()
    chargers = [Charger(number, port, heartbeat_s, tally) for number in numbers]
    await enrol_all(chargers)
    tally.left = len(chargers)
    async with asyncio.TaskGroup() as lives:
        tasks = [lives.create_task(charger.live(samples)) for charger in chargers]
        await tally.connected.wait()
        print("connected", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        tally.left = len(chargers)
        tally.returning.set()
        await tally.returned.wait()
        document = {
            "chargers": [charger.result for charger in chargers],
            "statuses": {str(status): count for status, count in tally.statuses.items()},
            "broken": tally.broken,
        }
        await asyncio.to_thread(result.write_text, json.dumps(document))
        print("returned", flush=True)
        await asyncio.to_thread(sys.stdin.read)
        for task in tasks:
            task.cancel()


def main() -> None:
    """Read the arguments and run."""
    port, first, count, samples = (int(text) for text in sys.argv[1:5])
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    numbers = range(first, first + count)
    uvloop.run(run(port, numbers, samples, float(sys.argv[5]), Path(sys.argv[6])))


if __name__ == "__main__":
    main()
