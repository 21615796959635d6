"""Heat at the connector's pins. Pure; the step is exact for a current held constant."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from tellus.simulator.figures import default_figures

if TYPE_CHECKING:
    from tellus.simulator.figures import ChargerModel

_FIGURES = default_figures().thermal
_DAY_MS = 86_400_000
_WARMEST_MS = 15 * 3_600_000


def ambient_c(mean_c: float, local_time_ms: int) -> float:
    """Return the air temperature: a day's sine around the mean, warmest at 15:00."""
    angle = 2.0 * math.pi * (local_time_ms % _DAY_MS - _WARMEST_MS) / _DAY_MS
    return mean_c + _FIGURES.ambient_swing_k * math.cos(angle)


class Pins:
    """Contact temperature of one connector.

    ``contact_factor`` is 1 for a healthy contact and grows with oxidation. Rated current heats
    a healthy contact by 30 K (AC) or 40 K (DC) over ambient in the steady state.
    """

    __slots__ = (
        "_rated_a", "_rise_k", "_tau_s", "contact_factor", "temperature_c", "warning_c",
    )  # fmt: skip

    def __init__(self, model: ChargerModel, start_c: float) -> None:
        is_ac = model.kind == "ac"
        self._rise_k = _FIGURES.ac_rise_at_rated_k if is_ac else _FIGURES.dc_rise_at_rated_k
        self._tau_s = _FIGURES.ac_tau_s if is_ac else _FIGURES.dc_tau_s
        self._rated_a = model.max_current_a
        self.warning_c = _FIGURES.ac_warning_c if is_ac else _FIGURES.dc_warning_c
        self.contact_factor = 1.0
        self.temperature_c = start_c

    def steady_c(self, air_c: float, current_a: float) -> float:
        """Return the temperature this current ends at."""
        return air_c + self.contact_factor * self._rise_k * (current_a / self._rated_a) ** 2

    def advance(self, air_c: float, current_a: float, dt_s: float) -> None:
        """Move on by ``dt_s`` under constant current and ambient."""
        end_c = self.steady_c(air_c, current_a)
        self.temperature_c = end_c + (self.temperature_c - end_c) * math.exp(-dt_s / self._tau_s)

    @property
    def derating_ratio(self) -> float:
        """Return the share (0 to 1) of the power that may flow at this temperature."""
        over_k = self.temperature_c - self.warning_c
        return 1.0 if over_k <= 0.0 else derating_ratio(over_k)


def derating_ratio(over_k: float) -> float:
    """Return the share (0 to 1) of power left at ``over_k`` above the warning temperature.

    A line to one half at 10 K, another to nothing at 20 K; continuous.
    """
    floor, span_k = _FIGURES.derating_floor_ratio, _FIGURES.derating_span_k
    if over_k <= span_k:
        return 1.0 - (1.0 - floor) * max(0.0, over_k) / span_k
    return max(0.0, floor * (_FIGURES.cut_off_span_k - over_k) / (_FIGURES.cut_off_span_k - span_k))
