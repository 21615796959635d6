"""Reading one connector's 4-hour session while 10,000 devices fill the recent log.

python -m bench.session_read [--devices 10000] [--per-device 180] [--reads 200]
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from bench.figures import Figure, at_most, format_figures, percentile
from bench.seeding import make_platform, reading_at, seed_devices, seed_log
from tellus.app import Platform
from tellus.cli.serve import calm_collector
from tellus.storage.database import Tx
from tellus.telemetry import rules, store
from tellus.telemetry.model import PastSample, Sample
from tellus.telemetry.packing import pack
from tellus.telemetry.rules import make_sample

RUNNER = "session_read"
STEP_MS = 5_000
SESSION_SAMPLES = 2_880
SESSION_MS = STEP_MS * SESSION_SAMPLES
_MEASURED = 20
_CONNECTOR = 2
_GOAL_MS = 10.0


def session(device_no: int, end_ms: int) -> list[Sample]:
    """Return the samples of a 4-hour session that ends at ``end_ms``."""
    return [
        make_sample(device_no, _CONNECTOR, time_ms, time_ms + 40, reading_at(step))
        for step, time_ms in enumerate(range(end_ms - SESSION_MS, end_ms, STEP_MS))
    ]


def write_packed(tx: Tx, samples: Sequence[Sample]) -> None:
    """Store samples as the compactor would: one packed row per hour."""
    hours: dict[int, list[PastSample]] = {}
    for sample in samples:
        past = PastSample(sample.time_ms, sample.digest, sample.received_ms, sample.reading)
        hours.setdefault(rules.hour_of(sample.time_ms), []).append(past)
    place = (samples[0].device_no, samples[0].connector_id)
    for hour_ms, held in hours.items():
        store.upsert_pack(tx, *place, hour_ms, len(held), pack(hour_ms, held))


async def store_sessions(
    platform: Platform, numbers: Sequence[int], end_ms: int, packed_until_ms: int
) -> None:
    """Give each device a session: packed before ``packed_until_ms``, in the log from then on."""
    for device_no in numbers:
        samples = session(device_no, end_ms)
        old = [sample for sample in samples if sample.time_ms < packed_until_ms]
        recent = [sample for sample in samples if sample.time_ms >= packed_until_ms]
        if old:
            await platform.database.write(write_packed, old)
        if recent:
            await platform.database.write(store.append_samples, recent)
            platform.telemetry.index.note(recent)


async def read_times_ms(
    platform: Platform, numbers: Sequence[int], end_ms: int, reads: int
) -> tuple[list[float], list[float]]:
    """Return how long each of ``reads`` reads of a whole session took, and its processor time."""
    times_ms, spent_ms = [], []
    for number in range(reads):
        device = platform.directory.by_no(numbers[number % len(numbers)])
        assert device is not None
        began_s, before_s = time.perf_counter(), time.process_time()
        position_ms, found = end_ms - SESSION_MS, 0
        while position_ms < end_ms:
            samples, position_ms = await platform.telemetry.history(
                device.device_id, device.operator_id, _CONNECTOR, position_ms, end_ms
            )
            found += len(samples)
        times_ms.append((time.perf_counter() - began_s) * 1_000)
        spent_ms.append((time.process_time() - before_s) * 1_000)
        assert found == SESSION_SAMPLES, found
    return times_ms, spent_ms


async def _measure(folder: Path, devices: int, per_device: int, reads: int) -> list[Figure]:
    platform = make_platform(folder / "data")
    await platform.start()
    figures = []
    try:
        now_ms = platform.clock.now_ms()
        numbers = await seed_devices(platform, devices)
        rows = await seed_log(platform, numbers, per_device, now_ms, STEP_MS)
        calm_collector()
        what = f"{rows / 1e6:.1f} M rows in the log"
        horizon_ms = rules.packing_horizon(now_ms)
        cases = {
            "packed whole": (now_ms - SESSION_MS, now_ms),
            "running: its end in the log": (now_ms, horizon_ms),
            "all in the log": (now_ms, 0),
        }
        for position, (name, (end_ms, packed_until_ms)) in enumerate(cases.items()):
            measured = numbers[position * _MEASURED : (position + 1) * _MEASURED]
            await store_sessions(platform, measured, end_ms, packed_until_ms)
            times_ms, spent_ms = await read_times_ms(platform, measured, end_ms, reads)
            # The log holds half an hour at most: a session all in it shows the cost of look-ups.
            goal_ms = _GOAL_MS if packed_until_ms else None
            figures += _report(f"{name} ({what})", times_ms, spent_ms, goal_ms)
    finally:
        await platform.stop()
    return figures


def _report(
    what: str, times_ms: Sequence[float], spent_ms: Sequence[float], goal_ms: float | None
) -> list[Figure]:
    halves = {"p50": percentile(times_ms, 0.5), "processor, p50": percentile(spent_ms, 0.5)}
    return [
        *(
            Figure(RUNNER, f"{what}, {name}", value, "ms")
            if goal_ms is None
            else at_most(RUNNER, f"{what}, {name}", value, "ms", goal_ms)
            for name, value in halves.items()
        ),
        Figure(RUNNER, f"{what}, p99", percentile(times_ms, 0.99), "ms"),
    ]


def measure(devices: int = 10_000, per_device: int = 180, reads: int = 200) -> list[Figure]:
    """Fill a store and return p50 and p99 of reading a session, by where its samples are."""
    with tempfile.TemporaryDirectory(prefix="tellus-bench-") as name:
        return asyncio.run(_measure(Path(name), devices, per_device, reads))


def main() -> None:
    """Read the arguments, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--devices", type=int, default=10_000)
    parser.add_argument("--per-device", type=int, default=180, help="samples of each in the log")
    parser.add_argument("--reads", type=int, default=200)
    given = parser.parse_args()
    print(format_figures(measure(given.devices, given.per_device, given.reads)))


if __name__ == "__main__":
    main()
