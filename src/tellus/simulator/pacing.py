"""How fast a charger may talk and how long it waits after a failure. Pure: time is given."""

from __future__ import annotations

from collections import deque
from random import Random

_BACKOFF_CAP_S = 60.0


def backoff_s(rng: Random, failures: int, cap_s: float = _BACKOFF_CAP_S) -> float:
    """Return the wait after the ``failures``-th failure in a row: full jitter below a ceiling.

    Uniform between 0 and min(60, 2^failures) seconds, so that a fleet that lost its server
    together does not come back together.
    """
    return rng.uniform(0.0, min(cap_s, 2.0 ** min(failures, 16)))


class RateWindow:
    """At most ``limit`` sends in any ``period_s``, wherever that period begins."""

    __slots__ = ("_period_s", "_sent_s")

    def __init__(self, limit: int, period_s: float) -> None:
        self._period_s = period_s
        self._sent_s: deque[float] = deque(maxlen=limit)

    def wait_s(self, now_s: float) -> float:
        """Return how long to wait before one more may go; 0 when it may go now."""
        if len(self._sent_s) < (self._sent_s.maxlen or 0):
            return 0.0
        return max(0.0, self._sent_s[0] + self._period_s - now_s)

    def note(self, now_s: float) -> None:
        """Count one send."""
        self._sent_s.append(now_s)
