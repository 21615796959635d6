"""Vehicles that arrive: a class, a battery at some charge, an identity."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from tellus.simulator.chance import pick_weighted
from tellus.simulator.figures import VehicleClass, default_figures

if TYPE_CHECKING:
    from random import Random

_VIN_ALPHABET = "ABCDEFGHJKLMNPRSTUVWXYZ0123456789"
_VIN_CHECK_POSITION = 8
_VIN_WEIGHTS = (8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2)
_VIN_VALUES = {
    **{str(digit): digit for digit in range(10)},
    **dict(zip("ABCDEFGH", range(1, 9), strict=True)),
    **dict(zip("JKLMN", range(1, 6), strict=True)),
    "P": 7,
    "R": 9,
    **dict(zip("STUVWXYZ", range(2, 10), strict=True)),
}
_MAKER = "XTS"


def vin_check_digit(vin: str) -> str:
    """Return the check character (ISO 3779 as North America applies it) of a 17-character VIN."""
    pairs = zip(vin, _VIN_WEIGHTS, strict=True)
    remainder = sum(_VIN_VALUES[letter] * weight for letter, weight in pairs) % 11
    return "X" if remainder == 10 else str(remainder)


def draw_vin(rng: Random) -> str:
    """Return an invented VIN of valid shape and check digit, under an unassigned maker code."""
    letters = [*_MAKER, *rng.choices(_VIN_ALPHABET, k=14)]
    letters[_VIN_CHECK_POSITION] = "0"
    letters[_VIN_CHECK_POSITION] = vin_check_digit("".join(letters))
    return "".join(letters)


@cache
def _classes_for(kind: str) -> tuple[tuple[VehicleClass, ...], tuple[float, ...]]:
    known = default_figures().vehicles
    able = tuple(one for one in known if kind == "ac" or one.dc_peak_kw > 0.0)
    return able, tuple(one.share_ratio for one in able)


def draw_class(rng: Random, kind: str) -> VehicleClass:
    """Draw a class that can charge on ``kind`` (``ac`` or ``dc``), by its share of the road."""
    classes, shares = _classes_for(kind)
    return classes[pick_weighted(rng, shares)]
