"""Filling a store with a fleet, through the platform's own code and without a server."""

import asyncio
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

from tellus.app import Platform
from tellus.config import load_configuration
from tellus.fleet.model import DeviceIdentity, Reading
from tellus.fleet.registration import RegisterCall
from tellus.kernel.errors import ApiError
from tellus.storage.database import Tx
from tellus.telemetry import store
from tellus.telemetry.model import Sample
from tellus.telemetry.rules import make_sample

MODEL = "TP-DC180"
_AT_ONCE = 500
_ROWS_AT_ONCE = 20_000


class LoudRecorder:
    """A recorder that ends the seeding with whatever went wrong."""

    def failure(self, _request_id: str, endpoint: str, error: ApiError, _address: str) -> None:
        """Raise what was refused."""
        raise RuntimeError(f"{endpoint} refused: {error!r}")

    def crash(self, _request_id: str, endpoint: str, error: BaseException) -> None:
        """Raise the bug."""
        raise RuntimeError(f"{endpoint} failed") from error


def make_platform(data_dir: Path) -> Platform:
    """Return a platform over ``data_dir`` that is not started, registration open."""
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    flags = {"data_dir": data_dir, "registration.mode": "open", "limits.scale": 1_000.0}
    settings = load_configuration(flags, environment={}).settings
    return Platform(settings, LoudRecorder())


async def seed_devices(platform: Platform, count: int) -> list[int]:
    """Register ``count`` devices with a current state on each connector; return their numbers."""
    numbers: list[int] = []
    for start in range(0, count, _AT_ONCE):
        claims = await asyncio.gather(
            *(_register(platform, number) for number in range(start, min(count, start + _AT_ONCE)))
        )
        numbers += claims
        now_ms = platform.clock.now_ms()
        samples = [
            make_sample(device_no, connector_id, now_ms, now_ms, reading_at(device_no))
            for device_no in claims
            for connector_id in (1, 2)
        ]
        await platform.telemetry.ingest_many(samples)
    return numbers


async def _register(platform: Platform, number: int) -> int:
    identity = DeviceIdentity(f"SEED-{number:05d}", MODEL, "Bench", "4.1.0", None)
    call = RegisterCall("", "127.0.0.1", "", platform.clock.now_ms())
    claimed = await platform.registration.register(identity, call)
    return claimed.device_no


def reading_at(step: int) -> Reading:
    """Return a plausible reading; ``step`` counts the samples of a session."""
    wave = math.sin(step / 30)
    return Reading(
        "charging",
        round(400 + 2 * wave, 1),
        round(125 + 5 * wave, 1),
        round(50 + 2.3 * wave, 2),
        round(step * 0.07, 3),
        min(100, 10 + step // 40),
        round(35 + wave, 1),
        None,
        ((230.1, 72.4), (229.8, 72.6), (230.4, round(72 + wave, 1))),
    )


def log_rows(
    numbers: Sequence[int], per_device: int, end_ms: int, step_ms: int
) -> Iterator[list[Sample]]:
    """Yield samples of connector 1 of all devices in order of time, some thousand at a time.

    The readings of one round are shared; each device is a little later than the one before.
    """
    rows: list[Sample] = []
    for step in range(per_device):
        model = make_sample(0, 1, 0, 0, reading_at(step))
        round_ms = end_ms - (per_device - step) * step_ms
        for position, device_no in enumerate(numbers):
            time_ms = round_ms + position * step_ms // len(numbers)
            rows.append(
                model._replace(time_ms=time_ms, device_no=device_no, received_ms=time_ms + 40)
            )
        while len(rows) >= _ROWS_AT_ONCE:
            yield rows[:_ROWS_AT_ONCE]
            rows = rows[_ROWS_AT_ONCE:]
    if rows:
        yield rows


async def seed_log(
    platform: Platform, numbers: Sequence[int], per_device: int, end_ms: int, step_ms: int
) -> int:
    """Fill the recent log; return how many rows it got."""
    written = 0

    def write(tx: Tx, samples: list[Sample]) -> int:
        return len(store.append_samples_told(tx, samples))

    for rows in log_rows(numbers, per_device, end_ms, step_ms):
        written += await platform.database.write(write, rows)
        platform.telemetry.index.note(rows)
    return written
