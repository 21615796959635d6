"""How fast a metric moves: the Theil-Sen estimator over medians of equal pieces of time.

The slope is the median of the slopes between all pairs of points, so that up to 29% of the points
may be anything without spoiling it (Theil 1950, Sen 1968). A window is cut into pieces of one
length and each piece counts as the median of its hours: a charger that reports more often does not
weigh more. An hour counts with its worse side, which is the low one of fans, isolation and
inverters, and the high one of temperatures and distortion; a counter with its last value.
"""

from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from types import MappingProxyType
from typing import Final, NamedTuple

from tellus.health.model import FoldedRow, Measured
from tellus.health.model_view import Trend
from tellus.kernel.units import DAY_MS, HOUR_MS

FEWEST: Final = 6
"""Points without which there is no trend; they must span half of the window, too."""


class Window(NamedTuple):
    """How far back a trend looks, and how long its pieces are (ms)."""

    length_ms: int
    piece_ms: int


WINDOWS: Final[Mapping[str, Window]] = MappingProxyType(
    {
        "24h": Window(DAY_MS, HOUR_MS),
        "7d": Window(7 * DAY_MS, 4 * HOUR_MS),
        "30d": Window(30 * DAY_MS, 12 * HOUR_MS),
    }
)

NO_TREND: Final = frozenset({"contactor_max_cycles", "inverter_max_cycles"})
"""Metrics that are figures of the part, not of its state."""

_LOW: Final = frozenset({"cooling_fan_rpm", "isolation_test_kohms", "inverter_health_pct"})
_LAST: Final = frozenset({"contactor_cycles", "inverter_cycles", "discharge_contactor_cycles"})

Point = tuple[int, float]
"""A time (ms) and a value."""


def slope_of(points: Sequence[tuple[float, float]]) -> float | None:
    """Return the median of the slopes between all pairs of ``(x, y)``; None where there is none."""
    slopes = [
        (y_two - y_one) / (x_two - x_one)
        for k, (x_one, y_one) in enumerate(points)
        for x_two, y_two in points[k + 1 :]
        if x_two != x_one
    ]
    return median(slopes) if slopes else None


def trends_of(name: str, hours: Iterable[FoldedRow], now_ms: int) -> dict[str, Trend]:
    """Return the trends of a metric by window; one for which there is too little is left out."""
    if name in NO_TREND:
        return {}
    points = [
        (row.key[2], _side(name, measured))
        for row in hours
        if (measured := row.folded.numbers.get(name)) is not None
    ]
    found = {key: find_trend(points, window, now_ms) for key, window in WINDOWS.items()}
    return {key: trend for key, trend in found.items() if trend is not None}


def find_trend(points: Iterable[Point], window: Window, now_ms: int) -> Trend | None:
    """Return the trend of points within a window up to now; None where they are too few."""
    pieces: dict[int, list[float]] = {}
    for time_ms, value in points:
        if now_ms - window.length_ms <= time_ms <= now_ms:
            pieces.setdefault(time_ms - time_ms % window.piece_ms, []).append(value)
    if len(pieces) < FEWEST or max(pieces) - min(pieces) < window.length_ms / 2 - window.piece_ms:
        return None
    medians = [(start_ms / DAY_MS, median(pieces[start_ms])) for start_ms in sorted(pieces)]
    slope = slope_of(medians)
    return None if slope is None else Trend(slope, len(medians))


def _side(name: str, measured: Measured) -> float:
    if name in _LAST:
        return measured.last
    return measured.low if name in _LOW else measured.high
