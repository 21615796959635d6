import asyncio
from typing import Any

import pytest

from tests.unit.surfaces.hub_world import CADENCE_S, SLOW_AFTER_S, World, on_a_loop


@on_a_loop
async def test_slow_peer__that_takes_up_again__gets_the_latest_frame_only() -> None:
    """What a slow subscriber missed is lost to it; what it then gets is the present."""
    world = World()
    subscriber, peer = await world.open()
    peer.writable = False
    for power_kw in range(20):
        world.change(float(power_kw))
        await world.tick(CADENCE_S)
    assert peer.frames == []
    assert len(subscriber.due) == 1
    peer.writable = True
    await world.tick()
    assert peer.powers == [19.0]


@on_a_loop
async def test_slow_peer__beside_a_quick_one__costs_it_nothing() -> None:
    """Subscribers are served independently of each other."""
    world = World()
    _, slow = await world.open(client="client_1")
    _, quick = await world.open(client="client_2")
    slow.writable = False
    for power_kw in range(3):
        world.clock.advance(CADENCE_S)
        world.change(float(power_kw))
    assert quick.powers == [0.0, 1.0, 2.0]
    assert slow.powers == []


@on_a_loop
async def test_slow_peer__after_its_time__is_closed_with_4408() -> None:
    """A subscriber that takes nothing for 30 s is closed as slow, not before."""
    world = World()
    subscriber, peer = await world.open()
    peer.writable = False
    world.change(1.0)
    await world.tick()
    world.clock.advance(SLOW_AFTER_S)
    world.sweep()
    assert not subscriber.closing.done()
    world.clock.advance(0.1)
    world.sweep()
    assert subscriber.closing.result()[0] == 4408


@pytest.mark.parametrize("by_tick", [True, False])
@on_a_loop
async def test_slow_peer__that_recovered__is_not_closed_later(*, by_tick: bool) -> None:
    """A pause that ended is forgotten, whichever way the next frame went out."""
    world = World()
    subscriber, peer = await world.open()
    peer.writable = False
    world.change(1.0)
    await world.tick(CADENCE_S)
    assert subscriber.paused_since_s is not None
    peer.writable = True
    if by_tick:
        await world.tick(0.05)
    else:
        world.change(2.0)
    assert len(peer.frames) == 1
    await world.tick(SLOW_AFTER_S + 1)
    world.sweep()
    assert not subscriber.closing.done()


@on_a_loop
async def test_slow_peer__that_takes_a_frame_now_and_then__stays() -> None:
    """A subscriber that makes progress loses frames, not its stream."""
    world = World(3)
    subscriber, peer = await world.open(1, 2, 3)
    for step in range(100):
        peer.room, peer.writable = 1, True
        for device_no in (1, 2, 3):
            world.change(float(step), device_no)
        await world.tick(CADENCE_S)
        world.sweep()
    assert not subscriber.closing.done()
    assert len(peer.frames) >= 99


@on_a_loop
async def test_snapshot__for_a_peer_that_is_full__waits_until_it_reads() -> None:
    """A snapshot of many devices never queues more than the peer takes."""
    world = World(3)
    subscriber = world.subscriber(1, 2, 3)
    peer: Any = subscriber.peer
    peer.room = 1
    world.hub.add(subscriber)
    snapshot = asyncio.create_task(world.hub.send_snapshot(subscriber))
    await asyncio.sleep(0)
    assert len(peer.frames) == 1
    peer.room, peer.writable = None, True
    peer.refilled.set()
    await snapshot
    assert len(peer.frames) == 3


@on_a_loop
async def test_snapshot__for_a_peer_that_leaves__ends() -> None:
    """Nobody waits for a peer that has gone."""
    world = World(2)
    subscriber = world.subscriber(1, 2)
    peer: Any = subscriber.peer
    peer.writable = False
    world.hub.add(subscriber)
    snapshot = asyncio.create_task(world.hub.send_snapshot(subscriber))
    await asyncio.sleep(0)
    peer.open = False
    peer.refilled.set()
    await snapshot
    assert peer.frames == []


@on_a_loop
async def test_many_waiting__with_a_change_between_slices__all_get_the_latest() -> None:
    """A change that comes while frames go out in slices reaches those that are served later."""
    world = World()
    peers = [(await world.open(client=f"client_{n}"))[1] for n in range(450)]
    world.change(1.0)
    world.clock.advance(CADENCE_S)
    sending = asyncio.create_task(world.hub._send_due())
    await asyncio.sleep(0)
    assert 0 < sum(len(peer.frames) for peer in peers) < 450
    world.change(2.0)
    await sending
    await world.tick(CADENCE_S)
    assert {peer.powers[-1] for peer in peers} == {2.0}
