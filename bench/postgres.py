"""PostgreSQL beside SQLite in the same run: durable telemetry POSTs a second, and rows a second.

For the POSTs the platform has one processor core, the load and PostgreSQL share the other. The rows
are samples with the live state of their connectors, through the writer's connection alone.

    python -m bench.postgres [--seconds 3] [--rounds 3] [--connections 64,256]
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from pathlib import Path

import psycopg

from bench.figures import Figure, at_least, at_most, format_figures, middle
from bench.processes import LOAD_CORE, Server, SkippedError
from bench.storage_rows import (
    NEWER,
    SAMPLES,
    SIZES,
    STATE,
    Samples,
    measure_batches,
    store_with_state,
)
from bench.telemetry import Options, Target, run_rounds
from bench.tellus_server import register, tellus
from bench.wrk import require_wrk
from tellus.kernel.clock import ManualClock
from tellus.storage.migrate import load_migrations
from tellus.storage.postgres_connection import Address, connect
from tellus.storage.postgres_schema import migrate
from tellus.storage.postgres_session import PostgresSession
from tests.databases import PostgresServer, find_binaries

RUNNER = "postgres"
DEVICES = 64
_GOAL = 0.8


def measure(options: Options) -> list[Figure]:
    """Run all rounds, interleaved; raises SkippedError without wrk or PostgreSQL's binaries."""
    require_wrk()
    if find_binaries() is None:
        raise SkippedError("PostgreSQL's server binaries are not installed")
    with tempfile.TemporaryDirectory(prefix="tellus-bench-") as name, ExitStack() as running:
        folder = Path(name)
        database = running.enter_context(postgres())
        url = database.make_database("bench")
        targets = []
        for kind, arguments in (("sqlite", ()), ("postgres", ("--database-url", url))):
            place = folder / kind
            place.mkdir()
            server = running.enter_context(tellus(place, arguments=arguments))
            targets.append(_target(kind, server))
        run_rounds(targets, options, folder, [])
        figures = [figure for held in options.connections for figure in _report(targets, held)]
        figures.append(_check_rows(targets[1], url))
        figures += _measure_rows(database, options.seconds / 4)
    return figures


def _measure_rows(database: PostgresServer, seconds: float) -> list[Figure]:
    """Return rows per second by rows in a commit, on both."""
    figures = []
    for size in SIZES:
        rate, _ = measure_batches(Path(tempfile.gettempdir()), store_with_state, size, seconds)
        figures.append(Figure(RUNNER, f"sqlite, {size} rows a commit", rate, "rows/s"))
        rate = _measure_commits(database.make_database(f"rows_{size}"), size, seconds)
        figures.append(Figure(RUNNER, f"postgres, {size} rows a commit", rate, "rows/s"))
    return figures


def _measure_commits(url: str, size: int, seconds: float) -> float:
    address = Address(url)
    with closing(connect(address)) as connection:
        migrate(connection, load_migrations(dialect="postgres"), ManualClock())
    session = PostgresSession(partial(connect, address), defers=True)
    samples = Samples()
    stored, spent_s = 0, 0.0
    while spent_s < seconds:
        batch = samples.take(size)
        states = [(d, c, t, "charging", content) for t, d, c, _, _, content in batch]
        begun_s = time.perf_counter()
        session.begin()
        session.tx.insert_later(SAMPLES, batch, "ON CONFLICT DO NOTHING")
        session.tx.insert_later(STATE, states, NEWER)
        session.commit()
        spent_s += time.perf_counter() - begun_s
        stored += size
    assert session.tx.row("SELECT count(*) FROM samples") == (stored,)
    session.close()
    return stored / spent_s


@contextmanager
def postgres(core: int | None = LOAD_CORE) -> Iterator[PostgresServer]:
    """Run a server, by default on the core of the load."""
    database = PostgresServer(settings=("max_wal_size=4GB",), core=core)
    database.start()
    try:
        yield database
    finally:
        database.remove()


def _target(name: str, server: Server) -> Target:
    chargers = asyncio.run(register(server.port, DEVICES))
    return Target(name, server, tokens=[charger.token for charger in chargers])


def _report(targets: list[Target], held: int) -> list[Figure]:
    rates = {}
    figures = []
    for target in targets:
        outcomes = target.rounds[held]
        rates[target.name] = middle([outcome.per_s for outcome in outcomes])
        p99_ms = middle([outcome.p99_ms for outcome in outcomes])
        spent_us = middle(target.processor_us[held])
        where = f"{target.name}, {held} connections"
        figures += [
            Figure(RUNNER, where, rates[target.name], "requests/s"),
            Figure(RUNNER, f"{where}, p99", p99_ms, "ms"),
            Figure(RUNNER, f"{where}, processor a request", spent_us, "µs"),
        ]
    share = rates["postgres"] / rates["sqlite"]
    name = f"postgres, {held} connections, share of sqlite's"
    return [*figures, at_least(RUNNER, name, share, "times", _GOAL)]


def _check_rows(target: Target, url: str) -> Figure:
    """Compare the store with what was answered."""
    unique = sum(outcome.unique for outcome in target.outcomes)
    unknown = sum(outcome.unanswered + outcome.refused for outcome in target.outcomes)
    with closing(psycopg.connect(url)) as connection:
        ((stored,),) = connection.execute(
            "SELECT (SELECT count(*) FROM samples)"
            " + (SELECT coalesce(sum(samples), 0) FROM sample_hours)"
        ).fetchall()
    wrong = max(0, int(stored) - unique) + max(0, unique - unknown - int(stored))
    return at_most(RUNNER, f"postgres, rows missing or too many of {unique:,}", wrong, "rows", 0)


def main() -> None:
    """Read the arguments, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--seconds", type=float, default=3.0, help="per round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--connections", default="64,256")
    given = parser.parse_args()
    connections = tuple(int(text) for text in given.connections.split(","))
    print(format_figures(measure(Options(given.seconds, given.rounds, connections, ()))))


if __name__ == "__main__":
    main()
