"""The bidirectional inverter of one connector: its hold on the grid, its health, its harmonics."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tellus.simulator.figures import default_figures

if TYPE_CHECKING:
    from random import Random

_WEAR = default_figures().wear
_INJECTION = default_figures().injection


class Inverter:
    """One inverter; ``is_lost`` from the loss of synchronism until it has found the grid again.

    ``trouble`` names the cause that makes every discharge fail, none for a sound one.
    """

    __slots__ = ("_rng", "health_pct", "is_lost", "max_cycles", "sound_pct", "trouble")

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self.sound_pct = rng.uniform(*_WEAR.inverter_health_pct)
        self.health_pct = self.sound_pct
        self.max_cycles = _WEAR.inverter_max_cycles
        self.is_lost = False
        self.trouble = ""

    def lose(self) -> None:
        """Fall out of step with the grid."""
        self.is_lost = True
        drop = self._rng.uniform(*_INJECTION.inverter_health_drop)
        self.health_pct = max(5.0, self.sound_pct - drop)

    def settle_with_grid(self) -> None:
        """Have no more trouble from an excursion of the grid, which is over."""
        if self.trouble == "grid":
            self.trouble = ""

    def resync(self) -> None:
        """Be in order again."""
        self.is_lost = False
        self.health_pct = self.sound_pct


def harmonic_distortion_pct(power_kw: float, rated_kw: float) -> float | None:
    """Return the total harmonic distortion of a discharge, None where nothing flows."""
    load = abs(power_kw) / rated_kw
    if load <= 0.0:
        return None
    growth: float = load**-_WEAR.thd_exponent
    return min(_WEAR.thd_cap_pct, _WEAR.thd_at_rated_pct * growth)
