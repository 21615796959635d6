"""Marks: written with the fact that they are made for, and only where there is need."""

from pathlib import Path

import pytest

from tellus.energy import store_marks
from tellus.energy.model_rows import Mark
from tellus.fleet.model import EventType
from tellus.kernel.units import DAY_MS, HOUR_MS, MINUTE_MS
from tellus.sessions.service import RecordContradicted
from tellus.storage.database import Tx
from tests.unit.energy.folder_world import NOON_MS, OPERATOR, FolderWorld, run_world

pytestmark = pytest.mark.usefixtures("database_kind")


async def spans(world: FolderWorld) -> list[tuple[int, int, int, int]]:
    """Device, connector and both ends of all marks, in seconds from noon."""
    found = await world.database.read(_read_spans)
    return [(no, at, (a - NOON_MS) // 1000, (b - NOON_MS) // 1000) for no, at, a, b in found]


def _read_spans(tx: Tx) -> list[tuple[int, int, int, int]]:
    return [
        (row[0], row[1], row[2], row[3])
        for row in tx.rows(
            "SELECT device_no, connector_id, from_ms, to_ms FROM energy_marks"
            " ORDER BY device_no, connector_id"
        )
    ]


def test_marks__samples_and_events__only_late_ones_are_marked(tmp_path: Path) -> None:
    """What is younger than half a minute is for the next round; what is older is marked."""

    async def test(world: FolderWorld) -> None:
        await world.add_device(connectors=3)
        await world.send(world.sample(NOON_MS - 29_000, 0.1))
        await world.report(EventType.STOP, NOON_MS - 29_000)
        await world.report(EventType.FAULT, NOON_MS - HOUR_MS)
        await world.report(EventType.START, NOON_MS - HOUR_MS, connector_id=0)
        assert await spans(world) == []
        await world.send(world.sample(NOON_MS - 31_000, 0.1))
        await world.send(world.sample(NOON_MS - 61_000, 0.1), world.sample(NOON_MS, 0.2))
        await world.report(EventType.PLUG_IN, NOON_MS - 90_000, connector_id=2)
        assert await spans(world) == [(1, 1, -61, -31), (1, 2, -90, -90)]

    run_world(tmp_path / "tellus.db", test)


def test_marks__records__always_except_those_that_do_not_count(tmp_path: Path) -> None:
    """A record marks its span, whenever it comes; one that cannot be believed marks nothing."""

    async def test(world: FolderWorld) -> None:
        await world.add_device()
        await world.record(NOON_MS - MINUTE_MS, NOON_MS, 1.0)
        assert await spans(world) == [(1, 1, -60, 0)]
        await world.record(NOON_MS - HOUR_MS, NOON_MS - 2 * HOUR_MS, 1.0, "backwards")
        await world.record(NOON_MS, NOON_MS + HOUR_MS, 1.0, "ahead")
        await world.record(NOON_MS - 40 * DAY_MS, NOON_MS, 1.0, "endless")
        world.clock.advance(5.0)
        with pytest.raises(RecordContradicted):
            await world.record(NOON_MS - MINUTE_MS, NOON_MS, 2.0)
        (mark,) = (await world.database.read(store_marks.find_marks, [(1, 1)])).values()
        assert mark == Mark(1, 1, NOON_MS - MINUTE_MS, NOON_MS, 1, NOON_MS, NOON_MS)

    run_world(tmp_path / "tellus.db", test)


def test_marks__ripe__are_quiet_or_old_and_folded_otherwise(tmp_path: Path) -> None:
    """A mark waits while more comes, but not for ever, and never for facts that are not there."""

    async def test(world: FolderWorld) -> None:
        await world.add_device(connectors=4)
        put = store_marks.put_marks
        await world.database.write(put, [(1, 1, 0, 10)], 1_000)
        await world.database.write(put, [(1, 2, 0, 10)], 900)
        await world.database.write(put, [(1, 2, 5, 20)], 1_500)
        await world.database.write(put, [(1, 3, 0, 2**60)], 1_000)
        ripe = store_marks.list_ripe
        quiet = await world.database.read(ripe, 1_200, 0, 10)
        assert quiet == [Mark(1, 1, 0, 10, 1, 1_000, 1_000)]
        old = await world.database.read(ripe, 0, 950, 10)
        assert old == [Mark(1, 2, 0, 20, 2, 900, 1_500)]
        mine = await world.database.read(store_marks.list_of_operator, OPERATOR, None)
        assert [mark.connector_id for mark in mine] == [2, 1, 3]
        assert await world.database.read(store_marks.list_of_operator, "op_2", None) == []

    run_world(tmp_path / "tellus.db", test)


def test_marks__lifted_or_shortened__only_as_they_were_read(tmp_path: Path) -> None:
    """A mark that has grown since stays whole; one that was made anew is another."""

    async def test(world: FolderWorld) -> None:
        await world.add_device()
        await world.database.write(store_marks.put_marks, [(1, 1, 100, 200)], 1_000)
        (read,) = (await world.database.read(store_marks.find_marks, [(1, 1)])).values()
        await world.database.write(store_marks.shorten_mark, read, 150)
        assert await world.database.read(_read_spans) == [(1, 1, 150, 200)]
        await world.database.write(store_marks.put_marks, [(1, 1, 50, 60)], 2_000)
        await world.database.write(store_marks.lift_mark, read)
        await world.database.write(store_marks.shorten_mark, read, 190)
        assert await world.database.read(_read_spans) == [(1, 1, 50, 200)]
        (grown,) = (await world.database.read(store_marks.find_marks, [(1, 1)])).values()
        await world.database.write(store_marks.lift_mark, grown)
        assert await world.database.read(_read_spans) == []

    run_world(tmp_path / "tellus.db", test)


def test_marks__commit_that_took_long__is_marked_afterwards(tmp_path: Path) -> None:
    """Where rounds of another node may have passed a sample's time, it is marked once durable."""

    async def test(world: FolderWorld) -> None:
        await world.add_device()
        sample = world.sample(NOON_MS, 0.1)
        world.energy.marker.on_durable([sample])
        await world.energy.watch()
        assert await spans(world) == []
        world.clock.advance(11.0)
        world.energy.marker.on_durable([sample])
        await world.energy.watch()
        assert await spans(world) == [(1, 1, 0, 0)]

    run_world(tmp_path / "tellus.db", test)
