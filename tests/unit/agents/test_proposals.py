"""What becomes of drafts: proposed once, refreshed while live, resting once judged."""

from typing import Any

import pytest
from msgspec.structs import replace

from tellus.agents.model import AgentName, Draft, Proposal, ProposalStatus
from tellus.agents.rules_proposals import FORGOTTEN_MS, QUIET_MS, plan_proposals

NOW_MS = 1_760_000_000_000


def draft(key: str = "a", score: float = 5.0) -> Draft:
    """What an agent would propose."""
    return Draft(
        key=key,
        operator_id="op_1",
        site_id="site_1",
        device_no=1,
        title="t",
        text="x",
        score=score,
        evidence={},
    )


def known(**changes: Any) -> Proposal:
    """A proposal as it was stored."""
    made = Proposal(
        proposal_id="prp_1",
        agent=AgentName.ANOMALY_HUNTER,
        draft=draft(),
        status=ProposalStatus.PROPOSED,
        created_ms=NOW_MS,
        seen_ms=NOW_MS,
    )
    return replace(made, **changes)


def test_plan__new_matter__is_proposed_once() -> None:
    """A draft of a new matter is proposed, and a second of the same matter is not."""
    plan = plan_proposals([draft(), draft()], {}, NOW_MS)
    assert plan.fresh == [draft()]


def test_plan__live_matter__is_refreshed() -> None:
    """A matter that is proposed already is brought up to date."""
    plan = plan_proposals([draft(score=9)], {"a": known()}, NOW_MS)
    assert (plan.fresh, [one for _, one in plan.seen]) == ([], [draft(score=9)])


@pytest.mark.parametrize("status", [ProposalStatus.ACCEPTED, ProposalStatus.DISMISSED])
def test_plan__judged_matter__rests(status: ProposalStatus) -> None:
    """What somebody judged is not proposed again for a fortnight."""
    judged = {"a": known(status=status, judged_ms=NOW_MS)}
    assert plan_proposals([draft()], judged, NOW_MS + QUIET_MS - 1).fresh == []
    assert plan_proposals([draft()], judged, NOW_MS + QUIET_MS).fresh == [draft()]


def test_plan__dismissed_and_twice_as_bad__is_proposed_again() -> None:
    """What was dismissed and became twice as clear is proposed again at once."""
    judged = {"a": known(status=ProposalStatus.DISMISSED, judged_ms=NOW_MS)}
    assert plan_proposals([draft(score=10.0)], judged, NOW_MS + 1).fresh == [draft(score=10.0)]


def test_plan__withdrawn_matter__may_come_back() -> None:
    """What the agent withdrew itself may be proposed again at once."""
    withdrawn = {"a": known(status=ProposalStatus.WITHDRAWN)}
    assert plan_proposals([draft()], withdrawn, NOW_MS + 1).fresh == [draft()]


def test_plan__matter_gone__is_withdrawn_after_a_day() -> None:
    """A live matter that is not found any more is withdrawn once it was gone for a day."""
    live = {"a": known()}
    assert plan_proposals([], live, NOW_MS + FORGOTTEN_MS - 1).withdrawn == []
    assert plan_proposals([], live, NOW_MS + FORGOTTEN_MS).withdrawn == [known()]
