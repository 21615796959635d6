"""Insulation to earth, as the charger's own monitor measures it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tellus.simulator.chance import seeded
from tellus.simulator.figures import default_figures

if TYPE_CHECKING:
    from random import Random

_FIGURES = default_figures().isolation
_MONTH_MS = 30 * 86_400_000
_DAY_MS = 86_400_000


class Isolation:
    """The insulation of one connector; ``kohm`` and ``measured_ms`` are of the newest test.

    ``damage_ratio`` is what is left of it (1 = sound).
    """

    __slots__ = ("_months", "_rng", "_since_ms", "_site", "damage_ratio", "kohm", "measured_ms")

    def __init__(self, site: str, rng: Random, now_ms: int) -> None:
        self._site = site
        self._rng = rng
        self._since_ms = now_ms
        self._months = rng.uniform(*_FIGURES.age_months)
        self.damage_ratio = 1.0
        self.kohm: int | None = None
        self.measured_ms = 0

    def is_humid(self, now_ms: int) -> bool:
        """Return whether it is a humid day at the site."""
        return seeded(self._site, "humid", now_ms // _DAY_MS).random() < _FIGURES.humid_day_ratio

    def expected_kohm(self, now_ms: int) -> float:
        """Return the median of a test on that day."""
        months = self._months + (now_ms - self._since_ms) / _MONTH_MS
        kept: float = (1.0 - _FIGURES.trend_per_month_ratio) ** months
        drop = 1.0 - (_FIGURES.humid_drop_ratio if self.is_humid(now_ms) else 0.0)
        return _FIGURES.median_kohm * kept * drop * self.damage_ratio

    def measure(self, now_ms: int) -> int:
        """Test, keep the result, and return it (kilo-ohm)."""
        spread = self._rng.lognormvariate(0.0, _FIGURES.sigma_ln)
        self.kohm = round(self.expected_kohm(now_ms) * spread)
        self.measured_ms = now_ms
        return self.kohm

    @property
    def passes(self) -> bool:
        """Return whether the newest test, if there was one, was good enough."""
        return self.kohm is None or self.kohm > _FIGURES.pass_kohm
