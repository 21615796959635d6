"""The console's agents as operators see them: who they are, what they propose, the work list."""

from types import MappingProxyType
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from tellus.agents.board import AgentBoard
from tellus.agents.model import (
    Action,
    AgentName,
    Proposal,
    ProposalFilter,
    ProposalStatus,
    SiteWork,
)
from tellus.agents.service import AgentService, AgentStanding, ProposalName
from tellus.audit.model import Actor
from tellus.kernel.call import Call, Nothing
from tellus.kernel.errors import NotFound
from tellus.kernel.paging import Page, PageQuery
from tellus.kernel.units import to_text
from tellus.kernel.vins import replace_vins

Identifier = Annotated[str, Meta(min_length=1, max_length=64)]

_ABOUT: Final = MappingProxyType(
    {
        AgentName.ANOMALY_HUNTER: (
            "Anomaly Hunter",
            "Component health that is unlike the device's own past and unlike its peers.",
        ),
        AgentName.REPEAT_FAULT_HUNTER: (
            "Repeat-Fault Hunter",
            "Faults that come back: by component, by device, by firmware.",
        ),
        AgentName.MAINTENANCE_DISPATCHER: (
            "Maintenance Dispatcher",
            "Visits, from alerts, wear and what the other agents propose, by site and rank.",
        ),
    }
)


class AgentItem(msgspec.Struct, frozen=True, kw_only=True):
    """An agent with its track record.

    ``confirmed`` proposals were followed by an alert about the same device within 30 days.
    ``precision`` is the share of accepted or confirmed ones among those of which either is known;
    absent before there are any.
    """

    agent: AgentName
    name: str
    looks_for: str
    last_look_at: str | UnsetType = UNSET
    proposals: int
    accepted: int
    dismissed: int
    withdrawn: int
    confirmed: int
    precision: float | UnsetType = UNSET


class AgentsResponse(msgspec.Struct, frozen=True):
    """The agents."""

    items: list[AgentItem]


class ProposalsQuery(PageQuery, frozen=True, kw_only=True):
    """Which proposals to list; what is left out admits all."""

    status: ProposalStatus | UnsetType = UNSET
    device_id: Identifier | UnsetType = UNSET
    site_id: Identifier | UnsetType = UNSET


class ProposalItem(msgspec.Struct, frozen=True, kw_only=True):
    """A proposal: what, on which grounds, and what became of it."""

    proposal_id: str
    agent: AgentName
    status: ProposalStatus
    title: str
    text: str
    score: float
    site_id: str | UnsetType = UNSET
    device_id: str | UnsetType = UNSET
    connector_id: int | UnsetType = UNSET
    evidence: dict[str, Any]
    created_at: str
    last_seen_at: str
    judged_at: str | UnsetType = UNSET
    judged_by: str | UnsetType = UNSET
    note: str | UnsetType = UNSET
    confirmed_at: str | UnsetType = UNSET


class ProposalVerdictRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What a person thinks of a proposal."""

    status: Literal["accepted", "dismissed"]
    note: Annotated[str, Meta(max_length=2_000)] | UnsetType = UNSET


class WorkListQuery(PageQuery, frozen=True, kw_only=True):
    """Which sites: one, or all."""

    site_id: Identifier | UnsetType = UNSET


class TaskItem(msgspec.Struct, frozen=True, kw_only=True):
    """What to do about a device: ``visit``, ``remote`` or ``firmware``, why, and what to bring."""

    device_id: str
    action: Action
    score: float
    reasons: list[dict[str, Any]]
    parts: list[str]


class SiteWorkItem(msgspec.Struct, frozen=True, kw_only=True):
    """The work at a site, weightiest first."""

    site_id: str
    score: float
    tasks: list[TaskItem]


async def list_agents(agents: AgentService, call: Call[Nothing, Nothing]) -> AgentsResponse:
    """Return the agents and what became of what they proposed."""
    standings = await agents.list_agents(call.principal.operator_id)
    return AgentsResponse([_to_agent(one) for one in standings])


async def list_proposals(
    board: AgentBoard, call: Call[Nothing, ProposalsQuery]
) -> Page[ProposalItem]:
    """Return what an agent proposes, newest first.

    Raises:
        NotFound: there is no such agent, or the device or site is absent or another operator's.
    """
    query, operator_id = call.query, call.principal.operator_id
    wanted = ProposalFilter(
        operator_id,
        _read_agent(call.path["agent"]),
        None if query.status is UNSET else query.status,
        None if query.device_id is UNSET else board.device_no(query.device_id, operator_id),
        None if query.site_id is UNSET else query.site_id,
        call.withheld,
    )
    if wanted.site_id is not None:
        await board.require_site(wanted.site_id, operator_id)
    total, found = await board.agents.list_proposals(wanted, (query.offset, query.size))
    items = [_to_item(one, board) for one in found]
    return Page(total, query.page, query.size, items)


async def judge_proposal(
    board: AgentBoard, call: Call[ProposalVerdictRequest, Nothing]
) -> ProposalItem:
    """Accept or dismiss a proposal.

    Raises:
        NotFound: it is absent or another operator's.
        Conflict: it was judged already, or withdrawn.
    """
    body, principal = call.body, call.principal
    name = ProposalName(
        principal.operator_id, _read_agent(call.path["agent"]), call.path["proposal_id"]
    )
    by = Actor(principal.principal_id, call.request_id or None, principal.scopes)
    note = None if body.note is UNSET else replace_vins(body.note)
    judged = await board.agents.judge(name, ProposalStatus(body.status), note, by, call.now_ms)
    return _to_item(judged, board)


async def get_work_list(
    board: AgentBoard, call: Call[Nothing, WorkListQuery]
) -> Page[SiteWorkItem]:
    """Return what is to be done, by site, weightiest first.

    Raises:
        NotFound: the site is absent or another operator's.
    """
    query, operator_id = call.query, call.principal.operator_id
    if query.site_id is not UNSET:
        await board.require_site(query.site_id, operator_id)
    sites = await board.work.plan(operator_id)
    found = [one for one in sites if query.site_id in (UNSET, one.site_id)]
    page = found[query.offset : query.offset + query.size]
    return Page(len(found), query.page, query.size, [_to_site(one, board) for one in page])


def _read_agent(text: str) -> AgentName:
    try:
        return AgentName(text)
    except ValueError:
        raise NotFound from None


def _to_agent(standing: AgentStanding) -> AgentItem:
    name, looks_for = _ABOUT[standing.agent]
    record = standing.record
    return AgentItem(
        agent=standing.agent,
        name=name,
        looks_for=looks_for,
        last_look_at=UNSET if standing.turned_ms is None else to_text(standing.turned_ms),
        proposals=record.proposed,
        accepted=record.accepted,
        dismissed=record.dismissed,
        withdrawn=record.withdrawn,
        confirmed=record.confirmed,
        precision=round(record.right / record.judged, 4) if record.judged else UNSET,
    )


def _to_item(proposal: Proposal, board: AgentBoard) -> ProposalItem:
    draft = proposal.draft
    device_id = None if draft.device_no is None else board.device_id(draft.device_no)
    return ProposalItem(
        proposal_id=proposal.proposal_id,
        agent=proposal.agent,
        status=proposal.status,
        title=draft.title,
        text=draft.text,
        score=draft.score,
        site_id=_known(draft.site_id),
        device_id=_known(device_id),
        connector_id=draft.connector_id or UNSET,
        evidence=draft.evidence,
        created_at=to_text(proposal.created_ms),
        last_seen_at=to_text(proposal.seen_ms),
        judged_at=UNSET if proposal.judged_ms is None else to_text(proposal.judged_ms),
        judged_by=_known(proposal.judged_by),
        note=_known(proposal.note),
        confirmed_at=UNSET if proposal.confirmed_ms is None else to_text(proposal.confirmed_ms),
    )


def _to_site(work: SiteWork, board: AgentBoard) -> SiteWorkItem:
    return SiteWorkItem(
        site_id=work.site_id,
        score=work.score,
        tasks=[
            TaskItem(
                device_id=board.device_id(task.device_no) or "",
                action=task.action,
                score=task.score,
                reasons=[dict(reason) for reason in task.reasons],
                parts=task.parts,
            )
            for task in work.tasks
        ],
    )


def _known(value: Any) -> Any:
    return UNSET if value is None else value
