"""What was erased on request."""

from collections.abc import Mapping
from typing import Final, NamedTuple

VEHICLE: Final = "vehicle"
DEVICE: Final = "device"


class Erasure(NamedTuple):
    """An erasure of a vehicle or a device; ``removed`` counts rows by what they were.

    Of a vehicle nothing is kept here by which it could be known again.
    """

    erasure_id: str
    kind: str
    operator_id: str
    device_no: int | None
    device_id: str | None
    asked_by: str
    asked_ms: int
    done_ms: int | None
    removed: Mapping[str, int]


class GoneDevice(NamedTuple):
    """A device by its number: whose it was, and when (ms) it was deleted, if it was."""

    device_no: int
    operator_id: str
    deleted_ms: int | None
