"""The console's agents on the operator's surface."""

from functools import partial
from typing import Final

from tellus.agents import operator_api as agents
from tellus.consent.model import Service
from tellus.kernel.call import Audience
from tellus.kernel.paging import Page
from tellus.surfaces.routes import LimitClass, Route

_query = partial(
    Route, "GET", audience=Audience.OPERATOR, scope="read", limit=LimitClass.QUERIES,
    tag="Operator: diagnostics",
)  # fmt: skip

OPERATOR_AGENT_ROUTES: Final[tuple[Route, ...]] = (
    _query(
        "/v1/operator/agents", "listAgents", agents.list_agents,
        response=agents.AgentsResponse, summary="See the agents",
        description="The three agents, when they last looked, and what became of what they"
        " proposed. They propose and never act.",
    ),
    _query(
        "/v1/operator/agents/{agent}/proposals", "listProposals", agents.list_proposals,
        query=agents.ProposalsQuery, response=Page[agents.ProposalItem],
        service=Service.DIAGNOSTICS, sifts=True,
        summary="List what an agent proposes",
        description="`anomaly_hunter`, `repeat_fault_hunter` or `maintenance_dispatcher`; each"
        " proposal with the figures that it rests on.",
    ),
    Route(
        "PATCH", "/v1/operator/agents/{agent}/proposals/{proposal_id}", "judgeProposal",
        agents.judge_proposal, Audience.OPERATOR, "Accept or dismiss a proposal",
        "Operator: diagnostics",
        description="A verdict counts for the agent's track record; the matter rests for 14 days."
        " Goes to the audit log.",
        service=Service.DIAGNOSTICS,
        scope="write", limit=LimitClass.CONTROL, request=agents.ProposalVerdictRequest,
        response=agents.ProposalItem,
    ),
    _query(
        "/v1/operator/work-list", "getWorkList", agents.get_work_list,
        query=agents.WorkListQuery, response=Page[agents.SiteWorkItem],
        service=Service.DIAGNOSTICS, sifts=True,
        summary="Read the work list",
        description="What is to be done at which site, weightiest first: from live alerts, wear,"
        " and what the agents propose.",
    ),
)  # fmt: skip
