"""Two installations that are told the same of energy: one as it happened, one in any way at all."""

import asyncio
import random
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tests.reliability.energy_facts import RECORDS, SAMPLES, Fact, Plan
from tests.reliability.lanes import BrokenLaneError, Lane
from tests.server import Client, Device, RunningServer

LANES_PER_CHARGER = 2
_LARGEST_CHUNK = 300
_GOOD = {"stored", "duplicate"}


class Chunk(NamedTuple):
    """Facts of one kind that go up together."""

    kind: str
    bodies: list[dict[str, Any]]


@dataclass
class Depot:
    """An operator with two sites on one platform, and its chargers."""

    server: RunningServer
    client: Client
    site_ids: list[str]
    devices: list[Device]

    @property
    def port(self) -> int:
        """Where the platform listens."""
        return int(self.server.base_url.rpartition(":")[2])


def make_depot(server: RunningServer, chargers: int) -> Depot:
    """Make an operator with two sites, between which its chargers are divided."""
    operator_id = server.create_operator()
    sites = [server.create_site(operator_id, name) for name in ("North", "South")]
    devices = []
    for number in range(chargers):
        sn = f"ENERGY-{number}"
        enrolment = server.provision(sn, sites[number % 2])
        devices.append(server.register(sn, enrolment=enrolment))
    return Depot(server, server.create_client(operator_id), sites, devices)


@dataclass
class Tally:
    """What came of uploads."""

    facts: int = 0
    repeats: int = 0
    refused: list[Any] = field(default_factory=list)
    broken: int = 0
    questions: int = 0

    def judge(self, bodies: int, status: int, body: Any) -> None:
        """Count an answer; whatever is not taken is refused."""
        if status != 200:
            self.refused.append((status, body))
            return
        self.facts += bodies
        items = (body.get("data") or {}).get("items", [])
        self.refused += [one for one in items if one["outcome"] not in _GOOD]
        self.repeats += sum(one["outcome"] == "duplicate" for one in items)


# ------------------------------------------------------------------------------- in order


async def upload_in_order(depot: Depot, plans: Sequence[Plan], tally: Tally) -> None:
    """Tell everything once, in order of time."""

    async def tell(device: Device, facts: list[Fact]) -> None:
        async with Lane(depot.port, device.token) as lane:
            for chunk in _chunks(facts, lambda: _LARGEST_CHUNK):
                await _send(lane, chunk, tally)

    await asyncio.gather(
        *(tell(device, plan.facts) for device, plan in zip(depot.devices, plans, strict=True))
    )


async def _send(lane: Lane, chunk: Chunk, tally: Tally) -> None:
    if len(chunk.bodies) == 1:
        reply = await lane.ask("POST", f"/v1/device/{chunk.kind}", chunk.bodies[0])
    else:
        reply = await lane.ask("POST", f"/v1/device/{chunk.kind}/batch", {"items": chunk.bodies})
    tally.judge(len(chunk.bodies), reply.status, reply.body)


def _chunks(facts: Sequence[Fact], size: Callable[[], int]) -> list[Chunk]:
    """Parts of one kind, in the order of the facts."""
    chunks: list[Chunk] = []
    room = 0
    for fact in facts:
        if not room or chunks[-1].kind != fact.kind:
            chunks.append(Chunk(fact.kind, []))
            room = size()
        chunks[-1].bodies.append(fact.body)
        room -= 1
    return chunks


# ------------------------------------------------------------------------------- in any way


def shuffle(facts: Sequence[Fact], number: int) -> list[Fact]:
    """The facts in one of several orders, a fifth of them twice."""
    rng = random.Random(1_000 + number)
    again = rng.sample(list(facts), len(facts) // 5)
    orders: list[Callable[[list[Fact]], list[Fact]]] = [
        lambda given: given[::-1],
        lambda given: rng.sample(given, len(given)),
        lambda given: sorted(given, key=lambda fact: (fact.kind == SAMPLES, rng.random())),
        lambda given: sorted(given, key=lambda fact: (fact.kind == RECORDS, -fact.time_ms)),
        lambda given: given[len(given) // 2 :] + given[: len(given) // 2],
        lambda given: [*given[1::2], *given[::2]],
    ]
    return orders[number % len(orders)](sorted([*facts, *again]))


class Chaos:
    """Chargers that tell their facts in any order over several connections each.

    They hold while the platform is away, and tell again what was not answered.
    """

    def __init__(self, depot: Depot, plans: Sequence[Plan], tally: Tally) -> None:
        self._depot = depot
        self._plans = plans
        self._tally = tally
        self._rng = random.Random(7)
        self._left: list[deque[Chunk]] = []
        for number, plan in enumerate(plans):
            facts = shuffle(plan.past, number)
            held = _chunks(facts, lambda: self._rng.choice((1, 40, _LARGEST_CHUNK)))
            self._left.append(deque(_merge(held, self._rng) if number % 2 else held))
        self._all = sum(map(len, self._left))
        self._shares: dict[float, asyncio.Event] = {}
        self.up = asyncio.Event()
        self.up.set()

    async def told(self, share: float) -> None:
        """Wait until this share of the past is told."""
        await self._shares.setdefault(share, asyncio.Event()).wait()

    def _count(self) -> None:
        done = 1.0 - sum(map(len, self._left)) / self._all
        for share, reached in self._shares.items():
            if done >= share:
                reached.set()

    async def run(self, questions: Callable[[Lane], Any]) -> None:
        """Tell all of it; meanwhile ask ``questions`` again and again."""
        asking = asyncio.ensure_future(self._ask(questions))
        lanes = []
        for number, device in enumerate(self._depot.devices):
            lanes += [self._tell(device, self._left[number]) for _ in range(LANES_PER_CHARGER)]
            lanes.append(self._tell_live(device, self._plans[number].live, number))
        await asyncio.gather(*lanes)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)

    async def _tell(self, device: Device, left: deque[Chunk]) -> None:
        async with Lane(self._depot.port, device.token) as lane:
            while left:
                await self._send(lane, left.popleft())
                self._count()

    async def _tell_live(self, device: Device, facts: Sequence[Fact], number: int) -> None:
        """Tell what happens when it happens, some of it too late and some of it twice."""
        rng = random.Random(number)
        due = []
        for fact in facts:
            due.append((fact.time_ms + rng.choice((0, 0, 0, 0, 0, 0, 0, 3_500)), fact))
            if rng.random() < 0.1:
                due.append((fact.time_ms + rng.randrange(5_000), fact))
        async with Lane(self._depot.port, device.token) as lane:
            for due_ms, fact in sorted(due):
                await asyncio.sleep(due_ms / 1_000 - time.time())
                await self._send(lane, Chunk(fact.kind, [fact.body]))

    async def _send(self, lane: Lane, chunk: Chunk) -> None:
        while True:
            await self.up.wait()
            try:
                await _send(lane, chunk, self._tally)
            except BrokenLaneError:
                self._tally.broken += 1
                await asyncio.sleep(0.05)
            else:
                return

    async def _ask(self, questions: Callable[[Lane], Any]) -> None:
        async with Lane(self._depot.port, self._depot.client.token) as lane:
            while True:
                await self.up.wait()
                try:
                    await questions(lane)
                    self._tally.questions += 1
                except BrokenLaneError:
                    pass
                await asyncio.sleep(0.4)


def _merge(chunks: list[Chunk], rng: random.Random) -> list[Chunk]:
    """The same in fewer uploads where neighbours of a kind can go together."""
    merged: list[Chunk] = []
    for chunk in sorted(chunks, key=lambda _: rng.random()):
        held = next((one for one in merged[-3:] if one.kind == chunk.kind), None)
        if held is not None and len(held.bodies) + len(chunk.bodies) <= _LARGEST_CHUNK:
            held.bodies.extend(chunk.bodies)
        else:
            merged.append(chunk)
    return merged
