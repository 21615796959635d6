"""Durable telemetry with energy summed up beside it, against the same without, in one run.

    python -m bench.energy_ingest [--seconds 6] [--rounds 5]

Both servers have the same core, and take turns. One sums energy up in the background, only with
less distance to the newest samples, so that it is at it during the turn; the other neither marks
what is late nor folds.
"""

import argparse
import asyncio
import sys
import tempfile
import time
import urllib.request
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from bench.figures import Figure, at_least, at_most, format_figures, middle
from bench.processes import Server
from bench.tellus_server import register, tellus
from bench.wrk import Load, Outcome, require_wrk, run_wrk

RUNNER = "energy_ingest"
CHARGERS = 256
CONNECTIONS = 64
WITH, WITHOUT = "energy summed up", "energy left alone"
_PATH = "/v1/device/telemetry"
_GOAL = 0.85
_FOLDED_WITHIN_S = 120.0
# A session of each charger: the counter goes with the power, so that samples are believed.
_CONTENT = """
local body = [[{"timestamp":"%%s.%%03dZ","connector_id":1,"state":"charging","voltage":401.2,]]
  .. [["current":125.4,"power":50.3,"energy_delivered":%%.6f,"soc":40,"temperature":35.6,]]
  .. [["phase_details":{"phase_a":{"voltage":230.1,"current":72.4},]]
  .. [["phase_b":{"voltage":229.8,"current":72.6},"phase_c":{"voltage":230.4,"current":72.1}}}]]

local function content(device, time_ms, count)
  local second = math.floor(time_ms / 1000)
  if second ~= device.second then
    device.second = second
    device.text = os.date("!%%Y-%%m-%%dT%%H:%%M:%%S", second)
  end
  local energy_kwh = 100 + (time_ms - %d) * 50.3 / 3600000
  return string.format(body, device.text, time_ms %% 1000, energy_kwh)
end
"""
_HURRIED = """
from tellus.energy import folder, marks
marks.LATE_MS = folder.LATE_MS = 1_000
folder.SETTLED_MS, folder._ROUND_MS = 2_500, 1_000
"""
_IDLE = """
from tellus.energy import marks, service
async def rest(self): pass
for name in ("on_samples", "on_events", "on_records", "on_durable"):
    setattr(marks.Marker, name, lambda self, *_: None)
for name in ("start", "turn", "watch"):
    setattr(service.EnergyService, name, rest)
"""
_RUN = """
from tellus.cli import main
main(prog_name="tellus")
"""


@dataclass
class Side:
    """A server, and what its turns came to."""

    name: str
    server: Server
    tokens: list[str]
    turns: list[Outcome] = field(default_factory=list)
    spent_us: list[float] = field(default_factory=list)

    def run(self, folder: Path, seconds: float, begun_ms: int) -> None:
        """Take a turn; the processor time counts until all is folded that came in it."""
        before_s = self.server.processor_s()
        load = Load(self.server.url, _PATH, self.tokens, CONNECTIONS, seconds, _CONTENT % begun_ms)
        outcome = run_wrk(load, folder, seed=len(self.turns) + 1)
        if self.name == WITH:
            _wait_until_folded(self.server)
        else:
            time.sleep(1.0)
        self.turns.append(outcome)
        spent_s = self.server.processor_s() - before_s
        self.spent_us.append(spent_s * 1e6 / max(1, outcome.requests))


def read_metric(server: Server, name: str) -> float:
    """Return a metric of a server."""
    with urllib.request.urlopen(f"{server.url}/metrics", timeout=10) as answer:  # noqa: S310 - http
        lines = answer.read().decode().splitlines()
    return float(next(line.split()[-1] for line in lines if line.startswith(f"{name} ")))


def _wait_until_folded(server: Server) -> None:
    """Wait until all samples up to now are in the sums, the late ones as well."""
    ended_s = time.time()
    until_s = ended_s + _FOLDED_WITHIN_S
    while time.time() < until_s:
        behind_s = read_metric(server, "tellus_energy_fold_lag_seconds")
        waiting = read_metric(server, "tellus_energy_marks_waiting")
        if behind_s < time.time() - ended_s and not waiting:
            return
        time.sleep(1.0)
    raise RuntimeError("energy was not summed up in time")


def measure(seconds: float = 4.0, rounds: int = 3) -> list[Figure]:
    """Let both sides take turns; raises SkippedError without wrk."""
    require_wrk()
    with tempfile.TemporaryDirectory(prefix="tellus-bench-") as name, ExitStack() as running:
        folder = Path(name)
        sides = [
            _start(running, folder, WITH, _HURRIED),
            _start(running, folder, WITHOUT, _IDLE),
        ]
        begun_ms = int(time.time() * 1_000)
        for side in sides:  # so that the sessions have begun
            side.run(folder, 1.0, begun_ms)
            side.turns.clear()
            side.spent_us.clear()
        for number in range(rounds):
            for side in sides if number % 2 else sides[::-1]:
                side.run(folder, seconds, begun_ms)
        folded = read_metric(sides[0].server, "tellus_energy_samples_folded_total")
        return _report(*sides, folded)


def _start(running: ExitStack, folder: Path, name: str, source: str) -> Side:
    place = folder / name.replace(" ", "-")
    place.mkdir()
    program = place / "program.py"
    program.write_text(source + _RUN)
    server = running.enter_context(
        tellus(
            place,
            program=[sys.executable, str(program)],
            environment={"TELLUS_ENERGY__TURN_S": "1"},
        )
    )
    chargers = asyncio.run(register(server.port, CHARGERS))
    return Side(name, server, [charger.token for charger in chargers])


def _report(ours: Side, theirs: Side, folded: float) -> list[Figure]:
    figures = []
    for side in (ours, theirs):
        rate = middle(turn.per_s for turn in side.turns)
        figures += [
            Figure(RUNNER, side.name, rate, "requests/s"),
            Figure(RUNNER, f"{side.name}, p99", middle(t.p99_ms for t in side.turns), "ms"),
            Figure(RUNNER, f"{side.name}, processor time each", middle(side.spent_us), "us"),
        ]
    pairs = zip(ours.turns, theirs.turns, strict=True)
    by_rate = middle(one.per_s / max(1.0, other.per_s) for one, other in pairs)
    spent = zip(ours.spent_us, theirs.spent_us, strict=True)
    by_time = middle(other / one for one, other in spent)
    refused = sum(turn.refused + turn.broken for turn in ours.turns)
    sent = sum(turn.requests for turn in ours.turns)
    return [
        *figures,
        at_least(RUNNER, "with / without, by requests/s", by_rate, "ratio", _GOAL),
        Figure(RUNNER, "with / without, by a processor second", by_time, "ratio"),
        Figure(RUNNER, "samples folded, by those sent", folded / max(1, sent), "ratio"),
        at_most(RUNNER, "refused or broken requests", refused, "", 0),
    ]


def main() -> None:
    """Read the arguments, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--seconds", type=float, default=6.0, help="per turn")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    print(format_figures(measure(given.seconds, given.rounds)))


if __name__ == "__main__":
    main()
