"""What is kept and for how long, for administrators: what would go now, and rounds."""

import msgspec
from msgspec import UNSET, UnsetType

from tellus.audit.model import Actor
from tellus.kernel.call import Call, Nothing
from tellus.kernel.errors import NotFound
from tellus.kernel.units import to_text
from tellus.telemetry.retention import PlannedTier, Retention, Round


class TierItem(msgspec.Struct, frozen=True):
    """A tier and what of it has outlived its time: rows, bytes, the oldest instant.

    ``kept_days`` is left out where all is kept for ever.
    """

    name: str
    rows: int
    bytes: int
    kept_days: int | UnsetType = UNSET
    oldest: str | UnsetType = UNSET


class RetentionPlan(msgspec.Struct, frozen=True):
    """What a round would drop if it began now."""

    tiers: list[TierItem]


class RoundItem(msgspec.Struct, frozen=True):
    """A round; ``due`` and ``dropped`` are rows by tier.

    ``longest_hold_s`` is the longest time that one of its transactions held the writer.
    """

    round_id: str
    status: str
    asked_by: str
    due: dict[str, int]
    dropped: dict[str, int]
    longest_hold_s: float
    started_at: str | UnsetType = UNSET
    ended_at: str | UnsetType = UNSET


async def get_retention_plan(retention: Retention, call: Call[Nothing, Nothing]) -> RetentionPlan:
    """Return what would go now."""
    del call
    return RetentionPlan([_tier(planned) for planned in await retention.plan()])


async def start_retention_round(retention: Retention, call: Call[Nothing, Nothing]) -> RoundItem:
    """Have a round made now; it begins within a second or when the present one has ended."""
    principal = call.principal
    actor = Actor(principal.principal_id, call.request_id or None, principal.scopes)
    return _round(await retention.ask(actor))


async def get_retention_round(retention: Retention, call: Call[Nothing, Nothing]) -> RoundItem:
    """Return the round that was asked for, or else the last one."""
    del call
    found = await retention.find_round()
    if found is None:
        raise NotFound
    return _round(found)


def _tier(planned: PlannedTier) -> TierItem:
    aged = planned.aged
    return TierItem(
        planned.name,
        aged.rows,
        aged.size_bytes,
        planned.kept_days or UNSET,
        UNSET if aged.oldest_ms is None else to_text(aged.oldest_ms),
    )


def _round(held: Round) -> RoundItem:
    status = "waiting" if not held.started_ms else "running" if held.done_ms is None else "done"
    return RoundItem(
        held.round_id,
        status,
        held.by,
        held.due,
        held.dropped,
        round(held.longest_hold_s, 6),
        to_text(held.started_ms) if held.started_ms else UNSET,
        UNSET if held.done_ms is None else to_text(held.done_ms),
    )
