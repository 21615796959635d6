"""`contactor_wear`: a contactor that will soon have made the cycles of its rated life.

It is judged by the wear forecast of component health: the earliest day of it, because whoever plans
a visit wants to be there before. What is within 2% of its rated life counts too, however seldom it
closes; a part that is past it needs no forecast. Below 80% nothing is looked at, so that a part is
known to have been replaced when its counter starts again.
"""

from collections.abc import Mapping
from typing import Final

from tellus.diagnostics.model import UNTOLD, Verdict
from tellus.health.model import Extremes
from tellus.health.model_view import Wear
from tellus.kernel.units import DAY_MS, to_text

WORN_FROM: Final = 0.8
NEARLY: Final = 0.98
AHEAD_MS: Final = 90 * DAY_MS
SOON_MS: Final = 30 * DAY_MS
_CONTACTOR: Final = "contactor"
_CYCLES, _MOST = "contactor_cycles", "contactor_max_cycles"


def worn_ratio(metrics: Mapping[str, Extremes], rated_cycles: float) -> float | None:
    """Return how much of its rated life a contactor has made; the charger's own rating is used.

    None where the counter is not reported. ``rated_cycles`` are those of units of its kind.
    """
    cycles, most = metrics.get(_CYCLES), metrics.get(_MOST)
    if cycles is None:
        return None
    rated = most.last if most is not None and most.last > 0 else rated_cycles
    return cycles.last / rated


def contactor_wear(parts: Mapping[str, Wear], now_ms: int) -> Verdict:
    """Judge the wear of a connector's parts; never *over*, which only a counter from nought is."""
    wear = parts.get(_CONTACTOR)
    if wear is None or wear.rated is None:
        return UNTOLD
    ratio = wear.cycles / wear.rated.cycles
    forecast = wear.forecast
    left_ms = None if forecast is None else max(0, forecast.earliest_ms - now_ms)
    is_close = ratio >= NEARLY or (left_ms is not None and left_ms <= AHEAD_MS)
    if ratio < WORN_FROM or not is_close:
        return UNTOLD
    is_soon = ratio >= 1 or (left_ms is not None and left_ms <= SOON_MS)
    when = "that is reached"
    if ratio < 1:
        when = "no forecast yet: too few days of its counter are known"
    evidence = {
        "cycles": wear.cycles,
        "rated_cycles": wear.rated.cycles,
        "rated_by": wear.rated.by.value,
        "worn_pct": round(100 * ratio, 1),
        "mark": "soon" if is_soon else "later",
    }
    if wear.rate is not None:
        evidence["cycles_per_day"] = round(wear.rate.per_day, 2)
    if forecast is not None:
        evidence["mark"] = f"{evidence['mark']}, forecast"
        evidence["expected_at"] = to_text(forecast.expected_ms)
        evidence["earliest_at"] = to_text(forecast.earliest_ms)
        day = to_text(forecast.expected_ms)[:10]
        when = f"expected on {day}, {to_text(forecast.earliest_ms)[:10]} at the earliest"
    note = f"{wear.cycles} of {wear.rated.cycles} cycles ({100 * ratio:.1f}%), {when}."
    return Verdict(True, wear.at_ms, note, evidence)
