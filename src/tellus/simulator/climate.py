"""The air around one charger."""

from __future__ import annotations

from tellus.simulator.thermal import ambient_c


class Climate:
    """A day's swing around the site's mean; ``offset_k`` is a heat wave, or a cold one."""

    __slots__ = ("_mean_c", "_utc_offset_ms", "offset_k")

    def __init__(self, mean_c: float, utc_offset_ms: int) -> None:
        self._mean_c = mean_c
        self._utc_offset_ms = utc_offset_ms
        self.offset_k = 0.0

    def air_c(self, now_ms: int) -> float:
        """Return the temperature of the air."""
        return ambient_c(self._mean_c + self.offset_k, now_ms + self._utc_offset_ms)
