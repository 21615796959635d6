"""The contactor of one connector: its cycles, and what goes wrong when it closes or opens."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from tellus.simulator.figures import default_figures

if TYPE_CHECKING:
    from random import Random

    from tellus.simulator.figures import ChargerModel

_WEAR = default_figures().wear
_INJECTION = default_figures().injection


class Contactor:
    """One contactor.

    ``will_weld`` makes the next opening fail. ``stuck_closes`` is how many closings stay without
    feedback; an intermittent one fails once, then with the rest of ``second_close_ratio``.
    """

    __slots__ = (
        "_is_known_to_fail", "_rated_a", "_rng", "cycles", "discharge_cycles", "is_intermittent",
        "is_reported", "is_welded", "max_cycles", "stuck_closes", "will_weld",
    )  # fmt: skip

    def __init__(self, model: ChargerModel, rng: Random, cycles: int) -> None:
        self._rng = rng
        self._rated_a = model.max_current_a
        self._is_known_to_fail = False
        self.max_cycles = _WEAR.ac_max_cycles if model.kind == "ac" else _WEAR.dc_max_cycles
        self.cycles = cycles
        self.discharge_cycles = 0
        self.will_weld = False
        self.is_welded = False
        self.is_reported = True
        self.stuck_closes = 0
        self.is_intermittent = False

    def closes(self, defect_ratio: float) -> bool:
        """Close, and tell whether the feedback came; ``defect_ratio`` is the firmware's share."""
        if self.stuck_closes > 0:
            self.stuck_closes -= 1
            return False
        if self.is_intermittent:
            fails = not self._is_known_to_fail or (
                self._rng.random() >= _INJECTION.second_close_ratio
            )
            self._is_known_to_fail = True
            return not fails
        return defect_ratio <= 0.0 or self._rng.random() >= defect_ratio

    def count(self, *, is_discharge: bool) -> None:
        """Count a closing that carried current."""
        self.cycles += 1
        self.discharge_cycles += is_discharge

    def weld_hazard(self, current_a: float) -> float:
        """Return the chance that an opening under that current welds it."""
        age = _WEAR.weld_growth * (self.cycles / self.max_cycles - _WEAR.weld_knee_ratio)
        return _WEAR.weld_hazard_per_opening * math.exp(age) * (current_a / self._rated_a) ** 2

    def opens(self, current_a: float) -> bool:
        """Open under a current; False where it welds instead."""
        if self.will_weld or self._rng.random() < self.weld_hazard(current_a):
            self.will_weld = False
            self.is_welded = True
        return not self.is_welded

    def replace(self) -> None:
        """Be a new one: sound, with a counter at 0."""
        self.mend()
        self.cycles = 0

    def mend(self) -> None:
        """Remove every defect and keep the counter."""
        self.is_welded = self.will_weld = self.is_intermittent = self._is_known_to_fail = False
        self.is_reported = True
        self.stuck_closes = 0

    def relay_state(self, *, is_closed: bool, has_failed: bool) -> str:
        """Return the word that telemetry has for it."""
        if self.is_welded or has_failed:
            return "fault"
        return "closed" if is_closed else "open"
