"""What counting who reads what takes from queries, in one run.

    python -m bench.readers [--seconds 3] [--rounds 5]

Both servers have the same core and take turns at answering an operator's client: a device, and a
page of a hundred devices. One counts each read by reader, device and day; the other counts nothing.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from bench.figures import Figure, at_least, format_figures, middle
from bench.processes import Server
from bench.tellus_server import client_tokens, register, tellus
from bench.wire import HttpConnection, call, get

RUNNER = "readers"
DEVICES = 100
CONNECTIONS = 16
WITH, WITHOUT = "reads counted", "reads not counted"
_GOAL = 0.97
_LIMIT_SCALE = 20_000
_SILENT = """
from tellus.surfaces import reading
reading.ReadAccounting.count = lambda self, *_: False
"""
_RUN = """
from tellus.cli import main
main(prog_name="tellus")
"""


@dataclass
class Side:
    """A server, and what its turns came to by what was asked for."""

    name: str
    server: Server
    token: str
    paths: dict[str, str]
    spent_us: dict[str, list[float]] = field(default_factory=dict)
    per_s: dict[str, list[float]] = field(default_factory=dict)

    def run(self, seconds: float) -> None:
        """Take a turn with each path."""
        for what, path in self.paths.items():
            before_s = self.server.processor_s()
            answered = asyncio.run(self._ask(path, seconds))
            spent_s = self.server.processor_s() - before_s
            self.spent_us.setdefault(what, []).append(spent_s * 1e6 / max(1, answered))
            self.per_s.setdefault(what, []).append(answered / seconds)

    async def _ask(self, path: str, seconds: float) -> int:
        request = get(path, self.token)
        until_s = time.perf_counter() + seconds
        answered = 0

        async def work() -> None:
            nonlocal answered
            connection = await HttpConnection.open(self.server.port)
            while time.perf_counter() < until_s:
                await call(connection, request)
                answered += 1
            connection.close()

        await asyncio.gather(*(work() for _ in range(CONNECTIONS)))
        return answered


def measure(seconds: float = 2.0, rounds: int = 3) -> list[Figure]:
    """Let both sides take turns."""
    with tempfile.TemporaryDirectory(prefix="tellus-bench-") as name, ExitStack() as running:
        folder = Path(name)
        sides = [_start(running, folder, WITH, ""), _start(running, folder, WITHOUT, _SILENT)]
        for side in sides:
            side.run(0.5)
            side.spent_us.clear()
            side.per_s.clear()
        for number in range(rounds):
            for side in sides if number % 2 else sides[::-1]:
                side.run(seconds)
        return _report(*sides)


def _start(running: ExitStack, folder: Path, name: str, source: str) -> Side:
    place = folder / name.replace(" ", "-")
    place.mkdir()
    program = place / "program.py"
    program.write_text(source + _RUN)
    server = running.enter_context(
        tellus(place, program=[sys.executable, str(program)], limit_scale=_LIMIT_SCALE)
    )
    chargers = asyncio.run(register(server.port, DEVICES))
    (token,) = asyncio.run(client_tokens(place, server.port))
    paths = {
        "a device": f"/v1/operator/devices/{chargers[0].device_id}",
        "a page of devices": f"/v1/operator/devices?size={DEVICES}",
    }
    return Side(name, server, token, paths)


def _report(ours: Side, theirs: Side) -> list[Figure]:
    figures = []
    for what in ours.paths:
        for side in (ours, theirs):
            label = f"{what}, {side.name}"
            figures += [
                Figure(RUNNER, label, middle(side.per_s[what]), "requests/s"),
                Figure(RUNNER, f"{label}, processor time", middle(side.spent_us[what]), "us"),
            ]
        pairs = zip(ours.spent_us[what], theirs.spent_us[what], strict=True)
        ratio = middle(other / one for one, other in pairs)
        label = f"{what}, counted / not, by a processor second"
        figures.append(at_least(RUNNER, label, ratio, "ratio", _GOAL))
    return figures


def main() -> None:
    """Read the arguments, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--seconds", type=float, default=3.0, help="per turn")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    print(format_figures(measure(given.seconds, given.rounds)))


if __name__ == "__main__":
    main()
