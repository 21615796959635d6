"""Two workers on one PostgreSQL beside one, in the same run: durable telemetry POSTs a second.

Workers have two processor cores, PostgreSQL and the load one each, so four are needed.

    python -m bench.workers [--seconds 3] [--rounds 3] [--connections 64,256]
"""

import argparse
import asyncio
import os
import tempfile
from contextlib import ExitStack
from pathlib import Path

from bench.figures import Figure, at_least, format_figures, middle
from bench.postgres import DEVICES, postgres
from bench.processes import SkippedError
from bench.telemetry import Options, Target, run_rounds
from bench.tellus_server import PROGRAM, register, tellus
from bench.wrk import require_wrk
from tests.databases import find_binaries

RUNNER = "workers"
CORES_NEEDED = 4
_GOAL = 1.6
_POSTGRES_CORE = 3


def measure(options: Options) -> list[Figure]:
    """Run all rounds, interleaved; raises SkippedError where something is missing."""
    cores = len(os.sched_getaffinity(0))
    if cores < CORES_NEEDED:
        raise SkippedError(f"two workers need {CORES_NEEDED} processor cores, here are {cores}")
    require_wrk()
    if find_binaries() is None:
        raise SkippedError("PostgreSQL's server binaries are not installed")
    with tempfile.TemporaryDirectory(prefix="tellus-bench-") as name, ExitStack() as running:
        folder = Path(name)
        database = running.enter_context(postgres(core=_POSTGRES_CORE))
        targets = [_start(folder, database.make_database(f"of_{n}"), n, running) for n in (1, 2)]
        run_rounds(targets, options, folder, [])
        return [figure for held in options.connections for figure in _report(targets, held)]


def _start(folder: Path, url: str, workers: int, running: ExitStack) -> Target:
    place = folder / f"workers_{workers}"
    place.mkdir()
    # One on processor 0; the second on 2, as the load has 1.
    program = ["taskset", "-c", "0" if workers == 1 else "0,2", *PROGRAM]
    arguments = ["--database-url", url]
    if workers > 1:
        arguments += ["--workers", str(workers)]
    server = running.enter_context(tellus(place, core=None, program=program, arguments=arguments))
    chargers = asyncio.run(register(server.port, DEVICES))
    tokens = [charger.token for charger in chargers]
    return Target(f"{workers} of them", server, tokens=tokens)


def _report(targets: list[Target], held: int) -> list[Figure]:
    rates = [middle(outcome.per_s for outcome in target.rounds[held]) for target in targets]
    figures = [
        Figure(RUNNER, f"{target.name}, {held} connections", rate, "requests/s")
        for target, rate in zip(targets, rates, strict=True)
    ]
    name = f"two workers, {held} connections, times one"
    return [*figures, at_least(RUNNER, name, rates[1] / rates[0], "times", _GOAL)]


def main() -> None:
    """Read the arguments, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--seconds", type=float, default=3.0, help="per round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--connections", default="64,256")
    given = parser.parse_args()
    connections = tuple(int(text) for text in given.connections.split(","))
    try:
        print(format_figures(measure(Options(given.seconds, given.rounds, connections, ()))))
    except SkippedError as error:
        parser.exit(0, f"left out: {error}\n")


if __name__ == "__main__":
    main()
