"""What becomes of proposals: which draft is new, which is known, which has to wait."""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from tellus.agents.model import Draft, Proposal, ProposalStatus
from tellus.kernel.units import DAY_MS

QUIET_MS: Final = 14 * DAY_MS
"""How long a matter rests after somebody judged it."""

LOUDER: Final = 2.0
"""By how much a dismissed matter's score has to have grown to be proposed again before that."""

FORGOTTEN_MS: Final = DAY_MS
"""How long a matter is not found any more until its proposal is withdrawn."""


class Plan(NamedTuple):
    """What to write: new drafts, known proposals with what they are now, and those to withdraw."""

    fresh: list[Draft]
    seen: list[tuple[Proposal, Draft]]
    withdrawn: list[Proposal]


def plan_proposals(drafts: Sequence[Draft], newest: Mapping[str, Proposal], now_ms: int) -> Plan:
    """Return what follows from an agent's drafts for one operator.

    ``newest`` are the operator's newest proposals of the agent by the key of their matter.
    """
    plan = Plan([], [], [])
    found = set()
    for draft in drafts:
        if draft.key in found:
            continue
        found.add(draft.key)
        known = newest.get(draft.key)
        if known is not None and known.status is ProposalStatus.PROPOSED:
            plan.seen.append((known, draft))
        elif known is None or not _rests(known, draft, now_ms):
            plan.fresh.append(draft)
    for key, known in newest.items():
        is_live = known.status is ProposalStatus.PROPOSED
        if is_live and key not in found and now_ms - known.seen_ms >= FORGOTTEN_MS:
            plan.withdrawn.append(known)
    return plan


def _rests(known: Proposal, draft: Draft, now_ms: int) -> bool:
    """Tell whether a matter was judged so lately that nobody wants to hear of it again."""
    if known.judged_ms is None or now_ms - known.judged_ms >= QUIET_MS:
        return False
    is_louder = draft.score >= LOUDER * known.draft.score
    return not (known.status is ProposalStatus.DISMISSED and is_louder)
