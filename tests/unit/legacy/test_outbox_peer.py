"""The whole way over real HTTP: outbox, delivery, and an emulated peer that misbehaves."""

import asyncio
from pathlib import Path

import pytest

from tellus.legacy.delivery import Delivery
from tellus.legacy.model import PeerAuth, Push, PushOperation
from tellus.legacy.model_outbox import Destination
from tellus.legacy.outbox import PeerOutbox
from tellus.legacy.store_outbox import append_push
from tellus.simulator.peer import PeerOrder, PeerPlatform
from tellus.simulator.peer_faults import PeerFault
from tests.unit.legacy.outbox_bench import OutboxBench

WORK = (
    '{"OrderId":"A-1","DeviceVendorOrderId":"ord_1","ChargePointId":"dvc_1","ConnectorId":1,'
    '"ChangeTime":"2026-01-01 00:00:00","Status":"CHARGING"}'
)


class Places:
    """Where emulated peers are, by id."""

    def __init__(self, peers: dict[str, PeerPlatform]) -> None:
        self._peers = peers

    async def find_destination(self, peer_id: str) -> Destination | None:
        peer = self._peers[peer_id]
        return Destination(
            push_url=peer.base_url,
            auth=PeerAuth.CLIENT_CREDENTIALS,
            secret="secret",
            token_url=peer.token_url,
            auth_id="cl_us",
        )


def emulated() -> PeerPlatform:
    """A peer that gives us tokens and has an order with us."""
    peer = PeerPlatform(push_client=("cl_us", "secret"), slow_s=60.0)
    peer.orders["A-1"] = PeerOrder("A-1", "dvc_1", 1)
    return peer


async def append(bench: OutboxBench, peer_id: str, key: str) -> None:
    """Owe a peer news of its order."""
    push = Push(peer_id, PushOperation.WORK_STATUS, key, WORK, bench.clock.now_ms())
    await bench.database.write(append_push, push)


def engine(
    bench: OutboxBench, peers: dict[str, PeerPlatform], timeout_s: float = 20.0
) -> PeerOutbox:
    """An outbox with real deliveries."""
    courier = Delivery(allows_private=True, timeout_s=timeout_s)
    return PeerOutbox(bench.database, Places(peers), courier, bench.clock)


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        (PeerFault.SLOW, "timeout"),
        (PeerFault.DOWN, "unreachable"),
        (PeerFault.ERROR, "bad_status"),
        (PeerFault.GARBAGE, "garbage"),
        (PeerFault.HUGE, "too_large"),
        (PeerFault.REDIRECT, "redirected"),
    ],
)
def test_outbox__peer_with_a_fault__gets_it_when_it_is_well(
    tmp_path: Path, fault: PeerFault, outcome: str
) -> None:
    """Whatever was wrong with a peer, a minute later it has what it is owed, once."""

    async def scenario() -> None:
        async with OutboxBench(tmp_path) as bench, emulated() as peer:
            await bench.add_peers("cl_1")
            outbox = engine(bench, {"cl_1": peer}, 1.0 if fault is PeerFault.SLOW else 20.0)
            await append(bench, "cl_1", "A-1")
            await peer.misbehave(fault)
            await outbox.look()
            await outbox.settled()
            assert outbox.outcomes == {outcome: 1}
            await peer.behave()
            bench.clock.advance(59)
            assert await outbox.look() == 0
            bench.clock.advance(1)
            assert await outbox.look() == 1
            await outbox.settled()
            assert await bench.states() == ["accepted"]
            assert [push.answer for push in peer.pushes if push.answer] == ["Accept"]
            assert peer.stray_requests == []
            await outbox.stop()

    asyncio.run(scenario())


def test_outbox__one_of_two_peers_is_slow__other_is_served_meanwhile(tmp_path: Path) -> None:
    """While one peer answers nothing, and has four pushes at a time, another has all its own."""

    async def scenario() -> None:
        async with OutboxBench(tmp_path) as bench, emulated() as slow, emulated() as quick:
            await bench.add_peers("cl_slow", "cl_quick")
            outbox = engine(bench, {"cl_slow": slow, "cl_quick": quick})
            await slow.misbehave(PeerFault.SLOW)
            for number in range(20):
                await append(bench, "cl_slow", f"order_{number}")
                await append(bench, "cl_quick", f"order_{number}")
            while sum(bool(push.answer) for push in quick.pushes) < 20:
                outbox.wake()
                await outbox.keep()
            assert len(slow.pushes) == 4
            await slow.misbehave(PeerFault.DOWN)
            await outbox.stop()

    asyncio.run(scenario())


def test_outbox__stopped_while_it_sends__notes_what_arrived(tmp_path: Path) -> None:
    """An orderly end waits for the answer of what is on its way."""

    async def scenario() -> None:
        async with OutboxBench(tmp_path) as bench, emulated() as peer:
            await bench.add_peers("cl_1")
            peer.slow_s = 0.2
            await peer.misbehave(PeerFault.SLOW)
            outbox = engine(bench, {"cl_1": peer})
            await append(bench, "cl_1", "A-1")
            assert await outbox.look() == 1
            await outbox.stop()
            assert await bench.states() == ["accepted"]

    asyncio.run(scenario())
