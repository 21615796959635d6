"""A fleet at its published cadence, and nothing but parked polls, from several lean processes.

Every charger has a poll parked and sends telemetry every 5 s and a heartbeat every 30 s, over two
connections of its own. By default one process serves 7,500 of them for half a minute, and before
that 15,000 parked polls.

    python -m bench.cadence [--seconds 600] [--chargers 7500] [--nodes 2]
"""

import argparse
import asyncio
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import msgspec

from bench.cadence_fleet import Orders, Place, Tally
from bench.figures import Figure, at_least, at_most, format_figures, percentile
from bench.idle_connections import raise_file_limit
from bench.postgres import postgres
from bench.processes import Server, SkippedError
from bench.tellus_server import register, tellus
from tellus.identity.keys import create_key_file
from tests.databases import find_binaries

RUNNER = "cadence"
CHARGERS = 7_500
PARKED = 15_000
PARKED_ON_TWO = 20_000
TELEMETRY_S, HEARTBEAT_S = 5.0, 30.0
_CLIENTS = 4
_SHARE_OF_FILES = 0.8


@dataclass(frozen=True, slots=True)
class Options:
    """How long, how many, on how many nodes."""

    seconds: float = 30.0
    chargers: int = CHARGERS
    parked: int = PARKED
    nodes: int = 1


def measure(options: Options) -> list[Figure]:
    """Park the polls, then keep the cadence; raises SkippedError where files are too few."""
    raise_file_limit()
    most_sockets = max(2 * options.chargers, options.parked)
    _require_files(-(-most_sockets // options.nodes))
    with tempfile.TemporaryDirectory(prefix="tellus-bench-") as name, ExitStack() as running:
        servers = list(_start(Path(name), options.nodes, running))
        ports = [server.port for server in servers]
        count = max(options.chargers, -(-options.parked // 2))
        chargers = asyncio.run(register(ports[0], count))
        places = [Place(one.token, ports[n % len(ports)]) for n, one in enumerate(chargers)]
        places.sort(key=lambda place: place.port)
        parked = Orders(places[: -(-options.parked // 2)], 2, 5.0)
        figures = _report_parked(options, servers, parked)
        fleet = Orders(places[: options.chargers], 1, options.seconds, TELEMETRY_S, HEARTBEAT_S)
        return figures + _report_fleet(options, servers, fleet)


def _require_files(sockets: int) -> None:
    """Each node keeps a fifth of its limit in reserve."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if sockets > most * _SHARE_OF_FILES:
        raise SkippedError(
            f"{sockets:,} connections to one process need a limit of"
            f" {sockets / _SHARE_OF_FILES:,.0f} open files; here it is {most:,}"
        )


def _start(folder: Path, nodes: int, running: ExitStack) -> Iterator[Server]:
    if nodes == 1:
        yield running.enter_context(tellus(folder, core=None))
        return
    if find_binaries() is None:
        raise SkippedError("PostgreSQL's server binaries are not installed")
    url = running.enter_context(postgres(core=None)).make_database("bench")
    keys = folder / "keys.json"
    create_key_file(keys)
    environment = {"TELLUS_KEYS_FILE": str(keys)}
    for number in range(nodes):
        place = folder / f"node_{number}"
        place.mkdir()
        arguments = ("--database-url", url)
        yield running.enter_context(
            tellus(place, core=None, arguments=arguments, environment=environment)
        )


def _report_parked(options: Options, servers: Sequence[Server], orders: Orders) -> list[Figure]:
    before = sum(server.resident_bytes() for server in servers)
    with start_clients(orders) as clients:
        each_kib = (sum(server.resident_bytes() for server in servers) - before) / 1024
        tallies = clients.run()
    where = f"{options.parked:,} polls on {_nodes(options)}"
    parked = sum(tally.parked for tally in tallies)
    failed = sum(tally.refused + tally.broken for tally in tallies)
    return [
        at_least(RUNNER, f"{where}, parked", parked, "", 2 * len(orders.places)),
        at_most(RUNNER, f"{where}, refused or broken", failed, "", 0),
        Figure(RUNNER, f"{where}, memory each", each_kib / (2 * len(orders.places)), "KiB"),
    ]


def _report_fleet(options: Options, servers: Sequence[Server], orders: Orders) -> list[Figure]:
    with start_clients(orders) as clients:
        before_s = sum(server.processor_s() for server in servers)
        began_s = time.perf_counter()
        tallies = clients.run()
        spent_s = sum(server.processor_s() for server in servers) - before_s
        took_s = time.perf_counter() - began_s
    where = f"{options.chargers:,} chargers on {_nodes(options)}"
    waits: Counter[int] = Counter()
    for tally in tallies:
        waits.update(tally.waits)
    answered = waits.total()
    sent = sum(tally.telemetry + tally.heartbeats for tally in tallies)
    wished = orders.seconds * len(orders.places) * (1 / TELEMETRY_S + 1 / HEARTBEAT_S)
    failed = sum(tally.refused + tally.broken for tally in tallies)
    parked = sum(tally.parked for tally in tallies)
    share = spent_s / took_s
    return [
        at_least(RUNNER, f"{where}, share of the cadence held", answered / wished, "", 0.99),
        at_most(RUNNER, f"{where}, refused or broken of {sent:,}", failed, "", 0),
        at_least(RUNNER, f"{where}, polls parked at the end", parked, "", len(orders.places)),
        Figure(RUNNER, f"{where}, answer p99", percentile(waits.elements(), 0.99), "ms"),
        Figure(RUNNER, f"{where}, sent late", sum(tally.late for tally in tallies)),
        Figure(
            RUNNER,
            f"{where}, processors for 10,000",
            share / options.chargers * 10_000,
            "cores",
        ),
    ]


def _nodes(options: Options) -> str:
    return "one process" if options.nodes == 1 else f"{options.nodes} nodes"


class Clients:
    """The processes of a fleet, connected and ready."""

    def __init__(self, processes: Sequence["subprocess.Popen[str]"]) -> None:
        self._processes = processes

    def run(self) -> list[Tally]:
        """Let all begin; return what each tells at its end."""
        for process in self._processes:
            _say(process.stdin, "GO")
        tallies = []
        for process in self._processes:
            assert process.stdout is not None
            tallies.append(msgspec.json.decode(process.stdout.readline(), type=Tally))
        return tallies


@contextmanager
def start_clients(orders: Orders) -> Iterator[Clients]:
    """Start the processes, each with its part of the chargers; yields once all have connected."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "bench.cadence_fleet"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(_CLIENTS)
    ]
    try:
        for number, process in enumerate(processes):
            part = msgspec.structs.replace(orders, places=orders.places[number::_CLIENTS])
            _say(process.stdin, msgspec.json.encode(part).decode())
        for process in processes:
            assert process.stdout is not None
            if process.stdout.readline().strip() != "READY":
                raise RuntimeError("a client did not connect; its error is above")
        yield Clients(processes)
    finally:
        for process in processes:
            process.kill()
            process.communicate()


def _say(pipe: IO[str] | None, line: str) -> None:
    assert pipe is not None
    pipe.write(line + "\n")
    pipe.flush()


def main() -> None:
    """Read the arguments, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--seconds", type=float, default=30.0, help="of the cadence")
    parser.add_argument("--chargers", type=int, default=CHARGERS)
    parser.add_argument("--parked", type=int, help="15,000, or 20,000 on several nodes")
    parser.add_argument("--nodes", type=int, default=1, help="over one PostgreSQL")
    given = parser.parse_args()
    parked = given.parked or (PARKED if given.nodes == 1 else PARKED_ON_TWO)
    options = Options(given.seconds, given.chargers, parked, given.nodes)
    try:
        print(format_figures(measure(options)))
    except SkippedError as error:
        parser.exit(0, f"left out: {error}\n")


if __name__ == "__main__":
    main()
