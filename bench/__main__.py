"""The whole programme: every runner, one table.

    python -m bench [--full] [--only telemetry,startup] [--json FILE]

Shortened by default, so that it ends within a quarter of an hour; ``--full`` takes longer and is
steadier.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from bench import (
    backfill,
    cadence,
    command_delivery,
    component_health,
    consent,
    detectors,
    energy,
    energy_ingest,
    frame_age,
    hot_path,
    idle_connections,
    legacy,
    postgres,
    readers,
    session_read,
    stalls,
    startup,
    storage_rows,
    stream_latency,
    telemetry,
    unpinned,
    workers,
)
from bench.figures import Figure, format_figures, write_json
from bench.processes import SkippedError

Runner = Callable[[bool, list[str]], list[Figure]]


def _telemetry(full: bool, notes: list[str]) -> list[Figure]:  # noqa: FBT001 - as all runners
    options = telemetry.Options(seconds=8, rounds=7) if full else telemetry.Options()
    return telemetry.measure(options, notes)


RUNNERS: dict[str, Runner] = {
    "hot_path": lambda full, _: hot_path.measure(1.0 if full else 0.3),
    "storage_rows": lambda full, _: storage_rows.measure(1.0 if full else 0.3),
    "telemetry": _telemetry,
    "postgres": lambda full, _: postgres.measure(
        postgres.Options(seconds=8 if full else 2, rounds=7 if full else 3)
    ),
    "workers": lambda full, _: workers.measure(
        workers.Options(seconds=8 if full else 2, rounds=7 if full else 3)
    ),
    "unpinned": lambda full, _: unpinned.measure(20 if full else 5),
    "stalls": lambda full, _: stalls.measure(60 if full else 15),
    "stream": lambda full, _: stream_latency.measure(30 if full else 8),
    "frame_age": lambda full, _: frame_age.measure(30 if full else 8),
    "cadence": lambda full, _: cadence.measure(cadence.Options(seconds=600 if full else 30)),
    "idle_connections": lambda full, _: idle_connections.measure(
        (1_000, 5_000, 7_500) if full else (1_000, 5_000)
    ),
    "readers": lambda full, _: readers.measure(4 if full else 2, 7 if full else 3),
    "energy_ingest": lambda full, _: (
        energy_ingest.measure(8, 7) if full else energy_ingest.measure()
    ),
    "detectors": lambda full, _: detectors.measure(8, 7) if full else detectors.measure(),
    "consent": lambda full, _: consent.measure(15, 10_000, 5_000) if full else consent.measure(),
    "component_health": lambda full, _: (
        component_health.measure(8, 7) if full else component_health.measure()
    ),
    "backfill": lambda full, _: backfill.measure(200, 24) if full else backfill.measure(),
    "command_delivery": lambda full, _: command_delivery.measure(seconds=30 if full else 8),
    "legacy": lambda full, _: legacy.measure(seconds=30 if full else 8),
    "startup": lambda full, _: (
        startup.measure() + (startup.measure(per_device=180) if full else [])
    ),
    "session_read": lambda full, _: session_read.measure(reads=1_000 if full else 200),
    "energy": lambda full, _: energy.measure(reads=200 if full else 30),
}


def run(names: list[str], notes: list[str], *, full: bool) -> list[Figure]:
    """Run the named runners one after the other; what cannot run here is noted and left out."""
    figures: list[Figure] = []
    for name in names:
        began_s = time.perf_counter()
        print(f"{name} ...", end=" ", flush=True, file=sys.stderr)
        try:
            figures += RUNNERS[name](full, notes)
        except SkippedError as error:
            notes.append(f"{name} was left out: {error}")
        print(f"{time.perf_counter() - began_s:.0f} s", flush=True, file=sys.stderr)
    return figures


def main() -> None:
    """Read the arguments, run, print, and write JSON where asked."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--full", action="store_true", help="longer, more rounds")
    parser.add_argument("--only", default=",".join(RUNNERS), help="runners, by name")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures there")
    given = parser.parse_args()
    names = given.only.split(",")
    unknown = [name for name in names if name not in RUNNERS]
    if unknown:
        parser.error(f"no such runner: {', '.join(unknown)}; there are {', '.join(RUNNERS)}")
    load = os.getloadavg()[0]
    notes = [f"Load of the machine at the start: {load:.1f} on {os.cpu_count()} processors."]
    figures = run(names, notes, full=given.full)
    print(format_figures(figures))
    print()
    print("\n".join(notes))
    if given.json is not None:
        write_json(given.json, figures, notes)


if __name__ == "__main__":
    main()
