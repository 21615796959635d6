"""The words of the list of vehicles that may give energy back."""

import enum
from typing import Final, NamedTuple

import msgspec

VEHICLES_MOST: Final = 5_000
"""How many vehicles an operator may list."""


class Vehicle(msgspec.Struct, frozen=True, kw_only=True):
    """A kind of vehicle that an operator knows to give energy back.

    ``min_firmware`` is the vehicle's own, the oldest that does; None where any will do.
    """

    vehicle_id: str
    operator_id: str
    make: str
    model: str
    min_firmware: str | None
    note: str | None
    created_ms: int
    updated_ms: int


class Verdict(enum.StrEnum):
    """Whether a vehicle may be asked to give energy back, going by the list."""

    LISTED = "listed"
    NOT_LISTED = "not_listed"
    FIRMWARE_TOO_OLD = "firmware_too_old"
    FIRMWARE_UNKNOWN = "firmware_unknown"


class Eligibility(NamedTuple):
    """What the list says of a vehicle, and the entry that says so, if there is one."""

    verdict: Verdict
    entry: Vehicle | None
