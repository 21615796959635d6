"""What a charger has undertaken to do later: things with a time, some lost with the power."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from itertools import count

NEVER_MS = 1 << 62
Action = Callable[[int], None]


class Agenda:
    """Actions by time. One that belongs to a command is forgotten when the power is cut."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, str, Action]] = []
        self._order = count()

    def at(self, due_ms: int, action: Action, command_id: str = "") -> None:
        """Call ``action`` with the time at ``due_ms``; equal times keep their order."""
        heapq.heappush(self._heap, (due_ms, next(self._order), command_id, action))

    @property
    def due_ms(self) -> int:
        """Return when the next action is due."""
        return self._heap[0][0] if self._heap else NEVER_MS

    def run_due(self, now_ms: int) -> None:
        """Call everything that is due, also what falls due by it."""
        while self._heap and self._heap[0][0] <= now_ms:
            _, _, _, action = heapq.heappop(self._heap)
            action(now_ms)

    def forget_commands(self) -> list[str]:
        """Drop what belongs to commands and return their ids, each once, in order of time."""
        lost = [command_id for _, _, command_id, _ in sorted(self._heap) if command_id]
        self._heap = [one for one in self._heap if not one[2]]
        heapq.heapify(self._heap)
        return list(dict.fromkeys(lost))
