"""From starting the process to ``/readyz``, with a fleet stored, its log full, and after a crash.

python -m bench.startup [--devices 10000] [--per-device 0]
"""

import argparse
import asyncio
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.figures import Figure, at_most, format_figures, middle
from bench.processes import Server, free_port, wait_ready
from bench.seeding import make_platform, seed_devices, seed_log

RUNNER = "startup"
_STEP_MS = 5_000
_GOAL_S = 5.0
_WITHIN_S = 120.0
_POLL_S = 0.01
_CRASH_ROWS = 5


async def _seed(data_dir: Path, devices: int, per_device: int) -> None:
    platform = make_platform(data_dir)
    await platform.start()
    try:
        numbers = await seed_devices(platform, devices)
        if per_device:
            await seed_log(platform, numbers, per_device, platform.clock.now_ms(), _STEP_MS)
    finally:
        await platform.stop()


def _crash(data_dir: Path, devices: int) -> None:
    """Write a few thousand samples and end on the spot, as a power cut would."""

    async def write() -> None:
        platform = make_platform(data_dir)
        await platform.start()
        numbers = [device.device_no for device in platform.directory][:devices]
        await seed_log(platform, numbers, _CRASH_ROWS, platform.clock.now_ms(), _STEP_MS)
        os._exit(1)

    asyncio.run(write())


def crash(data_dir: Path) -> None:
    """Let a process of its own write and crash; the write-ahead log stays as it was."""
    process = multiprocessing.get_context("spawn").Process(target=_crash, args=(data_dir, 1_000))
    process.start()
    process.join()


def start_once(folder: Path) -> float:
    """Start the platform, wait until it is ready, end it; return the seconds to ready."""
    port = free_port()
    command = [
        str(Path(sys.executable).with_name("tellus")), "serve",
        "--data-dir", str(folder / "data"), "--host", "127.0.0.1", "--port", str(port),
        "--registration", "open",
    ]  # fmt: skip
    log = folder / "startup.log"
    began_s = time.perf_counter()
    with log.open("ab") as sink:
        process = subprocess.Popen(command, stdout=sink, stderr=subprocess.STDOUT)
    try:
        wait_ready(Server(process, port, log), "/readyz", _WITHIN_S, _POLL_S)
        return time.perf_counter() - began_s
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(40)


def measure(devices: int = 10_000, per_device: int = 0, repeats: int = 3) -> list[Figure]:
    """Return the time to ready after an orderly end and after a crash."""
    with tempfile.TemporaryDirectory(prefix="tellus-bench-") as name:
        folder = Path(name)
        asyncio.run(_seed(folder / "data", devices, per_device))
        what = f"{devices:,} devices"
        if per_device:
            what += f", {devices * per_device / 1e6:.1f} M samples in the log"
        clean = [start_once(folder) for _ in range(repeats)]
        killed = []
        for _ in range(repeats):
            crash(folder / "data")
            killed.append(start_once(folder))
    return [
        at_most(RUNNER, f"{what}: to ready", middle(clean), "s", _GOAL_S),
        at_most(RUNNER, f"{what}: to ready after a crash", middle(killed), "s", _GOAL_S),
    ]


def main() -> None:
    """Read the arguments, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--devices", type=int, default=10_000)
    parser.add_argument("--per-device", type=int, default=0, help="samples of each in the log")
    given = parser.parse_args()
    print(format_figures(measure(given.devices, given.per_device)))


if __name__ == "__main__":
    main()
