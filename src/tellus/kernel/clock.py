"""The clock, injected wherever time matters, so that tests can move it."""

import time
from typing import Protocol


class Clock(Protocol):
    """Wall time for facts, monotonic time for waits and windows."""

    def now_ms(self) -> int:
        """Return the wall time in milliseconds since 1970-01-01 UTC."""
        ...

    def monotonic_s(self) -> float:
        """Return seconds on a clock that never goes back."""
        ...


class SystemClock:
    """The machine's clock."""

    def now_ms(self) -> int:
        """Return the wall time in milliseconds since 1970-01-01 UTC."""
        return time.time_ns() // 1_000_000

    def monotonic_s(self) -> float:
        """Return seconds on a clock that never goes back."""
        return time.monotonic()


class FollowingClock:
    """A clock whose wall time follows that of the database, so that all nodes have the same.

    Small differences are left alone: they are those of the measurement.
    """

    _LEFT_ALONE_MS = 20

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._offset_ms = 0

    def now_ms(self) -> int:
        """Return the wall time in milliseconds since 1970-01-01 UTC."""
        return self._clock.now_ms() + self._offset_ms

    def monotonic_s(self) -> float:
        """Return seconds on a clock that never goes back."""
        return self._clock.monotonic_s()

    def follow(self, read_ms: int) -> None:
        """Take over the time that the database has told just now."""
        behind_ms = read_ms - self.now_ms()
        if abs(behind_ms) > self._LEFT_ALONE_MS:
            self._offset_ms += behind_ms


class ManualClock:
    """A clock that stands still until it is told to move; for tests and replays."""

    def __init__(self, now_ms: int = 1_742_031_000_000) -> None:
        self._now_ms = now_ms
        self._monotonic_s = 1_000.0

    def now_ms(self) -> int:
        """Return the wall time in milliseconds since 1970-01-01 UTC."""
        return self._now_ms

    def monotonic_s(self) -> float:
        """Return seconds on a clock that never goes back."""
        return self._monotonic_s

    def advance(self, seconds: float) -> None:
        """Move both clocks forward by ``seconds``."""
        self._now_ms += round(seconds * 1000)
        self._monotonic_s += seconds

    def jump_wall(self, seconds: float) -> None:
        """Move the wall clock alone, as a correction of the machine's time does."""
        self._now_ms += round(seconds * 1000)
