"""Energy as it is summed and stored: by scope, which is a site or an operator, by its identifier.

Everything in nano-kWh. Net is energy in less energy out, so it may be negative.
"""

from array import array
from typing import NamedTuple

from tellus.energy.model import MinuteEnergies
from tellus.energy.model_sessions import SessionView

Quarters = tuple[int, int, int, int]
"""A value for each quarter of a clock hour (UTC)."""


class HourSums(NamedTuple):
    """A scope's clock hour by quarters.

    Charge and discharge are at least 0. The peak is the largest net energy of one clock minute of
    the quarter, either way, at least 0.
    """

    scope_id: str
    hour_ms: int
    charge_nkwh: Quarters
    discharge_nkwh: Quarters
    peak_nkwh: Quarters


class DaySums(NamedTuple):
    """A scope's day (UTC); the peak as in ``HourSums``."""

    scope_id: str
    day_ms: int
    charge_nkwh: int
    discharge_nkwh: int
    peak_nkwh: int


class MinuteSums(NamedTuple):
    """The net energy of each of the 60 minutes of a scope's clock hour."""

    scope_id: str
    hour_ms: int
    net_nkwh: "array[int]"


class Overlay(NamedTuple):
    """What the facts that are not in the sums yet would change in them, as of one snapshot.

    ``minutes`` holds by scope what is to be added to its minutes, charge and discharge apart; it
    may be negative where stored sessions turn out otherwise. ``sessions`` are those that these
    facts begin, go on with or alter, as they are now; ``number`` is that of the stored session, 0
    where there is none. ``replaced`` are the numbers of stored sessions that are no more or that
    ``sessions`` tells anew.
    """

    minutes: dict[str, MinuteEnergies]
    sessions: list[SessionView]
    replaced: frozenset[int]
