"""The engine killed at every step there is: nothing is lost, nothing accepted goes again.

A kill is before or after any write to the store, and before or after a push has reached its peer.
The next engine finds what the last one left. Time is virtual: days pass in milliseconds.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tellus.delivery.model import LEASE_MS, Attempt, Outcome, Verdict
from tellus.legacy.model_outbox import INTERVALS_MS, Destination, OwedPush
from tellus.legacy.outbox import PeerOutbox
from tellus.legacy.outbox_steps import STEPS
from tests.unit.legacy.outbox_bench import (
    ACCEPT,
    DOWN,
    Everywhere,
    OutboxBench,
    ScriptedCourier,
    Sent,
)

STEPS_LARGEST = 200


class Killed(Exception):
    """The process ends here."""


class Fuse:
    """Ends the process at its ``at``-th step; from then on nothing goes any more."""

    def __init__(self, at: int) -> None:
        self._left = at
        self.blown = False

    def step(self) -> None:
        self._left -= 1
        self.blown = self.blown or self._left <= 0
        if self.blown:
            raise Killed


class FusedDatabase:
    """A store whose client may be killed before a write, or after it but before the answer.

    Keeps by push what the store has been told of its attempts.
    """

    def __init__(self, database: Any, fuse: Fuse, noted: dict[int, list[Attempt]]) -> None:
        self._database = database
        self._fuse = fuse
        self._noted = noted
        self.is_shared = database.is_shared

    async def write(self, work: Callable[..., Any], *args: Any) -> Any:
        self._fuse.step()
        result = await self._database.write(work, *args)
        if work == STEPS.note_attempt and result is not None:
            self._noted.setdefault(args[0], []).append(args[2])
        self._fuse.step()
        return result

    async def read(self, work: Callable[..., Any], *args: Any) -> Any:
        if self._fuse.blown:
            raise Killed
        return await self._database.read(work, *args)


class FusedCourier:
    """A courier that may be killed before the peer hears, or after that but before its answer."""

    def __init__(self, courier: ScriptedCourier, fuse: Fuse, world: "World") -> None:
        self._courier = courier
        self._fuse = fuse
        self._world = world

    async def send(self, to: Destination, push: OwedPush) -> Verdict:
        self._fuse.step()
        self._world.check(push)
        verdict = await self._courier.send(to, push)
        self._fuse.step()
        return verdict

    async def close(self) -> None:
        """Nothing is held."""


class World:
    """Three peers with an order each, so that none waits for another; engines come and go."""

    def __init__(self, bench: OutboxBench, name: str) -> None:
        self.bench = bench
        self.peers = [f"{name}_{key}" for key in "abc"]
        self.noted: dict[int, list[Attempt]] = {}
        self.faults: list[str] = []
        self.newest_heard: dict[str, int] = {}
        self.killed_at_ms: int | None = None

    def engine(self, fuse: Fuse) -> PeerOutbox:
        return PeerOutbox(
            FusedDatabase(self.bench.database, fuse, self.noted),  # type: ignore[arg-type]
            Everywhere(),
            FusedCourier(self.bench.courier, fuse, self),
            self.bench.clock,
        )

    def check(self, push: OwedPush) -> None:
        """Judge a push that is about to reach its peer."""
        noted = self.noted.get(push.push_no, [])
        ends = (Outcome.ACCEPTED, Outcome.REJECTED)
        if any(one.outcome in ends for one in noted):
            self.faults.append("sent again after its end was noted")
        if self.newest_heard.get(push.ordering_key, 0) > push.push_no:
            self.faults.append("an older state after a newer one")
        self.newest_heard[push.ordering_key] = push.push_no
        if noted and len(noted) <= len(INTERVALS_MS):
            due_ms = noted[-1].begun_ms + INTERVALS_MS[len(noted) - 1]
            late_ms = self.bench.clock.now_ms() - due_ms
            restarted = self.killed_at_ms is not None and self.killed_at_ms >= due_ms
            if late_ms != 0 and not (restarted and 0 < late_ms <= LEASE_MS):
                self.faults.append(f"off schedule by {late_ms} ms")

    async def live(self, fuse: Fuse) -> None:
        """Run an engine from one due push to the next until nothing is owed, or it is killed."""
        engine = self.engine(fuse)
        try:
            await engine.start()
            while True:
                while await engine.look():
                    await self.settle(engine)
                due_ms = await self.bench.next_due_ms()
                if due_ms is None:
                    return
                assert due_ms > self.bench.clock.now_ms(), "what is due does not go"
                self.bench.clock.advance((due_ms - self.bench.clock.now_ms()) / 1_000)
        finally:
            await self.settle(engine)

    async def settle(self, engine: PeerOutbox) -> None:
        """Wait for what is on its way; what a kill ended is no error."""
        tasks = [task for _, task in engine._sending.values()]
        await asyncio.gather(*tasks, return_exceptions=True)

    async def tell(self) -> None:
        """Three orders, of which one moves on before anything was sent."""
        await self.bench.add_peers(*self.peers)
        for number, which in enumerate((0, 0, 1, 2), 1):
            await self.bench.push(str(number), self.peers[which], self.peers[which])


def scripted(world: World, failures: int) -> Callable[[OwedPush], Verdict]:
    """A peer that fails so many times with each push, as far as it was noted."""
    return lambda push: DOWN if len(world.noted.get(push.push_no, [])) < failures else ACCEPT


async def _kill_everywhere(path: Path, failures: int, stride: int) -> int:
    """Run the same story again and again, each time killed ``stride`` steps later.

    Returns how many steps there are to be killed at.
    """
    async with OutboxBench(path) as bench:
        for at in range(1, STEPS_LARGEST, stride):
            world = World(bench, f"cl_{at}")
            for peer_id in world.peers:
                bench.courier.scripts[peer_id] = scripted(world, failures)
            await world.tell()
            fuse = Fuse(at)
            try:
                await world.live(fuse)
            except Killed:
                world.killed_at_ms = bench.clock.now_ms()
            if fuse.blown:
                world.killed_at_ms = bench.clock.now_ms()
                await world.live(Fuse(10**9))
            heard = [sent for sent in bench.courier.sent if sent.peer_id in world.peers]
            _check_end(world, heard, failures)
            if not fuse.blown:
                return at
        raise AssertionError("the story does not end")


def _check_end(world: World, heard: list[Sent], failures: int) -> None:
    assert world.faults == []
    ends = {number: noted[-1].outcome for number, noted in world.noted.items()}
    bodies = {sent.body for sent in heard}
    if failures > len(INTERVALS_MS):
        assert set(ends.values()) == {Outcome.UNREACHABLE}
        assert {len(noted) for noted in world.noted.values()} == {len(INTERVALS_MS) + 1}
    else:
        assert set(ends.values()) == {Outcome.ACCEPTED}
        assert {len(noted) for noted in world.noted.values()} == {failures + 1}
    assert len(ends) == 3, "a push was lost"
    assert bodies == {"2", "3", "4"}


@pytest.mark.parametrize(("failures", "stride"), [(0, 1), (2, 1), (6, 7)])
def test_outbox__killed_at_every_step__loses_nothing_and_repeats_nothing_accepted(
    database_kind: str, tmp_path: Path, failures: int, stride: int
) -> None:
    """Wherever the engine ends, the next one goes on as if nothing had been."""
    count = asyncio.run(_kill_everywhere(tmp_path, failures, stride))
    print(f"{(count - 1) // stride} kills")
    assert count > 10


def test_world__push_goes_after_its_end__is_noticed(tmp_path: Path) -> None:
    """The harness is no decoration: a push that it holds for accepted must not come again."""

    async def scenario() -> list[str]:
        async with OutboxBench(tmp_path) as bench:
            world = World(bench, "cl_1")
            await world.tell()
            world.noted = {2: [Attempt(bench.clock.now_ms(), Outcome.ACCEPTED)]}
            await world.live(Fuse(10**9))
            return world.faults

    assert "sent again after its end was noted" in asyncio.run(scenario())
