"""The shape of a session: its energy by the minute, or later by the quarter-hour, as bytes.

Runs of bins that follow one another, each with energy in and out; a gap begins another run.
"""

from typing import Final

import msgspec

from tellus.energy.model import MinuteEnergies
from tellus.energy.model_rows import QUARTER, StoredSession
from tellus.kernel.units import MINUTE_MS

MINUTES_PER_QUARTER: Final = 15
BIN_MS: Final = {"minute": MINUTE_MS, "quarter": MINUTES_PER_QUARTER * MINUTE_MS}
"""How long a bin of a shape is, by its resolution."""

# A run costs about as many bytes as this many bins in which nothing moves.
_GAP = 4


class _Run(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """Bins from ``first`` on; ``discharges`` is empty where there is none in the run."""

    first: int
    charges: list[int]
    discharges: list[int]


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[_Run]).decode


def pack_shape(bins: MinuteEnergies) -> bytes:
    """Return the stored form of a session's energy by bin, a minute or a quarter-hour each."""
    runs: list[_Run] = []
    charges: list[int] = []
    discharges: list[int] = []
    first = last = 0
    for number in sorted(bins):
        charge, discharge = bins[number]
        if not charge and not discharge:
            continue
        if not charges or number - last > _GAP:
            if charges:
                runs.append(_Run(first, charges, discharges if any(discharges) else []))
            charges, discharges = [], []
            first = number
        elif number - last > 1:
            empty = [0] * (number - last - 1)
            charges += empty
            discharges += empty
        charges.append(charge)
        discharges.append(discharge)
        last = number
    if charges:
        runs.append(_Run(first, charges, discharges if any(discharges) else []))
    return _encode(runs)


def unpack_shape(shape: bytes) -> MinuteEnergies:
    """Return the energy by bin of its stored form; bins in which nothing moved are left out."""
    bins: MinuteEnergies = {}
    for run in _decode(shape):
        number = run.first
        if run.discharges:
            for charge, discharge in zip(run.charges, run.discharges, strict=True):
                if charge or discharge:
                    bins[number] = (charge, discharge)
                number += 1
        else:
            for charge in run.charges:
                if charge:
                    bins[number] = (charge, 0)
                number += 1
    return bins


def minutes_of(session: StoredSession) -> MinuteEnergies:
    """Return a stored session's energy by the minute; quarter-hours are spread evenly."""
    bins = unpack_shape(session.shape)
    return to_minutes(bins) if session.resolution == QUARTER else bins


def to_quarters(minutes: MinuteEnergies) -> MinuteEnergies:
    """Return the sums of the quarter-hours."""
    quarters: MinuteEnergies = {}
    for minute, (charge, discharge) in minutes.items():
        number = minute // MINUTES_PER_QUARTER
        held = quarters.get(number, (0, 0))
        quarters[number] = (held[0] + charge, held[1] + discharge)
    return quarters


def to_minutes(quarters: MinuteEnergies) -> MinuteEnergies:
    """Return quarter-hours spread evenly over their minutes, which sum to them exactly."""
    minutes: MinuteEnergies = {}
    for number, (charge, discharge) in quarters.items():
        first = number * MINUTES_PER_QUARTER
        told = (0, 0)
        for k in range(MINUTES_PER_QUARTER):
            upto = (
                charge * (k + 1) // MINUTES_PER_QUARTER,
                discharge * (k + 1) // MINUTES_PER_QUARTER,
            )
            minutes[first + k] = (upto[0] - told[0], upto[1] - told[1])
            told = upto
    return minutes


def find_peak(minutes: MinuteEnergies) -> int:
    """Return the largest net energy of a minute, either way, at least 0."""
    return max((abs(charge - discharge) for charge, discharge in minutes.values()), default=0)


def add_difference(moved: MinuteEnergies, after: MinuteEnergies, before: MinuteEnergies) -> None:
    """Add to ``moved`` what ``after`` has more than ``before``, by minute."""
    for minute, (charge, discharge) in after.items():
        held = before.get(minute, _NOTHING)
        if held != (charge, discharge):
            sum_ = moved.get(minute, _NOTHING)
            moved[minute] = (sum_[0] + charge - held[0], sum_[1] + discharge - held[1])
    for minute, (charge, discharge) in before.items():
        if minute not in after:
            sum_ = moved.get(minute, _NOTHING)
            moved[minute] = (sum_[0] - charge, sum_[1] - discharge)


_NOTHING = (0, 0)
