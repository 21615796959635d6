"""Durable telemetry where chargers tell of their parts, and where they do not, in one run.

    python -m bench.component_health [--seconds 6] [--rounds 5]

Three servers have the same core and take turns: one whose chargers tell of no parts, one that
would not keep any of that, and one whose chargers tell of all their parts with every sample.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from bench.figures import Figure, at_least, at_most, format_figures, middle
from bench.processes import Server
from bench.tellus_server import register, tellus
from bench.wrk import Load, Outcome, require_wrk, run_wrk

RUNNER = "component_health"
CHARGERS = 256
CONNECTIONS = 64
WITHOUT, BEFORE, WITH = "samples without health", "the same, none kept", "samples with health"
_PATH = "/v1/device/telemetry"
_GOAL = 0.97
_SETTLE_S = 3.0
_FLUSH_S = "2"
_CONTENT = """
local body = [[{"timestamp":"%%s.%%03dZ","connector_id":1,"state":"charging","voltage":401.2,]]
  .. [["current":125.4,"power":50.3,"energy_delivered":12.345,"soc":40,"temperature":35.6,]]
  .. [["phase_details":{"phase_a":{"voltage":230.1,"current":72.4},]]
  .. [["phase_b":{"voltage":229.8,"current":72.6},"phase_c":{"voltage":230.4,"current":72.1}}%s}]]

local function content(device, time_ms, count)
  local second = math.floor(time_ms / 1000)
  if second ~= device.second then
    device.second = second
    device.text = os.date("!%%Y-%%m-%%dT%%H:%%M:%%S", second)
  end
  return string.format(body, device.text, time_ms %% 1000)
end
"""
_PARTS = (
    ',"component_health":{"contactor_cycles":41250,"contactor_max_cycles":100000,'
    '"cooling_fan_rpm":1790,"cooling_fan_status":"ok","internal_temps":{"power_module":51.5,'
    '"control_board":39.5,"ac_inlet":33.0,"dc_outlet":44.5},"relay_state":"closed",'
    '"isolation_test_kohms":1520,"last_isolation_test":"2026-03-14T09:00:00Z"}'
)
_IDLE = """
from tellus.health import folder, service
async def rest(self): pass
for name in ("on_samples", "on_durable"):
    setattr(folder.Folder, name, lambda self, *_: None)
start = service.HealthService.__init__
def quiet(self, database, telemetry, *rest):
    start(self, database, telemetry, *rest)
    telemetry.kind.in_tx.remove(self.folder.on_samples)
    telemetry.kind.told.remove(self.folder.on_durable)
service.HealthService.__init__ = quiet
service.HealthService.turn = service.HealthService.upkeep = rest
"""
_RUN = """
from tellus.cli import main
main(prog_name="tellus")
"""


@dataclass
class Side:
    """A server, what its chargers send, and what its turns came to."""

    name: str
    server: Server
    tokens: list[str]
    content: str
    turns: list[Outcome] = field(default_factory=list)
    spent_us: list[float] = field(default_factory=list)

    def run(self, folder: Path, seconds: float) -> None:
        """Take a turn; the processor time counts until what came in it is stored by the minute."""
        before_s = self.server.processor_s()
        load = Load(self.server.url, _PATH, self.tokens, CONNECTIONS, seconds, self.content)
        outcome = run_wrk(load, folder, seed=len(self.turns) + 1)
        time.sleep(_SETTLE_S)
        self.turns.append(outcome)
        spent_s = self.server.processor_s() - before_s
        self.spent_us.append(spent_s * 1e6 / max(1, outcome.requests))


def measure(seconds: float = 4.0, rounds: int = 3) -> list[Figure]:
    """Let all sides take turns; raises SkippedError without wrk."""
    require_wrk()
    with tempfile.TemporaryDirectory(prefix="tellus-bench-") as name, ExitStack() as running:
        folder = Path(name)
        sides = [
            _start(running, folder, WITHOUT, "", ""),
            _start(running, folder, BEFORE, _IDLE, ""),
            _start(running, folder, WITH, "", _PARTS),
        ]
        for side in sides:
            side.run(folder, 1.0)
            side.turns.clear()
            side.spent_us.clear()
        for number in range(rounds):
            for side in sides if number % 2 else sides[::-1]:
                side.run(folder, seconds)
        return _report(*sides)


def _start(running: ExitStack, folder: Path, name: str, source: str, parts: str) -> Side:
    place = folder / name.replace(" ", "-").replace(",", "")
    place.mkdir()
    program = place / "program.py"
    program.write_text(source + _RUN)
    server = running.enter_context(
        tellus(
            place,
            program=[sys.executable, str(program)],
            environment={"TELLUS_HEALTH__FLUSH_S": _FLUSH_S, "TELLUS_HEALTH__PATIENCE_S": "0"},
        )
    )
    chargers = asyncio.run(register(server.port, CHARGERS))
    return Side(name, server, [charger.token for charger in chargers], _CONTENT % parts)


def _report(without: Side, before: Side, told: Side) -> list[Figure]:
    figures = []
    for side in (without, before, told):
        rate = middle(turn.per_s for turn in side.turns)
        figures += [
            Figure(RUNNER, side.name, rate, "requests/s"),
            Figure(RUNNER, f"{side.name}, processor time each", middle(side.spent_us), "us"),
        ]
    refused = sum(turn.refused + turn.broken for turn in (*without.turns, *told.turns))
    by_rate, by_time = _compare(without, before)
    told_by_rate, told_by_time = _compare(told, without)
    return [
        *figures,
        at_least(RUNNER, "without health / before, by requests/s", by_rate, "ratio", _GOAL),
        Figure(RUNNER, "without health / before, by a processor second", by_time, "ratio"),
        Figure(RUNNER, "with health / without, by requests/s", told_by_rate, "ratio"),
        Figure(RUNNER, "with health / without, by a processor second", told_by_time, "ratio"),
        at_most(RUNNER, "refused or broken requests", refused, "", 0),
    ]


def _compare(one: Side, other: Side) -> tuple[float, float]:
    """Return the ratio of what both served, a second and a second of processor time."""
    pairs: Iterable[tuple[Outcome, Outcome]] = zip(one.turns, other.turns, strict=True)
    by_rate = middle(mine.per_s / max(1.0, theirs.per_s) for mine, theirs in pairs)
    spent = zip(one.spent_us, other.spent_us, strict=True)
    return by_rate, middle(theirs / mine for mine, theirs in spent)


def main() -> None:
    """Read the arguments, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--seconds", type=float, default=6.0, help="per turn")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    print(format_figures(measure(given.seconds, given.rounds)))


if __name__ == "__main__":
    main()
