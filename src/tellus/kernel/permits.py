"""What a device's owner has agreed to, as bits that a request is checked against."""

import math
from typing import Any, Protocol

EVERYTHING = -1
"""All services, those of releases to come included."""

Judged = tuple[int, float]
"""Which services, as bits, and until when that holds (ms; infinite where nothing will change)."""


class Judge(Protocol):
    """Who knows what a device may be used for."""

    changes: int
    """Grows with each permit that is to be judged again."""

    def judge(self, holder: Any, now_ms: int) -> Judged:
        """Return what the holder of a permit may be used for."""
        ...


class Permit:
    """The services that one device may be used for now.

    The device, its holder, and its principal share it. ``services`` holds until ``until_ms``; then,
    and after ``void``, it is judged again at its next use. Without a judge it never changes.
    """

    __slots__ = ("_holder", "_judge", "services", "until_ms")

    def __init__(self, services: int, judge: Judge | None = None, holder: Any = None) -> None:
        self.services = services
        self.until_ms = math.inf if judge is None else 0.0
        self._judge = judge
        self._holder = holder

    def allows(self, bit: int, now_ms: int) -> bool:
        """Tell whether the service of ``bit`` is on at ``now_ms``."""
        if now_ms >= self.until_ms:
            self._renew(now_ms)
        return self.services & bit != 0

    def at(self, now_ms: int) -> int:
        """Return all services that are on at ``now_ms``, as bits."""
        if now_ms >= self.until_ms:
            self._renew(now_ms)
        return self.services

    def void(self) -> None:
        """Have it judged again at its next use: something that it rests on has changed."""
        if self._judge is not None:
            self.until_ms = 0.0
            self._judge.changes += 1

    def _renew(self, now_ms: int) -> None:
        if self._judge is not None:
            self.services, self.until_ms = self._judge.judge(self._holder, now_ms)


OPEN = Permit(EVERYTHING)
"""The permit of whoever needs no consent."""
