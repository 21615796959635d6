"""The words of energy.

Energies are whole numbers of nano-kWh (1e-9 kWh, 3.6 mJ), powers of milliwatts: sums of whole
numbers depend on no order. Times are ms since 1970 UTC.
"""

import enum
from typing import NamedTuple

import msgspec

from tellus.sessions.model import MOST_ENERGY_KWH

NKWH_PER_KWH = 1_000_000_000
MW_PER_KW = 1_000_000
MOST_SESSION_NKWH = round(MOST_ENERGY_KWH * NKWH_PER_KWH)
"""What tells of more than this says nothing: so sums stay within what a database holds."""

MinuteEnergies = dict[int, tuple[int, int]]
"""By minute (time in ms // 60,000): energy in and energy out, nano-kWh, both at least 0."""


class Point(NamedTuple):
    """What the fold needs of one sample.

    ``energy_nkwh`` is the session's counter as sent. ``power_mw`` is positive into the vehicle.
    ``heading`` is the direction: 1 in, -1 out, by the sign of power, else by the state; 0 unknown.
    ``is_idle`` marks a sample of a plainly idle connector, which ends a session.
    """

    time_ms: int
    digest: int
    energy_nkwh: int
    power_mw: int
    heading: int
    is_idle: bool
    soc_pct: int | None


class BoundaryKind(enum.IntEnum):
    """What separates sessions; after a start the counter counts from 0 at that instant."""

    PLUG = 0
    STOP = 1
    START = 2


class Boundary(NamedTuple):
    """An event that separates sessions."""

    time_ms: int
    kind: BoundaryKind


class RecordSpan(NamedTuple):
    """What a charging record says of energy: ``[start_ms, end_ms)`` and its sum (signed)."""

    start_ms: int
    end_ms: int
    record_id: str
    energy_nkwh: int
    soc_start_pct: int | None = None
    soc_end_pct: int | None = None


class Facts(NamedTuple):
    """The facts of one connector in a span, each list in order of time, each fact once."""

    points: list[Point]
    boundaries: list[Boundary]
    records: list[RecordSpan]


class Basis(enum.StrEnum):
    """What the energy of a session rests on."""

    RECORD = "record"
    COUNTER = "counter"
    POWER = "power"


class Reason(enum.StrEnum):
    """Why a sample cannot be believed (rule U3)."""

    POWER = "power_over_rating"
    ENERGY = "energy_over_rating"
    SOC = "soc_jump"


class Doubt(NamedTuple):
    """A sample that cannot be believed."""

    time_ms: int
    digest: int
    reason: Reason


class Session(msgspec.Struct, frozen=True):
    """A session as folded; ``end_ms`` is None while it may go on, ``last_ms`` its last fact.

    ``minutes`` sum to the energy exactly. ``samples`` are those that counted.
    """

    start_ms: int
    end_ms: int | None
    last_ms: int
    record_id: str | None
    basis: Basis
    minutes: MinuteEnergies
    samples: int
    soc_start_pct: int | None = None
    soc_end_pct: int | None = None


class Folded(NamedTuple):
    """The outcome of a fold: sessions in order of start, what was not believed, how to go on.

    ``carry`` is the stored form of the state from which the fold of later facts goes on; None where
    later facts need nothing of these.
    """

    sessions: list[Session]
    doubts: list[Doubt]
    carry: bytes | None
