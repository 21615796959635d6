"""Use cases of nodes: enter, renew, leave; and whose duty the background is."""

import math
import os
import socket

from tellus.kernel.clock import Clock, FollowingClock
from tellus.kernel.units import MINUTE_MS, SECOND_MS
from tellus.nodes import store
from tellus.nodes.model import DUTY, LOST_AFTER_MS, Node
from tellus.storage.database import Database, Tx

_CHANGES_KEPT_MS = 10 * MINUTE_MS
_READINGS = 5
_SLOW_READING_S = 0.05


class NodeService:
    """This process among the others; ``beat`` is to be called every ``BEAT_S`` seconds.

    A process that has its database to itself is ``alone``: it is always on duty, and its entry is
    in memory.
    """

    def __init__(
        self, database: Database, clock: Clock, node_id: str, *, version: str, alone: bool
    ) -> None:
        self._database = database
        self._clock = clock
        self._alone = alone
        self._duty_until_ms = 0
        self._has_clock = False
        started_ms = clock.now_ms()
        self.node = Node(node_id, socket.gethostname(), os.getpid(), "", version, started_ms, 0)

    def listen_at(self, address: str) -> None:
        """Note where this node answers, once it does."""
        self.node = self.node._replace(address=address)

    @property
    def is_on_duty(self) -> bool:
        """Tell whether the work in the background is this node's at present."""
        return self._alone or self._clock.now_ms() < self._duty_until_ms

    async def set_clock(self) -> None:
        """Let the clock follow the database's, if it does that; a slow answer would mislead it.

        Where all are slow the first time, the least slow is better than another node's time.
        """
        clock = self._clock
        if not isinstance(clock, FollowingClock):
            return
        fastest_s, behind_ms = math.inf, 0
        for _ in range(_READINGS):
            asked_s = clock.monotonic_s()
            read_ms = await self._database.read(store.read_database_ms)
            took_s = clock.monotonic_s() - asked_s
            if took_s < fastest_s:
                told_ms = read_ms + round(took_s * SECOND_MS / 2)
                fastest_s, behind_ms = took_s, told_ms - clock.now_ms()
            if took_s < _SLOW_READING_S:
                break
        if fastest_s < _SLOW_READING_S or not self._has_clock:
            clock.follow(clock.now_ms() + behind_ms)
            self._has_clock = True

    async def beat(self) -> None:
        """Renew this node's entry, and take or keep the duty.

        Raises:
            Unavailable: the database is; the duty lapses by itself.
        """
        if not self._alone:
            await self.set_clock()
        now_ms = self._clock.now_ms()
        self.node = self.node._replace(seen_ms=now_ms)
        if self._alone:
            return
        until_ms = now_ms + LOST_AFTER_MS
        held = await self._database.write(self._renew, self.node, until_ms, now_ms)
        self._duty_until_ms = until_ms if held else 0

    async def leave(self) -> None:
        """Take back this node's entry, so that another has its duty at once."""
        self._duty_until_ms = 0
        if not self._alone:
            await self._database.write(store.delete_node, self.node.node_id)

    async def list_nodes(self) -> list[Node]:
        """Return the nodes that are there, oldest first."""
        now_ms = self._clock.now_ms()
        if self._alone:
            return [self.node._replace(seen_ms=now_ms, on_duty=True)]
        return await self._database.read(store.list_nodes, now_ms - LOST_AFTER_MS)

    def _renew(self, tx: Tx, node: Node, until_ms: int, now_ms: int) -> bool:
        store.upsert_node(tx, node)
        held = store.take_lease(tx, DUTY, node.node_id, until_ms, now_ms)
        if held:
            store.delete_nodes_before(tx, now_ms - _CHANGES_KEPT_MS)
            store.delete_changes_before(tx, now_ms - _CHANGES_KEPT_MS)
        return held
