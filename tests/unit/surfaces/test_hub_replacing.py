"""Streams that are replaced from another node."""

import asyncio
from typing import cast

import pytest

from tellus.fleet.directory import Directory
from tellus.kernel.call import Audience, Principal
from tellus.kernel.clock import ManualClock
from tellus.surfaces.guard.streamsocket import StreamPeer
from tellus.surfaces.hub import CLOSE_REPLACED, Hub, Subscriber

PRINCIPAL = Principal(Audience.OPERATOR, "cl_1", "op_1")


class TwoHubs:
    """The hubs of two nodes, and what each told of streams that were opened."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.told: tuple[list[int], list[int]] = ([], [])
        self.hubs = tuple(self._make(told) for told in self.told)

    def _make(self, told: list[int]) -> Hub:
        hub = Hub(Directory(), self.clock, lambda _token, _audience: PRINCIPAL)
        hub.on_opened = told.append
        return hub

    def open(self, node: int, device_nos: tuple[int, ...] = (1, 2)) -> Subscriber:
        peer = cast("StreamPeer", None)
        subscriber = Subscriber(peer, PRINCIPAL, device_nos, "token")
        self.hubs[node].add(subscriber)
        return subscriber


@pytest.mark.parametrize("apart_s", [0.001, 5.0, 3_000.0, 9_000.0])
def test_close_replaced__opened_later_elsewhere__ends_the_older(apart_s: float) -> None:
    """The older of two like streams ends, however long before the newer it was opened."""

    async def story() -> None:
        nodes = TwoHubs()
        older = nodes.open(0)
        nodes.clock.advance(apart_s)
        newer = nodes.open(1)
        nodes.clock.advance(0.002)
        nodes.hubs[0].close_replaced(nodes.told[1])
        if apart_s < 60:  # word of the older one may be late, but not by minutes
            nodes.hubs[1].close_replaced(nodes.told[0])
        assert older.closing.result()[0] == CLOSE_REPLACED
        assert not newer.closing.done()

    asyncio.run(story())


def test_close_replaced__other_devices__leaves_the_stream() -> None:
    """A stream of other devices replaces nothing."""

    async def story() -> None:
        nodes = TwoHubs()
        mine = nodes.open(0)
        nodes.clock.advance(1)
        nodes.open(1, (1, 3))
        nodes.hubs[0].close_replaced(nodes.told[1])
        assert not mine.closing.done()

    asyncio.run(story())
