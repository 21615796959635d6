from __future__ import annotations

import pytest

from tellus.simulator.figures import default_figures
from tellus.simulator.metering import Meter, Registers, reading_kwh
from tellus.simulator.thermal import Pins, ambient_c


def test_meter__both_directions__moves_one_register_each() -> None:
    """Import and export have a register each; the net is their difference."""
    meter = Meter(Registers(100.0, 10.0))
    meter.add(36.0, 100.0)
    meter.add(-7.2, 500.0)
    assert meter.registers == pytest.approx((101.0, 11.0))
    assert meter.net_kwh == pytest.approx(90.0)


def test_meter__a_million_small_steps_on_a_large_reading__loses_nothing() -> None:
    """A reading of 60,000 kWh still counts every milliwatt-hour exactly."""
    meter = Meter(Registers(60_000.0, 0.0))
    for _ in range(100_000):
        meter.add(0.001, 1.0)
    assert meter.net_kwh - 60_000.0 == pytest.approx(100_000 * 0.001 / 3600.0, abs=1e-10)


def test_reading__hidden_digits__shows_a_tenth_of_a_watt_hour() -> None:
    """Readings are shown to 0.1 Wh."""
    assert reading_kwh(12345.678949) == 12345.6789


@pytest.mark.parametrize(("model", "rise_k"), [("TP-AC22", 30.0), ("TP-DC180", 40.0)])
def test_pins__rated_current_for_hours__reach_the_published_threshold_at_35_degrees(
    model: str, rise_k: float
) -> None:
    """A healthy contact at rated current ends at 65 °C (AC) or 75 °C (DC) when it is 35 °C."""
    figures = default_figures().model(model)
    pins = Pins(figures, 35.0)
    for _ in range(600):
        pins.advance(35.0, figures.max_current_a, 60.0)
        assert pins.temperature_c <= 35.0 + rise_k + 1e-9
    assert pins.temperature_c == pytest.approx(35.0 + rise_k, abs=0.01)


def test_pins__sixteen_ampere_for_ten_minutes__warm_as_measured() -> None:
    """16.4 A for ten minutes warms an AC contact by about 3 K, as was measured on a board."""
    pins = Pins(default_figures().model("TP-AC22"), 27.0)
    pins.advance(27.0, 16.4, 600.0)
    assert pins.temperature_c == pytest.approx(30.0, abs=0.6)


def test_pins__one_large_step_or_many_small__end_alike() -> None:
    """The step is exact, so its size does not matter."""
    model = default_figures().model("TP-DC180")
    coarse, fine = Pins(model, 20.0), Pins(model, 20.0)
    coarse.advance(20.0, 300.0, 600.0)
    for _ in range(600):
        fine.advance(20.0, 300.0, 1.0)
    assert fine.temperature_c == pytest.approx(coarse.temperature_c, abs=1e-9)


def test_pins__oxidised_contact__is_hotter() -> None:
    """An oxidised contact heats in proportion to its factor."""
    pins = Pins(default_figures().model("TP-DC180"), 20.0)
    pins.contact_factor = 2.0
    assert pins.steady_c(20.0, 400.0) == pytest.approx(100.0)


def test_ambient__over_a_day__is_warmest_in_the_afternoon() -> None:
    """Air swings by 4 K around its mean and is warmest at 15:00."""
    hours = [ambient_c(18.0, hour * 3_600_000) for hour in range(24)]
    assert hours.index(max(hours)) == 15
    assert max(hours) == pytest.approx(22.0)
    assert min(hours) == pytest.approx(14.0)
