"""Ranges cut at seconds where a record has only just settled a session."""

from pathlib import Path

import pytest

from tellus.energy.model_series import Aggregate, Granularity, Wanted
from tellus.energy.queries import EnergyQueries
from tellus.fleet.catalogue import Catalogue
from tellus.fleet.directory import Directory
from tellus.kernel.units import HOUR_MS, SECOND_MS
from tests.unit.energy.folder_world import NOON_MS, OPERATOR, FolderWorld, run_world


def test_clip__record_that_is_not_folded_to_its_end__moves_nothing_outside_of_it(
    tmp_path: Path,
) -> None:
    """Neither before its start nor after its end, in the very same minutes, is any energy."""

    async def test(world: FolderWorld) -> None:
        await world.add_device()
        world.clock.advance(20.389)
        now_ms = world.clock.now_ms()
        start_ms = now_ms - 3 * HOUR_MS
        times_ms = [*range(start_ms, start_ms + HOUR_MS, 5 * SECOND_MS), now_ms]
        await world.send(
            *(world.sample(at_ms, k * 0.001, 0.72) for k, at_ms in enumerate(times_ms))
        )
        energy_kwh = round((len(times_ms) - 1) * 0.00105, 6)
        await world.record(start_ms, now_ms, energy_kwh)
        world.clock.advance(5)
        queries = EnergyQueries(
            world.energy, Catalogue({}), world.telemetry.index.explorer, Directory()
        )

        async def ask(from_ms: int, to_ms: int) -> float:
            wanted = Wanted(OPERATOR, Granularity.DAY, from_ms, to_ms, world.clock.now_ms())
            found: Aggregate = await queries.aggregate(wanted, lambda found: found)
            return found.total.charge_kwh

        first_ms, last_ms = NOON_MS - 4 * HOUR_MS, NOON_MS + HOUR_MS
        for _ in range(2):
            assert await ask(first_ms, last_ms) == pytest.approx(energy_kwh, abs=1e-9)
            assert await ask(start_ms, now_ms) == pytest.approx(energy_kwh, abs=1e-9)
            assert await ask(first_ms, start_ms) == 0.0
            assert await ask(now_ms, last_ms) == 0.0
            await world.fold()

    run_world(tmp_path / "tellus.db", test)
