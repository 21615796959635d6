"""A hub with its world: directory, clock, tokens, and peers that take frames while they may."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any

from tellus.fleet.directory import Connector, Device, Directory
from tellus.fleet.model import Reading
from tellus.kernel.call import Audience, Principal
from tellus.kernel.clock import ManualClock
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
