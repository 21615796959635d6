"""Fills a data folder with a large fleet through the platform's own code, then dies without a stop.

`python large_fleet.py DATA_DIR DEVICES SAMPLES` leaves the write-ahead log as a crash would.
"""

import asyncio
import os
import sys
import time
from pathlib import Path

from tellus.app import Platform
from tellus.config import load_configuration
from tellus.fleet.model import DeviceIdentity, Reading
from tellus.fleet.registration import RegisterCall
from tellus.logs import LogRecorder

_AT_ONCE = 500
_SAMPLES_AT_ONCE = 4000
_STEP_MS = 5_000


async def fill(data_dir: Path, devices: int, samples: int) -> None:
    """Register devices, and store samples of theirs, five seconds apart, up to this moment."""
    flags = {"data_dir": str(data_dir), "registration.mode": "open", "limits.scale": 1000.0}
    platform = Platform(load_configuration(flags, environment={}).settings, LogRecorder())
    await platform.start()
    for first in range(0, devices, _AT_ONCE):
        numbers = range(first, min(first + _AT_ONCE, devices))
        await asyncio.gather(*(_register(platform, number) for number in numbers))
    places = [
        (device.device_no, connector_id)
        for device in platform.directory
        for connector_id in device.connectors
    ]
    for first in range(0, samples, _SAMPLES_AT_ONCE):
        await _store(platform, places, range(first, min(first + _SAMPLES_AT_ONCE, samples)))
    print(len(places), flush=True)


async def _register(platform: Platform, number: int) -> None:
    identity = DeviceIdentity(f"SN-{number}", "TP-DC180", "Maker", "3.1.0", None)
    now_ms = platform.clock.now_ms()
    await platform.registration.register(identity, RegisterCall("", "127.0.0.1", "req", now_ms))


async def _store(platform: Platform, places: list[tuple[int, int]], numbers: range) -> None:
    now_ms = int(time.time() * 1000)
    judge = platform.telemetry.judge
    batch = []
    for number in numbers:
        round_, place = divmod(number, len(places))
        reading = Reading("charging", 400.0, 125.0, 50.0, number / 1000, 50)
        batch.append(judge(*places[place], now_ms - round_ * _STEP_MS, now_ms, reading))
    size = len(batch) // 8 + 1
    parts = [batch[start : start + size] for start in range(0, len(batch), size)]
    await asyncio.gather(*(platform.telemetry.ingest_many(part) for part in parts))


if __name__ == "__main__":
    Path(sys.argv[1]).mkdir(parents=True, exist_ok=True)
    asyncio.run(fill(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])), debug=False)
    os._exit(0)
