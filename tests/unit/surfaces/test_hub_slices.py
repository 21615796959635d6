"""However many subscribers and devices: the hub works in small pieces, and nobody misses anything.

A subscriber here is the real one with a far end that counts what it is sent.
"""

import asyncio
from typing import Any

from tests.unit.surfaces.test_hub import World, on_a_loop

MANY = 350
AT_ONCE = 100


async def turns_during(work: Any) -> int:
    """Return how many turns others got on the loop while ``work`` ran."""
    turns = 0

    async def count_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count_turns())
    await work
    counting.cancel()
    return turns


@on_a_loop
async def test_change__with_many_subscribers__reaches_all_in_pieces() -> None:
    """One call writes a bounded number of frames; the others get theirs with the next tick."""
    world = World()
    peers = [(await world.open(client=f"client_{number}"))[1] for number in range(MANY)]
    world.clock.advance(1.0)
    world.change(7.0)
    assert sum(len(peer.frames) for peer in peers) == AT_ONCE
    assert await turns_during(world.tick()) >= (MANY - AT_ONCE) // AT_ONCE
    assert [peer.powers for peer in peers] == [[7.0]] * MANY


@on_a_loop
async def test_change__of_many_devices_at_once__reaches_the_subscriber_whole() -> None:
    """A subscriber of many devices gets a frame of each that changed, none of them twice."""
    world = World(MANY)
    _, peer = await world.open(*range(1, MANY + 1))
    world.clock.advance(1.0)
    world.hub.on_changed(list(range(1, MANY + 1)))
    assert len(peer.frames) == AT_ONCE
    assert await turns_during(world.tick()) >= (MANY - AT_ONCE) // AT_ONCE
    named = [frame["device_id"] for frame in peer.frames]
    assert sorted(named) == sorted(f"dvc_{number}" for number in range(1, MANY + 1))


@on_a_loop
async def test_change__of_many_devices_with_many_subscribers__is_lost_for_none() -> None:
    """What one call has no time even to mark is passed on with the next tick."""
    world = World(20)
    devices = range(1, 21)
    peers = [(await world.open(*devices, client=f"client_{n}"))[1] for n in range(MANY)]
    world.clock.advance(1.0)
    world.hub.on_changed(list(devices))
    await world.tick()
    assert {len(peer.frames) for peer in peers} == {20}


@on_a_loop
async def test_snapshot__of_many_devices__lets_others_run_in_between() -> None:
    """The snapshot of a large subscription does not take the loop in one piece."""
    world = World(MANY)
    subscriber = world.subscriber(*range(1, MANY + 1))
    world.hub.add(subscriber)
    assert await turns_during(world.hub.send_snapshot(subscriber)) >= MANY // AT_ONCE
    peer: Any = subscriber.peer
    assert len(peer.frames) == MANY
