"""Uploads at the bounds of what the wire takes: they harm the energy of nobody else."""

from pathlib import Path

import pytest

from tellus.energy import sums
from tellus.kernel.units import HOUR_MS, MINUTE_MS, SECOND_MS
from tests.databases import POSTGRES, SQLITE, Choice, postgres_server
from tests.unit.energy.folder_world import NOON_MS, FolderWorld, run_world

BEGIN_MS = NOON_MS - 3 * HOUR_MS
SAMPLES = 1_600
"""Each third of them is 20 GWh above the one before: together more than 64 bits hold."""


@pytest.fixture(params=[SQLITE, POSTGRES])
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each database in turn."""
    if request.param == POSTGRES:
        postgres_server()
    monkeypatch.setattr(Choice, "kind", request.param)
    return str(request.param)


async def charge_well(world: FolderWorld) -> None:
    """One hour at 6 kW, by the first device."""
    await world.add_device(1)
    await world.send(*world.charge(BEGIN_MS, BEGIN_MS + HOUR_MS))


async def send_extremes(world: FolderWorld, device_no: int, from_ms: int, power_kw: float) -> None:
    """A counter that leaps from bound to bound, again and again."""
    state = "charging" if power_kw > 0 else "discharging"
    cycle = (1e7, -1e7, -1e7)
    samples = [
        world.sample(from_ms + k * SECOND_MS, cycle[k % 3], power_kw, state, device_no)
        for k in range(SAMPLES)
    ]
    await world.send(*samples)


@pytest.mark.parametrize(
    ("rated_kw", "power_kw"),
    [(None, 40.0), (None, -40.0), (50.0, 40.0), (1e6, 100_000.0), (1e6, -100_000.0)],
)
def test_fold__counters_and_powers_at_the_bounds__leaves_the_others_right(
    kind: str, power_kw: float, rated_kw: float | None, tmp_path: Path
) -> None:
    """A counter that leaps by 20 GWh neither stalls the folder nor enters the sums."""

    async def test(world: FolderWorld) -> None:
        await charge_well(world)
        await world.add_device(2, rated_kw=rated_kw)
        await send_extremes(world, 2, BEGIN_MS, power_kw)
        charge_kwh, discharge_kwh = await world.total_kwh()
        assert charge_kwh + discharge_kwh < 6.0 + SAMPLES * 100_000 * 1.2 / 3_600
        await world.fold()
        folded_to_ms = (await world.energy.read_status()).folded_to_ms
        assert folded_to_ms is not None
        assert folded_to_ms > NOON_MS
        assert await world.total_kwh() == (charge_kwh, discharge_kwh)
        well = [row.charge_nkwh for row in await world.rows() if row.device_no == 1]
        assert well == [6_000_000_000]

    run_world(tmp_path / "tellus.db", test)


def test_fold__live_samples_at_the_bounds__leaves_the_others_right(
    kind: str, tmp_path: Path
) -> None:
    """The same as it happens: the newest facts and the rounds stand it as well."""

    async def test(world: FolderWorld) -> None:
        await charge_well(world)
        await world.add_device(2, rated_kw=None)
        for _ in range(3):
            await send_extremes(world, 2, world.clock.now_ms(), 40.0)
            world.clock.advance(50 * 60.0)
            await world.settled()
            await world.fold()
        await world.fold(after_s=600.0)
        assert (await world.energy.read_status()).marks == 0
        well = [row.charge_nkwh for row in await world.rows() if row.device_no == 1]
        assert well == [6_000_000_000]

    run_world(tmp_path / "tellus.db", test)


def test_fold__records_at_the_bounds__are_left_out(kind: str, tmp_path: Path) -> None:
    """A record of a million kWh or more says nothing of energy; what samples say stands."""

    async def test(world: FolderWorld) -> None:
        await charge_well(world)
        await world.add_device(2)
        await world.send(*world.charge(BEGIN_MS, BEGIN_MS + HOUR_MS, device_no=2))
        for number in range(12):
            meter = (-1e9, 1e9) if number % 2 else (1e9, -1e9)
            await world.record(
                BEGIN_MS + number,
                BEGIN_MS + HOUR_MS,
                meter[1],
                f"r{number}",
                device_no=2,
                meter_start_kwh=meter[0],
                meter_end_kwh=meter[1],
            )
        assert await world.total_kwh() == (12.0, 0.0)
        await world.fold()
        assert (await world.energy.read_status()).marks == 0
        assert await world.total_kwh() == (12.0, 0.0)

    run_world(tmp_path / "tellus.db", test)


def test_fold__more_than_sums_can_hold__leaves_out_whose_it_is(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where sums are full, facts of the connector that fills them are left out, others not."""

    async def test(world: FolderWorld) -> None:
        await charge_well(world)
        await world.add_device(2)
        for number in range(8):
            at_ms = BEGIN_MS + number * MINUTE_MS
            await world.record(at_ms, at_ms + 1, 900_000.0, f"r{number}", device_no=2)
        charge_kwh, _ = await world.total_kwh()
        assert charge_kwh == 6.0
        await world.fold()
        assert (await world.energy.read_status()).marks == 0
        await world.send(*world.charge(BEGIN_MS + HOUR_MS + MINUTE_MS, BEGIN_MS + 2 * HOUR_MS))
        assert await world.total_kwh() == (11.9, 0.0)

    monkeypatch.setattr(sums, "MOST_NKWH", 2 * 10**15)
    run_world(tmp_path / "tellus.db", test)
