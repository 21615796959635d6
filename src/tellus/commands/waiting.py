"""Parked polls: who waits for a command, in memory alone.

A parked poll is an entry and a future. Ends of waits are kept by quarter-seconds and swept, so that
thousands of polls need no timer each.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable
from typing import Any, Final

SLOT_S: Final = 0.25
_NEXT_SWEEP: Final = 0
_SOON_SLOTS: Final = 4
Left = Callable[[], Awaitable[Any]]


class Poll:
    """One poll; ``ended`` once it is to be answered with nothing."""

    __slots__ = ("_future", "_woken", "connector_id", "device_no", "ended", "slot")

    def __init__(self, device_no: int, connector_id: int, slot: int) -> None:
        self.device_no = device_no
        self.connector_id = connector_id
        self.slot = slot
        self.ended = False
        self._woken = False
        self._future: asyncio.Future[None] | None = None

    def wake(self) -> None:
        """Let the poll look again."""
        self._woken = True
        if self._future is not None and not self._future.done():
            self._future.set_result(None)

    def end(self) -> None:
        """Let the poll be answered with nothing."""
        self.ended = True
        self.wake()

    async def wait(self) -> None:
        """Wait until woken; what came since the last wait counts."""
        if not self._woken:
            self._future = asyncio.get_running_loop().create_future()
            await self._future
            self._future = None
        self._woken = False


class Parked:
    """The parked polls: at most one per device and connector."""

    def __init__(self) -> None:
        self._polls: dict[int, dict[int, Poll]] = {}
        self._slots: dict[int, set[Poll]] = {}
        self._soon: dict[int, list[Poll]] = {}
        self.draining = False

    def __len__(self) -> int:
        return sum(len(polls) for polls in self._polls.values())

    def park(self, device_no: int, connector_id: int, until_s: float) -> Poll:
        """Return a new poll that ends at ``until_s``; an older one of the same place ends soon.

        At the next sweep, not at once: polls are not limited by rate, and two that replace each
        other as fast as they are answered would take all there is of the processor.
        """
        poll = Poll(device_no, connector_id, math.ceil(until_s / SLOT_S))
        polls = self._polls.setdefault(device_no, {})
        older = polls.get(connector_id)
        if older is not None:
            self._forget_end(older)
            self._end_at(older, _NEXT_SWEEP)
        polls[connector_id] = poll
        self._end_at(poll, poll.slot)
        if self.draining:
            poll.end()
        return poll

    def end(self, device_no: int, connector_id: int) -> None:
        """End the poll of a place soon, if there is one."""
        poll = self._polls.get(device_no, {}).get(connector_id)
        if poll is not None:
            self._forget_end(poll)
            self._end_at(poll, _NEXT_SWEEP)

    def leave(self, poll: Poll) -> None:
        """Forget a poll that has been answered."""
        self._forget_end(poll)
        polls = self._polls.get(poll.device_no)
        if polls is not None and polls.get(poll.connector_id) is poll:
            del polls[poll.connector_id]
            if not polls:
                del self._polls[poll.device_no]

    def wake(self, device_no: int) -> None:
        """Let all polls of a device look again."""
        for poll in self._polls.get(device_no, {}).values():
            poll.wake()

    def wake_soon(self, poll: Poll, now_s: float) -> None:
        """Let a poll look again at one of the next sweeps, up to a second from now."""
        slot = math.floor(now_s / SLOT_S) + 1 + poll.device_no % _SOON_SLOTS
        self._soon.setdefault(slot, []).append(poll)

    def sweep(self, now_s: float) -> None:
        """End the polls whose time has come, and wake those that are to look again."""
        slot = math.floor(now_s / SLOT_S)
        for number in [number for number in self._soon if number <= slot]:
            for poll in self._soon.pop(number):
                poll.wake()
        for number in [number for number in self._slots if number <= slot]:
            for poll in self._slots.pop(number):
                poll.end()

    def release_all(self) -> None:
        """End all polls, and from now on every new one at once: the server is stopping."""
        self.draining = True
        for polls in self._slots.values():
            for poll in polls:
                poll.end()

    def _end_at(self, poll: Poll, slot: int) -> None:
        poll.slot = slot
        self._slots.setdefault(slot, set()).add(poll)

    def _forget_end(self, poll: Poll) -> None:
        polls = self._slots.get(poll.slot)
        if polls is not None:
            polls.discard(poll)
            if not polls:
                del self._slots[poll.slot]


async def watch(poll: Poll, left: Left) -> None:
    """End ``poll`` when its caller leaves: ``left`` returns then."""
    await left()
    poll.end()
