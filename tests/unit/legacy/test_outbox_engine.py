"""The outbox sends what is owed: in time, in order, each peer for itself."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tellus.delivery.model import Attempt, Outcome, PushState, Verdict
from tellus.delivery.steps import PushEnded, PushInFlight, PushOutdated
from tellus.kernel.errors import Conflict, NotFound, Unavailable
from tellus.legacy import store_outbox
from tellus.legacy.model_outbox import OwedPush
from tellus.legacy.outbox import PeerOutbox
from tellus.legacy.outbox_steps import STEPS
from tests.unit.legacy.outbox_bench import ACCEPT, DOWN, REJECT, Everywhere, OutboxBench

DAY_MINUTES = 24 * 60


class Away:
    """A store that answers only while it is there."""

    is_shared = False

    def __init__(self, database: Any) -> None:
        self._database = database
        self.is_there = True

    async def write(self, *work: Any) -> Any:
        if not self.is_there:
            raise Unavailable("The store is away")
        return await self._database.write(*work)

    async def read(self, *work: Any) -> Any:
        if not self.is_there:
            raise Unavailable("The store is away")
        return await self._database.read(*work)


def test_outbox__peer_accepts__push_ends_with_one_attempt(tmp_path: Path) -> None:
    """What a peer accepts is sent once, at once."""

    async def scenario() -> None:
        async with OutboxBench(tmp_path) as bench:
            await bench.add_peers("cl_1")
            push_id = await bench.push()
            await bench.run_until(bench.began_ms + 10**9)
            assert bench.minutes == [0]
            held = await bench.find(push_id)
            assert (held.state, held.attempts, held.due_ms) == (PushState.ACCEPTED, 1, None)

    asyncio.run(scenario())


def test_outbox__peer_rejects__push_ends_and_shows_it(tmp_path: Path) -> None:
    """A Reject is an answer: it is not asked again."""

    async def scenario() -> None:
        async with OutboxBench(tmp_path) as bench:
            await bench.add_peers("cl_1")
            bench.courier.scripts["cl_1"] = lambda _push: REJECT
            push_id = await bench.push()
            await bench.run_until(bench.began_ms + 10**9)
            held = await bench.find(push_id)
            assert bench.minutes == [0]
            assert (held.state, held.last_error) == (PushState.REJECTED, "rejected")

    asyncio.run(scenario())


def test_outbox__peer_down_for_days__attempts_keep_the_schedule_and_end(tmp_path: Path) -> None:
    """Attempts at once and 1, 5, 60, 180 minutes and 24 hours after one another, then no more."""

    async def scenario() -> None:
        async with OutboxBench(tmp_path) as bench:
            await bench.add_peers("cl_1")
            bench.courier.scripts["cl_1"] = lambda _push: DOWN
            push_id = await bench.push()
            await bench.run_until(bench.began_ms + 10**12)
            assert bench.minutes == [0, 1, 6, 66, 246, 246 + DAY_MINUTES]
            held = await bench.find(push_id)
            assert (held.state, held.attempts) == (PushState.GIVEN_UP, 6)
            assert [one.outcome for one in held.history] == [Outcome.UNREACHABLE] * 6

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "failure",
    [
        Verdict(outcome)
        for outcome in Outcome
        if outcome not in (Outcome.ACCEPTED, Outcome.REJECTED)
    ],
)
def test_outbox__no_verdict__is_tried_again(tmp_path: Path, failure: Verdict) -> None:
    """Whatever is no verdict of the peer is tried again after a minute."""

    async def scenario() -> None:
        async with OutboxBench(tmp_path) as bench:
            await bench.add_peers("cl_1")
            answers = [failure, ACCEPT]
            bench.courier.scripts["cl_1"] = lambda _push: answers.pop(0)
            await bench.push()
            await bench.run_until(bench.began_ms + 10**9)
            assert bench.minutes == [0, 1]
            assert await bench.states() == ["accepted"]

    asyncio.run(scenario())


def test_outbox__newer_state_while_older_waits__older_is_not_sent(tmp_path: Path) -> None:
    """Of an order that has moved on the peer hears the newest alone, at once."""

    async def scenario() -> None:
        async with OutboxBench(tmp_path) as bench:
            await bench.add_peers("cl_1")
            answers = [DOWN, ACCEPT]
            bench.courier.scripts["cl_1"] = lambda _push: answers.pop(0)
            await bench.push("1")
            await bench.run()
            bench.clock.advance(10)
            await bench.push("2")
            await bench.push("3")
            await bench.run_until(bench.began_ms + 10**9)
            assert bench.bodies == ["1", "3"]
            assert await bench.states() == ["superseded", "superseded", "accepted"]

    asyncio.run(scenario())


@pytest.mark.parametrize(("answer", "end"), [(ACCEPT, "accepted"), (DOWN, "superseded")])
def test_outbox__newer_state_while_older_is_sent__newer_waits(
    tmp_path: Path, answer: Verdict, end: str
) -> None:
    """The newer state goes when the older has been answered, however it was."""

    async def scenario() -> None:
        async with OutboxBench(tmp_path) as bench:
            await bench.add_peers("cl_1")
            answers = [answer, ACCEPT]
            bench.courier.scripts["cl_1"] = lambda _push: answers.pop(0)
            bench.courier.held["cl_1"] = asyncio.Event()
            await bench.push("1")
            assert await bench.outbox.look() == 1
            await asyncio.sleep(0)
            await bench.push("2")
            assert await bench.outbox.look() == 0
            assert bench.bodies == ["1"]
            bench.courier.held["cl_1"].set()
            await bench.outbox.settled()
            await bench.run()
            assert bench.bodies == ["1", "2"]
            assert await bench.states() == [end, "accepted"]

    asyncio.run(scenario())


def test_outbox__dead_peer__delays_nobody_else(tmp_path: Path) -> None:
    """A peer that does not answer holds its own four pushes, and those of no other."""

    async def scenario() -> None:
        async with OutboxBench(tmp_path) as bench:
            await bench.add_peers("cl_dead", "cl_good")
            bench.courier.held["cl_dead"] = asyncio.Event()
            for number in range(10):
                await bench.push(key=f"order_{number}", peer_id="cl_dead")
                await bench.push(key=f"order_{number}", peer_id="cl_good")
            while sum(sent.peer_id == "cl_good" for sent in bench.courier.sent) < 10:
                await bench.outbox.look()
                await asyncio.sleep(0)
            assert bench.courier.most_at_once == {"cl_dead": 4, "cl_good": 4}
            assert sum(sent.peer_id == "cl_dead" for sent in bench.courier.sent) == 4

    asyncio.run(scenario())


def test_outbox__peer_fails_again_and_again__is_left_alone_and_tried_with_one(
    tmp_path: Path,
) -> None:
    """After five failures in a row one push at a time finds out whether a peer is back."""

    async def scenario() -> None:
        async with OutboxBench(tmp_path) as bench:
            await bench.add_peers("cl_1")
            bench.courier.scripts["cl_1"] = lambda _push: DOWN
            for number in range(8):
                await bench.push(key=f"order_{number}")
            await bench.run()
            assert bench.outbox.breakers_open == 1
            tried = len(bench.courier.sent)
            assert tried == 8
            bench.clock.advance(61)
            await bench.run()
            assert len(bench.courier.sent) == tried + 1
            bench.clock.advance(59)
            await bench.run()
            assert len(bench.courier.sent) == tried + 1
            bench.clock.advance(2)
            await bench.run()
            assert len(bench.courier.sent) == tried + 2
            bench.courier.scripts["cl_1"] = lambda _push: ACCEPT
            bench.clock.advance(3_600)
            await bench.run()
            assert bench.outbox.breakers_open == 0
            assert set(await bench.states()) == {"accepted"}

    asyncio.run(scenario())


def test_outbox__accepted_under_a_lease_that_ran_out__is_not_sent_again(tmp_path: Path) -> None:
    """A verdict counts also when it comes late; a late failure does not undo a newer attempt."""

    async def scenario() -> None:
        async with OutboxBench(tmp_path) as bench:
            await bench.add_peers("cl_1")
            await bench.push()
            now_ms = bench.clock.now_ms()
            (push,) = await bench.database.write(STEPS.reserve, "cl_1", 4, "lse_1", now_ms)
            later_ms = now_ms + 20_000
            assert await bench.database.write(STEPS.reserve, "cl_1", 4, "lse_2", later_ms)
            failed = Attempt(now_ms, Outcome.TIMEOUT)
            noted = await bench.database.write(
                STEPS.note_attempt, push.push_no, "lse_1", failed, later_ms
            )
            assert noted is None
            accepted = Attempt(now_ms, Outcome.ACCEPTED, 200)
            await bench.database.write(
                STEPS.note_attempt, push.push_no, "lse_1", accepted, later_ms
            )
            assert await bench.states() == ["accepted"]

    asyncio.run(scenario())


def test_outbox__retried_by_hand__goes_at_once_unless_it_must_not(tmp_path: Path) -> None:
    """What was given up can be driven again; what is accepted, outdated or unknown cannot."""

    async def scenario() -> None:
        async with OutboxBench(tmp_path) as bench:
            await bench.add_peers("cl_1")
            bench.courier.scripts["cl_1"] = lambda _push: REJECT
            first = await bench.push("1")
            await bench.run()
            bench.courier.scripts["cl_1"] = lambda _push: ACCEPT
            now_ms = bench.clock.now_ms()
            driven = await bench.database.write(STEPS.drive_again, first, now_ms)
            assert (driven.attempts, driven.due_ms) == (0, now_ms)
            await bench.run()
            assert await bench.states() == ["accepted"]
            with pytest.raises(PushEnded):
                await bench.database.write(STEPS.drive_again, first, now_ms)
            older = await bench.push("2", key="order_2")
            await bench.push("3", key="order_2")
            with pytest.raises(PushOutdated):
                await bench.database.write(STEPS.drive_again, older, now_ms)
            with pytest.raises(NotFound):
                await bench.database.write(STEPS.drive_again, "psh_none", now_ms)

    asyncio.run(scenario())


def test_outbox__cancelled_by_hand__is_not_sent(tmp_path: Path) -> None:
    """A push that waits can be ended; one that is being sent cannot."""

    async def scenario() -> None:
        async with OutboxBench(tmp_path) as bench:
            await bench.add_peers("cl_1")
            cancelled = await bench.push()
            sending = await bench.push(key="order_2")
            now_ms = bench.clock.now_ms()
            await bench.database.write(STEPS.cancel, cancelled, now_ms)
            await bench.database.write(STEPS.reserve, "cl_1", 4, "lse_1", now_ms)
            for step in (STEPS.cancel, STEPS.drive_again):
                with pytest.raises(PushInFlight):
                    await bench.database.write(step, sending, now_ms)
            with pytest.raises(Conflict):
                await bench.database.write(STEPS.cancel, cancelled, now_ms)
            bench.clock.advance(16)
            await bench.run()
            assert [sent.key for sent in bench.courier.sent] == ["order_2"]

    asyncio.run(scenario())


def test_outbox__peer_goes__what_it_was_owed_ends(tmp_path: Path) -> None:
    """With a peer goes what it was owed; pushes that ended long ago are forgotten."""

    async def scenario() -> None:
        async with OutboxBench(tmp_path) as bench:
            await bench.add_peers("cl_1")
            await bench.push()
            now_ms = bench.clock.now_ms()
            assert await bench.database.write(store_outbox.cancel_of_peer, "cl_1", now_ms) == 1
            await bench.run()
            assert bench.bodies == []
            assert await bench.states() == ["cancelled"]
            bench.clock.advance(29 * 86_400)
            await bench.outbox.prune()
            assert await bench.states() == ["cancelled"]
            bench.clock.advance(2 * 86_400)
            await bench.outbox.prune()
            assert await bench.states() == []

    asyncio.run(scenario())


def test_outbox__courier_with_a_bug__is_told_and_costs_one_lease(tmp_path: Path) -> None:
    """A bug in sending comes to light, holds up nothing else, and loses no push."""

    async def scenario() -> None:
        async with OutboxBench(tmp_path) as bench:
            await bench.add_peers("cl_1", "cl_2")

            def stumble(_push: OwedPush) -> Verdict:
                raise ZeroDivisionError

            bench.courier.scripts["cl_1"] = stumble
            await bench.push(peer_id="cl_1")
            await bench.push(peer_id="cl_2")
            await bench.outbox.look()
            await bench.outbox.settled()
            with pytest.raises(ZeroDivisionError):
                await bench.outbox.look()
            assert await bench.states() == ["waiting", "accepted"]
            bench.courier.scripts.pop("cl_1")
            bench.clock.advance(15)
            await bench.run()
            assert await bench.states() == ["accepted", "accepted"]

    asyncio.run(scenario())


def test_outbox__store_is_away__round_fails_once_and_outcome_is_kept(tmp_path: Path) -> None:
    """While the store cannot serve, rounds are slow to fail; what a peer said is noted later."""

    async def scenario() -> None:
        async with OutboxBench(tmp_path) as bench:
            await bench.add_peers("cl_1")
            store = Away(bench.database)
            outbox = PeerOutbox(store, Everywhere(), bench.courier, bench.clock)  # type: ignore[arg-type]
            bench.courier.held["cl_1"] = asyncio.Event()
            await bench.push()
            assert await outbox.look() == 1
            store.is_there = False
            bench.courier.held["cl_1"].set()
            outbox.wake()
            began_s = asyncio.get_running_loop().time()
            with pytest.raises(Unavailable):
                await outbox.keep()
            assert asyncio.get_running_loop().time() - began_s > 0.9
            assert await bench.states() == ["waiting"]
            store.is_there = True
            await outbox.settled()
            assert await bench.states() == ["accepted"]
            assert bench.bodies == ["{}"]

    asyncio.run(scenario())
