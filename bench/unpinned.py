"""Telemetry at full speed with stream fan-out running and nothing pinned to a processor.

A server pinned to one core hides how event loop and writer thread get in each other's way; here
they have all cores, together with the load.

    python -m bench.unpinned [--seconds 5] [--connections 64]
"""

import argparse
import asyncio
import tempfile
from pathlib import Path

import uvloop

from bench.figures import Figure, at_most, format_figures
from bench.processes import Server
from bench.stream_latency import subscribe
from bench.telemetry import DEVICES, PATH
from bench.tellus_server import client_tokens, register, stored_samples, tellus
from bench.wrk import Load, Outcome, require_wrk, run_wrk

RUNNER = "unpinned"
SUBSCRIBERS = 20
_DEVICES_EACH = 50


async def _run(
    folder: Path, server: Server, connections: int, seconds: float
) -> tuple[Outcome, float, float]:
    """Return what wrk tells, frames a second, and processor time a request (us)."""
    chargers = await register(server.port, DEVICES)
    tokens = await client_tokens(folder, server.port)
    doubled = chargers + chargers
    # The same client may not hold two streams of the same devices, so each starts one further.
    groups = [doubled[shift : shift + _DEVICES_EACH] for shift in range(SUBSCRIBERS)]
    received = 0

    def on_frame(_payload: bytes) -> None:
        nonlocal received
        received += 1

    readers = await subscribe(server.port, tokens, groups, on_frame)
    load = Load(
        server.url,
        PATH,
        [charger.token for charger in chargers],
        connections,
        seconds,
    )
    before, spent_s = received, server.processor_s()
    outcome = await asyncio.to_thread(run_wrk, load, folder, core=None)
    spent_us = (server.processor_s() - spent_s) * 1e6 / outcome.requests
    frames_per_s = (received - before) / (outcome.duration_us / 1e6)
    for reader in readers:
        reader.close()
    return outcome, frames_per_s, spent_us


def measure(seconds: float = 5.0, connections: int = 64) -> list[Figure]:
    """Return requests and frames a second, p99, and whether the store holds what was sent."""
    require_wrk()
    with tempfile.TemporaryDirectory(prefix="tellus-bench-") as name:
        folder = Path(name)
        with tellus(folder, core=None) as server:
            outcome, frames_per_s, spent_us = uvloop.run(_run(folder, server, connections, seconds))
        stored = stored_samples(folder)
    unknown = outcome.unanswered + outcome.refused
    wrong = max(0, stored - outcome.unique) + max(0, outcome.unique - unknown - stored)
    what = f"tellus, {connections} connections, {SUBSCRIBERS} streams of {_DEVICES_EACH} devices"
    return [
        Figure(RUNNER, what, outcome.per_s, "requests/s"),
        Figure(RUNNER, f"{what}, p99", outcome.p99_ms, "ms"),
        Figure(RUNNER, "frames received meanwhile", frames_per_s, "frames/s"),
        Figure(RUNNER, "processor time each, frames included", spent_us, "us"),
        at_most(RUNNER, "refused or broken requests", outcome.refused + outcome.broken, "", 0),
        at_most(RUNNER, f"rows missing or too many of {outcome.unique:,}", wrong, "rows", 0),
    ]


def main() -> None:
    """Read the arguments, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--connections", type=int, default=64)
    given = parser.parse_args()
    print(format_figures(measure(given.seconds, given.connections)))


if __name__ == "__main__":
    main()
