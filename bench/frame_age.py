"""How old frames are at 200 subscribers while 5,000 samples a second come in.

A thousand chargers send five samples a second each; every stream covers fifty of them. A frame
shows the newest sample there was when it was made, so its age is the time from taking that sample
to receiving the frame. The chargers are processes of their own (``bench.cadence_fleet``).

    python -m bench.frame_age [--seconds 10]
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import msgspec
import uvloop

from bench.cadence import HEARTBEAT_S, start_clients
from bench.cadence_fleet import Orders, Place, Tally
from bench.figures import Figure, at_least, at_most, format_figures, percentile
from bench.processes import Server
from bench.stream_latency import SUBSCRIBERS, subscribe
from bench.tellus_server import client_tokens, register, tellus

RUNNER = "frame_age"
SAMPLES_PER_S = 5_000
_CHARGERS = 1_000
_EACH = 50
_STREAMS_PER_CLIENT = 20
_WARM_S = 3.0
_GOAL_P99_S = 1.2


class _Frame(msgspec.Struct):
    """The part of a frame that says when its sample was taken."""

    timestamp: datetime


async def measure_age(folder: Path, server: Server, seconds: float) -> list[Figure]:
    """Return the age of frames, and how many came of those that the cadence owes."""
    chargers = await register(server.port, _CHARGERS, "AGE")
    tokens = await client_tokens(folder, server.port, SUBSCRIBERS // _STREAMS_PER_CLIENT)
    groups = [
        [chargers[(number * _EACH + k) % _CHARGERS] for k in range(_EACH)]
        for number in range(SUBSCRIBERS)
    ]
    places = [Place(charger.token, server.port) for charger in chargers]
    orders = Orders(places, 1, seconds + _WARM_S, _CHARGERS / SAMPLES_PER_S, HEARTBEAT_S)
    ages_s: list[float] = []
    decode = msgspec.json.Decoder(_Frame).decode

    def on_frame(payload: bytes) -> None:
        ages_s.append(time.time() - decode(payload).timestamp.timestamp())

    with start_clients(orders) as clients:
        running = asyncio.create_task(asyncio.to_thread(clients.run))
        await asyncio.sleep(1.0)  # every charger has said something
        readers = await subscribe(server.port, tokens, groups, on_frame)
        await asyncio.sleep(_WARM_S - 1.0)
        ages_s.clear()
        await asyncio.sleep(seconds)
        seen_s = ages_s[:]
        lost = sum(reader.closed for reader in readers)
        for reader in readers:
            reader.close()
        tallies = await running
    return _report(seen_s, seconds, tallies, lost)


def _report(
    ages_s: Sequence[float], seconds: float, tallies: Sequence[Tally], lost: int
) -> list[Figure]:
    answered = sum(sum(tally.waits.values()) for tally in tallies)
    wished = (seconds + _WARM_S) * (SAMPLES_PER_S + _CHARGERS / HEARTBEAT_S)
    refused = sum(tally.refused + tally.broken for tally in tallies)
    rate = f"{SUBSCRIBERS} subscribers, {SAMPLES_PER_S:,} samples/s"
    owed = SUBSCRIBERS * _EACH * seconds
    return [
        Figure(RUNNER, f"{rate}, age p50", percentile(ages_s, 0.5), "s"),
        at_most(RUNNER, f"{rate}, age p99", percentile(ages_s, 0.99), "s", _GOAL_P99_S),
        at_least(RUNNER, f"{rate}, frames of those owed", len(ages_s) / owed, "", 0.9),
        at_least(RUNNER, f"{rate}, share of the samples stored", answered / wished, "", 0.99),
        at_most(RUNNER, f"{rate}, samples refused or broken", refused, "", 0),
        at_most(RUNNER, f"{rate}, subscribers lost", lost, "", 0),
    ]


def measure(seconds: float = 10.0) -> list[Figure]:
    """Measure on a server that runs where it likes."""
    with tempfile.TemporaryDirectory(prefix="tellus-bench-") as name:
        folder = Path(name)
        with tellus(folder, core=None) as server:
            return uvloop.run(measure_age(folder, server, seconds))


def main() -> None:
    """Read the arguments, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--seconds", type=float, default=10.0)
    print(format_figures(measure(parser.parse_args().seconds)))


if __name__ == "__main__":
    main()
