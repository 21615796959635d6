"""How often the event loop stands still for over 5 ms while chargers report at their pace.

Nothing is pinned to a processor. Beside the platform runs a loop with nothing to do: what it counts
is the machine's doing, not the platform's.

    python -m bench.stalls [--seconds 20] [--per-s 5000]
"""

import argparse
import asyncio
import re
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

from bench.figures import Figure, at_most, format_figures
from bench.processes import Server
from bench.telemetry import DEVICES, PATH
from bench.tellus_server import register, tellus
from bench.ticking import STALL_S
from bench.wrk import Load, require_wrk, run_wrk

RUNNER = "stalls"
CONNECTIONS = 64
_GOAL = 10.0
_WARM_S = 2.0
_LAG = "tellus_event_loop_lag_seconds"
_PROGRAM = (sys.executable, "-m", "bench.ticking")


def stalls_of(server: Server) -> int:
    """Return how often the server's loop has been late by more than 5 ms."""
    with urllib.request.urlopen(f"{server.url}/metrics", timeout=10) as answer:  # noqa: S310
        page = answer.read().decode()
    counted = re.search(rf"^{_LAG}_count (\S+)$", page, re.MULTILINE)
    in_time = re.search(rf'^{_LAG}_bucket{{le="{STALL_S:g}"}} (\S+)$', page, re.MULTILINE)
    if counted is None or in_time is None:
        raise RuntimeError("the metrics do not tell how late the event loop is")
    return round(float(counted[1]) - float(in_time[1]))


def measure(seconds: float = 20.0, per_s: float = 5_000.0) -> list[Figure]:
    """Return stalls a minute of the platform under a paced load, and of a loop without work."""
    require_wrk()
    pause_ms = round(CONNECTIONS / per_s * 1_000)
    with tempfile.TemporaryDirectory(prefix="tellus-bench-") as name:
        folder = Path(name)
        with tellus(folder, core=None, program=_PROGRAM) as server:
            chargers = asyncio.run(register(server.port, DEVICES))
            tokens = [charger.token for charger in chargers]

            def load(for_s: float) -> Load:
                return Load(server.url, PATH, tokens, CONNECTIONS, for_s, pause_ms=pause_ms)

            run_wrk(load(_WARM_S), folder, core=None)
            before = stalls_of(server)
            bare = subprocess.Popen([*_PROGRAM, "bare", str(seconds)], stdout=subprocess.PIPE)
            outcome = run_wrk(load(seconds), folder, core=None)
            stalls = stalls_of(server) - before
            beside = int(bare.communicate()[0])
    a_minute = stalls * 60e6 / outcome.duration_us
    bare_a_minute = beside * 60 / seconds
    own = max(0.0, a_minute - bare_a_minute)
    what = f"tellus, {CONNECTIONS} connections at their pace"
    return [
        Figure(RUNNER, what, outcome.per_s, "requests/s"),
        Figure(RUNNER, f"{what}, p99", outcome.p99_ms, "ms"),
        Figure(RUNNER, "stalls over 5 ms of its event loop", a_minute, "/min"),
        Figure(RUNNER, "the same of a loop with nothing to do", bare_a_minute, "/min"),
        at_most(RUNNER, "stalls of its own doing", own, "/min", _GOAL),
    ]


def main() -> None:
    """Read the arguments, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--per-s", type=float, default=5_000.0, help="samples a second")
    given = parser.parse_args()
    print(format_figures(measure(given.seconds, given.per_s)))


if __name__ == "__main__":
    main()
