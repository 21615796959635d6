"""Several processes over one database: each command is handed out by one of them."""

import asyncio
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any, Self

from tellus.bus.memory import MemoryBus
from tellus.commands import desk, handing, store
from tellus.commands.desk import Desk
from tellus.commands.handing import Asking
from tellus.commands.model import KINDS, SET_POWER_LIMIT, START, Command, Effect, Report, Signal
from tellus.commands.pending import Pending
from tellus.kernel.clock import SystemClock
from tellus.storage.postgres import PostgresDatabase
from tests.databases import database_url

NODES = 3
DEVICES = 20


def make_command(device_no: int, now_ms: int, **changes: object) -> Command:
    """A command for connector 1 of a device, issued now."""
    fields: dict[str, object] = {
        "command_id": f"cmd_{device_no}",
        "device_no": device_no,
        "device_id": f"dvc_{device_no}",
        "connector_id": 1,
        "operator_id": "op_1",
        "client_id": "cl_1",
        "command": START,
        "params": "{}",
        "transaction_id": None,
        "created_ms": now_ms,
        "updated_ms": now_ms,
        "expires_ms": now_ms + KINDS[START].expires_after_ms,
    }
    return Command(**(fields | changes))  # type: ignore[arg-type]


class Nodes:
    """Desks of several processes, on databases of their own that are one."""

    def __init__(self, folder: Path) -> None:
        url = database_url(folder)
        self.stores = [PostgresDatabase.open(url) for _ in range(NODES)]
        self.desks = [Desk(Pending(), MemoryBus(), lambda *_: None) for _ in range(NODES)]

    async def __aenter__(self) -> Self:
        await asyncio.gather(*(one.start() for one in self.stores))
        return self

    async def __aexit__(self, *error: object) -> None:
        await asyncio.gather(*(one.stop() for one in self.stores))

    async def hand_out(self, node: int, device_no: int, now_ms: int) -> list[Command]:
        """Let a device ask at one node; return what it gets."""
        asking = Asking(device_no, 1, now_ms, None)
        operation = desk.GroupOperation(
            (desk.queue_of(device_no),), partial(handing.hand_out, [asking])
        )
        handed: desk.Handed = await self.stores[node].submit(self.desks[node], operation)
        return handed.answer[0]

    async def do(self, node: int, operation: desk.Operation) -> Any:
        """Do something at one node; return its answer."""
        change: desk.Change = await self.stores[node].submit(self.desks[node], operation)
        return change.answer


def test_hand_out__many_nodes_ask_at_once__each_command_leaves_once(tmp_path: Path) -> None:
    """Whichever nodes a charger asks, and in whatever order, nothing is handed out twice."""

    async def scenario() -> None:
        now_ms = SystemClock().now_ms()
        async with Nodes(tmp_path) as nodes:
            for device_no in range(1, DEVICES + 1):
                order = desk.Order(make_command(device_no, now_ms))
                await nodes.do(device_no % NODES, desk.issue(order))
            asked = [
                nodes.hand_out(node, device_no if node % 2 else DEVICES + 1 - device_no, now_ms)
                for device_no in range(1, DEVICES + 1)
                for node in range(NODES)
            ]
            answers = await asyncio.gather(*asked)
            leased = Counter(command.command_id for answer in answers for command in answer)
            assert len(leased) == DEVICES
            assert set(leased.values()) == {1}

    asyncio.run(scenario())


def test_issue__one_transaction_at_many_nodes__is_one_command(tmp_path: Path) -> None:
    """A request that is sent to several nodes at once under one transaction acts once."""

    async def scenario() -> None:
        now_ms = SystemClock().now_ms()
        async with Nodes(tmp_path) as nodes:
            orders = [
                desk.Order(make_command(1, now_ms, command_id=f"cmd_{n}", transaction_id="tx"))
                for n in range(12)
            ]
            answers = await asyncio.gather(
                *(nodes.do(n % NODES, desk.issue(order)) for n, order in enumerate(orders))
            )
            assert len({answer.command.command_id for answer in answers}) == 1
            queued = await nodes.stores[0].read(store.list_queued, 1)
            assert len(queued) == 1

    asyncio.run(scenario())


def test_issue__limits_from_many_nodes__the_last_one_stands(tmp_path: Path) -> None:
    """However many nodes issue power limits at once, one of them is left to be delivered."""

    async def scenario() -> None:
        now_ms = SystemClock().now_ms()
        async with Nodes(tmp_path) as nodes:
            orders = [
                desk.Order(make_command(1, now_ms, command_id=f"cmd_{n}", command=SET_POWER_LIMIT))
                for n in range(12)
            ]
            await asyncio.gather(
                *(nodes.do(n % NODES, desk.issue(order)) for n, order in enumerate(orders))
            )
            leased = await nodes.hand_out(0, 1, now_ms)
            assert len(leased) == 1

    asyncio.run(scenario())


def test_report__ends_from_many_nodes__the_first_one_stands(tmp_path: Path) -> None:
    """A charger that reports two ends by two nodes is believed once."""

    async def scenario() -> None:
        now_ms = SystemClock().now_ms()
        async with Nodes(tmp_path) as nodes:
            await nodes.do(0, desk.issue(desk.Order(make_command(1, now_ms))))
            await nodes.hand_out(1, 1, now_ms)
            await nodes.do(2, desk.report(1, _said(Signal.ACCEPTED, now_ms)))
            ends = (Signal.COMPLETED, Signal.FAILED)
            effects = await asyncio.gather(
                *(
                    nodes.do(n % NODES, desk.report(1, _said(ends[n % 2], now_ms + 1)))
                    for n in range(8)
                )
            )
            command = await nodes.stores[0].read(store.find_command, "cmd_1")
            assert command is not None
            assert Counter(str(effect) for effect in effects)["applied"] == 1
            assert len(await nodes.stores[0].read(store.list_reports, "cmd_1")) == 3

    asyncio.run(scenario())


def _said(status: Signal, time_ms: int) -> Report:
    return Report("cmd_1", status, time_ms, time_ms, Effect.REPEAT, None, None)
