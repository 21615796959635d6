"""Simulated time against real time.

A fleet at ``scale`` 10 lives ten seconds in one, yet no message may bear a time that has not
come: a server would call such a clock broken. So the simulated clock starts in the past and
runs fast until it has caught up with real time; from there it keeps real time. With a known
duration it starts exactly so far back that it catches up as the run ends. Measurements,
sessions and their timestamps live in simulated time. The link itself (heartbeat, long-poll,
back-off, token) lives in real time, for it is the server's patience that counts there.
"""

from __future__ import annotations

_DEFAULT_LEAD_S = 6 * 3600.0


class SimClock:
    """Maps real epoch seconds to simulated epoch milliseconds, never beyond the real ones."""

    def __init__(self, real_start_s: float, scale: float, duration_s: float | None = None) -> None:
        if scale < 1.0:
            raise ValueError("time_scale must be at least 1")
        self.scale = scale
        self._real_start_s = real_start_s
        lead_s = _DEFAULT_LEAD_S if scale > 1.0 else 0.0
        if duration_s is not None:
            lead_s = duration_s * (scale - 1.0)
        self.start_ms = int(1000.0 * (real_start_s - lead_s))

    def sim_ms(self, real_s: float) -> int:
        """Return the simulated time at a real one."""
        elapsed_ms = 1000.0 * (real_s - self._real_start_s)
        return min(self.start_ms + int(elapsed_ms * self.scale), int(1000.0 * real_s))

    def real_s(self, sim_ms: int) -> float:
        """Return the earliest real time at which simulated time has reached ``sim_ms``."""
        fast_s = self._real_start_s + (sim_ms - self.start_ms) / (1000.0 * self.scale)
        return max(fast_s, sim_ms / 1000.0)
