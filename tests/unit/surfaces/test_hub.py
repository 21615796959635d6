import asyncio
import json
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any

import pytest

from tellus.fleet.directory import Connector, Device, Directory
from tellus.fleet.model import Reading
from tellus.kernel.call import Audience, Principal
from tellus.kernel.clock import ManualClock
from tellus.kernel.errors import TokenExpired, Unauthenticated
from tellus.surfaces.hub import Hub, Subscriber

CADENCE_S = 1.0
SLOW_AFTER_S = 30.0


class FakePeer:
    """The far end of a stream: takes frames while it is told to."""

    def __init__(self) -> None:
        self.frames: list[dict[str, Any]] = []
        self.writable = True
        self.open = True
        self.refilled = asyncio.Event()
        self.room: int | None = None  # how many frames it takes before it is full

    def is_writable(self) -> bool:
        return self.writable and self.open

    async def drain(self) -> bool:
        await self.refilled.wait()
        return self.open

    def write_frame(self, frame: bytes) -> bool:
        if not self.open:
            return False
        payload = frame[frame.index(b"{") :]
        self.frames.append(json.loads(payload))
        if self.room is not None:
            self.room -= 1
            self.writable = self.room > 0
        return True

    @property
    def powers(self) -> list[float | None]:
        """The power of the first connector in every frame, kW."""
        return [frame["connectors"][0].get("power") for frame in self.frames]


class World:
    """A hub with its directory, clock and tokens."""

    def __init__(self, devices: int = 1) -> None:
        self.clock = ManualClock()
        self.directory = Directory()
        self.refusals: dict[str, type[Exception]] = {}
        self.principals: dict[str, Principal] = {}
        self.hub = Hub(
            self.directory,
            self.clock,
            self.authenticate,
            cadence_s=CADENCE_S,
            slow_after_s=SLOW_AFTER_S,
        )
        for number in range(1, devices + 1):
            device = Device(number, f"dvc_{number}", f"SN-{number}", "op_1", "site_1")
            device.connectors[1] = Connector(1)
            self.directory.add(device)

    def authenticate(self, token: str, audience: Audience) -> Principal:
        assert audience is Audience.OPERATOR
        if token in self.refusals:
            raise self.refusals[token]
        return self.principals[token]

    def subscriber(self, *device_nos: int, client: str = "client_1", token: str = "") -> Subscriber:
        name = token or client
        known = self.principals.get(name)
        principal = known or Principal(Audience.OPERATOR, client, "op_1", frozenset({"read"}))
        self.principals[name] = principal
        peer: Any = FakePeer()
        return Subscriber(peer, principal, device_nos or (1,), name)

    async def open(self, *device_nos: int, **more: Any) -> tuple[Subscriber, FakePeer]:
        """Add a subscriber that has had its snapshot; forget the snapshot."""
        subscriber = self.subscriber(*device_nos, **more)
        self.hub.add(subscriber)
        await self.hub.send_snapshot(subscriber)
        peer: Any = subscriber.peer
        peer.frames.clear()
        return subscriber, peer

    def change(self, power_kw: float, device_no: int = 1) -> None:
        """Let a device draw another power."""
        device = self.directory.by_no(device_no)
        assert device is not None
        connector = device.connectors[1]
        connector.reading = Reading("charging", 400.0, 1.0, power_kw, 0.0)
        connector.time_ms = self.clock.now_ms()
        self.hub.on_changed([device_no])

    async def tick(self, seconds: float = 0.0) -> None:
        """Let time pass, then let the hub send what is due."""
        self.clock.advance(seconds)
        await self.hub._send_due()

    def sweep(self) -> None:
        """Let the hub close what has to end."""
        self.hub._close_ended(self.clock.monotonic_s())


def on_a_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run a test of the hub on an event loop, where it lives."""

    @wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        asyncio.run(test(*args, **kwargs))

    return run


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
