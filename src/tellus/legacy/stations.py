"""Charge points as peers ask for them, and the watch that tells them of changes.

A connector's status follows from its newest sample, its charger's heartbeats and its silence, which
no single transaction brings together. So what was told is a row of its own: the node on duty
compares it with what is so now, and writes both the new row and the push in one transaction. It
looks once a second at the devices that were heard of, and now and then at all. Whatever ends the
process, the difference is found again.
"""

from collections.abc import Collection, Sequence
from typing import Final, NamedTuple

import msgspec
from msgspec.structs import replace

from tellus.kernel.clock import Clock
from tellus.kernel.errors import NotFound
from tellus.kernel.units import SECOND_MS
from tellus.legacy import rules, store, store_outbox, store_points
from tellus.legacy.model import Description, Peer, Point, Push, PushOperation, Statuses
from tellus.legacy.sharing import Scope, Showcase, Shown, load_scope, to_item
from tellus.legacy.wire import LegacyChargePointItem
from tellus.storage.database import Database, Tx

_SAVED_AT_ONCE: Final = 200
_STALE_MS: Final = 5 * SECOND_MS
_WHOLE_EVERY_MS: Final = 10 * SECOND_MS

Told = dict[str, tuple[Description, Statuses]]


class StationPage(NamedTuple):
    """A part of a list of charge points: how many match, how many pages they fill, and these."""

    total: int
    pages: int
    items: list[LegacyChargePointItem]


class StationService:
    """Charge points for peers; ``watch`` is to be called every second by the node on duty."""

    def __init__(self, database: Database, showcase: Showcase, clock: Clock) -> None:
        self._database = database
        self._showcase = showcase
        self._clock = clock
        self._told: dict[str, Told] = {}
        self._moved: set[int] = set()
        self._refreshed_ms: dict[str, int] = {}
        self._watched_ms = 0
        self._whole_ms = 0

    async def list_changed(
        self, peer_id: str, since: str, page: int, size: int, now_ms: int
    ) -> StationPage:
        """Return a page of what changed at or after ``since`` (wall time of the peer, or empty).

        In the order of the changes, so that pages stay what they are while nothing changes.

        Raises:
            NotFound: the peer is gone.
            InvalidParameter: ``since`` is no time.
        """
        scope = await self._database.read(load_scope, peer_id)
        since_ms = 0
        if since:
            since_ms = rules.read_time(since, scope.peer.timezone, "LastQueryTime")
        if page == 1 or now_ms - self._refreshed_ms.get(peer_id, 0) > _STALE_MS:
            await self._refresh(scope, now_ms)
        total, points = await self._database.read(
            store_points.list_changed, peer_id, since_ms, (page - 1) * size, size
        )
        numbers = [point.device_no for point in points]
        shown = await self._showcase.look(scope, now_ms, numbers)
        items = [
            to_item(point.device_id, point.described, shown[point.device_id].statuses)
            for point in points
            if point.device_id in shown
        ]
        return StationPage(total, -(-total // size), items)

    async def _refresh(self, scope: Scope, now_ms: int) -> None:
        """Let the store say which static data have changed up to now.

        What changes later is later, also while further pages are read.
        """
        peer_id = scope.peer.peer_id
        known = await self._database.read(store_points.list_points, peer_id)
        shown = await self._showcase.look(scope, now_ms)
        news = {
            device_id: one
            for device_id, one in shown.items()
            if device_id not in known or known[device_id].described != one.described
        }
        await self._forget(peer_id, list(known.keys() - shown.keys()))
        await self._save(scope.peer, news, tells=False)
        self._refreshed_ms[peer_id] = now_ms

    async def list_statuses(
        self, peer_id: str, device_ids: Sequence[str], now_ms: int
    ) -> list[LegacyChargePointItem]:
        """Return those of some charge points that the peer may see, in the order asked for."""
        scope = await self._database.read(load_scope, peer_id)
        found = (self._showcase.find(scope, one, now_ms) for one in dict.fromkeys(device_ids))
        return [to_item(one.device.device_id, *one[1:]) for one in found if one is not None]

    async def find_shown(self, peer_id: str, device_id: str, now_ms: int) -> tuple[Peer, Shown]:
        """Return a device that the peer may see, with that peer.

        Raises:
            NotFound: absent, or not shared with it.
        """
        scope = await self._database.read(load_scope, peer_id)
        shown = self._showcase.find(scope, device_id, now_ms)
        if shown is None:
            raise NotFound
        return scope.peer, shown

    def note_moved(self, device_nos: Collection[int]) -> None:
        """Let the next look begin with these devices: something was heard of them."""
        self._moved.update(device_nos)

    async def watch(self) -> None:
        """Tell peers of the statuses that have changed.

        Raises:
            TooManyRequests, Unavailable: the store cannot keep up; a look at all finds the rest.
        """
        now_ms = self._clock.now_ms()
        if now_ms - self._watched_ms > _STALE_MS:
            self._told.clear()  # another node may have told them meanwhile
        self._watched_ms = now_ms
        moved, self._moved = self._moved, set()
        is_whole = not 0 <= now_ms - self._whole_ms < _WHOLE_EVERY_MS
        if is_whole:
            self._whole_ms = now_ms
        scopes = await self._database.read(_load_scopes)
        for scope in scopes:
            if is_whole or scope.peer.peer_id not in self._told:
                await self._watch_all(scope, now_ms)
            else:
                await self._watch_some(scope, moved, now_ms)
        for gone in self._told.keys() - {scope.peer.peer_id for scope in scopes}:
            del self._told[gone]

    async def _watch_some(self, scope: Scope, device_nos: set[int], now_ms: int) -> None:
        told = self._told[scope.peer.peer_id]
        shown = await self._showcase.look(scope, now_ms, device_nos)
        await self._tell(scope.peer, told, shown)

    async def _watch_all(self, scope: Scope, now_ms: int) -> None:
        peer_id = scope.peer.peer_id
        told = self._told.get(peer_id)
        if told is None:
            points = await self._database.read(store_points.list_points, peer_id)
            told = {one.device_id: (one.described, one.told) for one in points.values()}
            self._told[peer_id] = told
        shown = await self._showcase.look(scope, now_ms)
        gone = list(told.keys() - shown.keys())
        await self._forget(peer_id, gone)
        for device_id in gone:
            del told[device_id]
        await self._tell(scope.peer, told, shown)

    async def _tell(self, peer: Peer, told: Told, shown: dict[str, Shown]) -> None:
        news = {
            device_id: one
            for device_id, one in shown.items()
            if told.get(device_id) != (one.described, one.statuses)
        }
        await self._save(peer, news, tells=True)
        told |= {device_id: (one.described, one.statuses) for device_id, one in news.items()}

    async def _forget(self, peer_id: str, gone: Sequence[str]) -> None:
        if gone:
            await self._database.write(store_points.delete_points, peer_id, gone)

    async def _save(self, peer: Peer, news: dict[str, Shown], *, tells: bool) -> None:
        """Write what a peer knows from now on, and with ``tells`` the pushes that it is owed."""
        fresh = list(news.values())
        for start in range(0, len(fresh), _SAVED_AT_ONCE):
            part = fresh[start : start + _SAVED_AT_ONCE]
            await self._database.write(self._save_some, peer.peer_id, part, tells=tells)

    def _save_some(self, tx: Tx, peer_id: str, news: Sequence[Shown], *, tells: bool) -> None:
        tx.lock(f"legacy_points:{peer_id}")
        peer = store.find_peer(tx, peer_id)
        if peer is None:
            return
        now_ms = self._clock.now_ms()
        known = store_points.list_some_points(tx, peer_id, [one.device.device_id for one in news])
        changed = []
        for one in news:
            before = known.get(one.device.device_id)
            after = _follow(before, one, now_ms, tells=tells)
            if after == before:
                continue
            changed.append(after)
            owed = tells and (before is None or before.told != after.told)
            if owed and peer.push_url is not None:
                store_outbox.append_push(tx, _push_of(peer_id, one, now_ms))
        if changed:
            store_points.upsert_points(tx, peer_id, changed)


def _follow(before: Point | None, one: Shown, now_ms: int, *, tells: bool) -> Point:
    device = one.device
    if before is None:
        told = one.statuses if tells else {}
        return Point(device.device_id, device.device_no, one.described, now_ms, told)
    after = before
    if before.described != one.described:
        after = replace(after, described=one.described, changed_ms=now_ms)
    return replace(after, told=one.statuses) if tells else after


def _push_of(peer_id: str, one: Shown, now_ms: int) -> Push:
    device_id = one.device.device_id
    body = msgspec.json.encode(to_item(device_id, one.described, one.statuses)).decode()
    return Push(peer_id, PushOperation.STATION_STATUS, device_id, body, now_ms)


def _load_scopes(tx: Tx) -> list[Scope]:
    return [load_scope(tx, peer.peer_id) for peer in store.list_peers(tx)[1]]
