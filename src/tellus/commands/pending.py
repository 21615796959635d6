"""What memory knows of queues: which device has something to fetch, and when that changes.

Only a hint, so that idle polls and heartbeats never touch the store; it is read back at start.
"""

import heapq
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Final

from tellus.commands.model import DEVICE_LEVEL, Moments

_SPARE_ENTRIES: Final = 4_096


class Pending:
    """The next moments of every device with queued commands.

    Two heaps say what comes next, so that the turns of the clock cost nothing for what waits. What
    was noted anew leaves its old entries there; they are passed over when their time comes, and
    swept out when they are many.
    """

    def __init__(self) -> None:
        self._moments: dict[int, Moments] = {}
        self._due: list[tuple[int, int]] = []
        self._lapses: list[tuple[int, int]] = []
        self._sweep_at = _SPARE_ENTRIES

    def __len__(self) -> int:
        return len(self._moments)

    def put(self, device_no: int, moments: Moments | None) -> bool:
        """Note when a device's queue needs attention next; None for never.

        Returns whether something can be fetched sooner than was known.
        """
        if moments is None:
            self._moments.pop(device_no, None)
            return False
        before = self._moments.get(device_no)
        self._moments[device_no] = moments
        if before is None or before.due_ms != moments.due_ms:
            for moment_ms in set(moments.due_ms.values()):
                heapq.heappush(self._due, (moment_ms, device_no))
        if before is None or before.lapse_ms != moments.lapse_ms:
            heapq.heappush(self._lapses, (moments.lapse_ms, device_no))
        if len(self._due) + len(self._lapses) > self._sweep_at:
            self._sweep_out()
        return _is_sooner(moments.due_ms, {} if before is None else before.due_ms)

    def suspect(self, device_no: int, now_ms: int) -> None:
        """Note that a device may have something of which nothing is known here."""
        if device_no not in self._moments:
            self.put(device_no, Moments({DEVICE_LEVEL: now_ms}, now_ms))

    def learn(self, device_no: int, found: Moments) -> None:
        """Note what the store holds besides what is known; the earlier moment counts.

        The store was read a while ago: what is noted too early costs one look, too late a command.
        """
        known = self._moments.get(device_no)
        if known is None:
            self.put(device_no, found)
            return
        due_ms = _earlier(known.due_ms, found.due_ms)
        self.put(device_no, Moments(due_ms, min(known.lapse_ms, found.lapse_ms)))

    def is_due(self, device_no: int, now_ms: int, connector_id: int | None = None) -> bool:
        """Tell whether there may be something to fetch; ``connector_id`` None stands for all."""
        moments = self._moments.get(device_no)
        if moments is None:
            return False
        due_ms = moments.due_ms
        if connector_id is None:
            return any(moment_ms <= now_ms for moment_ms in due_ms.values())
        return (
            due_ms.get(connector_id, now_ms + 1) <= now_ms
            or due_ms.get(DEVICE_LEVEL, now_ms + 1) <= now_ms
        )

    def list_lapsing(self, now_ms: int) -> list[int]:
        """Return the devices with a command to give up by now; again until that was noted."""
        lapsing = {
            device_no
            for moment_ms, device_no in _pop_until(self._lapses, now_ms)
            if (moments := self._moments.get(device_no)) and moments.lapse_ms == moment_ms
        }
        for device_no in lapsing:
            heapq.heappush(self._lapses, (self._moments[device_no].lapse_ms, device_no))
        return sorted(lapsing)

    def list_newly_due(self, now_ms: int, most: int = 2_000) -> list[int]:
        """Return the devices for which something became due since this was last asked.

        Looks at no more than ``most`` moments; ``has_newly_due`` tells whether there are others.
        """
        devices = {
            device_no
            for moment_ms, device_no in islice(_pop_until(self._due, now_ms), most)
            if (moments := self._moments.get(device_no)) and moment_ms in moments.due_ms.values()
        }
        return sorted(devices)

    def has_newly_due(self, now_ms: int) -> bool:
        """Tell whether ``list_newly_due`` has something to look at."""
        return bool(self._due) and self._due[0][0] <= now_ms

    def _sweep_out(self) -> None:
        kept = self._moments.items()
        self._due = [(ms, no) for no, moments in kept for ms in set(moments.due_ms.values())]
        self._lapses = [(moments.lapse_ms, no) for no, moments in kept]
        heapq.heapify(self._due)
        heapq.heapify(self._lapses)
        self._sweep_at = 2 * (len(self._due) + len(self._lapses)) + _SPARE_ENTRIES


def _pop_until(heap: list[tuple[int, int]], now_ms: int) -> Iterator[tuple[int, int]]:
    while heap and heap[0][0] <= now_ms:
        yield heapq.heappop(heap)


def _is_sooner(due_ms: Mapping[int, int], before_ms: Mapping[int, int]) -> bool:
    return any(
        number not in before_ms or moment_ms < before_ms[number]
        for number, moment_ms in due_ms.items()
    )


def _earlier(some: Mapping[int, int], others: Mapping[int, int]) -> dict[int, int]:
    """Return the earlier moment of each connector."""
    earlier = dict(others)
    for connector_id, moment_ms in some.items():
        earlier[connector_id] = min(moment_ms, earlier.get(connector_id, moment_ms))
    return earlier
