"""Memory follows what other nodes have written.

The database notes in the table ``changes`` which row of which table was written, in the same
transaction. A follower reads what is new there and has it read again by whoever keeps it in memory.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final

import structlog

from tellus.bus.port import Keys
from tellus.kernel.clock import Clock
from tellus.kernel.errors import ApiError
from tellus.kernel.units import SECOND_MS
from tellus.nodes import store
from tellus.nodes.model import Change
from tellus.storage.database import Database

Refresh = Callable[[Sequence[str]], Awaitable[None]]
"""Reads rows with these keys again."""

POLL_S: Final = 1.0
_OVERLAP_MS: Final = 10 * SECOND_MS
"""A number is given before its transaction ends: this far back, one may still turn up."""

_BEHIND_MS: Final = 60 * SECOND_MS
"""After so long without a look everything is read anew."""

_GATHER_S: Final = 0.01
_REST: Final = 4
"""A look is followed by a rest this many times as long: a storm of changes costs a share."""

log = structlog.get_logger(__name__)


class Follower:
    """Reads the table of changes, when woken and once a second."""

    def __init__(self, database: Database, node_id: str, clock: Clock) -> None:
        self._database = database
        self._node_id = node_id
        self._clock = clock
        self._refreshers: dict[str, tuple[Refresh, bool]] = {}
        self._reloads: list[Callable[[], Awaitable[None]]] = []
        self._floor = 0
        self._applied: set[int] = set()
        self._polled_ms: int | None = None
        self._woken = asyncio.Event()
        self._all_due = False

    def watch(self, tables: Iterable[str], refresh: Refresh, *, own: bool = False) -> None:
        """Have ``refresh`` read again what was written to ``tables``.

        With ``own`` also what this node wrote: reading a row again may cross a write of this node,
        and then the last word is to be the store's.
        """
        for table in tables:
            self._refreshers[table] = (refresh, own)

    def on_reload(self, reload: Callable[[], Awaitable[None]]) -> None:
        """Call ``reload`` when so much may have been missed that everything is to be read anew."""
        self._reloads.append(reload)

    def wake(self, keys: Keys = ()) -> None:
        """Look soon; ``keys`` say nothing more."""
        del keys
        self._woken.set()

    def wake_whole(self) -> None:
        """Read everything anew soon."""
        self._all_due = True
        self._woken.set()

    async def start(self) -> None:
        """Begin where the store stands; to be called before memory is read back from it."""
        now_ms = self._clock.now_ms()
        before_ms = now_ms - _OVERLAP_MS
        self._floor = await self._database.read(store.find_newest_change_before, before_ms)
        self._polled_ms = now_ms

    async def run(self) -> None:
        """Follow until cancelled."""
        while True:
            try:
                async with asyncio.timeout(POLL_S):
                    await self._woken.wait()
            except TimeoutError:
                pass
            began_s = self._clock.monotonic_s()
            await asyncio.sleep(_GATHER_S)
            self._woken.clear()
            try:
                await self.poll()
            except ApiError as error:
                log.warning("nodes.follow_failed", error=error.message)
                await asyncio.sleep(POLL_S)
            except Exception:
                log.exception("nodes.follow_failed")
                self._all_due = True  # memory must not stay behind, whatever the reason
                await asyncio.sleep(POLL_S)
            else:
                took_s = self._clock.monotonic_s() - began_s
                await asyncio.sleep(min(POLL_S / 2, (took_s - _GATHER_S) * _REST))

    async def poll(self) -> None:
        """Apply what is new."""
        now_ms = self._clock.now_ms()
        if self._polled_ms is not None and now_ms - self._polled_ms > _BEHIND_MS:
            self._all_due = True
        if self._all_due:
            await self.start()
            self._all_due = False
            try:
                for reload in self._reloads:
                    await reload()
            except BaseException:
                self._all_due = True
                raise
        changes = await self._database.read(store.list_changes, self._floor)
        await self._apply([one for one in changes if one.change_no not in self._applied])
        settled = [one.change_no for one in changes if one.at_ms < now_ms - _OVERLAP_MS]
        self._floor = max([self._floor, *settled])
        self._applied = {one.change_no for one in changes if one.change_no > self._floor}
        self._polled_ms = now_ms

    async def _apply(self, changes: Sequence[Change]) -> None:
        """Have rows read again, in the order in which their readers registered."""
        wanted: dict[Refresh, dict[str, None]] = {
            refresh: {} for refresh, _ in self._refreshers.values()
        }
        for change in changes:
            refresh, own = self._refreshers.get(change.table, (None, False))
            if refresh is not None and (own or change.node_id != self._node_id):
                wanted[refresh][change.key] = None
        for refresh, keys in wanted.items():
            if keys:
                await refresh(tuple(keys))
