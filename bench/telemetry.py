"""Durable telemetry POSTs a second and their p99, beside four peers in the same run.

python -m bench.telemetry [--seconds 3] [--rounds 3] [--connections 64,256] [--peers all]
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from bench.figures import Figure, at_least, at_most, format_figures, middle
from bench.peers.fastapi_sqlalchemy import environment, fastapi_sqlalchemy
from bench.peers.influxdb import WRITE_PATH, influxdb
from bench.peers.nginx import nginx
from bench.peers.raw_asgi import raw_asgi
from bench.processes import Server, SkippedError
from bench.tellus_server import register, stored_samples, tellus
from bench.wrk import LINE, TELEMETRY, Load, Outcome, require_wrk, run_wrk

RUNNER = "telemetry"
DEVICES = 64
PATH = "/v1/device/telemetry"
US = "tellus"
# What was in flight at the end of a round is finished before the next server's turn.
_SETTLE_S = 0.3
_GOALS = {"nginx": 0.20, "influxdb": 1.8, "fastapi": 20.0}
_P99_GOAL_MS = 12.0


@dataclass
class Target:
    """A server under load and what each round brought, by connections."""

    name: str
    server: Server
    path: str = PATH
    content: str = TELEMETRY
    content_type: str = "application/json"
    tokens: list[str] = field(default_factory=list)
    """Of its own chargers, where those of the run are not known to it."""
    rounds: dict[int, list[Outcome]] = field(default_factory=dict)
    processor_us: dict[int, list[float]] = field(default_factory=dict)
    outcomes: list[Outcome] = field(default_factory=list)

    def run(self, load: Callable[..., Load], folder: Path, connections: int) -> None:
        """Run one round and keep what came of it."""
        before_s = self.server.processor_s()
        outcome = run_wrk(
            load(
                url=self.server.url,
                path=self.path,
                content=self.content,
                content_type=self.content_type,
                **({"tokens": self.tokens} if self.tokens else {}),
                connections=connections,
            ),
            folder,
            seed=len(self.outcomes) + 1,
        )
        spent_s = self.server.processor_s() - before_s
        time.sleep(_SETTLE_S)
        self.outcomes.append(outcome)
        self.rounds.setdefault(connections, []).append(outcome)
        spent_us = spent_s * 1e6 / max(1, outcome.requests)
        self.processor_us.setdefault(connections, []).append(spent_us)


@dataclass(frozen=True, slots=True)
class Options:
    """How long and against whom."""

    seconds: float = 3.0
    rounds: int = 3
    connections: tuple[int, ...] = (64, 256)
    peers: tuple[str, ...] = ("nginx", "influxdb", "fastapi", "raw_asgi")


def measure(options: Options, notes: list[str]) -> list[Figure]:
    """Run all rounds, interleaved, and return the figures; raises SkippedError without wrk."""
    require_wrk()
    with tempfile.TemporaryDirectory(prefix="tellus-bench-") as name:
        folder = Path(name)
        with ExitStack() as running:
            server = running.enter_context(tellus(folder))
            chargers = asyncio.run(register(server.port, DEVICES))
            tokens = [charger.token for charger in chargers]
            targets = [Target(US, server)]
            targets += _start_peers(options.peers, folder, tokens, running, notes)
            run_rounds(targets, options, folder, tokens)
        figures = _report(targets, options.connections)
        figures.append(_check_rows(targets[0], folder))
    return figures


def _start_peers(
    names: Iterable[str], folder: Path, tokens: list[str], running: ExitStack, notes: list[str]
) -> list[Target]:
    makers: dict[str, Callable[[Path], AbstractContextManager[Server]]] = {
        "nginx": nginx,
        "influxdb": influxdb,
        "raw_asgi": raw_asgi,
        "fastapi": lambda place: fastapi_sqlalchemy(place, tokens),
    }
    targets = []
    for name in names:
        try:
            if name == "fastapi":
                environment()
            server = running.enter_context(makers[name](folder))
        except SkippedError as error:
            notes.append(f"{name} was left out: {error}")
            continue
        if name == "influxdb":
            targets.append(Target(name, server, WRITE_PATH, LINE, "text/plain"))
        else:
            targets.append(Target(name, server))
    return targets


def run_rounds(targets: list[Target], options: Options, folder: Path, tokens: list[str]) -> None:
    """Let each target have its turns, the others paused meanwhile, except the first."""

    def load(**rest: object) -> Load:
        return Load(**{"tokens": tokens, "seconds": options.seconds} | rest)  # type: ignore[arg-type]

    for number in range(options.rounds):
        turned = targets[number % len(targets) :] + targets[: number % len(targets)]
        for connections in options.connections:
            for target in turned:
                with ExitStack() as others:
                    for other in targets:
                        # The platform does next to nothing when idle, and a pause would look to
                        # it like a disk that hangs.
                        if other not in (target, targets[0]):
                            others.enter_context(other.server.paused())
                    target.run(load, folder, connections)


def _report(targets: list[Target], connections: Iterable[int]) -> list[Figure]:
    figures = []
    for held in connections:
        for target in targets:
            rounds = target.rounds[held]
            rate = middle(outcome.per_s for outcome in rounds)
            figures.append(Figure(RUNNER, f"{target.name}, {held} connections", rate, "requests/s"))
            p99_ms = middle(outcome.p99_ms for outcome in rounds)
            name = f"{target.name}, {held} connections, p99"
            if target.name == US and held == 64:
                figures.append(at_most(RUNNER, name, p99_ms, "ms", _P99_GOAL_MS))
            else:
                figures.append(Figure(RUNNER, name, p99_ms, "ms"))
            spent = middle(target.processor_us[held])
            name = f"{target.name}, {held} connections, processor time each"
            figures.append(Figure(RUNNER, name, spent, "us"))
        for target in targets[1:]:
            figures += _compare(targets[0], target, held)
    refused = sum(outcome.refused + outcome.broken for outcome in targets[0].outcomes)
    figures.append(at_most(RUNNER, f"{US}, refused or broken requests", refused, "", 0))
    return figures


def _compare(us: Target, them: Target, held: int) -> list[Figure]:
    """Return the ratio of requests a second, and of what a second of processor time serves."""
    pairs = zip(us.rounds[held], them.rounds[held], strict=True)
    by_rate = middle(ours.per_s / max(1.0, theirs.per_s) for ours, theirs in pairs)
    spent = zip(us.processor_us[held], them.processor_us[held], strict=True)
    by_time = middle(theirs / max(0.1, ours) for ours, theirs in spent)
    goal = _GOALS.get(them.name)
    figures = []
    for ratio, what in ((by_rate, "requests/s"), (by_time, "a processor second")):
        name = f"{US} / {them.name}, {held} connections, by {what}"
        if goal is None:
            figures.append(Figure(RUNNER, name, ratio, "ratio"))
        else:
            figures.append(at_least(RUNNER, name, ratio, "ratio", goal))
    return figures


def _check_rows(target: Target, folder: Path) -> Figure:
    """Compare the store with what was sent; what was in flight at an end may or may not be there.

    The value is by how many rows the store lies outside of what it may hold.
    """
    unique = sum(outcome.unique for outcome in target.outcomes)
    unknown = sum(outcome.unanswered + outcome.refused for outcome in target.outcomes)
    stored = stored_samples(folder)
    wrong = max(0, stored - unique) + max(0, unique - unknown - stored)
    name = f"{US}, rows missing or too many of {unique:,}"
    return at_most(RUNNER, name, wrong, "rows", 0)


def main() -> None:
    """Read the arguments, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--seconds", type=float, default=3.0, help="per round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--connections", default="64,256")
    parser.add_argument("--peers", default="nginx,influxdb,fastapi,raw_asgi", help="or none")
    given = parser.parse_args()
    options = Options(
        given.seconds,
        given.rounds,
        tuple(int(text) for text in given.connections.split(",")),
        tuple(name for name in given.peers.split(",") if name != "none"),
    )
    notes: list[str] = []
    figures = measure(options, notes)
    print(format_figures(figures))
    print("\n".join(notes))


if __name__ == "__main__":
    main()
