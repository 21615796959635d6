"""How much of what goes wrong is found, and how much of what is found is wrong."""

import asyncio
import inspect
import secrets
from collections import Counter
from pathlib import Path
from random import Random
from typing import NamedTuple

import pytest

from tellus.alerts.model import Alert
from tellus.diagnostics import detectors, upstream
from tellus.diagnostics.model import UNTOLD
from tests.reliability.detection_decoys import DECOYS
from tests.reliability.detection_scenarios import LENGTH_S, PLOTS, Found, Scenario
from tests.reliability.detection_world import DetectionWorld

SCENARIOS = 200
STEP_S = 15.0
AT_ONCE = 64
LEAST_RECALL, LEAST_PRECISION = 0.95, 0.90


async def cast(world: DetectionWorld, rng: Random, count: int) -> list[Scenario]:
    """Scenarios of every plot in turn, each with two decoys at the same site or another."""
    names = sorted(PLOTS)
    scenarios = []
    for number in range(count):
        scenario = Scenario(world, Random(rng.random()), names[number % len(names)])
        site_id = await world.add_site()
        await PLOTS[scenario.name](scenario, site_id, rng.uniform(200, 560))
        for decoy in rng.sample(DECOYS, 2):
            scenario.decoys.append(decoy.__name__)
            place = site_id if rng.random() < 0.3 else await world.add_site()
            await decoy(scenario, place, rng.uniform(200, 900))
        scenarios.append(scenario)
    return scenarios


async def perform(world: DetectionWorld, scenarios: list[Scenario]) -> None:
    """Let all of it happen side by side."""
    script = sorted(
        (entry for scenario in scenarios for entry in scenario.script), key=lambda one: one[0]
    )
    chargers = [charger for scenario in scenarios for charger in scenario.chargers]
    began_ms, done = world.now_ms, 0
    now_s = 0.0
    while now_s < LENGTH_S:
        end_s = now_s + STEP_S
        while done < len(script) and script[done][0] <= end_s:
            when_s, do = script[done]
            world.clock.advance(max(0.0, when_s - (world.now_ms - began_ms) / 1000))
            doing = do()
            if inspect.isawaitable(doing):
                await doing
            done += 1
        world.clock.advance(max(0.0, end_s - (world.now_ms - began_ms) / 1000))
        now_s = end_s
        sent = [work for one in chargers for work in one.work(world, now_s, STEP_S)]
        for first in range(0, len(sent), AT_ONCE):
            await asyncio.gather(*sent[first : first + AT_ONCE])
        await world.look()


def tell(alert: Alert, numbers: dict[str, int]) -> Found:
    """What an alert says, as scenarios say what they expect."""
    if alert.code == "site_network":
        return (alert.code, alert.site_id, 0)
    if alert.code == "grid":
        members = {numbers[one["device_id"]] for one in alert.evidence["devices"]}
        return (alert.code, tuple(sorted(members)), 0)
    return (alert.code, alert.device_no, alert.connector_id)


def explain(scenarios: list[Scenario], missed: set[Found], false: set[Found]) -> str:
    """Whose the mistakes are."""
    lines = [
        f"missed {found} of {one.name}" for one in scenarios for found in one.expected & missed
    ]
    for code, about, connector_id in sorted(false, key=str):
        owner = [
            f"{one.name} with {one.decoys}, charger {k} of {len(one.chargers)}"
            for one in scenarios
            for k, charger in enumerate(one.chargers)
            if about in (charger.device.device_no, charger.device.site_id)
        ]
        lines.append(f"false {code} {about}/{connector_id}: {owner[:1]}")
    return "\n".join(lines)


class Outcome(NamedTuple):
    """What came of scenarios: all that was to be found and all that was, and whose mistakes."""

    recall: float
    precision: float
    alerts: int
    doubles: list[Found]
    mistakes: str


def play(data_dir: Path, seed: int, count: int) -> Outcome:
    """Let scenarios happen on a platform of their own."""

    async def run() -> tuple[list[Scenario], list[Found]]:
        world = DetectionWorld(data_dir)
        await world.start()
        try:
            scenarios = await cast(world, Random(seed), count)
            await perform(world, scenarios)
            numbers = {device.device_id: device.device_no for device in world.platform.directory}
            return scenarios, [tell(alert, numbers) for alert in await world.alerts()]
        finally:
            await world.stop()

    scenarios, found = asyncio.run(run())
    expected = {one for scenario in scenarios for one in scenario.expected}
    hits = expected & set(found)
    return Outcome(
        len(hits) / len(expected),
        len(hits) / max(1, len(found)),
        len(found),
        [one for one, times in Counter(found).items() if times > 1],
        explain(scenarios, expected - hits, set(found) - hits),
    )


def test_detection__200_scenarios_with_decoys__finds_what_is_there_and_little_else(
    tmp_path: Path,
) -> None:
    """At least 95% of what is wrong is found, and at least 90% of what is found is wrong."""
    seed = secrets.randbits(32)
    outcome = play(tmp_path / "data", seed, SCENARIOS)
    said = f"seed {seed}: recall {outcome.recall:.3f}, precision {outcome.precision:.3f}"
    print(f"{said}, {outcome.alerts} alerts\n{outcome.mistakes}")
    assert outcome.recall >= LEAST_RECALL, f"{said}\n{outcome.mistakes}"
    assert outcome.precision >= LEAST_PRECISION, f"{said}\n{outcome.mistakes}"
    assert not outcome.doubles, f"{said}: told twice: {outcome.doubles}"


def test_detection__deaf_detectors__are_caught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A platform that never judges a fan or a weld does not find enough."""
    for name in ("f_0101", "f_0601"):
        monkeypatch.setattr(detectors, name, lambda *_: UNTOLD)
    outcome = play(tmp_path / "data", secrets.randbits(32), len(PLOTS))
    print(f"recall {outcome.recall:.3f}")
    assert outcome.recall < LEAST_RECALL


def test_detection__blind_to_upstream__is_caught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A platform that takes an outage of a site for so many chargers finds too much."""
    monkeypatch.setattr(upstream, "site_network", lambda *_: [])
    monkeypatch.setattr(upstream, "grid", lambda *_: [])
    outcome = play(tmp_path / "data", secrets.randbits(32), len(PLOTS))
    print(f"precision {outcome.precision:.3f}")
    assert outcome.precision < LEAST_PRECISION
