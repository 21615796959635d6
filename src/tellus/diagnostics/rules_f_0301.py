"""F-0301 and F-0302: presence raises them as events; here is when they are over."""

from collections.abc import Sequence
from typing import Final

from tellus.diagnostics.model import UNTOLD, Verdict
from tellus.kernel.units import MINUTE_MS

STORM_WINDOW_MS: Final = 10 * MINUTE_MS
CALM_RECONNECTS: Final = 2
"""Fewer reconnects than this within the window, and the storm is over."""


def f_0301(*, online: bool, now_ms: int) -> Verdict:
    """Judge whether the heartbeat is still lost: not while the device is heard of."""
    return Verdict(not online, now_ms)


def f_0302(reconnects_ms: Sequence[int], raised_ms: int, now_ms: int) -> Verdict:
    """Judge whether a storm goes on: it is over with fewer than 2 reconnects in 10 minutes.

    Undecided within 10 minutes of when it was raised: what is remembered may not reach so far back.
    """
    recent = sum(time_ms > now_ms - STORM_WINDOW_MS for time_ms in reconnects_ms)
    if recent >= CALM_RECONNECTS:
        return Verdict(True, now_ms, evidence={"reconnects": recent})
    return UNTOLD if now_ms - raised_ms < STORM_WINDOW_MS else Verdict(False, now_ms)
