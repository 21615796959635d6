"""The raw tier: packed hours that have outlived it become means of one minute.

Age counts from when the newest sample of an hour arrived, so that what was uploaded late is kept
like what is new. Hours are read and averaged on a reader thread; the writer is held for the rows
alone. An hour of which energy has not been made yet stays.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import NamedTuple

from tellus.kernel.retention import Aged, Step, timed
from tellus.kernel.units import DAY_MS, HOUR_MS
from tellus.storage.database import Database, Tx
from tellus.telemetry import store, store_minutes, store_retention
from tellus.telemetry.minutes import pack_minutes, unpack_minutes
from tellus.telemetry.model_minutes import Hour, MinuteMean
from tellus.telemetry.packing import unpack
from tellus.telemetry.recent_shared import lock_packs
from tellus.telemetry.rules_minutes import means_of, merge_means, received_to
from tellus.telemetry.store_minutes import StoredMinutes
from tellus.telemetry.store_retention import Position

KeepHours = Callable[[Tx, Sequence[Hour]], set[Hour]]
"""Tells, inside the transaction, which hours are still needed as they are."""

_BEFORE_ALL: Position = (-(2**63), 0, 0)
_LOOKED_AT_AT_ONCE = 1_000
_AVERAGED_AT_ONCE = 32


class OldPack(NamedTuple):
    """A packed hour as it was read: its size then, when its newest sample arrived, its minutes."""

    hour: Hour
    samples: int
    received_to_ms: int
    means: list[MinuteMean]
    content: bytes
    """The means as stored, where there are none of that hour yet."""


class Found(NamedTuple):
    """What one look found: packs, how far it went, whether there is more."""

    packs: list[OldPack]
    position: Position
    more: bool


class RawTier:
    """Samples as they were sent (see ``retention.Tier``)."""

    name = "raw_samples"

    def __init__(
        self, database: Database, packing: asyncio.Lock, kept_days: int, keep_hours: KeepHours
    ) -> None:
        self._database = database
        self._packing = packing
        self.kept_days = kept_days
        self._keep_hours = keep_hours
        self._position = _BEFORE_ALL

    def begin(self) -> None:
        """Look from the oldest hour on."""
        self._position = _BEFORE_ALL

    def plan(self, tx: Tx, now_ms: int) -> Aged:
        """Return the packed hours whose time has come; late uploads once known."""
        return store_retention.sum_old_hours(tx, self._last_hour(now_ms), now_ms)

    def find_oldest(self, tx: Tx) -> int | None:
        """Return the oldest hour (ms) that is kept."""
        return store_retention.find_oldest_hour(tx)

    async def step(self, now_ms: int, limit: int) -> Step:
        """Let up to ``limit`` hours go."""
        before_ms = now_ms - self.kept_days * DAY_MS
        # What is read here must not be packed anew before it is dropped.
        async with self._packing:
            found = await self._database.read(
                self._find, self._position, now_ms, min(limit, _AVERAGED_AT_ONCE)
            )
            if not found.packs:
                self._position = found.position
                return Step(0, 0.0, found.more)
            removed, held_s = await self._database.write(
                timed(self._let_go), found.packs, before_ms
            )
        self._position = found.position
        return Step(removed, held_s, found.more)

    def _last_hour(self, now_ms: int) -> int:
        return now_ms - self.kept_days * DAY_MS - HOUR_MS

    def _find(self, tx: Tx, after: Position, now_ms: int, limit: int) -> Found:
        hours = store_retention.list_old_hours(
            tx, after, self._last_hour(now_ms), now_ms, _LOOKED_AT_AT_ONCE
        )
        more = len(hours) == _LOOKED_AT_AT_ONCE
        due = [one for one in hours if not one.is_put_off]
        if len(due) > limit:
            due, more = due[:limit], True
            hours = hours[: hours.index(due[-1]) + 1]
        position = after
        if hours:
            device_no, connector_id, hour_ms = hours[-1].hour
            position = (hour_ms, device_no, connector_id)
        packs = []
        for hour, count, packed in store_retention.list_packed(tx, [one.hour for one in due]):
            samples = unpack(hour[2], packed)
            means = means_of(samples)
            content = pack_minutes(hour[2], means)
            packs.append(OldPack(hour, count, received_to(samples), means, content))
        return Found(packs, position, more)

    def _let_go(self, tx: Tx, packs: Sequence[OldPack], before_ms: int) -> int:
        lock_packs(tx, sorted({pack.hour[:2] for pack in packs}))
        sizes = store.list_pack_sizes(tx, [pack.hour for pack in packs])
        # Packs only grow: one of the same size is the one that was read.
        same = [pack for pack in packs if sizes.get(pack.hour) == pack.samples]
        kept_ms = self.kept_days * DAY_MS
        young = [pack for pack in same if pack.received_to_ms >= before_ms]
        store_retention.put_off(tx, [(pack.hour, pack.received_to_ms + kept_ms) for pack in young])
        old = [pack for pack in same if pack.received_to_ms < before_ms]
        needed = self._keep_hours(tx, [pack.hour for pack in old]) if old else set()
        going = [pack for pack in old if pack.hour not in needed]
        if not going:
            return 0
        _keep_means(tx, going)
        return store_retention.remove_packed(tx, [pack.hour for pack in going])


def _keep_means(tx: Tx, packs: Sequence[OldPack]) -> None:
    """Put the packs' means beside those of an earlier time that there may be."""
    held = {row.hour: row for row in store_minutes.list_minutes(tx, [pack.hour for pack in packs])}
    rows = []
    for pack in packs:
        hour, samples, received_to_ms, means, content = pack
        before = held.get(hour)
        if before is not None:
            received_to_ms = max(received_to_ms, before.received_to_ms)
            samples += before.samples
            means = merge_means(unpack_minutes(hour[2], before.content), means)
            content = pack_minutes(hour[2], means)
        rows.append(StoredMinutes(hour, received_to_ms, samples, content))
    store_minutes.upsert_minutes(tx, rows)
