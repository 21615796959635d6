"""A day of a depot: what its chargers have to tell of energy, with clocks that jump.

Everything stands here as it is uploaded, in order of time and once; who uploads it may do worse.
"""

import random
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple

SECOND_MS, MINUTE_MS, HOUR_MS, DAY_MS = 1_000, 60_000, 3_600_000, 86_400_000
BACK_MS = 26 * HOUR_MS

SAMPLES, EVENTS, RECORDS = "telemetry", "events", "charging-records"


class Fact(NamedTuple):
    """One upload: when it happened by the charger's clock, what kind it is, its body."""

    time_ms: int
    kind: str
    body: dict[str, Any]


class Plan(NamedTuple):
    """What one charger has to tell: of the past, and of the seconds to come."""

    past: list[Fact]
    live: list[Fact]

    @property
    def facts(self) -> list[Fact]:
        """All of it in order of time."""
        return sorted(self.past + self.live, key=lambda fact: (fact.time_ms, fact.kind))


def write_time(time_ms: int) -> str:
    """A moment as chargers write it, to the millisecond."""
    moment = datetime.fromtimestamp(time_ms / 1_000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{time_ms % 1_000:03d}Z"


def plan_charger(number: int, now_ms: int, step_ms: int, live_ms: int) -> Plan:
    """Plan a charger: more than a day up to ``now_ms``, then ``live_ms`` more as it happens."""
    rng = random.Random(number)
    past: list[Fact] = []
    at_ms = now_ms - BACK_MS + rng.randrange(HOUR_MS)
    until_ms = now_ms - 10 * MINUTE_MS
    while at_ms < until_ms:
        session = _Session(rng, f"r{number}-{len(past)}", at_ms, step_ms)
        end_ms = min(until_ms, at_ms + rng.randrange(10 * MINUTE_MS, 4 * HOUR_MS))
        past += session.until(end_ms)
        at_ms = end_ms + rng.randrange(2 * MINUTE_MS, HOUR_MS)
    past += [fact for fact in _jumps(rng, past, number) if _is_plain(fact.time_ms, now_ms)]
    last = _Session(rng, f"r{number}-live", now_ms - 5 * MINUTE_MS, step_ms)
    past += [*last.begin(), *last.samples(now_ms)]
    return Plan(past, list(last.samples(now_ms + live_ms, 250)))


def _is_plain(time_ms: int, now_ms: int) -> bool:
    """Whether a clock is judged alike however long the upload takes."""
    return not now_ms - MINUTE_MS <= time_ms <= now_ms + HOUR_MS


def _jumps(rng: random.Random, facts: list[Fact], number: int) -> Iterator[Fact]:
    """Stretches of samples and an event whose clock was wrong by hours, or a year, either way."""
    samples = [fact for fact in facts if fact.kind == SAMPLES]
    for by_ms in (
        2 * HOUR_MS,
        27 * HOUR_MS,
        366 * DAY_MS,
        -3 * HOUR_MS,
        -5 * DAY_MS,
        -366 * DAY_MS,
    ):
        first = rng.randrange(len(samples) // 2, len(samples) - 12)
        for fact in samples[first : first + 12]:
            # A little beside the hour, so that what jumped back meets nothing of the same instant.
            time_ms = fact.time_ms + by_ms + 137
            yield Fact(time_ms, SAMPLES, fact.body | {"timestamp": write_time(time_ms)})
        yield _event(samples[first].time_ms + by_ms, "stop")
    ahead_ms = samples[-1].time_ms + 3 * DAY_MS
    yield _record(f"ahead-{number}", ahead_ms, ahead_ms + HOUR_MS, 12.5)
    yield _record(f"backwards-{number}", samples[-1].time_ms, samples[0].time_ms, 3.25)


class _Session:
    """One session: what the charger says while it lasts, and its record."""

    def __init__(self, rng: random.Random, name: str, start_ms: int, step_ms: int) -> None:
        self._rng = rng
        self._name = name
        self._start_ms = self._at_ms = start_ms
        self._step_ms = step_ms
        self._energy_kwh = 0.0
        self._heading = rng.choice((1, 1, 1, -1))

    def begin(self) -> list[Fact]:
        """What is told at the start."""
        return [_event(self._start_ms, "start")] if self._rng.random() < 0.8 else []

    def until(self, end_ms: int) -> list[Fact]:
        """The whole session: begun, sampled, ended one way or another, and mostly recorded."""
        facts = [*self.begin(), *self.samples(end_ms)]
        if self._rng.random() < 0.6:
            facts.append(_event(end_ms, "stop"))
        if self._rng.random() < 0.6:
            idle_ms = end_ms + self._rng.randrange(1, MINUTE_MS)
            facts.append(_sample(idle_ms, "idle", 0.0, self._energy_kwh))
        if self._rng.random() < 0.6:
            energy_kwh = self._heading * self._energy_kwh * self._rng.uniform(0.97, 1.06)
            facts.append(_record(self._name, self._start_ms, end_ms, energy_kwh))
        return facts

    def samples(self, until_ms: int, step_ms: int = 0) -> Iterator[Fact]:
        """Samples up to a moment; some with a dip, a reset or a power that nobody believes."""
        step_ms = step_ms or self._step_ms
        while self._at_ms + step_ms < until_ms:
            self._at_ms += step_ms
            power_kw = self._heading * self._rng.uniform(20, 140)
            self._energy_kwh += abs(power_kw) * step_ms / HOUR_MS
            told_kwh, chance = self._energy_kwh, self._rng.random()
            if chance < 0.01:
                told_kwh = 0.0
            elif chance < 0.015:
                self._energy_kwh = told_kwh = 0.0
            elif chance < 0.02:
                power_kw = self._heading * 90_000.0
            if self._rng.random() < 0.03:
                continue  # never told
            state = "charging" if self._heading > 0 else "discharging"
            yield _sample(self._at_ms, state, power_kw, told_kwh)


def _sample(time_ms: int, state: str, power_kw: float, energy_kwh: float) -> Fact:
    body = {
        "timestamp": write_time(time_ms), "connector_id": 1, "state": state,
        "voltage": 401.0, "current": round(power_kw / 0.4, 1), "power": round(power_kw, 2),
        "energy_delivered": round(energy_kwh, 3),
    }  # fmt: skip
    body["current"] = max(-100_000.0, min(100_000.0, body["current"]))  # type: ignore[type-var]
    return Fact(time_ms, SAMPLES, body)


def _event(time_ms: int, kind: str) -> Fact:
    body = {"timestamp": write_time(time_ms), "connector_id": 1, "event_type": kind, "data": {}}
    return Fact(time_ms, EVENTS, body)


def _record(name: str, start_ms: int, end_ms: int, energy_kwh: float) -> Fact:
    energy_kwh = round(energy_kwh, 3)
    body = {
        "record_id": name, "connector_id": 1, "start_time": write_time(start_ms),
        "end_time": write_time(end_ms), "energy": energy_kwh, "max_power": 150.0,
        "avg_power": 50.0, "meter_start": 1000.0, "meter_end": round(1000.0 + energy_kwh, 3),
    }  # fmt: skip
    return Fact(end_ms, RECORDS, body)
