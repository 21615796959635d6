"""What was erased on request."""

import hashlib
import json
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

    @property
    def digest(self) -> str:
        """Return the SHA-256 (hexadecimal) of the certificate: JSON, names in order, no blanks.

        What it covers is everything that a receipt tells of a finished erasure.
        """
        told = {
            "asked_by": self.asked_by,
            "asked_ms": self.asked_ms,
            "device_id": self.device_id,
            "done_ms": self.done_ms,
            "erasure_id": self.erasure_id,
            "kind": self.kind,
            "operator_id": self.operator_id,
            "removed": dict(sorted(self.removed.items())),
        }
        return hashlib.sha256(json.dumps(told, separators=(",", ":")).encode()).hexdigest()


class GoneDevice(NamedTuple):
    """A device by its number: whose it was, and when (ms) it was deleted, if it was."""

    device_no: int
    operator_id: str
    deleted_ms: int | None
