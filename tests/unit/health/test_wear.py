"""Wear: cycles to the rated life at the rate of late, with a range, or the reason why not."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tellus.health.model_view import NoForecast, RatedBy, RatedLife
from tellus.health.rules_wear import add_up, daily, find_rated, quantile, rate_of, wear_of
from tellus.kernel.units import DAY_MS, HOUR_MS

RATED = RatedLife(100_000, RatedBy.CHARGER)
START_MS = 20_000 * DAY_MS
STEPS = st.lists(
    st.tuples(st.integers(1, 80), st.integers(0, 40)), min_size=1, max_size=40
)  # hours since the value before, cycles since then


def counter(days: list[int], per_day: int = 4, first: int = 40_000) -> list[tuple[int, float]]:
    """A counter read ``per_day`` times a day that moves by so many cycles on each day."""
    points = [(START_MS, float(first))]
    total = float(first)
    for day, cycles in enumerate(days):
        for part in range(1, per_day + 1):
            at_ms = START_MS + day * DAY_MS + part * DAY_MS // per_day
            points.append((at_ms, total + cycles * part / per_day))
        total += cycles
    return points


def exact_days(steps: list[tuple[int, int]]) -> list[Fraction]:
    """The cycles of whole days, by giving every hour its share of the step that it lies in."""
    hours: list[Fraction] = []
    for length, cycles in steps:
        hours += [Fraction(cycles, length)] * length
    return [sum(hours[k : k + 24], Fraction()) for k in range(0, len(hours) - 23, 24)]


@given(STEPS)
def test_daily__values_at_any_hours__give_each_hour_its_share(steps: list[tuple[int, int]]) -> None:
    """A silence of days is shared out evenly, and only whole days count."""
    points, at_ms, value = [(START_MS, 7.0)], START_MS, 7.0
    for length, cycles in steps:
        at_ms, value = at_ms + length * HOUR_MS, value + cycles
        points.append((at_ms, value))
    found = daily(add_up(points)[0])
    assert found == pytest.approx([float(one) for one in exact_days(steps)])


@given(st.lists(st.integers(0, 500), min_size=1, max_size=30), st.integers(2, 29))
def test_add_up__reset_in_between__counts_on(steps: list[int], reset: int) -> None:
    """A counter that begins anew goes on counting; what it did before is not lost."""
    value, points, total = 100_000.0, [(0, 100_000.0)], 0
    for k, step in enumerate(steps, 1):
        value = float(step) if k == reset else value + step
        total += step
        points.append((k, value))
    added, resets = add_up(points)
    assert added[-1][1] == total
    assert resets == ([reset] if reset <= len(steps) else [])


def test_add_up__small_loss__is_no_reset() -> None:
    """A counter that fell by two after a restart lost two cycles, which are not made up for."""
    added, resets = add_up([(1, 500.0), (2, 498.0), (3, 503.0)])
    assert (added[-1][1], resets) == (5.0, [])


@given(st.lists(st.integers(0, 60), min_size=3, max_size=30))
def test_rate__any_days__lies_within_its_range(days: list[int]) -> None:
    """The mean is that of all days; the range holds it and lies within the days' own."""
    rate = rate_of([float(day) for day in days])
    assert rate is not None
    assert rate.per_day == pytest.approx(sum(days) / len(days))
    slack = 1e-9
    assert min(days) - slack <= rate.low_per_day <= rate.per_day + slack
    assert rate.per_day - slack <= rate.high_per_day <= max(days) + slack
    assert rate_of([1.0, 1.0]) is None


def test_quantile__few_values__is_read_between_them() -> None:
    """A tenth of ten steps is one step from the lowest."""
    ordered = [float(k) for k in range(11)]
    assert [quantile(ordered, share) for share in (0, 0.1, 0.55, 1)] == [0.0, 1.0, 5.5, 10.0]


def test_wear__steady_use__is_expected_to_the_day() -> None:
    """50 cycles a day with 58,500 left: 1,170 days, and no range to speak of."""
    wear = wear_of(counter([50] * 30), RATED)
    assert (wear.cycles, wear.reason, wear.resets_ms) == (41_500, None, [])
    assert wear.forecast is not None
    days = [(one - wear.at_ms) / DAY_MS for one in wear.forecast if one is not None]
    assert days == pytest.approx([1_170.0] * 3)


def test_wear__busy_and_quiet_weeks__has_a_range() -> None:
    """Weeks of 20 and of 80 a day: the range reaches from one pace to the other."""
    wear = wear_of(counter(([20] * 7 + [80] * 7) * 2), RATED)
    assert wear.rate is not None
    assert wear.forecast is not None
    assert (wear.rate.per_day, wear.rate.days) == (pytest.approx(50.0), 28)
    assert wear.rate.low_per_day < 30
    assert wear.rate.high_per_day > 70
    forecast = wear.forecast
    assert forecast.latest_ms is not None
    assert forecast.earliest_ms < forecast.expected_ms < forecast.latest_ms


def test_wear__contactor_replaced_and_reset__has_its_life_before_it() -> None:
    """After a reset the new part's own cycles count, at the pace of before and after."""
    worn = counter([50] * 10, first=99_000)
    fresh = [
        (at_ms + 10 * DAY_MS, value - 99_000) for at_ms, value in counter([50] * 10, 4, 99_000)
    ]
    wear = wear_of([*worn, *fresh[1:]], RATED)
    assert wear.cycles == 500
    assert wear.resets_ms == [fresh[1][0]]
    assert wear.forecast is not None
    assert (wear.forecast.expected_ms - wear.at_ms) / DAY_MS == pytest.approx(99_500 / 50)


@pytest.mark.parametrize(
    ("points", "rated", "reason"),
    [
        (counter([50] * 2), RATED, NoForecast.TOO_LITTLE_DATA),
        (counter([50] * 9), None, NoForecast.UNKNOWN_RATED_LIFE),
        (counter([0] * 9), RATED, NoForecast.NO_WEAR),
        (counter([50] * 9, first=99_900), RATED, NoForecast.REACHED),
        (counter([1] + [0] * 29), RATED, NoForecast.TOO_FAR),
        ([(START_MS, 5.0)], RATED, NoForecast.TOO_LITTLE_DATA),
    ],
)
def test_wear__nothing_to_go_by__says_why(
    points: list[tuple[int, float]], rated: RatedLife | None, reason: NoForecast
) -> None:
    """Without a rate or a rated life there is a reason and never a date."""
    wear = wear_of(points, rated)
    assert (wear.reason, wear.forecast) == (reason, None)


def test_wear__quiet_most_days__may_never_be_worn() -> None:
    """Where the quiet days stand still there is no latest day."""
    wear = wear_of(counter([0, 0, 0, 60, 0, 0, 0, 60]), RATED)
    assert wear.forecast is not None
    assert wear.forecast.latest_ms is None


def test_rated__charger_and_model__the_charger_has_the_word() -> None:
    """A life that the charger reports counts before that of its model; nought is none."""
    assert find_rated(80_000, 60_000) == (80_000, RatedBy.CHARGER)
    assert find_rated(None, 60_000) == find_rated(0, 60_000) == (60_000, RatedBy.MODEL)
    assert find_rated(None, None) is None
