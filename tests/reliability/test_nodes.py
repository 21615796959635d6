"""Three nodes over one PostgreSQL are one platform, whatever fails among them.

Their clocks differ by two seconds, and every request of a charger goes to a random node. One node
is killed and started again, PostgreSQL is restarted, and the connections by which nodes hear of
each other are swallowed without a word.
"""

import asyncio
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.databases import PostgresServer
from tests.reliability.company_of_nodes import Operators, Outcome, Share, look_back, roaming
from tests.reliability.ledger import Key
from tests.reliability.mixed_load import now_ms
from tests.reliability.node_group import NodeGroup, node_group, skewed
from tests.reliability.swallowing_proxy import SwallowingProxy, swallowing_proxy, through

CHARGERS = int(os.environ.get("TELLUS_TEST_CHARGERS", "90"))
RATE = float(os.environ.get("TELLUS_TEST_NODES_RATE", "150"))
PHASE_S = float(os.environ.get("TELLUS_TEST_NODES_PHASE_S", "3"))
SKEWS_MS = (-1_000, 0, 1_000)
COMMAND_EVERY_S = 0.15
LEASE_S = 30.0
FRESH_S = 3.0
DELIVERED_WITHIN_S = 3.0

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    """A server that the tests may restart."""
    server = PostgresServer()
    server.start()
    yield server
    server.remove()


async def _finish(
    operators: Operators, shares: list[Share], outcome: Outcome, within_s: float
) -> None:
    """Let chargers fetch what was issued to them: what was leased in vain comes again."""
    until_s = time.monotonic() + within_s
    while True:
        outcome.unfinished = await operators.list_unfinished()
        if not outcome.unfinished or time.monotonic() > until_s:
            break
        await asyncio.sleep(0.5)
    now_ms = time.time() * 1000
    outcome.stream_lag_s = [(now_ms - watch.newest_ms) / 1000 for watch in operators.watches]
    outcome.streams_opened = [watch.opened for watch in operators.watches]
    for share in shares:
        outcome.add(await asyncio.to_thread(share.stop))


async def break_down(group: NodeGroup, postgres: PostgresServer) -> int:
    """Kill the node on duty and start it again, then PostgreSQL; return the number of the node."""
    number = group.number_on_duty() or 0
    group.kill(number)
    await asyncio.sleep(PHASE_S / 2)
    await asyncio.to_thread(group.restart, number)
    await asyncio.sleep(PHASE_S / 2)
    await asyncio.to_thread(postgres.stop, at_once=True)
    await asyncio.sleep(1.0)
    await asyncio.to_thread(postgres.start)
    await asyncio.sleep(PHASE_S)
    return number


async def live_through(
    group: NodeGroup, proxy: SwallowingProxy, shares: list[Share], broken: PostgresServer | None
) -> Outcome:
    """Let things fail under load; return what came of it. ``broken`` is to break down as well."""
    outcome = Outcome()
    operators = Operators(group, [device for share in shares for device in share.devices])
    ending = asyncio.Event()
    work = asyncio.create_task(operators.run(COMMAND_EVERY_S, ending))
    try:
        await asyncio.sleep(PHASE_S)
        if broken is not None:
            outcome.notes.append(f"node {await break_down(group, broken)} killed")
        outcome.notes.append(f"{proxy.swallow(' bus')} connections swallowed")
        outcome.deaf_ms = now_ms()
        await asyncio.sleep(2 * PHASE_S)
        ending.set()
        await work
        await _finish(operators, shares, outcome, LEASE_S + 10 if broken is not None else 0.0)
    finally:
        ending.set()
        await work
        await operators.leave()
    outcome.add_operators(operators.ledger)
    if broken is not None:
        outcome.ledger.acknowledged[never_sent(outcome)] = now_ms()
        await look_back(group, operators.client, outcome)
    return outcome


def never_sent(outcome: Outcome) -> Key:
    """Return the key of a write that the ledger has and nobody sent: the audit has to miss it."""
    return ("event", outcome.devices[-1], -1)


def run_company(
    folder: Path, postgres: PostgresServer, *plants: str, breaks: bool = True, **environment: str
) -> Outcome:
    """Start nodes and a fleet, let things fail, and look back."""
    database = postgres.make_database()
    with swallowing_proxy(postgres.port) as proxy:
        url = through(proxy, database.rpartition("/")[2])
        with (
            node_group(folder, url, skewed(SKEWS_MS, *plants), **environment) as group,
            roaming(folder, group.ports, CHARGERS, RATE) as shares,
        ):
            broken = postgres if breaks else None
            outcome = asyncio.run(live_through(group, proxy, shares, broken))
    print(outcome)
    return outcome


def test_nodes__killed_restarted_and_deafened__lose_and_repeat_nothing(
    tmp_path: Path, postgres: PostgresServer
) -> None:
    """No acknowledged write is lost or doubled, no command comes twice, streams go on.

    The one loss that is reported is a write that the ledger has and that nobody sent.
    """
    outcome = run_company(tmp_path, postgres)
    assert outcome.ledger.failures == []
    assert set(outcome.ledger.statuses) <= {200, 429, 503}
    assert outcome.ledger.unknown_outcomes > 0
    kinds = {key[0] for key in outcome.ledger.acknowledged}
    assert kinds == {"telemetry", "event", "record", "command", "report"}
    assert outcome.lost[:10] == [never_sent(outcome)]
    assert (outcome.duplicates[:10], outcome.phantoms[:10]) == ([], [])
    assert len(outcome.commands) > 10
    assert (outcome.twice, outcome.unfinished) == ([], [])
    assert outcome.share_s(99) <= DELIVERED_WITHIN_S
    assert max(outcome.stream_lag_s) < FRESH_S
    assert outcome.newcomers > 0
    assert min(outcome.online) >= CHARGERS
    assert outcome.faults == []


def test_nodes_harness__nothing_but_a_deaf_bus_tells_of_commands__is_caught(
    tmp_path: Path, postgres: PostgresServer
) -> None:
    """Without pings and without looking in the store, the harness sees what a silent bus costs."""
    outcome = run_company(tmp_path, postgres, "silent", breaks=False, TELLUS_COMMANDS__POLL_S="0")
    assert outcome.share_s(99) > DELIVERED_WITHIN_S
