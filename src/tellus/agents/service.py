"""The agents at work: a look every hour, proposals kept, judged by people, proved by alerts."""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from msgspec.structs import replace

from tellus.agents import store
from tellus.agents.hunters import Hunter
from tellus.agents.model import (
    AgentName,
    Draft,
    Proposal,
    ProposalFilter,
    ProposalStatus,
    TrackRecord,
)
from tellus.agents.rules_proposals import plan_proposals
from tellus.audit.model import Actor
from tellus.audit.service import record
from tellus.fleet.directory import Device, Directory
from tellus.kernel.clock import Clock
from tellus.kernel.errors import Conflict, NotFound
from tellus.kernel.ids import new_id
from tellus.storage.database import Database, Tx

_TIDIED_AT_ONCE: Final = 500


class ProposalName(NamedTuple):
    """Which proposal: whose, of which agent, under which identifier."""

    operator_id: str
    agent: AgentName
    proposal_id: str


class AgentStanding(NamedTuple):
    """An agent, when it last looked (ms), and its track record with one operator."""

    agent: AgentName
    turned_ms: int | None
    record: TrackRecord


class AgentService:
    """Runs the agents on the node on duty, and keeps what they propose."""

    def __init__(
        self,
        database: Database,
        directory: Directory,
        hunters: Mapping[AgentName, Hunter],
        clock: Clock,
        *,
        every_ms: int,
        kept_ms: int,
    ) -> None:
        self._database = database
        self._directory = directory
        self._hunters = hunters
        self._clock = clock
        self._every_ms = every_ms
        self._kept_ms = kept_ms

    async def turn(self) -> None:
        """Let each agent look that has rested long enough."""
        turns = await self._database.read(store.list_turns)
        for agent, hunter in self._hunters.items():
            now_ms = self._clock.now_ms()
            if now_ms - turns.get(agent, 0) >= self._every_ms:
                await self._look(agent, hunter, now_ms)

    async def _look(self, agent: AgentName, hunter: Hunter, now_ms: int) -> None:
        found = looked_at = 0
        for operator_id, devices in self._by_operator().items():
            drafts = await hunter.look(operator_id, devices, now_ms)
            await self._database.write(_keep, agent, operator_id, drafts, now_ms)
            found += len(drafts)
            looked_at += len(devices)
        await self._database.write(_end_turn, agent, now_ms, looked_at, found)

    async def tidy(self) -> None:
        """Forget some proposals that ended long ago."""
        before_ms = self._clock.now_ms() - self._kept_ms
        await self._database.write(store.remove_ended, before_ms, _TIDIED_AT_ONCE)

    def _by_operator(self) -> dict[str, list[Device]]:
        devices: dict[str, list[Device]] = {}
        for device in self._directory:
            devices.setdefault(device.operator_id, []).append(device)
        return devices

    @staticmethod
    def erase_some(tx: Tx, device_no: int, limit: int) -> int:
        """Delete up to ``limit`` proposals about a device that is erased; return how many."""
        return store.remove_of_device(tx, device_no, limit)

    async def list_agents(self, operator_id: str) -> list[AgentStanding]:
        """Return the agents with what became of their proposals to an operator."""
        return await self._database.read(_list_agents, operator_id)

    async def list_proposals(
        self, wanted: ProposalFilter, page: tuple[int, int]
    ) -> tuple[int, list[Proposal]]:
        """Return how many proposals match and a page (offset, size) of them, newest first."""
        return await self._database.read(store.list_proposals, wanted, page)

    async def judge(
        self,
        name: ProposalName,
        verdict: ProposalStatus,
        note: str | None,
        by: Actor,
        now_ms: int,
    ) -> Proposal:
        """Accept or dismiss a proposal.

        Raises:
            NotFound: it is absent or another operator's.
            Conflict: it was judged already, or withdrawn.
        """
        return await self._database.write(_judge, name, verdict, note, by, now_ms)


def _list_agents(tx: Tx, operator_id: str) -> list[AgentStanding]:
    turns = store.list_turns(tx)
    records = store.count_outcomes(tx, operator_id)
    return [AgentStanding(name, turns.get(name), records[name]) for name in AgentName]


def _keep(tx: Tx, agent: AgentName, operator_id: str, drafts: Sequence[Draft], now_ms: int) -> None:
    """Store what follows from an agent's drafts for one operator."""
    tx.lock(f"agent:{agent.value}:{operator_id}")
    # A look takes a while: of a device that has gone meanwhile nothing is to be kept any more.
    own = store.list_own(tx, operator_id, [one.device_no for one in drafts if one.device_no])
    drafts = [one for one in drafts if one.device_no is None or one.device_no in own]
    plan = plan_proposals(drafts, store.list_newest(tx, operator_id, agent), now_ms)
    fresh = [
        Proposal(
            proposal_id=new_id("prp"),
            agent=agent,
            draft=draft,
            status=ProposalStatus.PROPOSED,
            created_ms=now_ms,
            seen_ms=now_ms,
        )
        for draft in plan.fresh
    ]
    if fresh:
        store.append_proposals(tx, fresh)
    for proposal, draft in plan.seen:
        store.refresh_proposal(tx, proposal.proposal_id, draft, now_ms)
    for proposal in plan.withdrawn:
        store.judge_proposal(tx, replace(proposal, status=ProposalStatus.WITHDRAWN))


def _end_turn(tx: Tx, agent: AgentName, now_ms: int, looked_at: int, found: int) -> None:
    store.confirm_proposals(tx, now_ms)
    store.note_turn(tx, agent, now_ms, looked_at, found)


def _judge(
    tx: Tx,
    name: ProposalName,
    verdict: ProposalStatus,
    note: str | None,
    by: Actor,
    now_ms: int,
) -> Proposal:
    tx.lock(f"proposal:{name.proposal_id}")
    proposal = store.find_proposal(tx, *name)
    if proposal is None:
        raise NotFound
    if proposal.status is not ProposalStatus.PROPOSED:
        raise Conflict(f"This proposal is {proposal.status}", status=proposal.status.value)
    judged = replace(proposal, status=verdict, judged_ms=now_ms, judged_by=by.name, note=note)
    store.judge_proposal(tx, judged)
    record(
        tx, by.name, f"proposal.{verdict.value}", "proposal", name.proposal_id,
        name.operator_id, by.request_id, now_ms, agent=name.agent.value,
    )  # fmt: skip
    return judged
