"""An outbox over a real store, with peers that answer as told and a clock that is moved."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, Self

from tellus.delivery.model import Outcome, PushState, Verdict
from tellus.kernel.clock import ManualClock, SystemClock
from tellus.legacy import store, store_outbox
from tellus.legacy.model import Peer, Push, PushOperation
from tellus.legacy.model_outbox import Destination, OwedPush, PushFilter
from tellus.legacy.outbox import PeerOutbox
from tests.databases import open_database

ACCEPT = Verdict(Outcome.ACCEPTED, 200)
REJECT = Verdict(Outcome.REJECTED, 200)
DOWN = Verdict(Outcome.UNREACHABLE)

BODY = '{"OrderId":"A-1","Status":"CHARGING"}'

Script = Callable[[OwedPush], Verdict]


class Sent(NamedTuple):
    """One attempt as the peer saw it."""

    peer_id: str
    key: str
    body: str
    at_ms: int


class ScriptedCourier:
    """Peers by id: each answers as its script says, Accept without one; a held one is silent."""

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock
        self.sent: list[Sent] = []
        self.scripts: dict[str, Script] = {}
        self.held: dict[str, asyncio.Event] = {}
        self.most_at_once: dict[str, int] = {}
        self._now: dict[str, int] = {}

    async def send(self, to: Destination, push: OwedPush) -> Verdict:
        peer = push.peer_id
        self.sent.append(Sent(peer, push.ordering_key, push.body, self._clock.now_ms()))
        self._now[peer] = self._now.get(peer, 0) + 1
        self.most_at_once[peer] = max(self.most_at_once.get(peer, 0), self._now[peer])
        try:
            if peer in self.held:
                await self.held[peer].wait()
            await asyncio.sleep(0.002)
            return self.scripts.get(peer, lambda _push: ACCEPT)(push)
        finally:
            self._now[peer] -= 1

    async def close(self) -> None:
        """Nothing is held."""


class Everywhere:
    """Pushes of every peer have somewhere to go."""

    async def find_destination(self, peer_id: str) -> Destination | None:
        return Destination(push_url=f"https://{peer_id}.example/v1")


class OutboxBench:
    """Store, clock and peers of one test; ``restart`` brings up a new engine on the store."""

    def __init__(self, path: Path) -> None:
        self.clock = ManualClock()
        # The writer measures itself: a clock that jumps would have it turn writes away.
        self.database: Any = open_database(path / "tellus.db", SystemClock())
        self.courier = ScriptedCourier(self.clock)
        self.began_ms = self.clock.now_ms()
        self.outbox = self.build()

    def build(self) -> PeerOutbox:
        return PeerOutbox(self.database, Everywhere(), self.courier, self.clock)

    async def __aenter__(self) -> Self:
        await self.database.start()
        await self.outbox.start()
        return self

    async def __aexit__(self, *_error: object) -> None:
        for event in self.courier.held.values():
            event.set()
        await self.outbox.stop()
        await self.database.stop()

    async def restart(self) -> None:
        await self.outbox.stop()
        self.outbox = self.build()
        await self.outbox.start()

    # ------------------------------------------------------------------ what happens

    async def add_peers(self, *peer_ids: str) -> None:
        for peer_id in peer_ids:
            await self.database.write(store.append_peer, make_peer(peer_id))

    async def push(self, body: str = "{}", key: str = "order_1", peer_id: str = "cl_1") -> str:
        made = make_push(body, key, peer_id, self.clock.now_ms())
        push_id: str = await self.database.write(store_outbox.append_push, made)
        return push_id

    async def run(self) -> None:
        """Send all that may go now, until nothing more does."""
        while await self.outbox.look():
            await self.outbox.settled()

    async def run_until(self, at_ms: int) -> None:
        """Go from one due push to the next, up to a time."""
        await self.run()
        while (due_ms := await self.next_due_ms()) is not None and due_ms <= at_ms:
            self.clock.advance(max(1, due_ms - self.clock.now_ms()) / 1_000)
            await self.run()

    async def next_due_ms(self) -> int | None:
        rows = await self.database.read(
            lambda tx: tx.row("SELECT min(due_ms) FROM legacy_outbox WHERE ended_ms IS NULL")
        )
        return rows[0]

    # ------------------------------------------------------------------ what is seen

    async def find(self, push_id: str) -> OwedPush:
        found: OwedPush | None = await self.database.read(store_outbox.find_push, push_id)
        assert found is not None
        return found

    async def states(self) -> list[str]:
        _, found = await self.database.read(store_outbox.list_pushes, PushFilter(), 0, 1_000)
        return [push.state.value for push in reversed(found)]

    @property
    def bodies(self) -> list[str]:
        return [sent.body for sent in self.courier.sent]

    @property
    def minutes(self) -> list[float]:
        """When attempts were made, since the beginning."""
        return [(sent.at_ms - self.began_ms) / 60_000 for sent in self.courier.sent]


def make_peer(peer_id: str) -> Peer:
    """A peer that pushes go to."""
    return Peer(
        peer_id=peer_id, operator_id="op_1", name=peer_id, push_url=f"https://{peer_id}.example/v1"
    )


def make_push(
    body: str,
    key: str,
    peer_id: str,
    now_ms: int,
    operation: PushOperation = PushOperation.WORK_STATUS,
) -> Push:
    """A push as the feature appends it."""
    return Push(peer_id, operation, key, body, now_ms)


def owed(operation: PushOperation = PushOperation.WORK_STATUS) -> OwedPush:
    """A push as its sender has it."""
    return OwedPush(
        push_no=1, push_id="psh_1", receiver_id="cl_1", operation=operation, ordering_key="A-1",
        body=BODY, state=PushState.WAITING, attempts=0, due_ms=0, lease_id="lse_1", created_ms=0,
        updated_ms=0, last_status=None, last_error=None, history=(), ended_ms=None,
    )  # fmt: skip
