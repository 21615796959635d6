from __future__ import annotations

import pytest

from tellus.simulator.battery import (
    Battery,
    ac_efficiency,
    constant_voltage_ratio,
    interpolate,
    rounded_soc_pct,
    taper_curve,
    unknown_curve,
)
from tellus.simulator.figures import VehicleClass, default_figures

CLASSES = {one.name: one for one in default_figures().vehicles}


@pytest.mark.parametrize(
    ("soc_pct", "share"),
    [(-5.0, 1.0), (0.0, 1.0), (40.0, 1.0), (70.0, 0.585), (100.0, 0.17), (120.0, 0.17)],
)
def test_taper__around_the_knee__is_flat_and_then_a_line(soc_pct: float, share: float) -> None:
    """Full power up to the knee, then straight down to the residual."""
    assert interpolate(taper_curve(40.0, 0.17), soc_pct) == pytest.approx(share)


def test_interpolate__between_points__is_linear() -> None:
    """A measured curve is read linearly between its points."""
    curve = ((0.0, 0.5), (10.0, 1.0), (20.0, 0.0))
    assert interpolate(curve, 5.0) == pytest.approx(0.75)
    assert interpolate(curve, 15.0) == pytest.approx(0.5)


def test_unknown_curve__no_measurement__assumes_the_usual_shape() -> None:
    """95 % of the peak when empty, the peak at 75 %, AC power when full."""
    curve = unknown_curve(100.0, 11.0)
    shares = [interpolate(curve, soc) for soc in (0.0, 75.0, 100.0)]
    assert shares == pytest.approx([0.95, 1.0, 0.11])


def test_constant_voltage__above_97_percent__falls_to_nothing() -> None:
    """AC power is constant to 97 % and falls in proportion to what is missing."""
    assert constant_voltage_ratio(50.0) == 1.0
    assert constant_voltage_ratio(97.0) == 1.0
    assert constant_voltage_ratio(98.5) == pytest.approx(0.5)
    assert constant_voltage_ratio(100.0) == 0.0


@pytest.mark.parametrize(
    ("soc_pct", "shown"), [(-1.0, 0), (0.49, 0), (0.5, 1), (54.5, 55), (99.49, 99), (100.0, 100)]
)
def test_rounded_soc__any_charge__is_an_integer_half_up(soc_pct: float, shown: int) -> None:
    """The API's charge is an integer from 0 to 100, rounded half up."""
    assert rounded_soc_pct(soc_pct) == shown


def test_exchange__charge_then_discharge__loses_both_efficiencies() -> None:
    """Cells get the efficient share going in and give more than is metered going out."""
    battery = Battery(CLASSES["saloon-400"], 50.0)
    battery.exchange(76.0, 360.0, 0.95)
    assert battery.soc_pct == pytest.approx(59.5)
    battery.exchange(-76.0, 360.0, 0.95)
    assert battery.soc_pct == pytest.approx(59.5 - 10.0 / 0.95)


def test_energy_to__a_target__is_what_fills_it() -> None:
    """Delivering the energy to a target lands on it; beyond it nothing is missing."""
    battery = Battery(CLASSES["hatch-average"], 30.0)
    needed_kwh = battery.energy_to_kwh(80.0, 0.95)
    battery.exchange(needed_kwh, 3600.0, 0.95)
    assert battery.soc_pct == pytest.approx(80.0)
    assert battery.energy_to_kwh(70.0, 0.95) == 0.0


def test_ac_efficiency__small_power__is_worse() -> None:
    """Below 2 kW the on-board charger wastes more."""
    assert ac_efficiency(11.0) == 0.90
    assert ac_efficiency(1.5) == 0.84


@pytest.mark.parametrize("kind", CLASSES.values(), ids=CLASSES)
def test_open_circuit__every_class__rises_with_charge_within_its_voltage_class(
    kind: VehicleClass,
) -> None:
    """Rest voltage rises with the charge and stays in the class of the vehicle."""
    volts = [Battery(kind, float(soc)).open_circuit_v for soc in range(0, 101, 5)]
    assert volts == sorted(volts)
    assert volts[0] == pytest.approx(0.90 * kind.nominal_voltage_v)
    assert volts[-1] == pytest.approx(1.10 * kind.nominal_voltage_v)


def test_classes__those_with_direct_current__match_the_fitted_figures() -> None:
    """Peak C-rates, tapers and the shares of phases lie in the spans that were measured."""
    for kind in (one for one in CLASSES.values() if one.dc_peak_kw):
        assert 1.0 <= kind.dc_peak_kw / kind.battery_kwh <= 2.7
        assert 0.05 <= Battery(kind, 100.0).dc_limit_kw / kind.dc_peak_kw <= 0.35
    assert sum(one.share_ratio for one in CLASSES.values()) == pytest.approx(1.0)
    two_phase = sum(one.share_ratio for one in CLASSES.values() if one.phases == 2)
    assert two_phase == pytest.approx(27 / 293, abs=0.02)
