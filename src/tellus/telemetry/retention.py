"""What is kept and for how long: one round over all tiers, in steps that nobody notices.

Each feature has its tiers; this drives them, one after the other in the order given, on the node on
duty. A step is one small transaction. Steps grow while they are quick and shrink when they hold the
writer too long. After each there is a rest several times as long, so that whoever uploads goes
first and a round takes a quarter of a core at most. A round that was cut off begins anew: what is
gone is gone, the rest is still there.
"""

import asyncio
from collections.abc import Sequence
from typing import Final, NamedTuple, Protocol

import msgspec
import structlog

from tellus.audit.model import PLATFORM, Actor
from tellus.audit.service import record
from tellus.kernel.clock import Clock
from tellus.kernel.errors import TooManyRequests, Unavailable
from tellus.kernel.ids import new_id
from tellus.kernel.retention import Aged, Step
from tellus.kernel.units import HOUR_MS, MINUTE_MS, SECOND_MS
from tellus.storage.database import Database, Tx
from tellus.storage.instance import find_instance_value, note_instance_value

EVERY_MS: Final = HOUR_MS
"""How long after the start of a round the next one is due."""

_ASKED: Final = "retention_asked"
_ROUND: Final = "retention_round"
_FEWEST, _FIRST, _MOST = 4, 32, 512
_QUICK_S, _SLOW_S = 0.008, 0.020
_REST: Final = 3
_SHORTEST_REST_S: Final = 0.005
_BUSY_REST_S: Final = 1.0
_BUSY_TIMES: Final = 60
_NOTE_EVERY_MS: Final = SECOND_MS
_AFTER_FAILURE_MS: Final = MINUTE_MS

log = structlog.get_logger(__name__)


class Tier(Protocol):
    """Something that is kept for a time; ``kept_days`` is 0 where that is for ever."""

    name: str
    kept_days: int

    def begin(self) -> None:
        """Get ready for a round."""
        ...

    def plan(self, tx: Tx, now_ms: int) -> Aged:
        """Return what would go now; it may read for long."""
        ...

    def find_oldest(self, tx: Tx) -> int | None:
        """Return the oldest instant (ms) of what is kept, or None."""
        ...

    async def step(self, now_ms: int, limit: int) -> Step:
        """Drop up to ``limit`` rows that are due, in one transaction."""
        ...


class PlannedTier(NamedTuple):
    """A tier, and what would go of it now."""

    name: str
    kept_days: int
    aged: Aged


class Asked(msgspec.Struct, frozen=True):
    """A round that somebody asked for."""

    round_id: str
    by: str
    request_id: str | None


class Round(msgspec.Struct, frozen=True):
    """A round over all tiers: what it found due, what it dropped (rows by tier), how it went.

    ``longest_hold_s`` is the longest that one of its transactions held the writer.
    """

    round_id: str
    by: str
    started_ms: int
    request_id: str | None = None
    done_ms: int | None = None
    due: dict[str, int] = {}
    dropped: dict[str, int] = {}
    longest_hold_s: float = 0.0


class Retention:
    """Rounds over ``tiers``; ``turn`` is to be called every second on the node on duty."""

    def __init__(self, database: Database, clock: Clock, tiers: Sequence[Tier]) -> None:
        self._database = database
        self._clock = clock
        self._begun_ms = clock.now_ms()
        self._not_before_ms = 0
        self._tiers = tuple(tier for tier in tiers if tier.kept_days)
        self._all = tuple(tiers)
        self.dropped: dict[str, int] = dict.fromkeys((tier.name for tier in tiers), 0)
        """Rows dropped since the start, by tier."""
        self.oldest_ms: dict[str, int] = {}
        """The oldest instant (ms) of what is kept, by tier, as of the last round here."""
        self.longest_hold_s = 0.0
        """The longest that a transaction of any round here held the writer (s)."""

    async def plan(self) -> list[PlannedTier]:
        """Return what would go now, tier by tier; nothing of what is kept for ever."""
        now_ms = self._clock.now_ms()
        return [
            PlannedTier(
                tier.name,
                tier.kept_days,
                await self._database.read(tier.plan, now_ms) if tier.kept_days else Aged(),
            )
            for tier in self._all
        ]

    async def ask(self, by: Actor) -> Round:
        """Ask the node on duty for a round; return it as it is before its start."""
        asked = Asked(new_id("ret"), by.name, by.request_id)
        await self._database.write(_note_asked, asked, self._clock.now_ms())
        return Round(asked.round_id, asked.by, 0)

    async def find_round(self) -> Round | None:
        """Return the round that was asked for, or else the last there was; None before any."""
        asked, last = await self._database.read(_read)
        return last if asked is None else Round(asked.round_id, asked.by, 0)

    async def turn(self) -> None:
        """Make a round where one was asked for, was cut off, or is due.

        One that failed is tried again a minute later.
        """
        if self._clock.now_ms() < self._not_before_ms:
            return
        try:
            await self._make_due_round()
        except Exception:
            self._not_before_ms = self._clock.now_ms() + _AFTER_FAILURE_MS
            raise

    async def _make_due_round(self) -> None:
        asked, last = await self._database.read(_read)
        now_ms = self._clock.now_ms()
        if asked is not None:
            await self._go_round(Round(asked.round_id, asked.by, now_ms, asked.request_id))
        elif last is not None and last.done_ms is None:
            await self._go_round(last)
        elif now_ms - (self._begun_ms if last is None else last.started_ms) >= EVERY_MS:
            await self._go_round(Round(new_id("ret"), PLATFORM.name, now_ms))

    async def _go_round(self, begun: Round) -> None:
        due = {}
        if begun.by != PLATFORM.name:  # who asked looks on
            due = {tier.name: tier.aged.rows for tier in await self.plan() if tier.kept_days}
        state = msgspec.structs.replace(begun, due=due)
        await self._database.write(_note_begin, state)
        for tier in self._tiers:
            state = await self._drop(tier, state)
        self.oldest_ms = await self._database.read(self._find_oldest)
        await self._database.write(_note_end, state, self._clock.now_ms())

    async def _drop(self, tier: Tier, state: Round) -> Round:
        """Drop what is due of a tier, step by step."""
        tier.begin()
        limit, more, noted_ms = _FIRST, True, self._clock.now_ms()
        while more:
            begun_s = self._clock.monotonic_s()
            step = await self._step(tier, limit)
            took_s = self._clock.monotonic_s() - begun_s
            more = step.more
            limit = _next_limit(limit, step.held_s)
            self.dropped[tier.name] += step.rows
            self.longest_hold_s = max(self.longest_hold_s, step.held_s)
            state = _count(state, tier.name, step)
            now_ms = self._clock.now_ms()
            if now_ms - noted_ms >= _NOTE_EVERY_MS:
                noted_ms = now_ms
                await self._database.write(_note_round, state)
            await asyncio.sleep(max(_SHORTEST_REST_S, took_s * _REST))
        return state

    async def _step(self, tier: Tier, limit: int) -> Step:
        """Make a step; where the store has no room for it now, a little later."""
        for _ in range(_BUSY_TIMES):
            try:
                return await tier.step(self._clock.now_ms(), limit)
            except (TooManyRequests, Unavailable) as error:
                log.info("retention.waits", tier=tier.name, reason=error.message)
                await asyncio.sleep(_BUSY_REST_S)
        return await tier.step(self._clock.now_ms(), limit)

    def _find_oldest(self, tx: Tx) -> dict[str, int]:
        found = {tier.name: tier.find_oldest(tx) for tier in self._all}
        return {name: oldest_ms for name, oldest_ms in found.items() if oldest_ms is not None}


def _next_limit(limit: int, held_s: float) -> int:
    """Return how many rows the next step may take, given how long this one held the writer."""
    if held_s > _SLOW_S:
        return max(_FEWEST, limit // 2)
    return min(_MOST, limit * 2) if held_s < _QUICK_S else limit


def _count(state: Round, tier: str, step: Step) -> Round:
    dropped = state.dropped | {tier: state.dropped.get(tier, 0) + step.rows}
    longest_s = max(state.longest_hold_s, step.held_s)
    return msgspec.structs.replace(state, dropped=dropped, longest_hold_s=longest_s)


def _read(tx: Tx) -> tuple[Asked | None, Round | None]:
    asked, last = find_instance_value(tx, _ASKED), find_instance_value(tx, _ROUND)
    return (
        msgspec.json.decode(asked, type=Asked) if asked else None,
        msgspec.json.decode(last, type=Round) if last else None,
    )


def _note_begin(tx: Tx, state: Round) -> None:
    asked, _ = _read(tx)
    if asked is not None and asked.round_id == state.round_id:
        note_instance_value(tx, _ASKED, "")
    _note_round(tx, state)


def _note_round(tx: Tx, state: Round) -> None:
    note_instance_value(tx, _ROUND, msgspec.json.encode(state).decode())


def _note_asked(tx: Tx, asked: Asked, now_ms: int) -> None:
    note_instance_value(tx, _ASKED, msgspec.json.encode(asked).decode())
    resource = ("retention", asked.round_id)
    record(tx, asked.by, "retention.round_asked", *resource, None, asked.request_id, now_ms)


def _note_end(tx: Tx, state: Round, now_ms: int) -> None:
    """Keep the outcome; the audit log hears of rounds that were asked for or dropped something."""
    _note_round(tx, msgspec.structs.replace(state, done_ms=now_ms))
    dropped = {name: rows for name, rows in state.dropped.items() if rows}
    if dropped or state.by != PLATFORM.name:
        resource = ("retention", state.round_id)
        record(
            tx, state.by, "retention.kept", *resource, None, None, now_ms, dropped=dropped,
        )  # fmt: skip
