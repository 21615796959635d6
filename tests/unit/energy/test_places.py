"""A charger that is moved: its energy stays with the site where it was moved."""

from pathlib import Path

import pytest

from tellus.kernel.units import HOUR_MS, MINUTE_MS
from tests.unit.energy.folder_world import NOON_MS, OPERATOR, SITE, FolderWorld, run_world


@pytest.mark.usefixtures("database_kind")
def test_move__session_under_way__is_parted_at_that_instant(tmp_path: Path) -> None:
    """The energy before the move is the old site's, what comes after the new one's."""

    async def test(world: FolderWorld) -> None:
        await world.add_device()
        begin_ms = world.clock.now_ms()
        for sample in world.charge(begin_ms, begin_ms + HOUR_MS):
            world.clock.advance((sample.time_ms - world.clock.now_ms()) / 1000)
            await world.send(sample)
            if sample.time_ms == begin_ms + 30 * MINUTE_MS:
                await world.move(1, "site_2")
            await world.energy.turn()
        moved = await world.total_kwh(SITE), await world.total_kwh("site_2")
        # The sample that came with the move still counts for the old place, the next begins anew.
        assert moved[0] == pytest.approx((3.0, 0.0))
        assert moved[1] == pytest.approx((2.9, 0.0))
        assert await world.total_kwh(OPERATOR) == pytest.approx((5.9, 0.0))
        await world.fold()
        rows = [(row.site_id, row.start_ms, row.end_ms) for row in await world.rows()]
        moved_ms = begin_ms + 30 * MINUTE_MS
        assert rows == [
            (SITE, begin_ms, moved_ms),
            ("site_2", moved_ms + MINUTE_MS, begin_ms + HOUR_MS),
        ]

    run_world(tmp_path / "tellus.db", test)


def test_move__late_facts_of_before__count_where_it_stood_then(tmp_path: Path) -> None:
    """What comes in after a move, but was measured before, belongs to the old site and operator."""

    async def test(world: FolderWorld) -> None:
        await world.add_device()
        await world.send(*world.charge(NOON_MS - 4 * HOUR_MS, NOON_MS - 3 * HOUR_MS, 2.0))
        await world.move(1, "site_2", "op_2")
        await world.send(*world.charge(NOON_MS - 2 * HOUR_MS, NOON_MS - HOUR_MS, 6.0))
        await world.record(NOON_MS - 4 * HOUR_MS, NOON_MS - 3 * HOUR_MS, 2.5)
        await world.fold()
        assert await world.total_kwh(SITE) == pytest.approx((8.5, 0.0))
        assert await world.total_kwh(OPERATOR) == pytest.approx((8.5, 0.0))
        assert await world.total_kwh("op_2") == (0.0, 0.0)

    run_world(tmp_path / "tellus.db", test)


def test_move__charger_that_said_nothing_yet__was_always_there(tmp_path: Path) -> None:
    """A charger is put in its place after it has registered: facts of before count there too."""

    async def test(world: FolderWorld) -> None:
        await world.add_device()
        await world.move(1, "site_2")
        await world.send(*world.charge(NOON_MS - 2 * HOUR_MS, NOON_MS - HOUR_MS))
        assert await world.total_kwh("site_2") == pytest.approx((6.0, 0.0))
        assert await world.total_kwh(SITE) == (0.0, 0.0)

    run_world(tmp_path / "tellus.db", test)


def test_rating__set_to_less__leaves_out_what_cannot_be(tmp_path: Path) -> None:
    """With another rating all samples of the charger are judged anew."""

    async def test(world: FolderWorld) -> None:
        await world.add_device(rated_kw=None)
        await world.send(*world.charge(NOON_MS - 2 * HOUR_MS, NOON_MS - HOUR_MS, 90.0))
        assert await world.total_kwh() == pytest.approx((90.0, 0.0))
        await world.rate(1, 20.0)
        assert (await world.total_kwh())[0] < 25.0
        assert (await world.energy.read_status()).implausible_samples > 50
        await world.rate(1, 100.0)
        assert await world.total_kwh() == pytest.approx((90.0, 0.0))
        assert (await world.energy.read_status()).implausible_samples == 0

    run_world(tmp_path / "tellus.db", test)
