"""One heap of wake-ups for a whole fleet, instead of a task or a timer for each."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from itertools import count

Wakeup = Callable[[float], None]


class Scheduler:
    """Calls each wake-up once, when its time has come; real seconds, given by the caller."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Wakeup]] = []
        self._order = count()

    def at(self, due_s: float, wakeup: Wakeup) -> None:
        """Ask for a call at ``due_s``; equal times keep the order in which they were asked."""
        heapq.heappush(self._heap, (due_s, next(self._order), wakeup))

    def run_due(self, now_s: float, at_most: int = 200) -> int:
        """Call what is due, ``at_most`` of them, and return how many were called.

        The bound keeps an event loop responsive: the caller yields and comes again.
        """
        called = 0
        while self._heap and self._heap[0][0] <= now_s and called < at_most:
            _, _, wakeup = heapq.heappop(self._heap)
            wakeup(now_s)
            called += 1
        return called

    def next_due_s(self) -> float | None:
        """Return when the earliest wake-up is due, or None."""
        return self._heap[0][0] if self._heap else None

    def __len__(self) -> int:
        return len(self._heap)
