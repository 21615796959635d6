"""A day of back-fill from many chargers in batches of 500, energy summed up beside it.

    python -m bench.backfill [--chargers 200] [--hours 24] [--connections 16]

Every charger was offline for a day and tells it in order, a sample every five seconds: four hours
of charging, an hour of nothing. The server has one core. Then the fleet's energy is asked for.
"""

import argparse
import asyncio
import tempfile
import time
from collections import deque
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import msgspec
import uvloop

from bench.figures import Figure, at_least, at_most, format_figures
from bench.tellus_server import Charger, client_tokens, register, stored_samples, tellus
from bench.wire import HttpConnection, get, post

RUNNER = "backfill"
_PATH = "/v1/device/telemetry/batch"
_STEP_MS = 5_000
_BATCH = 500
_SESSION, _PAUSE = 2_880, 720
_POWER_KW = 50.4
_HOUR_MS = 3_600_000
_GOAL_PER_S = 20_000
_OK = 200
_LATER = (429, 503)
_LATER_S = 0.25
_ASK_AGAIN_S = 600.0


class Told(NamedTuple):
    """What the uploads came to: seconds, samples stored, batches refused and put off."""

    seconds: float
    stored: int
    refused: int
    later: int


def _write_time(time_ms: int) -> str:
    moment = datetime.fromtimestamp(time_ms / 1_000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{time_ms % 1_000:03d}Z"


def _batches(begin_ms: int, samples: int) -> Iterator[bytes]:
    """Yield the bodies of a charger's uploads, in order of time."""
    items: list[str] = []
    for number in range(samples):
        within = number % (_SESSION + _PAUSE)
        is_idle = not 0 < within < _SESSION
        energy_kwh = 0.0 if is_idle and within else within * _STEP_MS * _POWER_KW / _HOUR_MS
        state, power_kw = ("idle", 0.0) if is_idle else ("charging", _POWER_KW)
        items.append(
            f'{{"timestamp":"{_write_time(begin_ms + number * _STEP_MS)}","connector_id":1,'
            f'"state":"{state}","voltage":401.2,"current":125.4,"power":{power_kw},'
            f'"energy_delivered":{energy_kwh:.6f},"soc":55,"temperature":35.6}}'
        )
        if len(items) == _BATCH or number == samples - 1:
            yield f'{{"items":[{",".join(items)}]}}'.encode()
            items = []


def wanted_kwh(samples: int) -> float:
    """Return what one charger's samples say that it delivered."""
    whole, rest = divmod(samples, _SESSION + _PAUSE)
    steps = whole * (_SESSION - 1) + max(0, min(rest - 1, _SESSION - 1))
    return steps * _STEP_MS * _POWER_KW / _HOUR_MS


async def _upload(
    port: int, chargers: Sequence[Charger], bodies: Sequence[bytes], connections: int
) -> Told:
    """Let chargers tell their batches in order, as many at once as there are connections."""
    waiting = deque(chargers)
    stored = refused = later = 0

    async def work() -> None:
        nonlocal stored, refused, later
        connection = await HttpConnection.open(port)
        while waiting:
            charger = waiting.popleft()
            for body in bodies:
                request = post(_PATH, charger.token, body)
                status, answer = await connection.ask(request)
                while status in _LATER:
                    later += 1
                    await asyncio.sleep(_LATER_S)
                    status, answer = await connection.ask(request)
                stored += answer.count(b'"stored"')
                refused += status != _OK or b'"rejected"' in answer
        connection.close()

    began_s = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(connections)))
    return Told(time.perf_counter() - began_s, stored, refused, later)


async def _ask(folder: Path, port: int, begin_ms: int) -> tuple[float, float]:
    """Ask for the fleet's energy until there is an answer; return after how long, and how much."""
    (token,) = await client_tokens(folder, port)
    connection = await HttpConnection.open(port)
    until_ms = int(time.time() * 1_000)
    path = (
        "/v1/operator/aggregated/energy?granularity=hour"
        f"&start_time={_write_time(begin_ms - _HOUR_MS)}&end_time={_write_time(until_ms)}"
    )
    began_s = time.perf_counter()
    while True:
        status, body = await connection.ask(get(path, token))
        took_s = time.perf_counter() - began_s
        if status == _OK:
            connection.close()
            return took_s, msgspec.json.decode(body)["data"]["total"]["charge_energy"]
        if status not in _LATER or took_s > _ASK_AGAIN_S:
            raise RuntimeError(f"energy was answered {status}: {body[:300]!r}")
        await asyncio.sleep(0.2)


def measure(chargers: int = 40, hours: float = 6.0, connections: int = 16) -> list[Figure]:
    """Upload all and ask; the bodies are made before, for they are the same for all chargers."""
    samples = int(hours * _HOUR_MS) // _STEP_MS
    begin_ms = int(time.time() * 1_000) - 60_000 - samples * _STEP_MS
    bodies = list(_batches(begin_ms, samples))
    with tempfile.TemporaryDirectory(prefix="tellus-bench-") as name:
        folder = Path(name)
        with tellus(folder) as server:
            fleet = uvloop.run(register(server.port, chargers))
            before_s = server.processor_s()
            told = uvloop.run(_upload(server.port, fleet, bodies, connections))
            spent_s = server.processor_s() - before_s
            took_s, charge_kwh = uvloop.run(_ask(folder, server.port, begin_ms))
            again_s, _ = uvloop.run(_ask(folder, server.port, begin_ms))
        stored = stored_samples(folder)
    sent = samples * chargers
    off_kwh = abs(charge_kwh - chargers * wanted_kwh(samples))
    what = f"{chargers} chargers, {samples:,} samples each"
    return [
        at_least(RUNNER, f"{what}, batches of {_BATCH}", told.stored / told.seconds, "samples/s",
                 _GOAL_PER_S),
        Figure(RUNNER, f"{what}, processor time each", spent_s * 1e6 / sent, "us"),
        Figure(RUNNER, "from the last upload to the fleet's energy by the hour", took_s, "s"),
        Figure(RUNNER, "the same asked again", again_s * 1_000, "ms"),
        Figure(RUNNER, "batches put off, and sent again", told.later),
        at_most(RUNNER, "batches refused", told.refused, "", 0),
        at_most(RUNNER, f"samples missing or too many of {sent:,}", abs(stored - sent), "", 0),
        at_most(RUNNER, "energy beside what the counters say", off_kwh, "kWh", 1e-3 * chargers),
    ]  # fmt: skip


def main() -> None:
    """Read the arguments, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--chargers", type=int, default=200)
    parser.add_argument("--hours", type=float, default=24.0)
    parser.add_argument("--connections", type=int, default=16)
    given = parser.parse_args()
    print(format_figures(measure(given.chargers, given.hours, given.connections)))


if __name__ == "__main__":
    main()
