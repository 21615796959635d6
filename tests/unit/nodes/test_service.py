"""Who is there, and whose duty the background is."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from tellus.kernel.clock import FollowingClock, ManualClock
from tellus.nodes.model import LOST_AFTER_MS
from tellus.nodes.service import NodeService
from tellus.storage.sqlite import SQLiteDatabase

Story = Callable[["Company"], Awaitable[None]]


class Company:
    """Nodes that share one store, with a clock that tests move."""

    def __init__(self, database: SQLiteDatabase, clock: ManualClock) -> None:
        self.database = database
        self.clock = clock

    def join(self, node_id: str, *, alone: bool = False) -> NodeService:
        return NodeService(self.database, self.clock, node_id, version="1.0.0", alone=alone)


def run(tmp_path: Path, story: Story) -> None:
    """Play a story over a fresh store."""

    async def play() -> None:
        clock = ManualClock()
        async with SQLiteDatabase.open(tmp_path / "nodes.db", clock=clock) as database:
            await story(Company(database, clock))

    asyncio.run(play())


def test_beat__two_nodes__one_is_on_duty(tmp_path: Path) -> None:
    """Of several nodes the first that asks has the duty, and keeps it while it renews."""

    async def story(company: Company) -> None:
        first, second = company.join("node_1"), company.join("node_2")
        for _ in range(3):
            await first.beat()
            await second.beat()
            assert (first.is_on_duty, second.is_on_duty) == (True, False)
            company.clock.advance(2)

    run(tmp_path, story)


def test_beat__node_on_duty_dies__another_takes_over_after_its_lease(tmp_path: Path) -> None:
    """The duty of a node that went silent is free when its lease has passed, not before."""

    async def story(company: Company) -> None:
        first, second = company.join("node_1"), company.join("node_2")
        await first.beat()
        company.clock.advance(LOST_AFTER_MS / 1000 - 0.001)
        await second.beat()
        assert first.is_on_duty
        assert not second.is_on_duty
        company.clock.advance(0.001)
        assert not first.is_on_duty
        await second.beat()
        assert second.is_on_duty
        await first.beat()
        assert not first.is_on_duty

    run(tmp_path, story)


def test_leave__node_on_duty__frees_the_duty_and_is_listed_no_more(tmp_path: Path) -> None:
    """A node that stops in order hands over at once."""

    async def story(company: Company) -> None:
        first, second = company.join("node_1"), company.join("node_2")
        await first.beat()
        await second.beat()
        await first.leave()
        await second.beat()
        assert second.is_on_duty
        assert [node.node_id for node in await second.list_nodes()] == ["node_2"]

    run(tmp_path, story)


def test_list_nodes__one_went_silent__lists_those_that_are_there(tmp_path: Path) -> None:
    """A node that has not renewed its entry counts as gone; each says where it answers."""

    async def story(company: Company) -> None:
        first, second = company.join("node_1"), company.join("node_2")
        first.listen_at("http://127.0.0.1:1")
        await first.beat()
        company.clock.advance(1)
        await second.beat()
        both = await second.list_nodes()
        assert [(node.node_id, node.address, node.on_duty) for node in both] == [
            ("node_1", "http://127.0.0.1:1", True),
            ("node_2", "", False),
        ]
        company.clock.advance(LOST_AFTER_MS / 1000)
        await second.beat()
        assert [node.node_id for node in await second.list_nodes()] == ["node_2"]

    run(tmp_path, story)


def test_alone__writes_nothing_and_is_always_on_duty(tmp_path: Path) -> None:
    """A process with a store of its own is on duty from the start and lists itself."""

    async def story(company: Company) -> None:
        node = company.join("node_1", alone=True)
        assert node.is_on_duty
        await node.beat()
        listed = await node.list_nodes()
        assert [(one.node_id, one.on_duty) for one in listed] == [("node_1", True)]
        assert await company.database.read(lambda tx: tx.rows("SELECT * FROM nodes")) == []
        await node.leave()

    run(tmp_path, story)


class SlowDatabase:
    """Tells the time of its clock, each answer after so many seconds."""

    is_shared = True

    def __init__(self, clock: ManualClock, ahead_s: float, took_s: Iterable[float]) -> None:
        self._clock = clock
        self._ahead_s = ahead_s
        self._took_s = iter(took_s)

    async def read(self, _work: object) -> int:
        took_s = next(self._took_s)
        self._clock.advance(took_s / 2)
        told_ms = self._clock.now_ms() + round(self._ahead_s * 1000)
        self._clock.advance(took_s / 2)
        return told_ms


def _set_clock_after(*answers_s: Sequence[float], ahead_s: float = 2.0) -> float:
    """How far a clock is behind the database's (s) once it was set from these answers."""
    machine = ManualClock()
    clock = FollowingClock(machine)
    took_s = [one for answers in answers_s for one in answers]
    database: Any = SlowDatabase(machine, ahead_s, took_s)
    node = NodeService(database, clock, "node_1", version="1.0.0", alone=False)
    for _ in answers_s:
        asyncio.run(node.set_clock())
    return ahead_s - (clock.now_ms() - machine.now_ms()) / 1000


def test_set_clock__quick_answer__is_followed_and_no_other_is_asked_for() -> None:
    """The clock takes over the time of the first answer that came quickly."""
    assert abs(_set_clock_after([0.4, 0.01])) < 0.02


def test_set_clock__all_answers_slow__the_least_slow_is_followed_the_first_time_alone() -> None:
    """A node never begins with a time of its own; later on a slow answer changes nothing."""
    slow_s = [0.4, 0.1, 0.3, 0.2, 0.5]
    assert abs(_set_clock_after(slow_s)) < 0.02
    assert abs(_set_clock_after([0.01], slow_s)) < 0.02
