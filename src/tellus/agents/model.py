"""The words of agents: what they look at, what they propose, and what became of it."""

import enum
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import msgspec

from tellus.kernel.units import DAY_MS


class AgentName(enum.StrEnum):
    """The three agents."""

    ANOMALY_HUNTER = "anomaly_hunter"
    REPEAT_FAULT_HUNTER = "repeat_fault_hunter"
    MAINTENANCE_DISPATCHER = "maintenance_dispatcher"


class ProposalStatus(enum.StrEnum):
    """What became of a proposal: a person's verdict, or ``withdrawn`` by the agent itself."""

    PROPOSED = "proposed"
    ACCEPTED = "accepted"
    DISMISSED = "dismissed"
    WITHDRAWN = "withdrawn"


Action = Literal["visit", "remote", "firmware"]
"""What a device needs: somebody there, somebody at a desk, or a firmware upgrade."""

CONFIRMED_WITHIN_MS = 30 * DAY_MS
"""An alert of high severity about the same device this soon after confirms a proposal."""


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """What an agent would propose now.

    ``key`` names the matter within operator and agent. ``score`` ranks drafts of one agent, higher
    first. ``evidence`` is JSON: the figures that the text rests on. ``device_no`` is None where a
    whole site, or a firmware version, is meant.
    """

    key: str
    operator_id: str
    site_id: str | None
    device_no: int | None = None
    connector_id: int = 0
    title: str
    text: str
    score: float
    evidence: dict[str, Any]


class Proposal(msgspec.Struct, frozen=True, kw_only=True):
    """A stored proposal; ``confirmed_ms`` is when an alert proved it right."""

    proposal_id: str
    agent: AgentName
    draft: Draft
    status: ProposalStatus
    created_ms: int
    seen_ms: int
    judged_ms: int | None = None
    judged_by: str | None = None
    note: str | None = None
    confirmed_ms: int | None = None


class ProposalFilter(msgspec.Struct, frozen=True):
    """Which proposals are asked for; None admits all."""

    operator_id: str
    agent: AgentName
    status: ProposalStatus | None = None
    device_no: int | None = None
    site_id: str | None = None
    withheld: tuple[int, ...] = ()


class TrackRecord(NamedTuple):
    """What became of an agent's proposals; ``confirmed`` ones may have been judged too."""

    proposed: int
    accepted: int
    dismissed: int
    withdrawn: int
    confirmed: int
    right: int
    judged: int


class Place(NamedTuple):
    """A connector and what it belongs to."""

    device_no: int
    connector_id: int
    operator_id: str
    site_id: str
    model: str


class Readings(NamedTuple):
    """What one metric of a connector was: in the window looked at, and by day before it."""

    place: Place
    metric: str
    value: float
    hours: int
    days_before: Sequence[float]


class FaultFact(NamedTuple):
    """A fault event, with the firmware that ran where that is known."""

    device_no: int
    connector_id: int
    code: str
    time_ms: int


class Unit(NamedTuple):
    """A device as agents see it."""

    device_no: int
    device_id: str
    operator_id: str
    site_id: str
    model: str
    firmware_version: str


class Concern(NamedTuple):
    """One reason to look after a device: from an alert, wear, or another agent's proposal.

    ``kind`` is ``alert``, ``wear``, ``anomaly`` or ``repeat``; ``code`` a fault code or component;
    ``ref`` identifies what it comes from.
    """

    kind: str
    code: str
    text: str
    ref: str
    severity: str = ""
    cleared: bool = False
    acknowledged: bool = False
    days_left: float | None = None
    firmware_to_blame: bool = False


class WornPart(NamedTuple):
    """A part whose rated life ends within sight; ``days_left`` at the pace of the busiest weeks."""

    device_no: int
    connector_id: int
    component: str
    days_left: float
    text: str


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be done about one device, and why; ``parts`` are what to bring."""

    device_no: int
    action: Action
    score: float
    reasons: list[Mapping[str, Any]]
    parts: list[str]


class SiteWork(msgspec.Struct, frozen=True, kw_only=True):
    """The work at one site, devices by rank; ``score`` ranks sites."""

    site_id: str
    score: float
    tasks: list[Task]
