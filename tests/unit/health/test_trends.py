"""Trends: the median of all slopes, untouched by a few wild points, silent on too few."""

from fractions import Fraction
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tellus.health.rules_trends import WINDOWS, find_trend, slope_of, trends_of
from tellus.kernel.units import DAY_MS, HOUR_MS
from tests.unit.health.builders import row

NOW_MS = 20_000 * DAY_MS
POINTS = st.dictionaries(st.integers(0, 40), st.integers(-50, 50), min_size=2, max_size=20).map(
    lambda some: [(float(x), float(y)) for x, y in some.items()]
)


def exact_slope(points: list[tuple[float, float]]) -> Fraction:
    """The median of the slopes of all pairs, in fractions."""
    exact = [(Fraction(x), Fraction(y)) for x, y in points]
    slopes = sorted((b[1] - a[1]) / (b[0] - a[0]) for a, b in combinations(exact, 2))
    middle = len(slopes) // 2
    return slopes[middle] if len(slopes) % 2 else (slopes[middle - 1] + slopes[middle]) / 2


@given(POINTS)
def test_slope__any_points__is_the_median_of_all_pairs(points: list[tuple[float, float]]) -> None:
    """The slope is the median of the exact slopes of all pairs."""
    found = slope_of(points)
    assert found is not None
    assert found == pytest.approx(float(exact_slope(points)))


@given(st.integers(-20, 20), st.lists(st.integers(0, 39), max_size=8), st.integers(-(10**6), 10**6))
def test_slope__a_fifth_of_the_points_is_wild__stays(
    slope: int, wild: list[int], value: int
) -> None:
    """Eight points of forty may be anything at all."""
    points = [(float(x), float(value if x in wild else slope * x)) for x in range(40)]
    assert slope_of(points) == pytest.approx(slope)


def test_trend__drifting_fan__is_found_in_every_window() -> None:
    """A fan that loses 24 revolutions a day shows it over a day, a week and a month."""
    hours = [
        row(NOW_MS - k * HOUR_MS, cooling_fan_rpm=1_800.0 + float(k), relay_state="open")
        for k in range(30 * 24, 0, -1)
    ]
    trends = trends_of("cooling_fan_rpm", hours, NOW_MS)
    assert list(trends) == ["24h", "7d", "30d"]
    for trend in trends.values():
        assert trend.slope_per_day == pytest.approx(-24.0)
        assert trend.points <= 61
    assert trends_of("contactor_max_cycles", hours, NOW_MS) == {}
    assert trends_of("temp_ac_inlet_c", hours, NOW_MS) == {}


def test_trend__five_hours_or_half_a_day_short__is_none() -> None:
    """Too few points, or points that do not span half of the window, make no trend."""
    window = WINDOWS["24h"]
    few = [(NOW_MS - k * 4 * HOUR_MS, float(k)) for k in range(5)]
    assert find_trend(few, window, NOW_MS) is None
    short = [(NOW_MS - k * HOUR_MS, float(k)) for k in range(10)]
    assert find_trend(short, window, NOW_MS) is None
    enough = [(NOW_MS - k * HOUR_MS, float(k)) for k in range(13)]
    assert find_trend(enough, window, NOW_MS) is not None
    old = [(time_ms - DAY_MS, value) for time_ms, value in enough]
    assert find_trend(old, window, NOW_MS) is None
