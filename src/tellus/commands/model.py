"""The words of commands: phases, signals, kinds."""

import enum
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, Literal, NamedTuple

import msgspec

from tellus.kernel.units import HOUR_MS, SECOND_MS

DEVICE_LEVEL: Final = 0
"""Stands for the device as a whole where a connector is asked for."""


class Phase(enum.StrEnum):
    """Where a command stands; operators see a lapsed one as failed.

    ``failed`` is the charger's own word, ``lapsed`` the platform's, which a late report corrects.
    """

    QUEUED = "queued"
    ACCEPTED = "accepted"
    COMPLETED = "completed"
    FAILED = "failed"
    LAPSED = "lapsed"


Status = Literal["queued", "accepted", "completed", "failed"]
"""The published states of a command."""

_STATUS: Final[Mapping[Phase, Status]] = MappingProxyType(
    {
        Phase.QUEUED: "queued",
        Phase.ACCEPTED: "accepted",
        Phase.COMPLETED: "completed",
        Phase.FAILED: "failed",
        Phase.LAPSED: "failed",
    }
)


class Signal(enum.StrEnum):
    """What moves a command: the charger's four reports, and the platform's own judgements."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    COMPLETED = "completed"
    FAILED = "failed"
    EXPIRED = "expired"
    NO_RESPONSE = "no_response"
    SUPERSEDED = "superseded"
    CANCELLED = "cancelled"


class Effect(enum.StrEnum):
    """What a report did: moved the command, corrected it late, said nothing new, contradicted."""

    APPLIED = "applied"
    LATE = "late"
    REPEAT = "repeat"
    CONTRADICTION = "contradiction"


class Delivery(enum.StrEnum):
    """How often a command may reach its charger.

    ``level`` describes a state to reach, so it may come again until it expires. ``edge`` triggers
    something, so it comes three times at most.
    """

    LEVEL = "level"
    EDGE = "edge"


class Kind(NamedTuple):
    """A kind of command: how it is delivered, how long it lives (ms), what it makes obsolete.

    ``supersedes`` names the commands of the same connector that lose their meaning with this one.
    """

    delivery: Delivery
    expires_after_ms: int
    supersedes: frozenset[str] = frozenset()


FIRMWARE_SUCCESS: Final = "success"
"""The status with which a charger says that it runs the firmware it was upgraded to."""

START: Final = "start_charging"
STOP: Final = "stop_charging"

KINDS: Final[Mapping[str, Kind]] = MappingProxyType(
    {
        START: Kind(Delivery.EDGE, 120 * SECOND_MS),
        STOP: Kind(Delivery.LEVEL, HOUR_MS, frozenset({START, STOP, "discharge"})),
    }
)


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """A command as stored; times in ms since 1970 UTC.

    ``params`` is the JSON that goes out. ``superseded_by`` names a newer command that this one,
    already on its way, must not follow again. ``delivered_ms`` is the first delivery.
    """

    command_id: str
    device_no: int
    device_id: str
    connector_id: int
    operator_id: str
    client_id: str
    command: str
    params: str
    transaction_id: str | None
    created_ms: int
    updated_ms: int
    expires_ms: int
    phase: Phase = Phase.QUEUED
    result: dict[str, Any] | None = None
    superseded_by: str | None = None
    contradicted: bool = False
    delivered_ms: int | None = None
    deliveries: int = 0
    lease_until_ms: int | None = None

    @property
    def status(self) -> Status:
        """Return the published state."""
        return _STATUS[self.phase]

    @property
    def delivery(self) -> Delivery:
        """Return how it is delivered; what this release does not know comes three times at most."""
        kind = KINDS.get(self.command)
        return kind.delivery if kind is not None else Delivery.EDGE


class Report(NamedTuple):
    """What a charger said of a command, at its own time; ``effect`` is what it did."""

    command_id: str
    status: Signal
    time_ms: int
    received_ms: int
    effect: Effect
    message: str | None
    details: dict[str, Any] | None


class FirmwareReport(NamedTuple):
    """How far a charger has come with a firmware upgrade."""

    device_no: int
    firmware_version: str
    status: str
    progress_pct: int | None
    message: str | None
    received_ms: int


class Moments(NamedTuple):
    """When a device's queue needs attention next (ms).

    ``due_ms`` says per connector (0: the device) when something can be fetched; ``lapse_ms`` when
    the first command is given up.
    """

    due_ms: Mapping[int, int]
    lapse_ms: int
