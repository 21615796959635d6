"""Durable telemetry with detection, against the same without, in one run.

    python -m bench.detectors [--seconds 4] [--rounds 5]

Both servers have the same core, and take turns under the load of sessions that charge, one charger
in a hundred over its temperature threshold. What one unremarkable sample costs the lookout is
measured by itself.
"""

import argparse
import asyncio
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from bench.figures import Figure, at_most, format_figures, middle
from bench.processes import Server
from bench.tellus_server import register, tellus
from bench.wrk import Load, Outcome, require_wrk, run_wrk
from tellus.diagnostics.catalogue.faults import FaultDictionary
from tellus.diagnostics.lookout import Lookout
from tellus.diagnostics.thresholds import Thresholds
from tellus.fleet.catalogue import Catalogue
from tellus.fleet.directory import Directory
from tellus.fleet.model import Reading
from tellus.kernel.clock import SystemClock
from tellus.storage.sqlite import SQLiteDatabase
from tellus.telemetry.rules import make_sample

RUNNER = "detectors"
CHARGERS = 256
CONNECTIONS = 64
WITH, WITHOUT = "with detection", "without"
SETTLES_S = 4.0
_PATH = "/v1/device/telemetry"
_GOAL = 1.1
_GOAL_US = 0.5
_LOOKED_AT = 200_000
_CONTENT = """
local body = [[{"timestamp":"%s.%03dZ","connector_id":1,"state":"charging","voltage":401.2,]]
  .. [["current":125.4,"power":50.3,"energy_delivered":3.5,"soc":40,"temperature":%.1f,]]
  .. [["phase_details":{"phase_a":{"voltage":230.1,"current":72.4},]]
  .. [["phase_b":{"voltage":229.8,"current":72.6},"phase_c":{"voltage":230.4,"current":72.1}}}]]

local function content(device, time_ms, count)
  local second = math.floor(time_ms / 1000)
  if second ~= device.second then
    device.second = second
    device.text = os.date("!%Y-%m-%dT%H:%M:%S", second)
  end
  if device.temperature == nil then
    device.temperature = 35.6
    if math.random(100) == 1 then device.temperature = 79.2 end
  end
  return string.format(body, device.text, time_ms % 1000, device.temperature)
end
"""


@dataclass
class Side:
    """A server, and what its turns came to."""

    name: str
    server: Server
    tokens: list[str]
    turns: list[Outcome] = field(default_factory=list)
    spent_us: list[float] = field(default_factory=list)

    def run(self, folder: Path, seconds: float) -> None:
        """Take a turn; the processor time counts until what it left to look at is looked at."""
        before_s = self.server.processor_s()
        load = Load(self.server.url, _PATH, self.tokens, CONNECTIONS, seconds, _CONTENT)
        outcome = run_wrk(load, folder, seed=len(self.turns) + 1)
        time.sleep(SETTLES_S)
        self.turns.append(outcome)
        spent_s = self.server.processor_s() - before_s
        self.spent_us.append(spent_s * 1e6 / max(1, outcome.requests))


def measure(seconds: float = 4.0, rounds: int = 3) -> list[Figure]:
    """Let both sides take turns; raises SkippedError without wrk."""
    require_wrk()
    with tempfile.TemporaryDirectory(prefix="tellus-bench-") as name, ExitStack() as running:
        folder = Path(name)
        sides = [_start(running, folder, WITH, "true"), _start(running, folder, WITHOUT, "false")]
        for side in sides:
            side.run(folder, 1.0)
            side.turns.clear()
            side.spent_us.clear()
        for number in range(rounds):
            for side in sides if number % 2 else sides[::-1]:
                side.run(folder, seconds)
        figures = _report(*sides)
    return [*figures, at_most(RUNNER, "one unremarkable sample", look_us(), "us", _GOAL_US)]


def look_us() -> float:
    """Return what an unremarkable sample costs the lookout (µs), the middle of some rounds."""
    thresholds = Thresholds(FaultDictionary.load(), Catalogue.load())
    database = SQLiteDatabase.open(Path("unopened"), clock=SystemClock())
    lookout = Lookout(database, Directory(), SystemClock(), thresholds)
    reading = Reading("charging", 401.2, 125.4, 50.3, 3.5, 40, 35.6)
    samples = [make_sample(1, 1, 1_000, 1_000, reading)] * 1_000
    spent = []
    for _ in range(7):
        began_s = time.process_time()
        for _ in range(_LOOKED_AT // len(samples)):
            lookout.on_samples(samples)
        spent.append((time.process_time() - began_s) * 1e6 / _LOOKED_AT)
    return middle(spent)


def _start(running: ExitStack, folder: Path, name: str, enabled: str) -> Side:
    place = folder / name.replace(" ", "-")
    place.mkdir()
    server = running.enter_context(
        tellus(place, environment={"TELLUS_DIAGNOSTICS__ENABLED": enabled})
    )
    chargers = asyncio.run(register(server.port, CHARGERS))
    return Side(name, server, [charger.token for charger in chargers])


def _report(ours: Side, theirs: Side) -> list[Figure]:
    figures = []
    for side in (ours, theirs):
        rate = middle(turn.per_s for turn in side.turns)
        figures += [
            Figure(RUNNER, side.name, rate, "requests/s"),
            Figure(RUNNER, f"{side.name}, processor time each", middle(side.spent_us), "us"),
        ]
    spent = zip(ours.spent_us, theirs.spent_us, strict=True)
    by_time = middle(one / other for one, other in spent)
    pairs = zip(ours.turns, theirs.turns, strict=True)
    by_rate = middle(one.per_s / max(1.0, other.per_s) for one, other in pairs)
    refused = sum(turn.refused + turn.broken for turn in ours.turns)
    return [
        *figures,
        at_most(RUNNER, "with / without, by processor time", by_time, "ratio", _GOAL),
        Figure(RUNNER, "with / without, by requests/s", by_rate, "ratio"),
        at_most(RUNNER, "refused or broken requests", refused, "", 0),
    ]


def main() -> None:
    """Read the arguments, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--seconds", type=float, default=4.0, help="per turn")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    print(format_figures(measure(given.seconds, given.rounds)))


if __name__ == "__main__":
    main()
