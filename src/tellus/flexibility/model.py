"""The words of flexibility: controls, their targets, limits and outcomes."""

import enum
from typing import Any, Final, Literal, NamedTuple

import msgspec

from tellus.commands.model import Phase as CommandPhase
from tellus.commands.model import Status

TargetType = Literal["site", "operator", "all"]
ControlCommand = Literal["set_power_limit", "pause_charging"]
State = Literal["executing", "ended", "cancelled"]
"""How a control is shown: under way, over in its time, or taken back."""

NO_CONNECTOR: Final = 0
"""Stands for the connectors of a charger of which none is known yet."""


class Phase(enum.StrEnum):
    """Where a control stands; one that is ``preparing`` has no effect and is shown to nobody."""

    PREPARING = "preparing"
    ACTIVE = "active"
    ENDED = "ended"
    CANCELLED = "cancelled"


class Stage(enum.StrEnum):
    """What is left to do for a target.

    ``due``: its charger is to be told. ``told``: a command is on its way. ``away``: the command
    expired, and the charger is told again when it is back. ``done``: nothing.
    """

    DUE = "due"
    TOLD = "told"
    AWAY = "away"
    DONE = "done"


class Gone(enum.StrEnum):
    """Why a charger is no target any more: out of the control's reach, deleted, no consent."""

    MOVED = "moved"
    DELETED = "deleted"
    NO_CONSENT = "no_consent"


class Reason(enum.StrEnum):
    """Why a target failed where no command says it."""

    UNKNOWN_RATING = "unknown_rating"
    NO_CONNECTORS = "no_connectors"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked for: a percentage of the rated power, for how long, spread over how long."""

    target_type: TargetType
    target_ids: tuple[str, ...]
    command: ControlCommand
    limit_pct: int
    duration_s: int
    stagger_s: int = 0
    reason: str | None = None


class Control(msgspec.Struct, frozen=True, kw_only=True):
    """A control as stored; times in ms since 1970 UTC.

    ``until_ms`` is when the last charger is released, ``chargers`` how many it reached when it was
    issued.
    """

    control_no: int
    control_id: str
    operator_id: str
    client_id: str
    target_type: TargetType
    target_ids: tuple[str, ...]
    command: ControlCommand
    limit_pct: int
    reason: str | None
    duration_ms: int
    stagger_ms: int
    chargers: int
    phase: Phase
    created_ms: int
    until_ms: int
    cancelled_ms: int | None = None

    def state_at(self, now_ms: int) -> State:
        """Return how it is shown at ``now_ms``, whether or not the store says so yet."""
        if self.phase is Phase.CANCELLED:
            return "cancelled"
        is_over = self.phase is Phase.ENDED or self.until_ms <= now_ms
        return "ended" if is_over else "executing"


class Share(NamedTuple):
    """What a connector may take (kW); None where no rating is known to take a percentage of."""

    connector_id: int
    limit_kw: float | None


class Target(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What one connector is to hold because of one control, ``[begin_ms, until_ms)``.

    ``offset_ms`` is how much later than the first charger this one begins. ``command_id`` is the
    newest command that carries the limit, ``lift_command_id`` the one that takes it back before its
    time; ``applied`` means that a command which carried it was completed. ``lifted`` means that
    taking it back has been seen to.
    """

    control_no: int
    device_no: int
    connector_id: int
    device_id: str
    offset_ms: int
    begin_ms: int
    until_ms: int
    limit_kw: float | None
    joined: bool = False
    gone: Gone | None = None
    stage: Stage = Stage.DUE
    due_ms: int | None = None
    lifted: bool = False
    applied: bool = False
    command_id: str | None = None
    lift_command_id: str | None = None


class Sent(NamedTuple):
    """Where a command of a target stands."""

    phase: CommandPhase
    expires_ms: int
    updated_ms: int
    result: dict[str, Any] | None


class Held(NamedTuple):
    """A target with its control's facts and what became of the commands that were sent for it."""

    target: Target
    control_id: str
    operator_id: str
    client_id: str
    cancelled_ms: int | None
    carrying: Sent | None
    lifting: Sent | None


class Limit(NamedTuple):
    """A limit as a charger gets it."""

    control_no: int
    control_id: str
    limit_kw: float
    until_ms: int


class Step(enum.Enum):
    """What to do next for a target."""

    TELL = enum.auto()
    WAIT = enum.auto()
    AWAIT_RETURN = enum.auto()
    FINISH = enum.auto()


class Outcome(NamedTuple):
    """What became of a control at a connector or a charger; ``message`` is the charger's own."""

    status: Status
    reason: str | None = None
    message: str | None = None


class ConnectorOutcome(NamedTuple):
    """What became of a control at a connector."""

    connector_id: int
    limit_kw: float | None
    command_id: str | None
    outcome: Outcome


class ChargerOutcome(NamedTuple):
    """What became of a control at a charger, and at each of its connectors."""

    device_id: str
    outcome: Outcome
    limit_kw: float | None
    joined: bool
    gone: Gone | None
    connectors: list[ConnectorOutcome]


class Verdict(NamedTuple):
    """What became of a control as a whole, and when that last changed."""

    outcome: Outcome
    updated_ms: int


class ControlFilter(NamedTuple):
    """Which controls of an operator are asked for; ``active`` None stands for all."""

    operator_id: str
    active: bool | None = None
