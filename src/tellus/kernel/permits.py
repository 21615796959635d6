"""What a device's owner has agreed to, as bits that a request is checked against."""

import math
from collections.abc import Callable

EVERYTHING = -1
"""All services, those of releases to come included."""

Judged = tuple[int, float]
"""Which services, as bits, and until when that holds (ms; infinite where nothing will change)."""


class Permit:
    """The services that one device may be used for now.

    The device and its principal share it. ``services`` holds until ``until_ms``; then, and after
    ``void``, it is judged again at its next use. Without a judge it never changes.
    """

    __slots__ = ("_judge", "services", "until_ms")

    def __init__(self, services: int, judge: Callable[[int], Judged] | None = None) -> None:
        self.services = services
        self.until_ms = math.inf if judge is None else 0.0
        self._judge = judge

    def allows(self, bit: int, now_ms: int) -> bool:
        """Tell whether the service of ``bit`` is on at ``now_ms``."""
        if now_ms >= self.until_ms:
            self.renew(now_ms)
        return self.services & bit != 0

    def at(self, now_ms: int) -> int:
        """Return all services that are on at ``now_ms``, as bits."""
        if now_ms >= self.until_ms:
            self.renew(now_ms)
        return self.services

    def renew(self, now_ms: int) -> None:
        """Judge again."""
        if self._judge is not None:
            self.services, self.until_ms = self._judge(now_ms)

    def void(self) -> None:
        """Have it judged again at its next use: something that it rests on has changed."""
        if self._judge is not None:
            self.until_ms = 0.0


OPEN = Permit(EVERYTHING)
"""The permit of whoever needs no consent."""
