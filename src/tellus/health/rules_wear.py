"""When a part will be worn: its cycles, at the rate of late, to its rated life, with a range.

The counter's values are joined by straight lines and read at every midnight (UTC): that gives the
cycles of each whole day, those of days without a word among them. The expected day takes the mean
of all whole days of the last thirty. The range takes the means of seven days on end (of single days
where there are fewer than fourteen): the tenth of them that were busiest give the earliest day, the
tenth that were quietest the latest. A counter that falls below half of what it was has been reset
and counts on from nought; one that falls by less has lost a little, which is not made up for. With
fewer than three whole days there is no forecast.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from tellus.health.model_view import Forecast, NoForecast, Rate, RatedBy, RatedLife, Wear
from tellus.kernel.units import DAY_MS

LOOK_BACK_MS: Final = 30 * DAY_MS
FEWEST_DAYS: Final = 3
BLOCK_DAYS: Final = 7
FARTHEST_MS: Final = 100 * 365 * DAY_MS
QUIET, BUSY = 0.1, 0.9
RESET_RATIO: Final = 0.5

RATED_CONTACTOR: Final = {"ac": 60_000, "dc": 100_000}
"""Cycles after which contactors of a unit of that current are worn, where it does not say."""

Point = tuple[int, float]
"""A time (ms) and what the counter read then; in order of time."""


def find_rated(reported: float | None, by_model: int | None) -> RatedLife | None:
    """Return the rated life: the charger's own word before that of its model."""
    if reported is not None and reported > 0:
        return RatedLife(int(reported), RatedBy.CHARGER)
    return None if by_model is None else RatedLife(by_model, RatedBy.MODEL)


def wear_of(points: Sequence[Point], rated: RatedLife | None) -> Wear:
    """Return the wear of a part by its counter, of which there is at least one value."""
    at_ms, newest = points[-1]
    cycles = int(newest)
    total, resets_ms = add_up(points)
    rate = rate_of(daily(total))
    reason, forecast = None, None
    if rated is None:
        reason = NoForecast.UNKNOWN_RATED_LIFE
    elif cycles >= rated.cycles:
        reason = NoForecast.REACHED
    elif rate is None:
        reason = NoForecast.TOO_LITTLE_DATA
    elif rate.per_day <= 0:
        reason = NoForecast.NO_WEAR
    else:
        forecast = _forecast(at_ms, rated.cycles - cycles, rate)
        reason = NoForecast.TOO_FAR if forecast is None else None
    return Wear(cycles, at_ms, rated, rate, forecast, reason, resets_ms)


def add_up(points: Sequence[Point]) -> tuple[list[Point], list[int]]:
    """Return the cycles since the first value, across resets, and when those were seen (ms)."""
    total = [(points[0][0], 0.0)]
    resets_ms = []
    for (_, before), (time_ms, value) in pairwise(points):
        gained = value - before
        if gained < 0:
            is_reset = value < before * RESET_RATIO
            gained = value if is_reset else 0.0
            if is_reset:
                resets_ms.append(time_ms)
        total.append((time_ms, total[-1][1] + gained))
    return total, resets_ms


def daily(total: Sequence[Point]) -> list[float]:
    """Return the cycles of each whole day (UTC) between the first and the last value."""
    first_ms, last_ms = total[0][0], total[-1][0]
    midnights = range(-(-first_ms // DAY_MS) * DAY_MS, last_ms + 1, DAY_MS)
    readings = []
    k = 0
    for midnight_ms in midnights:
        while k + 1 < len(total) and total[k + 1][0] < midnight_ms:
            k += 1
        readings.append(_read_at(total[k], total[min(k + 1, len(total) - 1)], midnight_ms))
    return [after - before for before, after in pairwise(readings)]


def _read_at(one: Point, other: Point, time_ms: int) -> float:
    """Return the reading at an instant between two values, as on a straight line."""
    (one_ms, before), (other_ms, after) = one, other
    if other_ms == one_ms:
        return after
    return before + (after - before) * (time_ms - one_ms) / (other_ms - one_ms)


def rate_of(days: Sequence[float]) -> Rate | None:
    """Return the rate by the cycles of whole days; None where they are too few."""
    if len(days) < FEWEST_DAYS:
        return None
    width = BLOCK_DAYS if len(days) >= 2 * BLOCK_DAYS else 1
    blocks = sorted(sum(days[k : k + width]) / width for k in range(len(days) - width + 1))
    mean = sum(days) / len(days)
    low, high = min(quantile(blocks, QUIET), mean), max(quantile(blocks, BUSY), mean)
    return Rate(mean, low, high, len(days))


def quantile(ordered: Sequence[float], share: float) -> float:
    """Return the value below which ``share`` of ``ordered`` lies, between two of them on a line."""
    place = share * (len(ordered) - 1)
    k = int(place)
    after = ordered[min(k + 1, len(ordered) - 1)]
    return ordered[k] + (after - ordered[k]) * (place - k)


def _forecast(at_ms: int, remaining: float, rate: Rate) -> Forecast | None:
    """Return when the remaining cycles will have been made; None where that is very far away."""
    expected_ms = _after(at_ms, remaining, rate.per_day)
    earliest_ms = _after(at_ms, remaining, rate.high_per_day)
    if expected_ms is None or earliest_ms is None:
        return None
    return Forecast(expected_ms, earliest_ms, _after(at_ms, remaining, rate.low_per_day))


def _after(at_ms: int, remaining: float, per_day: float) -> int | None:
    if per_day <= 0 or remaining / per_day * DAY_MS > FARTHEST_MS:
        return None
    return at_ms + round(remaining / per_day * DAY_MS)
