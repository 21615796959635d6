"""Charge points as peers ask for them, and the watch that tells them of changes.

A connector's status follows from its newest sample, its charger's heartbeats and its silence, which
no single transaction brings together. So what was told is a row of its own: once a second the node
on duty compares it with what is so now, and writes both the new row and the push in one
transaction. Whatever ends the process, the difference is found again.
"""

from collections.abc import Sequence
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
        self._watched_ms = 0

    async def list_changed(
        self, peer_id: str, since: str, page: int, size: int, now_ms: int
    ) -> StationPage:
        """Return a page of what changed at or after ``since`` (wall time of the peer, or empty).

        In the order of the changes, so that pages stay what they are while nothing changes.

        Raises:
            NotFound: the peer is gone.
            InvalidParameter: ``since`` is no time.
        """
        scope, known = await self._database.read(_load_known, peer_id)
        since_ms = 0
        if since:
            since_ms = rules.read_time(since, scope.peer.timezone, "LastQueryTime")
        shown = await self._showcase.look(scope, now_ms)
        news = {
            device_id: one
            for device_id, one in shown.items()
            if device_id not in known or known[device_id].described != one.described
        }
        await self._save(scope.peer, news, list(known.keys() - shown.keys()), tells=False)
        total, points = await self._database.read(
            store_points.list_changed, peer_id, since_ms, (page - 1) * size, size
        )
        items = [
            to_item(point.device_id, point.described, shown[point.device_id].statuses)
            for point in points
            if point.device_id in shown
        ]
        return StationPage(total, -(-total // size), items)

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

    async def watch(self) -> None:
        """Tell peers of the statuses that have changed.

        Raises:
            TooManyRequests, Unavailable: the store cannot keep up; the next turn finds the rest.
        """
        now_ms = self._clock.now_ms()
        if now_ms - self._watched_ms > _STALE_MS:
            self._told.clear()  # another node may have told them meanwhile
        scopes = await self._database.read(_load_scopes)
        for scope in scopes:
            await self._watch_one(scope, now_ms)
        for gone in self._told.keys() - {scope.peer.peer_id for scope in scopes}:
            del self._told[gone]
        self._watched_ms = self._clock.now_ms()

    async def _watch_one(self, scope: Scope, now_ms: int) -> None:
        peer_id = scope.peer.peer_id
        told = self._told.get(peer_id)
        if told is None:
            points = await self._database.read(store_points.list_points, peer_id)
            told = {one.device_id: (one.described, one.told) for one in points.values()}
            self._told[peer_id] = told
        shown = await self._showcase.look(scope, now_ms)
        news = {
            device_id: one
            for device_id, one in shown.items()
            if told.get(device_id) != (one.described, one.statuses)
        }
        gone = list(told.keys() - shown.keys())
        await self._save(scope.peer, news, gone, tells=True)
        told |= {device_id: (one.described, one.statuses) for device_id, one in news.items()}
        for device_id in gone:
            del told[device_id]

    async def _save(
        self, peer: Peer, news: dict[str, Shown], gone: Sequence[str], *, tells: bool
    ) -> None:
        """Write what a peer knows from now on, and with ``tells`` the pushes that it is owed."""
        if gone:
            await self._database.write(store_points.delete_points, peer.peer_id, gone)
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


def _load_known(tx: Tx, peer_id: str) -> tuple[Scope, dict[str, Point]]:
    return load_scope(tx, peer_id), store_points.list_points(tx, peer_id)


def _load_scopes(tx: Tx) -> list[Scope]:
    return [load_scope(tx, peer.peer_id) for peer in store.list_peers(tx)[1]]
