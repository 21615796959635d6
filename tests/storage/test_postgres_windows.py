"""Rate windows that several nodes count in: exact, and out of the way when the database is slow."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import psycopg
import pytest

from tellus.kernel.clock import SystemClock
from tellus.kernel.windows import RollingWindow, take_together
from tellus.storage import postgres_windows
from tellus.storage.postgres_windows import DatabaseWindows
from tests.databases import database_url, postgres_server
from tests.reliability.swallowing_proxy import swallowing_proxy, through

PATIENCE_S = 20.0
HOUR_S = 3_600.0
UNCANCELLED_S = 4.0
"""psycopg waits five seconds for a server that says nothing to a cancelled statement."""


def run(url: str, count: int, story: Callable[..., Awaitable[None]]) -> None:
    """Play a story with the windows of several nodes."""

    async def play() -> None:
        nodes = [DatabaseWindows(url, f"node_{n}", SystemClock()) for n in range(count)]
        tasks = [asyncio.create_task(node.run()) for node in nodes]
        try:
            for node in nodes:
                await answering(node)
            await story(*nodes)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(play())


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let an answer take its time: what is asked is whether it is right."""
    monkeypatch.setattr(postgres_windows, "_SLOW_S", PATIENCE_S)


async def answering(node: DatabaseWindows) -> None:
    """Wait until a node's questions are answered."""
    async with asyncio.timeout(PATIENCE_S):
        while await node.wait_s("nobody", 1, 1.0) is None:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.02)


def test_take__many_at_once_on_three_nodes__exactly_the_limit_is_accepted(
    tmp_path: Path, patient: None
) -> None:
    """However questions fall together, no window takes one more or one less than its limit."""

    async def story(*nodes: DatabaseWindows) -> None:
        rng = random.Random(1)
        keys = [f"key-{number}" for number in range(20)]
        asked = [key for key in keys for _ in range(90)]
        rng.shuffle(asked)
        took_s = await asyncio.gather(*(rng.choice(nodes).take(key, 60, HOUR_S) for key in asked))
        assert None not in took_s
        for key in keys:
            mine = [wait_s for one, wait_s in zip(asked, took_s, strict=True) if one == key]
            assert mine.count(0.0) == 60
            assert all(HOUR_S - 60 < wait_s <= HOUR_S for wait_s in mine if wait_s)

    run(database_url(tmp_path), 3, story)


def test_take__paced_over_two_nodes__never_more_than_the_limit_in_any_period(
    tmp_path: Path, patient: None
) -> None:
    """Slots come free one by one as their acceptances age, and refusals take none."""
    limit, period_s = 5, 0.5

    async def story(*nodes: DatabaseWindows) -> None:
        accepted: list[tuple[float, float]] = []
        refused: list[tuple[float, float]] = []
        for number in range(120):
            sent_s = time.monotonic()
            wait_s = await nodes[number % 2].take("paced", limit, period_s)
            (refused if wait_s else accepted).append((sent_s, time.monotonic()))
            await asyncio.sleep(0.012)
        for k in range(limit, len(accepted)):
            assert accepted[k][1] - accepted[k - limit][0] >= period_s
        for sent_s, _ in refused:  # all slots were taken by such as could not have aged yet
            held = [one for one in accepted if one[0] < sent_s and sent_s - one[1] < period_s]
            assert len(held) >= limit
        assert refused

    run(database_url(tmp_path), 2, story)


def test_wait__full_window__is_told_and_takes_nothing(tmp_path: Path, patient: None) -> None:
    """A look at a window leaves it as it is."""

    async def story(node: DatabaseWindows) -> None:
        for _ in range(5):
            assert await node.wait_s("looked-at", 1, HOUR_S) == 0.0
        assert await node.take("looked-at", 1, HOUR_S) == 0.0
        waits_s = [await node.wait_s("looked-at", 1, HOUR_S) for _ in range(3)]
        assert all(wait_s is not None and wait_s > HOUR_S - 60 for wait_s in waits_s)

    run(database_url(tmp_path), 1, story)


async def count_alone(node: DatabaseWindows) -> None:
    """Ask as the limiter does while no answer comes: well before a statement could be cancelled."""
    window = RollingWindow(3, HOUR_S)
    async with asyncio.timeout(UNCANCELLED_S):
        asked = (take_together(node, "slow", window, time.monotonic()) for _ in range(5))
        waits_s = await asyncio.gather(*asked)
    assert waits_s.count(0.0) == 3
    assert node.unanswered > 0


def test_take__row_held_by_somebody__is_counted_locally_at_once(tmp_path: Path) -> None:
    """A database that is slow keeps nobody waiting: the node counts alone, and then again not."""
    url = database_url(tmp_path)

    async def story(node: DatabaseWindows) -> None:
        assert await node.take("slow", 3, HOUR_S) == 0.0
        async with await psycopg.AsyncConnection.connect(url) as holder:
            await holder.execute("SELECT * FROM rate_windows FOR UPDATE")
            await count_alone(node)
        await answering(node)

    run(url, 1, story)


def test_take__way_to_the_database_goes_silent__is_counted_locally_at_once(tmp_path: Path) -> None:
    """Answers that are swallowed without an end are waited for no longer than slow ones."""
    name = database_url(tmp_path).rpartition("/")[2]
    with swallowing_proxy(postgres_server().port) as proxy:

        async def story(node: DatabaseWindows) -> None:
            assert proxy.swallow(" windows") == 1
            await count_alone(node)
            await answering(node)

        run(through(proxy, name), 1, story)


def test_run__ended_while_somebody_waits__leaves_nobody_waiting(tmp_path: Path) -> None:
    """A node that stops gives up the questions that it has not asked."""

    async def story(node: DatabaseWindows) -> None:
        task = asyncio.create_task(node.run())
        await answering(node)
        asking = [asyncio.create_task(node.take("ended", 1, HOUR_S)) for _ in range(3)]
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        async with asyncio.timeout(PATIENCE_S):
            await asyncio.gather(*asking)
            assert await node.take("ended", 1, HOUR_S) is None

    async def play() -> None:
        await story(DatabaseWindows(database_url(tmp_path), "node_0", SystemClock()))

    asyncio.run(play())
