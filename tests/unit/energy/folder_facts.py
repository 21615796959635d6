"""Facts of a few hours that are as odd as chargers can be, made from a seed."""

from collections.abc import Awaitable, Callable
from random import Random
from typing import Any

from tellus.fleet.model import EventType
from tellus.kernel.units import HOUR_MS, MINUTE_MS, SECOND_MS
from tests.unit.energy.folder_world import NOON_MS, FolderWorld

Fact = tuple[int, Callable[[FolderWorld], Awaitable[None]]]
"""When a fact comes at the earliest (ms), and what uploads it to a world."""

_EVENTS = (EventType.START, EventType.STOP, EventType.PLUG_IN, EventType.PLUG_OUT)


def make_facts(seed: int, hours: float = 3.0, connectors: int = 2) -> list[Fact]:
    """Return facts of ``hours`` that end at the world's noon, in order of time."""
    chance = Random(seed)
    facts: list[Fact] = []
    for connector_id in range(1, connectors + 1):
        facts += _of_connector(chance, connector_id, hours)
    return sorted(facts, key=lambda fact: fact[0])


def _of_connector(chance: Random, connector_id: int, hours: float) -> list[Fact]:
    facts: list[Fact] = []
    at_ms = NOON_MS - round(hours * HOUR_MS) + chance.randrange(MINUTE_MS)
    number = 0
    while at_ms < NOON_MS:
        number += 1
        begun_ms = at_ms
        at_ms = _add_session(facts, chance, connector_id, at_ms)
        if chance.random() < 0.6:
            span = (begun_ms + chance.choice((0, 0, 5_000, -5_000)), at_ms)
            facts.append(_record(chance, connector_id, number, span))
        at_ms += chance.choice((1, 60_000, 600_000))
    return facts


def _add_session(facts: list[Fact], chance: Random, connector_id: int, at_ms: int) -> int:
    """Add what a connector says of one session, and of the pause after it."""
    kw = chance.choice((3.0, 7.0, 11.0, -4.0))
    step_ms = chance.choice((5_000, 20_000, 60_000))
    state = "charging" if kw > 0 else "discharging"
    counts_down = kw < 0 and chance.random() < 0.5
    if chance.random() < 0.5:
        facts.append(_sample(at_ms, connector_id, 0.0, 0.0, "idle"))
    if chance.random() < 0.5:
        facts.append(_event(EventType.START, at_ms + chance.randrange(3_000), connector_id))
    stuck = chance.random() < 0.1
    energy_kwh = 0.0
    for _ in range(chance.randrange(1, 60)):
        at_ms += step_ms if chance.random() > 0.03 else 11 * MINUTE_MS
        energy_kwh += 0.0 if stuck else abs(kw) * step_ms / HOUR_MS
        told_kwh = -energy_kwh if counts_down else energy_kwh
        if chance.random() < 0.03:
            told_kwh = 0.0  # a dip, or the beginning of a reset
        if chance.random() < 0.02:
            energy_kwh = 0.0
        power_kw = 500.0 if chance.random() < 0.01 else kw
        said = state if chance.random() > 0.02 else chance.choice(("fault", "unavailable"))
        facts.append(_sample(at_ms, connector_id, round(told_kwh, 6), power_kw, said))
        if chance.random() < 0.02:
            facts.append(_event(chance.choice(_EVENTS), at_ms, connector_id))
    if chance.random() < 0.7:
        facts.append(_event(EventType.STOP, at_ms + chance.randrange(2_000), connector_id))
    at_ms += step_ms
    for _ in range(chance.randrange(3)):
        facts.append(_sample(at_ms, connector_id, round(energy_kwh, 6), 0.0, "idle"))
        at_ms += chance.choice((5 * SECOND_MS, MINUTE_MS))
    return at_ms


def _sample(at_ms: int, connector_id: int, kwh: float, kw: float, state: str) -> Fact:
    async def upload(world: FolderWorld) -> None:
        await world.send(world.sample(at_ms, kwh, kw, state, connector_id=connector_id))

    return at_ms, upload


def _event(kind: EventType, at_ms: int, connector_id: int) -> Fact:
    async def upload(world: FolderWorld) -> None:
        await world.report(kind, at_ms, connector_id=connector_id)

    return at_ms, upload


def _record(chance: Random, connector_id: int, number: int, span: tuple[int, int]) -> Fact:
    kwh = round(chance.uniform(0.1, 9.0), 3)
    record: dict[str, Any] = {"record_id": f"r{connector_id}.{number}"}

    async def upload(world: FolderWorld) -> None:
        await world.record(*span, kwh, connector_id=connector_id, **record)

    return span[1], upload
