"""The cooling fan of a cabinet: constant speed, slower with wear, obstruction and failure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tellus.simulator.figures import default_figures

if TYPE_CHECKING:
    from random import Random

_HEAT = default_figures().thermal
_WEAR = default_figures().wear
_MS_PER_H = 3_600_000


class Fan:
    """One fan. Its health is the share (0 to 1) of the nominal speed that it reaches.

    Bearings wear with the hours, and a failing fan declines in a line to its end.
    """

    __slots__ = ("_decline", "_rng", "since_ms")

    def __init__(self, rng: Random, since_ms: int) -> None:
        self._rng = rng
        self._decline: tuple[int, int, float] | None = None
        self.since_ms = since_ms

    def hours(self, now_ms: int) -> float:
        """Return how long it has run."""
        return (now_ms - self.since_ms) / _MS_PER_H

    def health(self, now_ms: int) -> float:
        """Return the share of the nominal speed that it reaches."""
        worn = 1.0 - _WEAR.fan_wear_per_1000_h * (now_ms - self.since_ms) / (1000 * _MS_PER_H)
        if self._decline is None:
            return max(0.0, worn)
        begin_ms, end_ms, end_ratio = self._decline
        done = 1.0 if now_ms >= end_ms else max(0, now_ms - begin_ms) / (end_ms - begin_ms)
        return max(0.0, worn + (min(end_ratio, worn) - worn) * done)

    def decline(self, begin_ms: int, span_ms: int, end_ratio: float) -> None:
        """Slow down to ``end_ratio`` of the nominal speed over ``span_ms``, and stay so."""
        self._decline = (begin_ms, begin_ms + max(span_ms, 1), end_ratio)

    def mend(self) -> None:
        """Remove what slows it down; its hours stay."""
        self._decline = None

    def replace(self, now_ms: int) -> None:
        """Be a new fan."""
        self._decline = None
        self.since_ms = now_ms

    def reading_rpm(self, now_ms: int) -> int:
        """Return what its sensor says, within 2 % of the truth."""
        spread = self._rng.uniform(-_HEAT.fan_spread_ratio, _HEAT.fan_spread_ratio)
        return round(_HEAT.fan_rpm * self.health(now_ms) * (1.0 + spread))


def fan_status(rpm: float) -> str:
    """Return the word for a speed: ok from 85 % of nominal, warning from 50 %, else fault."""
    ratio = rpm / _HEAT.fan_rpm
    if ratio >= _HEAT.fan_warning_ratio:
        return "ok"
    return "warning" if ratio >= _HEAT.fan_fault_ratio else "fault"
