"""Shapes and sums: what is added can be taken away, peaks follow, nothing is left behind."""

from pathlib import Path
from random import Random

import pytest

from tellus.energy import store_sums
from tellus.energy.model import MinuteEnergies
from tellus.energy.model_sums import DaySums, HourSums
from tellus.energy.shapes import (
    add_difference,
    find_peak,
    pack_shape,
    to_minutes,
    to_quarters,
    unpack_shape,
)
from tellus.energy.sums import apply_moved
from tellus.kernel.units import DAY_MS, HOUR_MS
from tests.unit.energy.folder_world import FolderWorld, run_world

# The first minute of 2025-03-15, the last before its midnight is 1,439 later.
FIRST = 29_033_280


@pytest.mark.parametrize("seed", range(20))
def test_shape__any_minutes__are_read_back_as_they_were(seed: int) -> None:
    """Gaps, both directions, and energies of any size survive packing."""
    chance = Random(seed)
    minutes: MinuteEnergies = {}
    for minute in range(FIRST, FIRST + 400):
        if chance.random() < 0.7:
            charge = chance.choice((0, 1, 10**9, 2**40))
            minutes[minute] = (charge, chance.choice((0, 0, 0, 7, 2**33)))
    wanted = {minute: energies for minute, energies in minutes.items() if any(energies)}
    assert unpack_shape(pack_shape(minutes)) == wanted


def test_shape__hours_of_steady_charging__takes_few_bytes() -> None:
    """Four hours by the minute fit in little more than the figures themselves."""
    minutes = {FIRST + k: (116_666_667, 0) for k in range(240)}
    assert len(pack_shape(minutes)) < 240 * 5 + 20
    assert len(pack_shape({})) == 1


def test_quarters__spread_and_summed__are_the_same() -> None:
    """Minutes of a quarter-hour sum to it exactly, also where it cannot be divided by 15."""
    quarters = {FIRST // 15: (10**9 + 7, 3), FIRST // 15 + 5: (14, 0)}
    minutes = to_minutes(quarters)
    assert to_quarters(minutes) == quarters
    assert find_peak({1: (5, 2), 2: (0, 9), 3: (1, 1)}) == 9


def test_difference__of_what_stayed__is_nothing() -> None:
    """Only minutes that changed are in the difference, those that vanished with a minus."""
    moved: MinuteEnergies = {}
    add_difference(moved, {1: (5, 0), 2: (7, 1)}, {1: (5, 0), 2: (6, 0), 3: (2, 0)})
    assert moved == {2: (1, 1), 3: (-2, 0)}


@pytest.mark.usefixtures("database_kind")
def test_sums__two_chargers_of_a_site__peaks_are_of_both_together(tmp_path: Path) -> None:
    """The peak of a quarter-hour is that of the net of all, either way, and follows removals."""

    async def test(world: FolderWorld) -> None:
        async def apply(minutes: MinuteEnergies) -> None:
            await world.database.write(apply_moved, {"site_1": minutes})

        await apply({FIRST: (100, 0), FIRST + 16: (50, 0)})
        await apply({FIRST: (20, 0), FIRST + 1: (0, 300), FIRST + 16: (0, 50)})
        ((hour,), (minutes,)) = (
            await world.database.read(store_sums.list_hours, ["site_1"], 0, 2**60),
            await world.database.read(store_sums.list_minutes, ["site_1"], 0, 2**60),
        )
        begin_ms = FIRST * 60_000
        assert hour == HourSums(
            "site_1", begin_ms, (120, 50, 0, 0), (300, 50, 0, 0), (300, 0, 0, 0)
        )
        assert list(minutes.net_nkwh[:3]) == [120, -300, 0]
        assert await world.database.read(store_sums.list_days, ["site_1"], 0, 2**60) == [
            DaySums("site_1", begin_ms, 170, 350, 300)
        ]
        await apply({FIRST + 1: (0, -300)})
        (day,) = await world.database.read(store_sums.list_days, ["site_1"], 0, 2**60)
        assert day.peak_nkwh == 120
        await apply({FIRST: (-120, 0), FIRST + 16: (-50, -50)})
        assert await world.database.read(store_sums.read_all) == ({}, {}, {})

    run_world(tmp_path / "tellus.db", test)


@pytest.mark.usefixtures("database_kind")
def test_sums__listed_by_scope_and_range__in_order(tmp_path: Path) -> None:
    """Ranges are half-open and scopes those that were asked for."""

    async def test(world: FolderWorld) -> None:
        moved = {
            scope_id: {FIRST + 60 * hour: (hour + 1, 0) for hour in range(30)}
            for scope_id in ("site_2", "site_1", "op_1")
        }
        await world.database.write(apply_moved, moved)
        begin_ms = FIRST * 60_000
        span = (begin_ms + HOUR_MS, begin_ms + 3 * HOUR_MS)
        hours = await world.database.read(store_sums.list_hours, ["site_2", "site_1"], *span)
        assert [(one.scope_id, one.charge_nkwh[0]) for one in hours] == [
            ("site_1", 2),
            ("site_1", 3),
            ("site_2", 2),
            ("site_2", 3),
        ]
        days = await world.database.read(
            store_sums.list_days, ["op_1"], begin_ms, begin_ms + 2 * DAY_MS
        )
        assert [(day.charge_nkwh, day.peak_nkwh) for day in days] == [(300, 24), (165, 30)]

    run_world(tmp_path / "tellus.db", test)
