from __future__ import annotations

import math
from random import Random

import pytest

from tellus.simulator.electrics import (
    OnboardCharger,
    Supply,
    cabinet_loss_kw,
    dc_flow,
    pilot_current_a,
    pilot_duty_pct,
    power_factor,
    ramped_kw,
    split_equally_kw,
)


@pytest.mark.parametrize(
    ("duty_pct", "current_a"),
    [
        (0.0, 0.0),
        (2.9, 0.0),
        (5.0, 0.0),
        (8.0, 6.0),
        (9.9, 6.0),
        (10.0, 6.0),
        (26.7, 16.02),
        (53.3, 31.98),
        (85.0, 51.0),
        (90.0, 65.0),
        (96.0, 80.0),
        (96.5, 80.0),
        (98.0, 0.0),
        (100.0, 0.0),
    ],
)
def test_pilot_current__every_range_of_duty__follows_the_standard(
    duty_pct: float, current_a: float
) -> None:
    """A pilot duty cycle offers the current of IEC 61851-1, and none outside its ranges."""
    assert pilot_current_a(duty_pct) == pytest.approx(current_a)


@pytest.mark.parametrize("current_a", [6.0, 10.0, 16.0, 32.0, 50.9, 53.0, 63.0, 80.0])
def test_pilot_duty__offered_current__reads_back_as_itself(current_a: float) -> None:
    """What the charger encodes the vehicle decodes."""
    assert pilot_current_a(pilot_duty_pct(current_a)) == pytest.approx(current_a)


def test_pilot_duty__between_the_two_lines__offers_the_lower() -> None:
    """No duty cycle says 51 to 52.5 A, so never more is offered than allowed."""
    assert pilot_current_a(pilot_duty_pct(52.0)) == pytest.approx(51.0)


@pytest.mark.parametrize("current_a", [0.0, 3.0, 5.99])
def test_pilot_duty__below_six_ampere__offers_nothing(current_a: float) -> None:
    """A limit below 6 A pauses the charge."""
    assert pilot_current_a(pilot_duty_pct(current_a)) == 0.0


@pytest.mark.parametrize(
    ("current_a", "factor"), [(2.2, 0.68), (6.5, 0.988), (16.0, 1.0), (0.4, 0.68)]
)
def test_power_factor__measured_currents__matches_what_was_measured(
    current_a: float, factor: float
) -> None:
    """The power factor passes through the measured points."""
    assert power_factor(current_a) == pytest.approx(factor, abs=0.003)


def test_ramp__far_from_the_wish__moves_by_its_limits() -> None:
    """Power rises by at most 20 kW/s and falls by at most 100 kW/s."""
    assert ramped_kw(0.0, 150.0, 1.0) == 20.0
    assert ramped_kw(150.0, 0.0, 1.0) == 50.0
    assert ramped_kw(10.0, 12.0, 1.0) == 12.0


@pytest.mark.parametrize(
    ("capacity_kw", "demands_kw", "shares_kw"),
    [
        (180.0, [150.0, 150.0], [90.0, 90.0]),
        (180.0, [40.0, 200.0], [40.0, 140.0]),
        (180.0, [200.0, 40.0], [140.0, 40.0]),
        (180.0, [50.0, 60.0], [50.0, 60.0]),
        (180.0, [170.0], [170.0]),
        (180.0, [0.0, 250.0], [0.0, 180.0]),
        (90.0, [10.0, 100.0, 100.0], [10.0, 40.0, 40.0]),
        (180.0, [], []),
    ],
)
def test_split__two_vehicles_at_one_cabinet__unused_share_goes_over(
    capacity_kw: float, demands_kw: list[float], shares_kw: list[float]
) -> None:
    """Equal parts, and what one leaves the other gets."""
    assert split_equally_kw(capacity_kw, demands_kw) == pytest.approx(shares_kw)


@pytest.mark.parametrize("power_kw", [-50.0, 0.0, 5.0, 80.0])
def test_dc_flow__any_power__is_voltage_times_current(power_kw: float) -> None:
    """Voltage rises over rest by current times resistance, and the product is the power."""
    flow = dc_flow(power_kw, 350.0, 0.1, 500.0)
    assert flow.power_kw == pytest.approx(power_kw, abs=1e-9)
    assert flow.power_kw == pytest.approx(flow.voltage_v * flow.current_a / 1000.0)
    assert flow.voltage_v == pytest.approx(350.0 + 0.1 * flow.current_a)


def test_dc_flow__beyond_the_cable__is_cut_at_its_current() -> None:
    """The cable's current bounds the power."""
    flow = dc_flow(150.0, 350.0, 0.05, 200.0)
    assert flow.current_a == 200.0
    assert flow.power_kw == pytest.approx((350.0 + 10.0) * 200.0 / 1000.0)


def test_cabinet_loss__at_rated_power__is_five_percent() -> None:
    """Conversion loses 5 % at the rating and nothing at rest."""
    assert cabinet_loss_kw(180.0, 180.0) == pytest.approx(9.0)
    assert cabinet_loss_kw(0.0, 180.0) == 0.0
    assert 0.1 < cabinet_loss_kw(1.0, 180.0) < 0.2


def test_supply__a_simulated_month__stays_within_the_norm_and_balanced() -> None:
    """Site voltage drifts within EN 50160 and the phases within 5 % of each other."""
    supply = Supply(Random(7))
    sites = []
    for _ in range(4000):
        supply.advance(600.0)
        volts = [supply.voltage_v(phase) for phase in range(3)]
        assert all(207.0 < one < 253.0 for one in volts)
        assert max(volts) < 1.05 * min(volts)
        sites.append(sum(volts) / 3.0)
    mean = sum(sites) / len(sites)
    sigma = math.sqrt(sum((one - mean) ** 2 for one in sites) / len(sites))
    assert sigma / 230.0 == pytest.approx(0.01, rel=0.15)


@pytest.mark.parametrize(
    ("phases", "max_kw", "amps"), [(1, 7.4, 32.0), (2, 7.4, 16.0), (3, 11.0, 16.0), (3, 22.0, 32.0)]
)
def test_onboard_charger__full_offer__draws_a_little_less_than_its_rating(
    phases: int, max_kw: float, amps: float
) -> None:
    """A vehicle draws 6 to 8 % below the offer, on its phases only, nearly balanced."""
    for seed in range(30):
        onboard = OnboardCharger(Random(seed), phases, max_kw)
        flow = onboard.flow(Supply(Random(seed)), 32.0)
        assert onboard.max_current_a == amps
        assert len(flow.phases) == phases
        currents = [phase.current_a for phase in flow.phases]
        assert max(currents) <= 1.026 * min(currents)
        assert 0.90 * amps < flow.current_a < 0.96 * amps
        total_w = sum(
            one.voltage_v * one.current_a * power_factor(one.current_a) for one in flow.phases
        )
        assert flow.power_kw == pytest.approx(total_w / 1000.0)
        assert flow.power_kw < 1.02 * max_kw


@pytest.mark.parametrize("ratio", [0.9, 0.5, 0.1, 0.03])
def test_onboard_charger__tapering__draws_its_share_of_the_power(ratio: float) -> None:
    """The taper scales power, not current, whatever the power factor does."""
    onboard, supply = OnboardCharger(Random(1), 3, 11.0), Supply(Random(1))
    full = onboard.flow(supply, 16.0)
    assert onboard.flow(supply, 16.0, ratio).power_kw == pytest.approx(
        ratio * full.power_kw, rel=0.03
    )


def test_onboard_charger__offer_below_the_minimum__draws_nothing() -> None:
    """Below 6 A there is no charge."""
    onboard = OnboardCharger(Random(1), 3, 11.0)
    assert onboard.flow(Supply(Random(1)), 0.0).power_kw == 0.0
