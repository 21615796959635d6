"""What is left of a session's samples, by the tier that still holds it."""

import enum
from collections.abc import Sequence
from typing import NamedTuple

from tellus.telemetry.model import PastSample
from tellus.telemetry.model_minutes import MinuteMean


class Resolution(enum.StrEnum):
    """How fine what is left is: samples as sent, means of minutes, energies of hours, nothing."""

    RAW = "raw"
    MINUTE = "minute"
    HOUR = "hour"
    NONE = "none"


class HourEnergy(NamedTuple):
    """What a session moved in one clock hour (UTC): kWh into and out of the vehicle."""

    hour_ms: int
    charge_kwh: float
    discharge_kwh: float


class SessionSpan(NamedTuple):
    """Where and when a session was: ``end_ms`` is None while it may go on.

    ``hours`` are there once its samples and minutes have outlived their tiers.
    """

    device_id: str
    connector_id: int
    start_ms: int
    end_ms: int | None
    session_id: str | None = None
    record_id: str | None = None
    hours: tuple[HourEnergy, ...] = ()


class TierPart(NamedTuple):
    """A part of a connector's past in one resolution, in order of time, and up to where (ms)."""

    resolution: Resolution
    reached_ms: int
    samples: Sequence[PastSample] = ()
    means: Sequence[MinuteMean] = ()
    hours: Sequence[HourEnergy] = ()
