"""Aggregated energy over HTTP: a year of 1,000 devices at 100 sites, on SQLite and PostgreSQL.

python -m bench.energy [--reads 30] [--database sqlite|postgres|both]
"""

import argparse
import asyncio
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import msgspec

from bench.energy_fleet import DEVICES, FINE_SITES, HOURS, SITES, Fleet, write_year, writing
from bench.figures import Figure, at_most, format_figures, middle, percentile
from bench.postgres import postgres
from bench.processes import Server, SkippedError
from bench.tellus_server import client_tokens, tellus
from bench.wire import HttpConnection, get
from tests.databases import find_binaries

RUNNER = "energy"
_GROUPS = SITES + 1  # and the default site, which has no energy
_PATH = "/v1/operator/aggregated/energy?granularity="
_YEAR = "&start_time=2025-01-01T00:00:00Z&end_time=2026-01-01T00:00:00Z"
_MONTH = "&start_time=2025-03-01T00:00:00Z&end_time=2025-04-01T00:00:00Z"
_YEAR_SQL = "1735689600000 AND 1767225599999"
_MONTH_SQL = "1740787200000 AND 1743465599999"
_HOUR_SUMS = (
    "SELECT SUM(charge_0 + charge_1 + charge_2 + charge_3),"
    " SUM(discharge_0 + discharge_1 + discharge_2 + discharge_3),"
    " MAX(peak_0), MAX(peak_1), MAX(peak_2), MAX(peak_3) FROM energy_hours"
)
_DAY_SUMS = "SELECT SUM(charge), SUM(discharge), MAX(peak) FROM energy_days"


class Case(NamedTuple):
    """A question, the same as a plain sum over the rows that it reads, and the goal for its p99."""

    name: str
    asked: str
    sql: str
    points: int
    goal_ms: float | None


def _cases(fleet: Fleet) -> list[Case]:
    operator = f"scope_id = '{fleet.operator_id}' AND hour_ms BETWEEN"
    site_id = fleet.site_ids[0]
    site = f"scope_id = '{site_id}' AND hour_ms BETWEEN"
    some = fleet.site_ids[:FINE_SITES]
    sites = ", ".join(f"'{one}'" for one in fleet.site_ids)
    chosen = ", ".join(f"'{one}'" for one in some)
    return [
        Case(
            "fleet's year by hour", f"hour{_YEAR}",
            f"{_HOUR_SUMS} WHERE {operator} {_YEAR_SQL}", HOURS, 300,
        ),
        Case(
            "one site's year by hour", f"hour{_YEAR}&site_ids={site_id}",
            f"{_HOUR_SUMS} WHERE {site} {_YEAR_SQL}", HOURS, 300,
        ),
        Case(
            "a month by day and site", f"day{_MONTH}&group_by=site",
            f"{_DAY_SUMS} WHERE scope_id IN ({sites}) AND day_ms BETWEEN {_MONTH_SQL}",
            31 * _GROUPS, 50,
        ),
        Case(
            "fleet's year by hour in Asia/Kathmandu", f"hour{_YEAR}&timezone=Asia/Kathmandu",
            f"{_HOUR_SUMS} WHERE {operator} {_YEAR_SQL}", HOURS + 1, None,
        ),
        Case(
            "a month by day and site in Europe/Oslo",
            f"day{_MONTH}&group_by=site&timezone=Europe/Oslo",
            f"{_HOUR_SUMS} WHERE scope_id IN ({sites}) AND hour_ms BETWEEN {_MONTH_SQL}",
            32 * _GROUPS, None,
        ),
        Case(
            f"{FINE_SITES} sites' year by day, together", f"day{_YEAR}&site_ids={','.join(some)}",
            f"{_HOUR_SUMS} WHERE scope_id IN ({chosen}) AND hour_ms BETWEEN {_YEAR_SQL}", 365, None,
        ),
    ]  # fmt: skip


async def _ask(
    folder: Path, server: Server, cases: list[Case], reads: int
) -> tuple[list[list[float]], list[float]]:
    """Return how long each read of each case took (ms), and processor time of one (ms).

    The cases take turns. Processor time, of a last round of each case, is free of whatever else
    the machine does.
    """
    (token,) = await client_tokens(folder, server.port)
    connection = await HttpConnection.open(server.port)
    times_ms: list[list[float]] = [[] for _ in cases]
    for number in range(reads + 1):
        for case, taken in zip(cases, times_ms, strict=True):
            began_s = time.perf_counter()
            status, body = await connection.ask(get(_PATH + case.asked, token))
            if number:  # the first warms caches up
                taken.append((time.perf_counter() - began_s) * 1_000)
                continue
            assert status == 200, body[:300]
            data = msgspec.json.decode(body)["data"]
            assert data["total"]["charge_energy"] > 0, "the sums were not found"
            assert len(data["series"]) == case.points, len(data["series"])
    spent_ms = []
    for case in cases:
        before_s = server.processor_s()
        for _ in range(reads):
            await connection.ask(get(_PATH + case.asked, token))
        spent_ms.append((server.processor_s() - before_s) * 1_000 / reads)
    connection.close()
    return times_ms, spent_ms


def _sum_plainly(folder: Path, url: str, cases: list[Case], reads: int) -> list[float]:
    """Return how long a plain sum over the same rows takes (ms, median) in the database alone."""
    found = []
    with writing(folder / "data", url) as store:
        for case in cases:
            times_ms = []
            for _ in range(max(5, reads // 4)):
                began_s = time.perf_counter()
                store.ask(case.sql)
                times_ms.append((time.perf_counter() - began_s) * 1_000)
            found.append(middle(times_ms))
    return found


def _measure(folder: Path, kind: str, url: str, reads: int) -> list[Figure]:
    folder.mkdir()
    arguments = ("--database-url", url) if url else ()
    with tellus(folder, arguments=arguments):
        pass  # makes the schema
    began_s = time.perf_counter()
    with writing(folder / "data", url) as store:
        fleet = write_year(store)
    wrote_s = time.perf_counter() - began_s
    cases = _cases(fleet)
    plain_ms = _sum_plainly(folder, url, cases, reads)
    with tellus(folder, arguments=arguments) as server:
        times_ms, spent_ms = asyncio.run(_ask(folder, server, cases, reads))
    figures = [
        Figure(
            RUNNER,
            f"{kind}: writing the sums of {DEVICES * HOURS / 1e6:.2f} M connector-hours directly",
            wrote_s,
            "s",
        )
    ]
    for case, taken, spent, plain in zip(cases, times_ms, spent_ms, plain_ms, strict=True):
        name = f"{kind}: {case.name}"
        figures += _report(name, case, taken, plain)
        figures.append(Figure(RUNNER, f"{name}, processor of the server", spent, "ms"))
    return figures


def _report(name: str, case: Case, times_ms: list[float], plain_ms: float) -> list[Figure]:
    p99_ms = percentile(times_ms, 0.99)
    figures = [Figure(RUNNER, f"{name}, p50", middle(times_ms), "ms")]
    if case.goal_ms is None:
        figures.append(Figure(RUNNER, f"{name}, p99", p99_ms, "ms"))
    else:
        figures += [
            at_most(RUNNER, f"{name}, p99", p99_ms, "ms", case.goal_ms),
            Figure(RUNNER, f"{name}, p99, share of the goal", p99_ms / case.goal_ms, "times"),
        ]
    figures.append(
        Figure(RUNNER, f"{name}, p50 to a plain SUM", middle(times_ms) / plain_ms, "times")
    )
    return figures


def measure(reads: int = 30, databases: tuple[str, ...] = ("sqlite", "postgres")) -> list[Figure]:
    """Write a year of sums into each database and return how quickly it is read over HTTP.

    Raises:
        SkippedError: PostgreSQL is asked for alone and is not installed.
    """
    figures = []
    with tempfile.TemporaryDirectory(prefix="tellus-bench-") as name, ExitStack() as running:
        folder = Path(name)
        if "sqlite" in databases:
            figures += _measure(folder / "sqlite", "sqlite", "", reads)
        if "postgres" in databases and find_binaries() is not None:
            url = running.enter_context(postgres()).make_database("bench")
            figures += _measure(folder / "postgres", "postgres", url, reads)
    if not figures:
        raise SkippedError("PostgreSQL's server binaries are not installed")
    return figures


def main() -> None:
    """Read the arguments, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--reads", type=int, default=30)
    parser.add_argument("--database", choices=("sqlite", "postgres", "both"), default="both")
    given = parser.parse_args()
    chosen = ("sqlite", "postgres") if given.database == "both" else (given.database,)
    print(format_figures(measure(given.reads, chosen)))


if __name__ == "__main__":
    main()
