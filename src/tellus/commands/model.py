"""The words of commands: phases, signals, kinds."""

import enum
from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any, Final, Literal, NamedTuple

import msgspec

from tellus.audit.model import Actor
from tellus.consent.model import BIT, Service
from tellus.fleet.model_metadata import Link
from tellus.kernel.errors import Conflict
from tellus.kernel.units import DAY_MS, HOUR_MS, SECOND_MS

DEVICE_LEVEL: Final = 0
"""Stands for the device as a whole where a connector is asked for."""


PLATFORM: Final = "platform"
"""Stands for client and operator of an order that the platform gives by itself."""


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

STATUS_OF: Final[Mapping[Phase, Status]] = MappingProxyType(
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


LEASE_MS: Final = 30 * SECOND_MS
"""How long a delivery may stay unanswered before the next one."""


class Risk(enum.StrEnum):
    """What a diagnostic command may do to a charger: ``medium`` takes it out of service a while."""

    LOW = "low"
    MEDIUM = "medium"


class Kind(NamedTuple):
    """A kind of command: how it is delivered, how long it lives (ms), what it makes obsolete.

    ``supersedes`` names the commands of the same connector that lose their meaning with this one,
    ``lease_ms`` is the least time from one delivery to the next, ``risk`` that of a diagnostic one.
    ``service`` is what the owner of the charger must have agreed to.
    """

    delivery: Delivery
    expires_after_ms: int
    supersedes: frozenset[str] = frozenset()
    lease_ms: int = LEASE_MS
    risk: Risk | None = None
    service: Service = Service.DIAGNOSTICS


FIRMWARE_SUCCESS: Final = "success"
"""The status with which a charger says that it runs the firmware it was upgraded to."""

FIRMWARE_SIGNALS: Final[Mapping[str, Signal]] = MappingProxyType(
    {
        "downloading": Signal.ACCEPTED,
        "upgrading": Signal.ACCEPTED,
        FIRMWARE_SUCCESS: Signal.COMPLETED,
        "failed": Signal.FAILED,
    }
)
"""What a firmware status says of the command that asked for the upgrade (rule C14)."""

START: Final = "start_charging"
STOP: Final = "stop_charging"
DISCHARGE: Final = "discharge"
SET_POWER_LIMIT: Final = "set_power_limit"
SET_SCHEDULE: Final = "set_schedule"
FIRMWARE_UPGRADE: Final = "firmware_upgrade"
FETCH_LOGS: Final = "fetch_logs"
APPLY_CONFIG_PROFILE: Final = "apply_config_profile"

_SHORT_MS: Final = 120 * SECOND_MS
_LOW: Final = Kind(Delivery.EDGE, _SHORT_MS, risk=Risk.LOW)
_steer: Final = partial(Kind, service=Service.FLEXIBILITY)
_MEDIUM: Final = Kind(Delivery.EDGE, _SHORT_MS, risk=Risk.MEDIUM)

KINDS: Final[Mapping[str, Kind]] = MappingProxyType(
    {
        START: _steer(Delivery.EDGE, _SHORT_MS),
        STOP: _steer(Delivery.LEVEL, HOUR_MS, frozenset({START, STOP, DISCHARGE})),
        DISCHARGE: Kind(Delivery.EDGE, _SHORT_MS, service=Service.V2G_DISPATCH),
        SET_POWER_LIMIT: _steer(Delivery.LEVEL, 900 * SECOND_MS, frozenset({SET_POWER_LIMIT})),
        SET_SCHEDULE: _steer(Delivery.LEVEL, 7 * DAY_MS, frozenset({SET_SCHEDULE})),
        # A charger may be at work for long before it answers; each contact after that counts.
        FIRMWARE_UPGRADE: Kind(
            Delivery.EDGE,
            7 * DAY_MS,
            frozenset({FIRMWARE_UPGRADE}),
            lease_ms=HOUR_MS,
            service=Service.FIRMWARE,
        ),
        APPLY_CONFIG_PROFILE: Kind(Delivery.LEVEL, 7 * DAY_MS, frozenset({APPLY_CONFIG_PROFILE})),
        "reboot": _LOW,
        "soft_reset": _LOW,
        "force_reconnect": _LOW,
        FETCH_LOGS: Kind(Delivery.EDGE, HOUR_MS, risk=Risk.LOW),
        "reset_contactor_counter": _LOW,
        "reset_fan_counter": _LOW,
        "trigger_message": _LOW,
        "clear_cache": _LOW,
        "run_self_test": _MEDIUM,
        "calibrate_sensor": _MEDIUM,
        "reset_power_module": _MEDIUM,
        "unlock_connector": _MEDIUM,
        "reset_connector": _MEDIUM,
    }
)
"""Every command that a charger may be given."""


_ADMITTING: Final[Mapping[str, int]] = MappingProxyType(
    {name: BIT[kind.service] for name, kind in KINDS.items()}
    # Whoever may begin a discharge may end it.
    | {STOP: BIT[Service.FLEXIBILITY] | BIT[Service.V2G_DISPATCH]}
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
        return STATUS_OF[self.phase]

    @property
    def delivery(self) -> Delivery:
        """Return how it is delivered; what this release does not know comes three times at most."""
        kind = KINDS.get(self.command)
        return kind.delivery if kind is not None else Delivery.EDGE

    @property
    def service(self) -> Service:
        """Return what the owner of the charger must have agreed to."""
        kind = KINDS.get(self.command)
        return kind.service if kind is not None else Service.DIAGNOSTICS

    def is_admitted_by(self, services: int) -> bool:
        """Tell whether its service is among ``services``; the platform's own always is."""
        return services & admitting(self.command) != 0 or self.operator_id == PLATFORM

    @property
    def lease_ms(self) -> int:
        """Return how long a delivery may stay unanswered before the next one."""
        kind = KINDS.get(self.command)
        return kind.lease_ms if kind is not None else LEASE_MS


def admitting(name: str) -> int:
    """Return the services, as bits, of which one is enough for a command."""
    return _ADMITTING.get(name, BIT[Service.DIAGNOSTICS])


class RequestKey(NamedTuple):
    """What a client may ask under again: digests of its key and of what it asked for."""

    client_id: str
    key_digest: str
    body_digest: str


class Terms(NamedTuple):
    """What else goes with issuing a command.

    ``key`` lets the client repeat the request, ``by`` is named in the audit log; None for neither.
    ``along`` gets the transaction and a new command before that is stored: it refuses by raising,
    else it stores what belongs to the command. It is not asked about a repeat. ``patient`` leaves
    it to the charger to wait for the end of a session.
    """

    key: RequestKey | None = None
    by: Actor | None = None
    along: Callable[[Any, Any], None] | None = None
    life_ms: int | None = None
    patient: bool = False


class Issued(NamedTuple):
    """A stored command, and whether its device was online when it was issued."""

    command: Command
    device_online: bool


class Aggregate(NamedTuple):
    """What was asked of many chargers at once, in the shape of one command."""

    command_id: str
    status: Status
    created_ms: int
    updated_ms: int
    expires_ms: int
    command: str
    params: dict[str, Any]
    result: dict[str, Any]


class NotBidirectional(Conflict):
    """4001: the device's hardware cannot discharge a vehicle."""

    def __init__(self, model: str) -> None:
        super().__init__("This device cannot discharge", reason="not_v2g_capable", model=model)


class Report(NamedTuple):
    """What a charger said of a command, at its own time; ``effect`` is what it did."""

    command_id: str
    status: Signal
    time_ms: int
    received_ms: int
    effect: Effect
    message: str | None
    details: dict[str, Any] | None


class Running(NamedTuple):
    """Which configuration a charger says it runs; empty where it does not say."""

    config_profile_id: str
    running_config_hash: str


class HeartbeatMore(NamedTuple):
    """What a heartbeat says beyond being one; None where it does not."""

    running: Running | None = None
    link: Link | None = None


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


class CommandFilter(NamedTuple):
    """Which commands of an operator are asked for; times of issue in ``[from_ms, to_ms)``."""

    operator_id: str
    device_no: int | None = None
    connector_id: int | None = None
    status: Status | None = None
    command: str | None = None
    from_ms: int | None = None
    to_ms: int | None = None
