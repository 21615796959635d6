"""F-0601, cooling fan below nominal RPM: below 85% of nominal for ten minutes.

It is judged by the minute. A minute is slow when all its readings are; a minute without readings is
neither slow nor good, it adds nothing, and three in a row end the count: nothing is known of them.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from tellus.diagnostics.model import UNTOLD, Limits, Verdict
from tellus.health.model import Extremes
from tellus.kernel.units import MINUTE_MS

MOST_GAP_MINUTES: Final = 3
HYSTERESIS_PCT: Final = 5.0
GOOD_MINUTES: Final = 2


class FanMinute(NamedTuple):
    """The lowest and highest speed of a device's fan within a minute."""

    start_ms: int
    low_rpm: float
    high_rpm: float


def is_slow(rpm: Extremes, limits: Limits) -> bool:
    """Tell whether a fan was slow at any time of a minute."""
    return limits.fan_nominal_rpm > 0 and rpm.low < _least_rpm(limits)


def merge_minutes(found: Sequence[tuple[int, Extremes]]) -> list[FanMinute]:
    """Return one entry a minute, in order: the fan is the cabinet's, each connector tells of it."""
    merged: dict[int, FanMinute] = {}
    for start_ms, rpm in found:
        held = merged.get(start_ms, FanMinute(start_ms, rpm.low, rpm.high))
        merged[start_ms] = FanMinute(
            start_ms, min(held.low_rpm, rpm.low), max(held.high_rpm, rpm.high)
        )
    return [merged[start_ms] for start_ms in sorted(merged)]


def f_0601(minutes: Sequence[FanMinute], limits: Limits) -> Verdict:
    """Judge the newest minutes of a fan, in order of time."""
    if not minutes or limits.fan_nominal_rpm <= 0:
        return UNTOLD
    good_rpm = limits.fan_nominal_rpm * (limits.fan_least_pct + HYSTERESIS_PCT) / 100
    newest = minutes[-GOOD_MINUTES:]
    if len(newest) == GOOD_MINUTES and all(minute.low_rpm >= good_rpm for minute in newest):
        return Verdict(False, newest[-1].start_ms)
    least_rpm = _least_rpm(limits)
    slow: list[FanMinute] = []
    later_ms = minutes[-1].start_ms
    for minute in reversed(minutes):
        gap = (later_ms - minute.start_ms) // MINUTE_MS - 1
        if minute.high_rpm >= least_rpm or gap >= MOST_GAP_MINUTES:
            break
        slow.append(minute)
        later_ms = minute.start_ms
    if len(slow) * MINUTE_MS < limits.fan_low_for_s * 1000:
        return UNTOLD
    lowest_rpm = min(minute.low_rpm for minute in slow)
    evidence = {
        "lowest_rpm": round(lowest_rpm),
        "highest_rpm": round(max(minute.high_rpm for minute in slow)),
        "nominal_rpm": limits.fan_nominal_rpm,
        "threshold_rpm": round(least_rpm),
        "slow_minutes": len(slow),
        "since_ms": slow[-1].start_ms,
    }
    note = (
        f"The fan turned at {lowest_rpm:.0f} RPM at the lowest, below {least_rpm:.0f} RPM"
        f" for {len(slow)} minutes."
    )
    return Verdict(True, slow[0].start_ms, note, evidence)


def _least_rpm(limits: Limits) -> float:
    return limits.fan_nominal_rpm * limits.fan_least_pct / 100
