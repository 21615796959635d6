"""Memory follows what other nodes have written."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import pytest

from tellus.kernel.clock import ManualClock
from tellus.kernel.errors import Unavailable
from tellus.nodes.following import Follower
from tellus.storage.database import Tx
from tellus.storage.sqlite import SQLiteDatabase

Story = Callable[["Bench"], Awaitable[None]]


class Bench:
    """A follower over a real store, what it had read again, and a pen for other nodes' changes."""

    def __init__(self, database: SQLiteDatabase, clock: ManualClock) -> None:
        self.database = database
        self.clock = clock
        self.read: list[tuple[str, tuple[str, ...]]] = []
        self.follower = Follower(database, "node_me", clock)

    def watch(self, name: str, *tables: str, own: bool = False) -> None:
        async def refresh(keys: Sequence[str]) -> None:
            self.read.append((name, tuple(keys)))

        self.follower.watch(tables, refresh, own=own)

    async def change(
        self, table: str, key: str, node_id: str = "node_other", number: int | None = None
    ) -> None:
        await self.database.write(_note, number, self.clock.now_ms(), node_id, table, key)

    def take(self) -> list[tuple[str, tuple[str, ...]]]:
        taken, self.read = self.read, []
        return taken


def _note(tx: Tx, number: int | None, at_ms: int, node_id: str, table: str, key: str) -> None:
    if number is None:
        columns, values = "", (at_ms, node_id, table, key)
    else:
        columns, values = "change_no, ", (number, at_ms, node_id, table, key)
    places = ", ".join(f"${place}" for place in range(1, len(values) + 1))
    tx.execute(
        f"INSERT INTO changes ({columns}at_ms, node_id, table_name, row_key) VALUES ({places})",
        *values,
    )


def run(tmp_path: Path, story: Story) -> None:
    """Play a story over a fresh store."""

    async def play() -> None:
        clock = ManualClock()
        async with SQLiteDatabase.open(tmp_path / "changes.db", clock=clock) as database:
            bench = Bench(database, clock)
            bench.watch("principals", "clients", "client_secrets", own=True)
            bench.watch("fleet", "devices")
            await bench.follower.start()
            await story(bench)

    asyncio.run(play())


def test_poll__rows_of_two_tables__each_is_read_once_in_the_order_of_watching(
    tmp_path: Path,
) -> None:
    """Rows are read again once each, principals before the fleet, whatever was written first."""

    async def story(bench: Bench) -> None:
        await bench.change("devices", "7")
        await bench.change("clients", "a")
        await bench.change("client_secrets", "a")
        await bench.change("devices", "7")
        await bench.change("unwatched", "x")
        await bench.follower.poll()
        assert bench.take() == [("principals", ("a",)), ("fleet", ("7",))]
        await bench.follower.poll()
        assert bench.take() == []

    run(tmp_path, story)


def test_poll__own_rows__are_read_again_only_where_asked_for(tmp_path: Path) -> None:
    """What this node wrote itself is followed already, except where a read may have crossed it."""

    async def story(bench: Bench) -> None:
        await bench.change("devices", "7", "node_me")
        await bench.change("clients", "a", "node_me")
        await bench.follower.poll()
        assert bench.take() == [("principals", ("a",))]

    run(tmp_path, story)


def test_poll__number_given_early_and_seen_late__is_not_passed_over(tmp_path: Path) -> None:
    """A transaction that ends after a later number was read is read all the same, once."""

    async def story(bench: Bench) -> None:
        await bench.change("devices", "2", number=12)
        await bench.follower.poll()
        bench.clock.advance(5)
        await bench.change("devices", "1", number=11)
        await bench.follower.poll()
        await bench.follower.poll()
        assert bench.take() == [("fleet", ("2",)), ("fleet", ("1",))]

    run(tmp_path, story)


def test_poll__after_a_long_silence__everything_is_read_anew(tmp_path: Path) -> None:
    """Whoever has not looked for a minute may have missed what was forgotten since."""

    async def story(bench: Bench) -> None:
        reloaded = []

        async def reload() -> None:
            reloaded.append(bench.clock.now_ms())

        bench.follower.on_reload(reload)
        bench.clock.advance(59)
        await bench.follower.poll()
        assert reloaded == []
        bench.clock.advance(61)
        await bench.follower.poll()
        bench.follower.wake_whole()
        await bench.follower.poll()
        assert len(reloaded) == 2

    run(tmp_path, story)


def test_poll__reading_everything_anew_fails__is_tried_again(tmp_path: Path) -> None:
    """What could not be read after a long silence is still due at the next look."""

    async def story(bench: Bench) -> None:
        tried: list[int] = []

        async def reload() -> None:
            tried.append(bench.clock.now_ms())
            if len(tried) == 1:
                raise Unavailable("Storage cannot read now")

        bench.follower.on_reload(reload)
        await bench.follower.poll()
        bench.clock.advance(61)
        with pytest.raises(Unavailable):
            await bench.follower.poll()
        bench.clock.advance(1)
        await bench.follower.poll()
        await bench.follower.poll()
        assert len(tried) == 2

    run(tmp_path, story)


def test_start__changes_from_before__are_left_to_the_first_load(tmp_path: Path) -> None:
    """A follower begins where the store stood ten seconds ago: memory is read back after that."""

    async def story(bench: Bench) -> None:
        await bench.change("devices", "1")
        bench.clock.advance(11)
        await bench.change("devices", "2")
        late = Follower(bench.database, "node_late", bench.clock)
        read: list[str] = []

        async def refresh(keys: Sequence[str]) -> None:
            read.extend(keys)

        late.watch(("devices",), refresh)
        await late.start()
        await late.poll()
        assert read == ["2"]

    run(tmp_path, story)
