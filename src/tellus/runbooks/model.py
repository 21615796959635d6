"""The words of a run: where it stands, what was found, what comes next."""

import enum
from typing import Any, NamedTuple

import msgspec

from tellus.runbooks.model_catalogue import Verdict


class RunStatus(enum.StrEnum):
    """Where a run stands; the last four are its ends.

    ``running``: the platform is at work. ``waiting``: for a charger, or for time to pass.
    ``asking``: for a person. ``paused``: until a fault that stands in the way is dealt with.
    ``handed_over``: another runbook goes on, in a run of its own.
    """

    RUNNING = "running"
    WAITING = "waiting"
    ASKING = "asking"
    PAUSED = "paused"
    RESOLVED = "resolved"
    ESCALATED = "escalated"
    HANDED_OVER = "handed_over"
    CANCELLED = "cancelled"


ENDED = frozenset(
    {RunStatus.RESOLVED, RunStatus.ESCALATED, RunStatus.HANDED_OVER, RunStatus.CANCELLED}
)


class Stage(enum.StrEnum):
    """What is being done within a step.

    ``check`` reads data; ``question`` and ``confirm`` wait for a person; ``send`` is before a
    command, ``await`` after it; ``settle`` lets time pass; ``verify`` reads whether it helped.
    """

    CHECK = "check"
    QUESTION = "question"
    CONFIRM = "confirm"
    SEND = "send"
    AWAIT = "await"
    SETTLE = "settle"
    VERIFY = "verify"


class Position(NamedTuple):
    """Where a run is: step (from 1), stage, which of the step's commands, since when (ms)."""

    n: int
    stage: Stage
    part: int
    since_ms: int


class CheckResult(NamedTuple):
    """What a check says: verdict, the thing found if it has a name, and all that it read."""

    verdict: Verdict
    finding: str | None
    evidence: dict[str, Any]


class CommandSeen(NamedTuple):
    """Where the awaited command stands: a published status, and why it failed."""

    status: str
    reason: str | None = None


class Observation(NamedTuple):
    """What is known at ``now_ms``; None for what has not been asked, given or read.

    ``listening_ms`` is since when chargers can be heard without a break, by the node that asks.
    """

    now_ms: int
    result: CheckResult | None = None
    answer: Verdict | None = None
    command: CommandSeen | None = None
    listening_ms: int = 0


class ActionKind(enum.StrEnum):
    """What comes next in a run.

    ``enter`` goes on within the step, ``settle`` gives its verdict and goes where it leads.
    """

    CHECK = "check"
    ASK = "ask"
    ISSUE = "issue"
    WAIT = "wait"
    ENTER = "enter"
    JUMP = "jump"
    HAND_OVER = "hand_over"
    END = "end"


class Action(msgspec.Struct, frozen=True, kw_only=True):
    """What comes next; which fields are there depends on ``kind``.

    ``check`` names the check, ``question`` what is asked, ``command`` what is issued, ``until_ms``
    when to look again, ``stage`` and ``part`` where the step goes on. What ends a step has its
    ``verdict`` and ``finding``, and ``to_n`` (jump), ``runbook`` (hand over) or ``status`` (end).
    """

    kind: ActionKind
    check: str | None = None
    question: str | None = None
    confirms: bool = False
    paused: bool = False
    command: str | None = None
    until_ms: int | None = None
    stage: Stage | None = None
    part: int = 0
    verdict: Verdict | None = None
    finding: str | None = None
    advice: str | None = None
    to_n: int | None = None
    runbook: str | None = None
    status: RunStatus | None = None
    cause: str | None = None
    conclusion: str | None = None
    escalated_to: str | None = None


class Vehicle(msgspec.Struct, frozen=True, omit_defaults=True):
    """The vehicle that a run is about, as far as it is known."""

    make: str | None = None
    model: str | None = None
    firmware: str | None = None


class StepRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A step that a run came to; times in ms since 1970 UTC.

    ``evidence`` is what its check read, ``answered_by`` who answered in their own words,
    ``client_id`` through which client, ``command_ids`` what was sent.
    """

    n: int
    step_id: str
    began_ms: int
    verdict: Verdict | None = None
    finding: str | None = None
    advice: str | None = None
    evidence: dict[str, Any] = {}
    answered_by: str | None = None
    client_id: str | None = None
    note: str | None = None
    confirmed_by: str | None = None
    command_ids: tuple[str, ...] = ()
    ended_ms: int | None = None


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """A run as stored; times in ms since 1970 UTC.

    ``command_id`` is the command that it is about, ``pending_command_id`` one that it gave and
    waits for. ``due_ms`` is when it is to be looked at again, None where only a person moves it.
    ``revision`` grows with each change.
    """

    run_id: str
    slug: str
    operator_id: str
    client_id: str
    device_no: int
    device_id: str
    connector_id: int
    alert_id: str | None
    command_id: str | None
    vehicle: Vehicle
    status: RunStatus
    n: int
    stage: Stage
    part: int
    since_ms: int
    due_ms: int | None
    created_ms: int
    updated_ms: int
    pending_command_id: str | None = None
    question: str | None = None
    cause: str | None = None
    conclusion: str | None = None
    escalated_to: str | None = None
    from_run_id: str | None = None
    next_run_id: str | None = None
    ended_ms: int | None = None
    revision: int = 0

    @property
    def position(self) -> Position:
        """Return where it is."""
        return Position(self.n, self.stage, self.part, self.since_ms)

    @property
    def is_over(self) -> bool:
        """Tell whether it has ended."""
        return self.ended_ms is not None


class RunFilter(NamedTuple):
    """Which runs are asked for; None admits all."""

    operator_id: str
    slug: str | None = None
    device_no: int | None = None
    status: RunStatus | None = None
    alert_id: str | None = None
    is_over: bool | None = None
    withheld: tuple[int, ...] = ()


class Photo(msgspec.Struct, frozen=True):
    """A photo sent along with a run, kept as a file."""

    file_id: str
    media_type: str
    size: int
    note: str | None
    client_id: str
    created_ms: int


class Place(NamedTuple):
    """What a run is about: a device, one of its connectors (0: the device)."""

    operator_id: str
    client_id: str
    device_no: int
    device_id: str
    connector_id: int


class Links(NamedTuple):
    """What a run belongs to, as far as it does: alert, command, vehicle, the run before it."""

    alert_id: str | None = None
    command_id: str | None = None
    vehicle: Vehicle = Vehicle()
    from_run_id: str | None = None


class Answered(NamedTuple):
    """What a person said of a step, through which client."""

    outcome: Verdict
    answered_by: str
    client_id: str
    note: str | None
