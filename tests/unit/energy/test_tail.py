"""The tail: an answer holds what came a moment ago, and storing it changes nothing in it."""

from pathlib import Path

import pytest

from tellus.fleet.model import EventType
from tests.unit.energy.folder_world import OPERATOR, SITE, FolderWorld, run_world

pytestmark = pytest.mark.usefixtures("database_kind")


def test_tail__session_that_begins_and_ends_in_it__keeps_its_identifier(tmp_path: Path) -> None:
    """A session listed before it is stored is the same one afterwards."""

    async def test(world: FolderWorld) -> None:
        await world.add_device()
        begin_ms = world.clock.now_ms()
        await world.send(*world.charge(begin_ms - 25_000, begin_ms, step_ms=5_000))
        overlay = await world.settled()
        (told,) = overlay.sessions
        assert (told.number, told.end_ms, told.charge_nkwh) == (0, begin_ms, 41_667_000)
        assert sum(one for one, _ in overlay.minutes[SITE].values()) == 41_667_000
        assert overlay.minutes[SITE] == overlay.minutes[OPERATOR]
        await world.fold()
        await world.fold()
        (row,) = await world.rows()
        assert (row.session_id, row.charge_nkwh) == (told.session_id, 41_667_000)
        after = await world.settled()
        assert (after.minutes, after.sessions, after.replaced) == ({}, [], frozenset())

    run_world(tmp_path / "tellus.db", test)


def test_tail__of_another_operator__is_not_told(tmp_path: Path) -> None:
    """Only the devices of the operator that asks are folded."""

    async def test(world: FolderWorld) -> None:
        await world.add_device(1)
        await world.add_device(2, operator_id="op_2", site_id="site_9")
        begin_ms = world.clock.now_ms()
        await world.send(*world.charge(begin_ms - 25_000, begin_ms, step_ms=5_000))
        overlay = await world.settled("op_2")
        assert (overlay.minutes, overlay.sessions) == ({}, [])
        assert (await world.settled(OPERATOR)).sessions != []

    run_world(tmp_path / "tellus.db", test)


def test_tail__counter_from_zero_at_an_idle_sample_long_ago__counts(tmp_path: Path) -> None:
    """The first sample of a session counts from the last idle one, however long ago that was."""

    async def test(world: FolderWorld) -> None:
        await world.add_device()
        idle_ms = world.clock.now_ms()
        await world.send(world.sample(idle_ms, 3.0, 0.0, "idle"))
        for _ in range(30):
            await world.fold(after_s=120.0)
        await world.telemetry.compact()
        now_ms = world.clock.now_ms()
        await world.send(world.sample(now_ms, 0.5), world.sample(now_ms - 5_000, 0.46))
        overlay = await world.settled()
        assert sum(one for one, _ in overlay.minutes[SITE].values()) == 500_000_000
        (session,) = overlay.sessions
        assert session.end_ms is None
        await world.report(EventType.STOP, now_ms + 1)
        assert (await world.settled()).sessions[0].end_ms == now_ms + 1
        await world.fold()
        await world.fold()
        assert await world.total_kwh() == pytest.approx((0.5, 0.0))

    run_world(tmp_path / "tellus.db", test)
