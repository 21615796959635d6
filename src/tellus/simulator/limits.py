"""Power limits that controls have set on a connector: the lowest that still runs holds."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from tellus.simulator.agenda import NEVER_MS

if TYPE_CHECKING:
    from collections.abc import Sequence


class PowerLimit(NamedTuple):
    """A limit in kW, either way, up to a time of the charger's clock; 0 pauses."""

    control_id: str
    limit_kw: float
    until_ms: int


def lowest_kw(limits: Sequence[PowerLimit], now_ms: int) -> float:
    """Return the lowest limit that has not ended, infinite without one."""
    return min((one.limit_kw for one in limits if one.until_ms > now_ms), default=math.inf)


def next_end_ms(limits: Sequence[PowerLimit], now_ms: int) -> int:
    """Return when the next of the running limits ends."""
    return min((one.until_ms for one in limits if one.until_ms > now_ms), default=NEVER_MS)
