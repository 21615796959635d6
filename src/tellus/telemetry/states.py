"""How connectors are now, written for other nodes to read: many at a time, a little later.

Written with every batch of samples it would cost as much as the samples do. What is durable is the
samples: a node that dies before it has written what it owes leaves it in the log, where the next
start, or the next look of the node on duty, finds it.
"""

import asyncio
from collections.abc import Mapping
from itertools import islice
from typing import Final

import structlog

from tellus.bus.port import DEVICE_CHANGED, Bus
from tellus.kernel.errors import ApiError
from tellus.storage.database import Database
from tellus.telemetry.model import Sample
from tellus.telemetry.recent import KeepStates, Place

_GATHER_S: Final = 0.1
_AGAIN_S: Final = 1.0
_AT_ONCE: Final = 1_000

log = structlog.get_logger(__name__)


class StateWriter:
    """Owes the store the newest sample of every connector that moved forward in memory."""

    def __init__(self, database: Database, keep_states: KeepStates, bus: Bus) -> None:
        self._database = database
        self._keep_states = keep_states
        self._bus = bus
        self._owed: dict[Place, Sample] = {}
        self._writing: asyncio.Task[None] | None = None

    def owe(self, moved: Mapping[Place, Sample]) -> None:
        """Write these within about 100 ms, then tell the other nodes to read them."""
        self._owed.update(moved)
        if self._owed and self._writing is None:
            self._writing = asyncio.create_task(self._write_until_done())

    async def settle(self) -> None:
        """Write what is owed now.

        Raises:
            ApiError: the store does not take it at present; it stays owed.
        """
        while self._owed:
            part = dict(islice(self._owed.items(), _AT_ONCE))
            await self._database.write(self._keep_states, tuple(part.values()))
            for place, sample in part.items():
                if self._owed.get(place) is sample:
                    del self._owed[place]
            self._bus.pass_on(DEVICE_CHANGED, tuple({device_no for device_no, _ in part}))

    async def _write_until_done(self) -> None:
        try:
            while self._owed:
                await asyncio.sleep(_GATHER_S)
                try:
                    await self.settle()
                except ApiError as error:
                    log.warning("telemetry.states_wait", error=error.message)
                    await asyncio.sleep(_AGAIN_S)
        finally:
            self._writing = None
