from __future__ import annotations

import re
from datetime import UTC, datetime
from random import Random
from statistics import correlation, mean, median
from zoneinfo import ZoneInfo

import pytest

from tellus.simulator.chance import poisson, quantile, seeded
from tellus.simulator.figures import default_figures
from tellus.simulator.scenario import Visits
from tellus.simulator.vehicles import draw_class, draw_vin, vin_check_digit
from tests.unit.simulator.builders import START_MS

FIGURES = default_figures()


def _visits_of(
    usage: str, scenario: str = "public", seed: int = 1, timezone: str = "UTC"
) -> Visits:
    kind = "ac" if usage.endswith("ac") or usage == "home" else "dc"
    return Visits(
        (seed, "SN-1", 1), kind, FIGURES.usage[usage], FIGURES.scenario(scenario), timezone
    )


def _many(usage: str, count: int = 1500, **options: object) -> list:
    visits = _visits_of(usage, **options)
    now_ms, found = START_MS, []
    for _ in range(count):
        visit = visits.next_after(now_ms)
        found.append(visit)
        now_ms = visit.arrive_ms
    return found


def test_visits__asked_again__are_the_same() -> None:
    """A visit depends on seed, charger and arrival alone, not on when it is asked for."""
    first = [(one.arrive_ms, one.demand_kwh, one.vin) for one in _many("public_dc", 50)]
    again = [(one.arrive_ms, one.demand_kwh, one.vin) for one in _many("public_dc", 50)]
    other = [(one.arrive_ms, one.demand_kwh, one.vin) for one in _many("public_dc", 50, seed=2)]
    assert first == again
    assert first != other


def test_visits__public_dc__have_the_fitted_distributions() -> None:
    """Rate, hour, stay, energy and arrival charge of public DC sessions match their fits."""
    found = _many("public_dc")
    days = (found[-1].arrive_ms - START_MS) / 86_400_000
    assert len(found) / days == pytest.approx(4.25, rel=0.1)
    hours = [datetime.fromtimestamp(one.arrive_ms / 1000, UTC).hour + 0.5 for one in found]
    assert 14.0 < median(hours) < 16.5
    stays_min = [(one.depart_ms - one.arrive_ms) / 60_000 for one in found]
    assert mean(stays_min) == pytest.approx(3.647 * 9.03, rel=0.08)
    energies = [one.demand_kwh for one in found]
    assert mean(energies) == pytest.approx(32.2, rel=0.08)
    assert correlation(stays_min, energies) == pytest.approx(0.64, abs=0.1)
    assert correlation(energies, [one.soc_pct for one in found]) < -0.3
    assert all(2.0 <= one.soc_pct <= 96.0 for one in found)


def test_visits__local_time_zone__arrive_by_the_local_clock() -> None:
    """Arrivals follow the clock on the wall of the site."""
    for zone in ("UTC", "America/New_York", "Asia/Tokyo"):
        local = [
            datetime.fromtimestamp(one.arrive_ms / 1000, ZoneInfo(zone))
            for one in _many("home", 400, timezone=zone)
        ]
        assert median(one.hour for one in local) == pytest.approx(18.0, abs=1.0)


def test_visits__gap_usage__come_after_a_pause() -> None:
    """In a lively scenario the next vehicle comes some minutes after the last has left."""
    gaps_s = [
        (_visits_of("lively", seed=seed).next_after(START_MS).arrive_ms - START_MS) / 1000
        for seed in range(300)
    ]
    assert mean(gaps_s) == pytest.approx(600.0, rel=0.15)
    assert min(gaps_s) >= 1.0


def test_visits__no_arrivals_in_the_scenario__there_are_none() -> None:
    """A quiet scenario has no visits of its own."""
    assert _visits_of("campus_dc", "quiet").next_after(START_MS) is None


def test_vin__drawn__has_a_valid_shape_and_check_digit() -> None:
    """Invented VINs have 17 characters without I, O and Q, and a right check digit."""
    rng = Random(3)
    for _ in range(200):
        vin = draw_vin(rng)
        assert re.fullmatch(r"[A-HJ-NPR-Z0-9]{17}", vin)
        assert vin[8] == vin_check_digit(vin)


def test_vin_check_digit__published_example__is_known() -> None:
    """The check digit agrees with the usual textbook examples."""
    assert vin_check_digit("1M8GDM9A_KP042788".replace("_", "X")) == "X"
    assert vin_check_digit("11111111111111111") == "1"


def test_classes__for_direct_current__all_can_take_it() -> None:
    """A DC connector is never visited by a vehicle without a DC inlet."""
    rng = Random(1)
    assert all(draw_class(rng, "dc").dc_peak_kw > 0 for _ in range(300))
    assert any(draw_class(rng, "ac").dc_peak_kw == 0 for _ in range(300))


def test_quantile__of_a_weibull__is_near_the_closed_form() -> None:
    """The table of a mixture gives its quantiles."""
    usage = FIGURES.usage["public_dc"]
    assert quantile(usage.energy_kwh, 0.5) == pytest.approx(29.36, rel=0.05)


def test_poisson__many_draws__have_the_mean() -> None:
    """Counts per day have their mean."""
    rng = seeded("poisson")
    assert mean(poisson(rng, 4.25) for _ in range(3000)) == pytest.approx(4.25, rel=0.05)


def test_figures__unknown_names__are_told_with_the_known_ones() -> None:
    """A wrong model or scenario names those that exist."""
    with pytest.raises(KeyError, match="TP-AC22"):
        FIGURES.model("TP-X")
    with pytest.raises(KeyError, match="sandbox"):
        FIGURES.scenario("nowhere")


def test_figures__every_scenario__points_to_usages_that_exist() -> None:
    """The data file is consistent in itself."""
    for scenario in FIGURES.scenarios.values():
        assert scenario.usage_ac in FIGURES.usage
        assert scenario.usage_dc in FIGURES.usage
