from typing import Any

import pytest

from tellus.kernel.errors import TokenExpired, Unauthenticated
from tests.unit.surfaces.hub_world import CADENCE_S, World, on_a_loop


@on_a_loop
async def test_snapshot__of_three_devices__is_one_frame_each() -> None:
    """A new subscriber first gets one frame of every device it subscribed to, known or new."""
    world = World(3)
    world.change(7.0, 2)
    subscriber = world.subscriber(3, 1, 2)
    world.hub.add(subscriber)
    await world.hub.send_snapshot(subscriber)
    peer: Any = subscriber.peer
    assert [frame["device_id"] for frame in peer.frames] == ["dvc_1", "dvc_2", "dvc_3"]
    assert peer.powers == [None, 7.0, None]
    assert peer.frames[0]["connectors"] == [{"connector_id": 1, "state": "idle"}]


@on_a_loop
async def test_change__before_the_snapshot__is_shown_by_the_snapshot_alone() -> None:
    """A change between subscription and snapshot is no frame of its own: the first is the state."""
    world = World()
    subscriber = world.subscriber()
    world.hub.add(subscriber)
    world.change(5.0)
    peer: Any = subscriber.peer
    assert peer.frames == []
    await world.hub.send_snapshot(subscriber)
    await world.tick(CADENCE_S)
    assert peer.powers == [5.0]


@on_a_loop
async def test_change__after_the_cadence__is_sent_at_once() -> None:
    """A change of a device that was quiet for a cadence waits for nothing."""
    world = World()
    _, peer = await world.open()
    world.clock.advance(CADENCE_S)
    world.change(5.0)
    assert peer.powers == [5.0]


@on_a_loop
async def test_changes__within_the_cadence__become_one_frame_of_the_latest() -> None:
    """However often a device changes, a subscriber gets one frame a cadence, and the newest."""
    world = World()
    _, peer = await world.open()
    for power_kw in (1.0, 2.0, 3.0):
        world.change(power_kw)
        await world.tick(0.25)
    assert peer.powers == []
    await world.tick(0.25)
    assert peer.powers == [3.0]
    await world.tick(5 * CADENCE_S)
    assert peer.powers == [3.0]


@on_a_loop
async def test_changes__of_two_devices__do_not_hold_up_each_other() -> None:
    """The cadence is counted per device."""
    world = World(2)
    _, peer = await world.open(1, 2)
    world.clock.advance(CADENCE_S)
    world.change(1.0, 1)
    world.change(2.0, 2)
    assert peer.powers == [1.0, 2.0]


@on_a_loop
async def test_changes__at_ten_a_second__give_at_most_one_frame_per_cadence() -> None:
    """Over a minute of steady change there are as many frames as cadences, none closer."""
    world = World()
    _, peer = await world.open()
    for step in range(600):
        world.change(float(step))
        await world.tick(0.1)
    assert 55 <= len(peer.frames) <= 60


@on_a_loop
async def test_same_client_and_set__in_another_order__replaces_with_4409() -> None:
    """The newer of two streams of one client for the same devices wins, in whatever order named."""
    world = World(2)
    older, old_peer = await world.open(1, 2)
    newer, new_peer = await world.open(2, 1)
    assert older.closing.result()[0] == 4409
    assert not newer.closing.done()
    assert len(world.hub) == 1
    world.clock.advance(CADENCE_S)
    world.change(1.0)
    assert (len(old_peer.frames), len(new_peer.frames)) == (0, 1)


@on_a_loop
async def test_same_set__of_two_clients__stays_side_by_side() -> None:
    """Only the same client's stream is replaced."""
    world = World()
    one, _ = await world.open(client="client_1")
    two, _ = await world.open(client="client_2")
    assert not one.closing.done()
    assert not two.closing.done()


@on_a_loop
async def test_other_set__of_one_client__stays_side_by_side() -> None:
    """A client may watch several sets, also overlapping ones."""
    world = World(2)
    one, _ = await world.open(1)
    two, _ = await world.open(1, 2)
    assert not one.closing.done()
    assert not two.closing.done()


@pytest.mark.parametrize(("refusal", "reason"), [(Unauthenticated, "2001"), (TokenExpired, "2002")])
@on_a_loop
async def test_token__no_longer_good__closes_with_4401_and_the_reason(
    refusal: type[Exception], reason: str
) -> None:
    """The next sweep ends a stream whose token was revoked (2001) or has expired (2002)."""
    world = World()
    subscriber, _ = await world.open(token="token_1")
    world.sweep()
    assert not subscriber.closing.done()
    world.refusals["token_1"] = refusal
    world.sweep()
    assert subscriber.closing.result() == (4401, reason)


@on_a_loop
async def test_scope__taken_away__closes_with_4403() -> None:
    """A client that may no longer read is told so."""
    world = World()
    subscriber, _ = await world.open()
    subscriber.principal.scopes = frozenset({"write"})
    world.sweep()
    assert subscriber.closing.result() == (4403, "2003")


@on_a_loop
async def test_device__moved_to_another_operator__is_shown_no_more() -> None:
    """No frame of a device goes to the operator that it has left, not even one that was due."""
    world = World(2)
    _, peer = await world.open(1, 2)
    world.change(1.0)
    device = world.directory.by_no(1)
    assert device is not None
    world.directory.move(device, "op_2", "site_2")
    await world.tick(CADENCE_S)
    world.change(2.0)
    await world.tick(CADENCE_S)
    assert peer.frames == []
    world.change(3.0, 2)
    assert peer.powers == [3.0]


@on_a_loop
async def test_device__deleted__is_skipped() -> None:
    """A device that is gone has no frame; the others go on."""
    world = World(2)
    subscriber, peer = await world.open(1, 2)
    world.change(1.0)
    device = world.directory.by_no(1)
    assert device is not None
    world.directory.remove(device)
    await world.tick(CADENCE_S)
    world.hub.on_changed([1])
    world.change(3.0, 2)
    assert peer.powers == [3.0]
    assert not subscriber.due


@on_a_loop
async def test_subscriber__that_left__is_forgotten_whole() -> None:
    """Nothing of a subscriber stays behind."""
    world = World()
    subscriber, peer = await world.open()
    world.change(1.0)
    world.hub.remove(subscriber)
    await world.tick(CADENCE_S)
    world.change(2.0)
    assert peer.frames == []
    assert (len(world.hub), world.hub._by_device, world.hub._waiting) == (0, {}, {})
