"""What a charger's network side gets from its fleet."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from tellus.simulator.messages import PendingCommand

_LAST_TRY_S = 0.5


@dataclass(frozen=True, slots=True)
class LinkTerms:
    """The terms of one link.

    ``obey`` is called with each command and the polled connector; ``poll_wait_s`` 0 means no
    long-polls, so that commands come with heartbeats alone.
    """

    rng: Random
    obey: Callable[[PendingCommand, int], None]
    device_time_ms: Callable[[], int]
    closing: asyncio.Event
    use_batches: bool = False
    poll_wait_s: int = 30

    async def pause(self, wait_s: float) -> None:
        """Wait, but not beyond the end of the run: then tries follow each other quickly."""
        if self.closing.is_set():
            await asyncio.sleep(min(wait_s, _LAST_TRY_S))
            return
        # Not wait_for: before Python 3.12 it loses a cancellation that comes with the event.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await self.closing.wait()
