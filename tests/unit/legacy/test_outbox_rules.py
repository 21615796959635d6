"""When a peer is left alone, and how many pushes may be on their way to it."""

import asyncio
from pathlib import Path

import pytest

from tellus.delivery.model import Outcome
from tellus.delivery.rules import Breaker, follow, room_for
from tellus.delivery.steps import PeerGone
from tellus.identity.keys import KeyRing
from tellus.legacy import store
from tellus.legacy.delivery import Delivery
from tellus.legacy.model import PeerAuth
from tellus.legacy.model_outbox import Destination
from tellus.legacy.outbox_destinations import PeerDestinations
from tellus.legacy.outbox_steps import STEPS
from tests.unit.legacy.outbox_bench import REJECT, OutboxBench, make_peer, owed

KEYS = KeyRing(bytes(range(32)), bytes(range(32, 64)))
OTHER_KEYS = KeyRing(bytes(range(32)), bytes(range(64, 96)))


def failing(times: int, now_s: float = 0.0) -> Breaker:
    """What is thought of a peer after so many failures, one after the other as soon as it may."""
    breaker = Breaker()
    for _ in range(times):
        breaker = follow(breaker, Outcome.TIMEOUT, max(now_s, breaker.until_s))
    return breaker


@pytest.mark.parametrize(
    ("failures", "is_open", "pause_s"),
    [(0, False, 0), (4, False, 0), (5, True, 30), (6, True, 60), (7, True, 120), (8, True, 240),
     (9, True, 300), (40, True, 300)],
)  # fmt: skip
def test_follow__failures_in_a_row__pauses_grow(
    failures: int, *, is_open: bool, pause_s: float
) -> None:
    """After five failures a peer is left alone for 30 s, then twice as long, 5 min at most."""
    breaker = failing(failures)
    tried_s = failing(failures - 1).until_s if failures else 0.0
    assert breaker.is_open is is_open
    assert breaker.until_s == (tried_s + pause_s if is_open else 0.0)


@pytest.mark.parametrize("outcome", [Outcome.ACCEPTED, Outcome.REJECTED])
def test_follow__any_verdict__makes_well(outcome: Outcome) -> None:
    """A peer that answers is well, whatever its answer is."""
    assert follow(failing(9), outcome, 1_000.0) == Breaker()


def test_follow__failure_of_what_left_before__says_nothing_new() -> None:
    """Pushes that were on their way when a peer was given up do not prolong that."""
    breaker = failing(5)
    assert follow(breaker, Outcome.TIMEOUT, breaker.until_s - 1) == breaker


@pytest.mark.parametrize(
    ("failures", "in_flight", "later_s", "room"),
    [(0, 0, 0, 4), (0, 3, 0, 1), (0, 4, 0, 0), (0, 9, 0, 0), (4, 0, 0, 4), (5, 0, 0, 0),
     (5, 0, 29, 0), (5, 0, 30, 1), (5, 1, 30, 0)],
)  # fmt: skip
def test_room_for__well_and_left_alone__is_four_and_one(
    failures: int, in_flight: int, later_s: float, room: int
) -> None:
    """Four at a time; to a peer that was left alone one, once its pause is over."""
    assert room_for(failing(failures), in_flight, later_s) == room


def test_destination__configured__is_read_each_time(tmp_path: Path) -> None:
    """Address and secret are those of the configuration, also after a change; None without one."""

    async def scenario() -> None:
        async with OutboxBench(tmp_path) as bench:
            peer = make_peer("cl_1")
            sealed = KEYS.seal(b"tok_1", "peer:cl_1")
            await bench.database.write(store.append_peer, make_peer("cl_2"))
            await bench.database.write(
                store.append_peer,
                type(peer)(
                    peer_id="cl_1",
                    operator_id="op_1",
                    name="Peer",
                    push_url="https://peer.example/v1",
                    auth=PeerAuth.BEARER,
                    sealed_secret=sealed,
                ),
            )
            places = PeerDestinations(bench.database, KEYS)
            assert await places.find_destination("cl_1") == Destination(
                push_url="https://peer.example/v1", auth=PeerAuth.BEARER, secret="tok_1"
            )
            assert await places.find_destination("cl_none") is None
            await bench.database.write(
                store.update_peer, type(peer)(peer_id="cl_1", operator_id="op_1", name="Peer")
            )
            assert await places.find_destination("cl_1") is None

    asyncio.run(scenario())


def test_destination__secret_of_another_key__fails_alone(tmp_path: Path) -> None:
    """A secret that cannot be read costs its own peer its pushes, and no other."""

    async def scenario() -> None:
        async with OutboxBench(tmp_path) as bench:
            peer = make_peer("cl_1")
            sealed = OTHER_KEYS.seal(b"tok_1", "peer:cl_1")
            await bench.database.write(
                store.append_peer,
                type(peer)(
                    peer_id="cl_1",
                    operator_id="op_1",
                    name="Peer",
                    push_url="http://127.0.0.1:9/v1",
                    sealed_secret=sealed,
                ),
            )
            to = await PeerDestinations(bench.database, KEYS).find_destination("cl_1")
            assert to is not None
            delivery = Delivery(allows_private=True)
            assert (await delivery.send(to, owed())).outcome is Outcome.UNAUTHENTICATED
            await delivery.close()

    asyncio.run(scenario())


def test_delivery__token_from_a_near_address__is_refused() -> None:
    """Where tokens come from is judged like where pushes go."""

    async def scenario() -> None:
        delivery = Delivery()
        to = Destination(
            push_url="https://peer.example/v1",
            auth=PeerAuth.CLIENT_CREDENTIALS,
            secret="made-up",
            token_url="https://127.0.0.1:9/token",
            auth_id="cl_us",
        )
        assert (await delivery.send(to, owed())).outcome is Outcome.ADDRESS_REFUSED
        await delivery.close()

    asyncio.run(scenario())


def test_outbox__peer_was_deleted__its_pushes_are_not_driven_again(tmp_path: Path) -> None:
    """A push to a peer that is gone would wait for ever."""

    async def scenario() -> None:
        async with OutboxBench(tmp_path) as bench:
            await bench.add_peers("cl_1")
            bench.courier.scripts["cl_1"] = lambda _push: REJECT
            push_id = await bench.push()
            await bench.run()
            await bench.database.write(store.delete_peer, "cl_1")
            with pytest.raises(PeerGone):
                await bench.database.write(STEPS.drive_again, push_id, bench.clock.now_ms())

    asyncio.run(scenario())
