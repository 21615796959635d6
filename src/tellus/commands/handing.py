"""Handing out: whoever asks for commands is served together with those who ask meanwhile.

After an outage, or when an operator limits a whole fleet, thousands ask at once. Each on its own
would fill the queue of writes and be turned away; together they take a statement or two.
"""

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final, NamedTuple

from tellus.commands import rules, store
from tellus.commands.desk import Desk, GroupOperation, Handed, queue_of
from tellus.commands.model import DEVICE_LEVEL, Command, Moments, Phase, Signal
from tellus.kernel.permits import EVERYTHING
from tellus.storage.database import Database, Tx

_TOGETHER: Final = 256
_GROUPS_UNDER_WAY: Final = 2


class Asking(NamedTuple):
    """Who asks: a device, for a connector (then one command at most) or, with None, for all.

    What was issued by another operator than ``operator_id``, whose device it is by now, is given
    up; None where nobody knows whose it is. So is what is not of its ``services``.
    """

    device_no: int
    connector_id: int | None
    now_ms: int
    operator_id: str | None
    services: int = EVERYTHING


class Counter:
    """Where commands are asked for; each is leased to one of those who ask."""

    def __init__(self, database: Database, desk: Desk) -> None:
        self._database = database
        self._desk = desk
        self._slots = asyncio.Semaphore(_GROUPS_UNDER_WAY)
        self._gathering: list[Asking] = []
        self._group: asyncio.Task[list[list[Command]]] | None = None

    async def ask(self, asking: Asking) -> list[Command]:
        """Return what is leased to who asks, oldest first, once that is durable.

        Raises:
            TooManyRequests, Unavailable: as ``Database.submit``; outcome unknown with the latter.
        """
        if self._group is None or len(self._gathering) >= _TOGETHER:
            self._gathering = []
            self._group = asyncio.create_task(self._serve(self._gathering))
            self._group.add_done_callback(_look_at)
        place, group = len(self._gathering), self._group
        self._gathering.append(asking)
        # Who leaves takes nobody else along: what was leased to him comes again later.
        return (await asyncio.shield(group))[place]

    async def _serve(self, group: list[Asking]) -> list[list[Command]]:
        async with self._slots:
            if self._gathering is group:
                self._group = None
            locks = tuple(queue_of(asking.device_no) for asking in group)
            operation = GroupOperation(locks, partial(hand_out, group))
            handed: Handed = await self._database.submit(self._desk, operation)
            return handed.answer


def hand_out(group: Sequence[Asking], tx: Tx) -> Handed:
    """Lease what those who ask may fetch, one after the other."""
    device_nos = sorted({asking.device_no for asking in group})
    queues: dict[int, list[Command]] = {device_no: [] for device_no in device_nos}
    for command in store.list_queued_of(tx, device_nos):
        queues[command.device_no].append(command)
    changed: dict[str, Command] = {}
    answers = [_serve_one(queues, asking, changed) for asking in group]
    store.update_commands(tx, list(changed.values()))
    moments: Mapping[int, Moments | None] = {
        device_no: rules.moments_of(queue) for device_no, queue in queues.items()
    }
    return Handed(answers, moments)


def _serve_one(
    queues: dict[int, list[Command]], asking: Asking, changed: dict[str, Command]
) -> list[Command]:
    connector_id, now_ms = asking.connector_id, asking.now_ms
    queue = [_keep_or_give_up(command, asking) for command in queues[asking.device_no]]
    connectors = None if connector_id is None else frozenset({connector_id, DEVICE_LEVEL})
    chosen = rules.choose(queue, connectors, now_ms)[: None if connector_id is None else 1]
    leased = {command.command_id: rules.hand_out(command, now_ms) for command in chosen}
    queue = [leased.get(command.command_id, command) for command in queue]
    before = {command.command_id: command for command in queues[asking.device_no]}
    changed.update({one.command_id: one for one in queue if one is not before[one.command_id]})
    queues[asking.device_no] = queue
    return list(leased.values())


def _keep_or_give_up(command: Command, asking: Asking) -> Command:
    settled = rules.settle(command, asking.now_ms)
    if settled.phase is not Phase.QUEUED:
        return settled
    if not rules.is_heeded(settled, asking.operator_id):
        return rules.lapse(settled, Signal.CANCELLED, asking.now_ms)
    if not settled.is_admitted_by(asking.services):
        return rules.withdraw(settled, asking.now_ms)
    return settled


def _look_at(group: "asyncio.Task[list[list[Command]]]") -> None:
    """Take note of how a group ended: whoever asked has it, unless all of them have left."""
    if not group.cancelled():
        group.exception()
