"""The words of rollouts: cohort, waves, where each device stands, and what a turn decides."""

import enum
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

import msgspec

from tellus.commands.model import Phase


class RolloutState(enum.StrEnum):
    """Where a rollout stands; ``halted`` is the platform's doing, ``paused`` a person's."""

    RUNNING = "running"
    PAUSED = "paused"
    HALTED = "halted"
    ROLLING_BACK = "rolling_back"
    COMPLETED = "completed"
    ROLLED_BACK = "rolled_back"
    CANCELLED = "cancelled"


class MemberState(enum.StrEnum):
    """Where a device of a rollout stands."""

    WAITING = "waiting"
    QUEUED = "queued"
    UPGRADING = "upgrading"
    UPGRADED = "upgraded"
    FAILED = "failed"
    SKIPPED = "skipped"
    LEFT = "left"
    ROLLBACK_WAITING = "rollback_waiting"
    ROLLBACK_QUEUED = "rollback_queued"
    ROLLED_BACK = "rolled_back"
    ROLLBACK_FAILED = "rollback_failed"


class Reason(enum.StrEnum):
    """Why a device was skipped or failed; the first seven skip it before it is sent anything."""

    ALREADY_CURRENT = "already_current"
    NEWER = "newer"
    NOT_COMPARABLE = "not_comparable"
    NO_RELEASE = "no_release"
    IN_ANOTHER_ROLLOUT = "in_another_rollout"
    BEYOND_WAVES = "beyond_waves"
    NO_CONSENT = "no_consent"
    GONE = "gone"
    CANCELLED = "cancelled"
    RELEASE_WITHDRAWN = "release_withdrawn"
    REJECTED = "rejected"
    EXPIRED = "expired"
    NO_RESPONSE = "no_response"
    SUPERSEDED = "superseded"
    FAILED = "failed"
    VERSION_UNCHANGED = "version_unchanged"
    NOT_BACK_ONLINE = "not_back_online"
    FAULT = "fault"


class HaltReason(enum.StrEnum):
    """Why a rollout halted by itself."""

    MAX_FAILURE_EXCEEDED = "max_failure_exceeded"
    SUCCESS_OUT_OF_REACH = "success_out_of_reach"
    RELEASE_WITHDRAWN = "release_withdrawn"


IN_FLIGHT: Final = frozenset(
    {MemberState.QUEUED, MemberState.UPGRADING, MemberState.ROLLBACK_QUEUED}
)
"""Devices with a command under way."""

STILL: Final = frozenset({RolloutState.PAUSED, RolloutState.HALTED})
"""A rollout that sends nothing until a person says so."""

Action = str
ACTIONS: Final[Mapping[Action, frozenset[RolloutState]]] = MappingProxyType(
    {
        "pause": frozenset({RolloutState.RUNNING}),
        "resume": STILL,
        "rollback": frozenset(
            {
                RolloutState.RUNNING,
                *STILL,
                RolloutState.COMPLETED,
                RolloutState.CANCELLED,
            }
        ),
        "cancel": frozenset({RolloutState.RUNNING, *STILL, RolloutState.ROLLING_BACK}),
    }
)
"""What a person may do to a rollout, and from which states."""


class Cohort(msgspec.Struct, frozen=True, omit_defaults=True):
    """Which devices a rollout is for: all that fit everything that is given."""

    models: tuple[str, ...] = ()
    site_ids: tuple[str, ...] = ()
    current_versions: tuple[str, ...] = ()
    device_ids: tuple[str, ...] = ()


class Wave(msgspec.Struct, frozen=True, omit_defaults=True):
    """A part of the cohort: a share of it (percent), a number of devices, or with neither the rest.

    The next wave begins once ``success_percent`` of this one's devices are upgraded and
    ``soak_s`` have passed since; more than ``max_failure_percent`` of failures halt the rollout.
    """

    success_percent: float
    max_failure_percent: float
    percent: float | None = None
    count: int | None = None
    soak_s: int = 0


class Halt(msgspec.Struct, frozen=True):
    """Why and where a rollout halted: wave from 0, how many devices failed of how many."""

    reason: HaltReason
    wave: int
    failed: int
    devices: int


class Rollout(msgspec.Struct, frozen=True, kw_only=True):
    """A rollout as stored; times in ms since 1970 UTC.

    ``wave`` counts from 0 and is one past the last once that has succeeded. ``reached_ms`` is since
    when the present wave has the success it needs. ``revision`` grows with each change.
    """

    rollout_id: str
    operator_id: str
    client_id: str
    name: str | None
    firmware_version: str
    rollback_version: str | None
    allow_downgrade: bool
    max_in_flight: int | None
    cohort: Cohort
    waves: tuple[Wave, ...]
    created_ms: int
    updated_ms: int
    state: RolloutState = RolloutState.RUNNING
    wave: int = 0
    reached_ms: int | None = None
    halt: Halt | None = None
    revision: int = 0
    ended_ms: int | None = None


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """A device of a rollout.

    ``wave`` is None where it takes part in none. ``excused`` failures were known when a person
    resumed the rollout, and count no more. ``due_ms`` is when its turn began, ``previous_version``
    what it ran and ``fault_before`` the fault it reported when it was sent the upgrade.
    """

    device_no: int
    device_id: str
    model: str
    position: int
    wave: int | None
    updated_ms: int
    state: MemberState = MemberState.WAITING
    reason: Reason | None = None
    message: str | None = None
    excused: bool = False
    previous_version: str | None = None
    fault_before: str | None = None
    command_id: str | None = None
    rollback_command_id: str | None = None
    due_ms: int | None = None

    @property
    def current_command_id(self) -> str | None:
        """Return the command that was sent last."""
        return self.rollback_command_id or self.command_id


class Sight(NamedTuple):
    """What is known of a device at one moment.

    ``owned``: it is still the operator's. ``agreed``: its owner has agreed to upgrades. ``idle``:
    no session runs. ``offline_ms``: how long it has been away, 0 for not at all. ``runs_new``: it
    reports the rollout's version, ``runs_old`` the one that it would go back to. ``phase``,
    ``why``, ``message``, ``moved_ms`` and ``undelivered`` are of the command sent last. ``faults``
    are what it reported since it was upgraded and not before.
    The refusals say why the catalogue has nothing to send it, forward or back.
    """

    owned: bool = True
    agreed: bool = True
    online: bool = True
    idle: bool = True
    offline_ms: int = 0
    runs_new: bool = False
    runs_old: bool = False
    phase: Phase | None = None
    why: str | None = None
    message: str | None = None
    moved_ms: int = 0
    undelivered: bool = False
    faults: frozenset[str] = frozenset()
    refusal: Reason | None = None
    rollback_refusal: Reason | None = None


class Step(NamedTuple):
    """What a turn decided: the rollout after it, and the devices that changed.

    ``send`` are to be sent their version now, of ``withdraw`` the command is to be taken back
    unless it has left. Both are marked only when that is done.
    """

    rollout: Rollout
    changed: tuple[Member, ...] = ()
    send: tuple[Member, ...] = ()
    withdraw: tuple[Member, ...] = ()


class Count(NamedTuple):
    """How many devices of a rollout are in a wave, in a state."""

    wave: int | None
    state: MemberState
    excused: bool
    devices: int
