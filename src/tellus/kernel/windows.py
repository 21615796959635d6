"""Rate windows: pure arithmetic over a time that the caller gives, in seconds that never go back.

A refused request consumes nothing, in any of them.
"""

import math
from collections import deque
from collections.abc import Callable, Hashable
from typing import Generic, Protocol, TypeVar


class RollingWindow:
    """At most ``limit`` acceptances in any ``period_s`` seconds, exactly.

    An acceptance at time t counts in the half-open span [t, t + period): at t + period its slot is
    free again.
    """

    __slots__ = ("_accepted", "limit", "period_s")

    def __init__(self, limit: int, period_s: float) -> None:
        if limit < 1 or period_s <= 0:
            raise ValueError("a window needs a limit of at least 1 and a period above 0 s")
        self.limit = limit
        self.period_s = period_s
        self._accepted: deque[float] = deque(maxlen=limit)

    def take(self, now_s: float) -> float:
        """Accept now and return 0.0, or return the seconds until a slot is free."""
        accepted = self._accepted
        if len(accepted) < self.limit:
            accepted.append(now_s)
            return 0.0
        wait_s = accepted[0] + self.period_s - now_s
        if wait_s <= 0.0:
            accepted.append(now_s)  # the bounded deque lets the oldest go
            return 0.0
        return wait_s

    def wait_s(self, now_s: float) -> float:
        """Return the seconds until a slot is free (0.0: now), taking none."""
        if len(self._accepted) < self.limit:
            return 0.0
        return max(0.0, self._accepted[0] + self.period_s - now_s)

    def resize(self, limit: int) -> None:
        """Change the limit and keep what was accepted, so that a change is no way around it."""
        if limit != self.limit:
            if limit < 1:
                raise ValueError("a window needs a limit of at least 1")
            self._accepted = deque(self._accepted, maxlen=limit)
            self.limit = limit

    def idle(self, now_s: float) -> bool:
        """Tell whether nothing accepted counts any more."""
        return not self._accepted or self._accepted[-1] + self.period_s <= now_s


class TokenBucket:
    """``rate_per_s`` acceptances a second in the long run, ``burst`` at once after a rest."""

    __slots__ = ("_at_s", "_level", "burst", "rate_per_s")

    def __init__(self, rate_per_s: float, burst: float) -> None:
        if rate_per_s <= 0 or burst < 1:
            raise ValueError("a bucket needs a rate above 0 and a burst of at least 1")
        self.rate_per_s = rate_per_s
        self.burst = burst
        self._level = burst
        self._at_s = -math.inf

    def take(self, now_s: float) -> float:
        """Accept now and return 0.0, or return the seconds until the next is accepted."""
        level = self._level_at(now_s)
        if level >= 1.0:
            self._level = level - 1.0
            self._at_s = now_s
            return 0.0
        return (1.0 - level) / self.rate_per_s

    def wait_s(self, now_s: float) -> float:
        """Return the seconds until the next is accepted (0.0: now), taking nothing."""
        return max(0.0, (1.0 - self._level_at(now_s)) / self.rate_per_s)

    def idle(self, now_s: float) -> bool:
        """Tell whether the bucket is full again."""
        return self._level_at(now_s) >= self.burst

    def _level_at(self, now_s: float) -> float:
        return min(self.burst, self._level + (now_s - self._at_s) * self.rate_per_s)


class Window(Protocol):
    """What can be kept per key."""

    def take(self, now_s: float) -> float:
        """Accept now and return 0.0, or return the seconds until the next is accepted."""
        ...

    def wait_s(self, now_s: float) -> float:
        """Return the seconds until the next is accepted (0.0: now), taking nothing."""
        ...

    def idle(self, now_s: float) -> bool:
        """Tell whether forgetting this window would change nothing."""
        ...


W = TypeVar("W", bound=Window)


class SharedWindows(Protocol):
    """Rolling windows by name that several processes count in together."""

    async def take(self, key: str, limit: int, period_s: float) -> float | None:
        """Accept ``key`` now and return 0.0, or the seconds until it is; None: nobody can tell."""
        ...

    async def wait_s(self, key: str, limit: int, period_s: float) -> float | None:
        """Return the seconds until ``key`` is accepted, taking nothing; None: nobody can tell."""
        ...


async def take_together(
    shared: SharedWindows | None, key: str, window: RollingWindow, now_s: float
) -> float:
    """Accept ``key`` in ``shared`` and return 0.0, or the seconds until it is accepted.

    ``window`` follows what is accepted, and decides alone where ``shared`` is absent or silent.
    """
    if shared is not None:
        wait_s = await shared.take(key, window.limit, window.period_s)
        if wait_s is not None:
            if wait_s == 0.0:
                window.take(now_s)
            return wait_s
    return window.take(now_s)


class KeyedWindows(Generic[W]):
    """One window per key, at most ``capacity`` of them; those that are idle go by themselves.

    Beyond the capacity the key that was used least recently is forgotten.
    """

    def __init__(self, make: Callable[[], W], capacity: int = 100_000) -> None:
        self._make = make
        self._capacity = capacity
        self._windows: dict[Hashable, W] = {}

    def __len__(self) -> int:
        return len(self._windows)

    def take(self, key: Hashable, now_s: float) -> float:
        """Accept ``key`` now and return 0.0, or return the seconds until it is accepted."""
        return self.use(key, now_s).take(now_s)

    def use(self, key: Hashable, now_s: float) -> W:
        """Return the window of ``key``, made where there is none."""
        window = self._windows.pop(key, None)
        if window is None:
            self._make_room(now_s)
            window = self._make()
        self._windows[key] = window  # to the end: the front is the key used least recently
        return window

    def wait_s(self, key: Hashable, now_s: float) -> float:
        """Return the seconds until ``key`` is accepted (0.0: now), taking nothing."""
        window = self._windows.get(key)
        return 0.0 if window is None else window.wait_s(now_s)

    def _make_room(self, now_s: float) -> None:
        """Drop up to two idle keys from the front (so the map shrinks), and one at the bound."""
        for _ in range(2):
            front = next(iter(self._windows), None)
            if front is None or not self._windows[front].idle(now_s):
                break
            del self._windows[front]
        if len(self._windows) >= self._capacity:
            del self._windows[next(iter(self._windows))]


def retry_after_s(wait_s: float) -> int:
    """Return ``wait_s`` as whole seconds, rounded up, at least 1."""
    return max(1, math.ceil(wait_s))
