"""How late the event loop is: a timer that notes by how much it fired too late."""

import asyncio
from bisect import bisect_left
from typing import Final

LAG_BOUNDS_S: Final = (0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)
EVERY_S = 0.25
"""How long it sleeps between two looks; read anew at each."""


class LoopLag:
    """Counts of lags by upper bound (s), not cumulated; the last count is for what exceeds all."""

    def __init__(self) -> None:
        self.bounds = LAG_BOUNDS_S
        self.counts = [0] * (len(LAG_BOUNDS_S) + 1)
        self.total = 0.0

    def note(self, lag_s: float) -> None:
        """Count one lag."""
        self.counts[bisect_left(LAG_BOUNDS_S, lag_s)] += 1
        self.total += lag_s

    async def run(self) -> None:
        """Measure four times a second until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            due_s = loop.time() + EVERY_S
            await asyncio.sleep(EVERY_S)
            self.note(max(0.0, loop.time() - due_s))
