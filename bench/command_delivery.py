"""From an operator's call to the charger that polls for it, and what thousands of polls cost.

python -m bench.command_delivery [--parked 5000] [--many 10000] [--seconds 10]
"""

import argparse
import asyncio
import signal
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import uvloop

from bench.figures import Figure, at_most, format_figures, middle, percentile
from bench.idle_connections import raise_file_limit
from bench.peers.bare_polls import bare_polls
from bench.polling_fleet import Operator, PollingFleet, pause_all, stop_all
from bench.processes import Server
from bench.tellus_server import Charger, client_tokens, register, tellus
from tellus.commands import store
from tellus.commands.lookout import OVERLAP_S, Lookout
from tellus.commands.model import SET_SCHEDULE, Command
from tellus.commands.pending import Pending
from tellus.commands.waiting import Parked
from tellus.kernel.clock import ManualClock
from tellus.kernel.units import DAY_MS
from tellus.storage.database import Tx
from tellus.storage.sqlite import SQLiteDatabase

RUNNER = "command_delivery"
CALLS_PER_S = 100
_P99_GOAL_MS = 50
_POLL_GOAL_KIB = 32
_WAKE_GOAL_S = 1.0
_CONNECTORS = 2
_LANES = 64
_SETTLE_S = 1.0
_WITHIN_S = 60.0
_FRESH = 100
_LOOKS = 20


async def measure_delivery(
    server: Server, chargers: Sequence[Charger], token: str, seconds: float
) -> tuple[list[float], int]:
    """Return the waits from call to receipt (ms), and how many commands did not come."""
    fleet = PollingFleet(chargers)
    await fleet.connect(server.port)
    await fleet.park()
    operator = await Operator.connect(server.port, token)
    await operator.stop_now_and_then(fleet, CALLS_PER_S, 1.0, seed=1)
    operator.called_s.clear()
    await operator.stop_now_and_then(fleet, CALLS_PER_S, seconds, seed=2)
    await asyncio.sleep(_SETTLE_S)
    waits_ms = operator.waits_ms(fleet)
    missing = len(operator.called_s) - len(waits_ms) + fleet.refused
    operator.close()
    fleet.leave()
    return waits_ms, missing


async def _deliver(folder: Path, server: Server, parked: int, seconds: float) -> list[float]:
    chargers = await register(server.port, parked)
    (token,) = await client_tokens(folder, server.port)
    waits_ms, missing = await measure_delivery(server, chargers, token, seconds)
    if missing:
        raise RuntimeError(f"{missing} of {len(waits_ms) + missing} commands did not come")
    return waits_ms


async def _deliver_bare(server: Server, parked: int, seconds: float) -> list[float]:
    chargers = [Charger(f"dvc_{number}", f"dvc_{number}") for number in range(parked)]
    fleet = PollingFleet(chargers, reports=False)
    await fleet.connect(server.port)
    await fleet.park()
    operator = await Operator.connect(server.port, "")
    await operator.stop_now_and_then(fleet, CALLS_PER_S, seconds, seed=2)
    await asyncio.sleep(_SETTLE_S)
    operator.close()
    fleet.leave()
    return operator.waits_ms(fleet)


def compare_delivery(parked: int, seconds: float) -> list[Figure]:
    """Measure the platform and then bare long-polls, each on one processor."""
    with tempfile.TemporaryDirectory(prefix="tellus-bench-") as name:
        folder = Path(name)
        with tellus(folder) as server:
            ours = uvloop.run(_deliver(folder, server, parked, seconds))
        with bare_polls(folder) as server:
            bare = uvloop.run(_deliver_bare(server, parked, seconds))
    what = f"call to receipt, {parked:,} parked"
    p50, p99 = percentile(ours, 0.5), percentile(ours, 0.99)
    return [
        Figure(RUNNER, f"{what}, p50", p50, "ms"),
        at_most(RUNNER, f"{what}, p99", p99, "ms", _P99_GOAL_MS),
        Figure(RUNNER, f"{what}, bare uvicorn, p50", percentile(bare, 0.5), "ms"),
        Figure(RUNNER, f"{what}, bare uvicorn, p99", percentile(bare, 0.99), "ms"),
        Figure(RUNNER, "p50 / bare uvicorn's p50", p50 / percentile(bare, 0.5)),
    ]


async def _measure_many(folder: Path, server: Server, count: int) -> list[Figure]:
    chargers = await register(server.port, -(-count // _CONNECTORS))
    (token,) = await client_tokens(folder, server.port)
    fleet = PollingFleet(chargers, _CONNECTORS, reports=False)
    before = server.resident_bytes()
    await fleet.connect(server.port)
    connected = server.resident_bytes()
    await fleet.park()
    parked = fleet.parked
    each_kib = (server.resident_bytes() - before) / count / 1024
    alone_kib = (connected - before) / count / 1024
    began_s, answered_s = await stop_all(server.port, token, fleet, _LANES)
    await fleet.wait_for_commands(count, _WITHIN_S)
    all_s, after_s = fleet.answered_s - began_s, max(0.0, fleet.answered_s - answered_s)
    await asyncio.sleep(_SETTLE_S)
    called_s, woken_s = await pause_all(server.port, token, fleet, _WITHIN_S)
    await asyncio.sleep(_SETTLE_S)
    parked_again = fleet.parked
    began_s = time.perf_counter()
    server.process.send_signal(signal.SIGTERM)
    released_s = await fleet.wait_for_release(_WITHIN_S) - began_s
    what = f"{count:,} parked"
    return [
        at_most(RUNNER, f"{what}, memory of each", each_kib, "KiB", _POLL_GOAL_KIB),
        Figure(RUNNER, "of it the connection's, before its first request", alone_kib, "KiB"),
        at_most(RUNNER, f"{what}, polls that were not", 2 * count - parked - parked_again, "", 0),
        Figure(RUNNER, f"{what}, a stop to each, delivered", count / all_s, "1/s"),
        at_most(RUNNER, f"{what}, last stop answered to last receipt", after_s, "s", _WAKE_GOAL_S),
        Figure(RUNNER, f"{what}, one call pauses all, call to last receipt", called_s, "s"),
        Figure(RUNNER, f"{what}, of it from first to last receipt", woken_s, "s"),
        at_most(RUNNER, f"{what}, the server's end releases all", released_s, "s", _WAKE_GOAL_S),
        at_most(RUNNER, f"{what}, polls refused", fleet.refused, "", 0),
    ]


def measure_many(count: int) -> list[Figure]:
    """Measure ``count`` polls in one process on one processor."""
    with tempfile.TemporaryDirectory(prefix="tellus-bench-") as name, tellus(Path(name)) as server:
        return uvloop.run(_measure_many(Path(name), server, count))


async def _measure_return(folder: Path, server: Server, count: int) -> list[Figure]:
    chargers = await register(server.port, -(-count // _CONNECTORS))
    (token,) = await client_tokens(folder, server.port)
    fleet = PollingFleet(chargers, _CONNECTORS, reports=False)
    await fleet.connect(server.port)
    await stop_all(server.port, token, fleet, _LANES)
    last_s = await fleet.ask_at_once(_WITHIN_S)
    missing = count - len(fleet.received_s)
    fleet.leave()
    what = f"{count:,} commands wait, all chargers ask at once"
    return [
        Figure(RUNNER, f"{what}: last receipt", last_s, "s"),
        at_most(RUNNER, "... commands that did not come with it", missing, "", 0),
    ]


def measure_return(count: int) -> list[Figure]:
    """Measure a fleet that comes back to a full queue, on one processor."""
    with tempfile.TemporaryDirectory(prefix="tellus-bench-") as name, tellus(Path(name)) as server:
        return uvloop.run(_measure_return(Path(name), server, count))


def _queued(number: int, now_ms: int) -> Command:
    return Command(
        command_id=f"cmd_{number}",
        device_no=number,
        device_id=f"dvc_{number}",
        connector_id=1,
        operator_id="op_bench",
        client_id="cl_bench",
        command=SET_SCHEDULE,
        params="{}",
        transaction_id=None,
        created_ms=now_ms,
        updated_ms=now_ms,
        expires_ms=now_ms + DAY_MS,
    )


def _append(tx: Tx, numbers: range, now_ms: int) -> None:
    for number in numbers:
        store.append_command(tx, _queued(number, now_ms))


async def _measure_look(folder: Path, devices: int) -> list[Figure]:
    clock = ManualClock()
    pending, parked = Pending(), Parked()
    took_ms: dict[int, list[float]] = {0: [], _FRESH: []}
    async with SQLiteDatabase.open(folder / "look.db", clock=clock) as database:
        for start in range(0, devices, 1_000):
            await database.write(_append, range(start, start + 1_000), clock.now_ms())
        lookout = Lookout(database, pending, parked, clock)
        await lookout.start()
        for turn in range(_LOOKS):
            for fresh, times in took_ms.items():
                first = devices + turn * _FRESH
                await database.write(_append, range(first, first + fresh), clock.now_ms())
                began_s = time.perf_counter()
                await lookout.look()
                times.append((time.perf_counter() - began_s) * 1e3)
                clock.advance(2 * OVERLAP_S)
                await lookout.look()
        while pending.has_newly_due(clock.now_ms()):
            pending.list_newly_due(clock.now_ms())
        began_s = time.perf_counter()
        for _ in range(_LOOKS):
            pending.list_newly_due(clock.now_ms())
        tick_us = (time.perf_counter() - began_s) / _LOOKS * 1e6
    what = f"a command waits for each of {devices:,} devices"
    return [
        Figure(RUNNER, f"{what}: a look", middle(took_ms[0]), "ms"),
        Figure(RUNNER, f"... that finds {_FRESH} new ones", middle(took_ms[_FRESH]), "ms"),
        Figure(RUNNER, "... a tick of the clock", tick_us, "us"),
    ]


def measure_look(devices: int = 100_000) -> list[Figure]:
    """Measure what it costs to look in the store for commands of which no word came."""
    with tempfile.TemporaryDirectory(prefix="tellus-bench-") as name:
        return asyncio.run(_measure_look(Path(name), devices))


def measure(parked: int = 5_000, many: int = 10_000, seconds: float = 10.0) -> list[Figure]:
    """Measure delivery, then memory and mass, then the looks that no charger sees."""
    raise_file_limit()
    delivered = compare_delivery(parked, seconds)
    return delivered + measure_many(many) + measure_return(many) + measure_look()


def main() -> None:
    """Read the arguments, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--parked", type=int, default=5_000)
    parser.add_argument("--many", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=10.0)
    given = parser.parse_args()
    began_s = time.perf_counter()
    print(format_figures(measure(given.parked, given.many, given.seconds)))
    print(f"\n{time.perf_counter() - began_s:.0f} s")


if __name__ == "__main__":
    main()
