"""Looks after what is the case: ends what is over, and tells what was held back."""

import asyncio
from collections.abc import Iterator, Sequence
from typing import Final

from tellus.alerts.model import Cleared, Finding
from tellus.diagnostics import store_conditions
from tellus.diagnostics.desk import HELD, Desk, device_of, seen_of
from tellus.diagnostics.model import CONTACTOR_WEAR, Condition
from tellus.diagnostics.observing import Observing
from tellus.diagnostics.rules_clearing import Now, is_over
from tellus.diagnostics.thresholds import Thresholds
from tellus.diagnostics.upstream import Changes, Site, Upstream
from tellus.fleet.directory import Directory
from tellus.fleet.queries import FleetQueries
from tellus.kernel.errors import NotFound
from tellus.kernel.units import DAY_MS, MINUTE_MS
from tellus.storage.database import Database, Tx

_BY_HEALTH: Final = frozenset({"F-0204", "F-0601", CONTACTOR_WEAR})
_RELEASED_HOLD_MS: Final = 2 * MINUTE_MS
"""What was part of something that is over may just be slower than the rest."""

_SLICE: Final = 100
_WRITTEN_AT_ONCE: Final = 50
_REMEMBERED_MS: Final = 30 * DAY_MS


class Upkeep:
    """Looks at all present conditions together; one node at a time does."""

    def __init__(
        self,
        database: Database,
        directory: Directory,
        desk: Desk,
        observing: Observing,
        thresholds: Thresholds,
    ) -> None:
        self._database = database
        self._directory = directory
        self._desk = desk
        self._observing = observing
        self._thresholds = thresholds

    async def turn(
        self, upstream: Upstream, queries: FleetQueries, hold_ms: int, now_ms: int
    ) -> None:
        """End what is over, fold what has one cause, and tell what was held long enough."""
        present = await self._database.read(store_conditions.list_present)
        if not present:
            return
        over = await self._list_over(present, now_ms)
        sites = await self._list_sites(present, queries, now_ms)
        # Thousands may be lost at once: the event loop has other things to do meanwhile.
        changes = await asyncio.to_thread(upstream.judge, present, sites, now_ms)
        folded = {
            before.matter
            for change in changes
            for before, _ in change.conditions
            if before is not None
        }
        ripe = [
            one
            for one in present
            if one.code in HELD
            and one.told_ms is None
            and not one.folded
            and one.matter not in folded
            and one.seen_ms <= now_ms - (hold_ms if one.folded is None else _RELEASED_HOLD_MS)
        ]
        for change in changes:
            await self._database.write(self._change, change, now_ms)
        for part in _parts(ripe):
            await self._database.write(self._tell, part, now_ms)
        for part in _parts(over):
            await self._database.write(self._end, part, now_ms)

    async def forget(self, now_ms: int) -> None:
        """Forget what has not been so for 30 days."""
        await self._database.write(store_conditions.remove_cleared, now_ms - _REMEMBERED_MS)

    async def _list_over(self, present: Sequence[Condition], now_ms: int) -> list[Condition]:
        """Return the conditions that are over; what is held is looked at once it is told."""
        nows: dict[tuple[int, bool], Now] = {}
        over = []
        for number, one in enumerate(present):
            if number % _SLICE == _SLICE - 1:
                await asyncio.sleep(0)
            if one.is_larger:
                continue
            device = device_of(self._directory, one)
            if device is None:
                over.append(one)
                continue
            if one.told_ms is None and one.folded is None:
                continue
            limits = self._thresholds.of(device)
            key = (one.device_no, one.code in _BY_HEALTH)
            if key not in nows:
                nows[key] = await self._observing.now(device, limits, now_ms, health=key[1])
            if is_over(one, nows[key], limits):
                over.append(one)
        return over

    async def _list_sites(
        self, present: Sequence[Condition], queries: FleetQueries, now_ms: int
    ) -> dict[str, Site]:
        lost = {one.site_id for one in present if one.code == "F-0701"}
        found = {}
        for site_id in lost if len(lost) > 1 else ():
            try:
                site = (await queries.get_site(site_id, None, now_ms)).site
            except NotFound:
                continue
            found[site_id] = Site(site.lat, site.lng)
        return found

    def _change(self, tx: Tx, change: Changes, now_ms: int) -> None:
        """Write what changes together, unless some of it is not as it was any more."""
        tx.lock("diagnostics")
        if not all(self._is_same(tx, before) for before, _ in change.conditions if before):
            return
        for _, after in change.conditions:
            store_conditions.upsert_condition(tx, after)
        self._pass_on(tx, change.findings, change.cleared, now_ms)

    def _tell(self, tx: Tx, ripe: Sequence[Condition], now_ms: int) -> None:
        tx.lock("diagnostics")
        findings = []
        for one in ripe:
            device = device_of(self._directory, one)
            if device is not None and self._is_same(tx, one):
                store_conditions.upsert_condition(tx, one._replace(told_ms=now_ms))
                findings.append(self._desk.findings.make(seen_of(one), device))
        self._pass_on(tx, findings, (), now_ms)

    def _end(self, tx: Tx, over: Sequence[Condition], now_ms: int) -> None:
        tx.lock("diagnostics")
        cleared = []
        for one in over:
            held = store_conditions.find_condition(tx, one.operator_id, one.matter)
            # Seen again meanwhile, it is not over; folded meanwhile, it may be.
            if held is not None and held.seen_ms == one.seen_ms:
                cleared += self._desk.end(tx, held, now_ms, now_ms)
        self._pass_on(tx, (), cleared, now_ms)

    def _pass_on(
        self, tx: Tx, findings: Sequence[Finding], cleared: Sequence[Cleared], now_ms: int
    ) -> None:
        self._desk.told += len(findings)
        if findings or cleared:
            self._desk.alerts.take_in(tx, findings, cleared, now_ms)

    def _is_same(self, tx: Tx, before: Condition) -> bool:
        return store_conditions.find_condition(tx, before.operator_id, before.matter) == before


def _parts(conditions: Sequence[Condition]) -> Iterator[Sequence[Condition]]:
    for start in range(0, len(conditions), _WRITTEN_AT_ONCE):
        yield conditions[start : start + _WRITTEN_AT_ONCE]
