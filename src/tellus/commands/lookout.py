"""The lookout: finds in the store the commands of which no word came.

The bus may lose a message, and another process that issues commands shares no memory with this one.
So the store is asked again and again for what was queued since the last time. That is read along
the numbers of the commands: it costs what was issued meanwhile, however many devices there are and
however much waits for them. And each time some of all that is queued is read again, in turn: where
little waits that is all of it, so that nothing rests on memory's being right.
"""

from collections import deque
from typing import Final

from tellus.commands import rules, store
from tellus.commands.model import Command
from tellus.commands.pending import Pending
from tellus.commands.waiting import Parked
from tellus.kernel.clock import Clock
from tellus.storage.database import Database, Tx

OVERLAP_S: Final = 10.0
"""How far each look goes back: a number may be given out before it can be read."""

_READ_AT_ONCE: Final = 500
_REVIEWED_AT_ONCE: Final = 200
_BEGINNING: Final = (-1, -1)


class Lookout:
    """Feeds what memory knows of queues from the store, and wakes the polls it concerns."""

    def __init__(self, database: Database, pending: Pending, parked: Parked, clock: Clock) -> None:
        self._database = database
        self._pending = pending
        self._parked = parked
        self._clock = clock
        # The newest number at each look of the last seconds; the oldest of them is looked behind.
        self._newest: deque[tuple[float, int]] = deque()
        self._reviewed = _BEGINNING

    async def start(self) -> None:
        """Read back all that is queued."""
        newest_no, commands = await self._database.read(_load_all)
        self._note(newest_no)
        by_device: dict[int, list[Command]] = {}
        for command in commands:
            by_device.setdefault(command.device_no, []).append(command)
        for device_no, queued in by_device.items():
            self._pending.put(device_no, rules.moments_of(queued))

    async def look(self) -> int:
        """Take in what was queued since some seconds before the last look, and review the rest.

        Returns how much was queued lately.

        Raises:
            TooManyRequests, Unavailable: the store cannot be read now; the next look makes up.
        """
        after_no = self._newest[0][1] if self._newest else 0
        newest_no = await self._database.read(store.find_newest_no)
        found = 0
        while after_no < newest_no:
            numbered = await self._database.read(store.list_queued_after, after_no, _READ_AT_ONCE)
            self._take_in([command for _, command in numbered])
            found += len(numbered)
            after_no = numbered[-1][0] if len(numbered) == _READ_AT_ONCE else newest_no
        self._note(newest_no)
        await self._review()
        return found

    async def _review(self) -> None:
        """Take in the next of all that is queued, from the beginning again after the last."""
        numbered = await self._database.read(
            store.list_queued_behind, *self._reviewed, _REVIEWED_AT_ONCE
        )
        self._take_in([command for _, command in numbered])
        if len(numbered) < _REVIEWED_AT_ONCE:
            self._reviewed = _BEGINNING
        else:
            command_no, command = numbered[-1]
            self._reviewed = command.device_no, command_no

    def _take_in(self, commands: list[Command]) -> None:
        now_ms = self._clock.now_ms()
        for command in commands:
            moments = rules.moments_of((command,))
            if moments is None:
                continue
            self._pending.learn(command.device_no, moments)
            if self._pending.is_due(command.device_no, now_ms):
                self._parked.wake(command.device_no)

    def _note(self, newest_no: int) -> None:
        now_s = self._clock.monotonic_s()
        self._newest.append((now_s, newest_no))
        while len(self._newest) > 1 and self._newest[1][0] <= now_s - OVERLAP_S:
            self._newest.popleft()


def _load_all(tx: Tx) -> tuple[int, list[Command]]:
    return store.find_newest_no(tx), store.list_all_queued(tx)
