"""An exact rolling-window limiter, slow and obvious, for a real limiter to be compared with."""

from collections import defaultdict
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a request is let through; if not, after how many whole seconds it would be."""

    allowed: bool
    retry_after_s: int = 0


@dataclass(slots=True)
class RollingWindowOracle:
    """At most `limit` admitted requests in any half-open window of `window_ms`, for each key.

    Times are integer milliseconds, so that nothing is rounded, and must not go backwards within a
    key. An admission at time t counts until just before t + `window_ms`. A refused request
    leaves no trace.
    """

    limit: int
    window_ms: int
    _admitted: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))

    def offer(self, key: str, now_ms: int) -> Verdict:
        """Judges one request and, when it is let through, remembers it."""
        window = [at for at in self._admitted[key] if at > now_ms - self.window_ms]
        if len(window) < self.limit:
            self._admitted[key] = [*window, now_ms]
            return Verdict(allowed=True)
        if self.limit == 0:
            return Verdict(allowed=False, retry_after_s=max(1, -(-self.window_ms // 1000)))
        wait_ms = window[len(window) - self.limit] + self.window_ms - now_ms
        return Verdict(allowed=False, retry_after_s=max(1, -(-wait_ms // 1000)))
