"""A platform under steady load stays as it is: memory, open files and the time of an answer.

It is loaded to 70% of what it takes at its start. What it needs is looked at once it is warm.
"""

import asyncio
import os
import time
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.reliability.ledger import Ledger, Write
from tests.reliability.mixed_load import MixedLoad
from tests.reliability.process_figures import open_handles, resident_bytes
from tests.server import RunningServer, start_server

SECONDS = float(os.environ.get("TELLUS_TEST_SOAK_S", "12"))
CONTROL_S = 8.0
LOAD = 0.7
CAPACITY_SHARE, CAPACITY_AT_MOST_S = 0.15, 20.0
WARM_UP_SHARE, WARM_UP_SHARE_WHEN_LONG = 0.25, 0.5
CHARGERS = 12
LOOK_EVERY_S = 0.25
HANDLES_MORE = 4
"""SQLite's readers and the load's own connections come and go."""
LONG_S = 1800.0
"""From here on judged as promised; before, by what a leak would make of memory and p99."""
GROWTH_BYTES_PER_HOUR = 1024 * 1024
GROWTH_BYTES_WHEN_SHORT = 8 * 1024 * 1024
REMEMBERED_BYTES = 48
"""What a request may leave in memory while the platform is not yet warm: the instants of samples
are remembered until they are packed, which takes most of an hour, and caches fill up."""
DRIFT, DRIFT_WHEN_SHORT = 0.10, 1.0
P99_LEEWAY_S = 0.005
P99_LEEWAY_WHEN_SHORT_S = 0.250
PLANTED = Path(__file__).with_name("planted.py")

pytestmark = pytest.mark.slow


class Forgetful(Ledger):
    """A ledger that remembers no write: a soak of hours makes millions, and asks for none."""

    def note_sent(self, write: Write) -> None:
        """Remember nothing."""

    def note_acknowledged(self, keys: Any, time_ms: int) -> None:
        """Remember nothing."""


class PacedLoad(MixedLoad):
    """As many requests a second as it is told, as many as there can be while it is told none."""

    def __init__(self, server: RunningServer, seed: int) -> None:
        port = int(server.base_url.rpartition(":")[2])
        devices = [server.register() for _ in range(CHARGERS)]
        super().__init__(port, devices, server.create_client(), seed)
        self.ledger = Forgetful()
        self.per_s = 0.0
        self.took_s = array("d")
        self._due_s = 0.0

    async def rest(self) -> None:
        """Wait for the next turn; who is late takes up no more than the turns of half a second."""
        now_s = time.monotonic()
        if self.per_s:
            self._due_s = max(self._due_s, now_s - 0.5) + 1 / self.per_s
            await asyncio.sleep(max(0.0, self._due_s - now_s))
        else:
            await asyncio.sleep(0)

    async def _insist(self, lane: Any, write: Write) -> Any:
        began_s = time.monotonic()
        reply = await super()._insist(lane, write)
        self.took_s.append(time.monotonic() - began_s)
        return reply


def p99_s(took_s: Sequence[float]) -> float:
    """Return the time within which 99 of 100 were answered."""
    ordered = sorted(took_s)
    return ordered[len(ordered) * 99 // 100]


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Return by how much the second coordinate grows with the first, by least squares."""
    middle_x = sum(x for x, _ in points) / len(points)
    middle_y = sum(y for _, y in points) / len(points)
    spread = sum((x - middle_x) ** 2 for x, _ in points)
    return sum((x - middle_x) * (y - middle_y) for x, y in points) / spread


@dataclass
class Soak:
    """What a soak came to, from the moment on that the platform was warm."""

    capacity_per_s: float = 0.0
    per_s: float = 0.0
    watched_s: float = 0.0
    memory: list[tuple[float, float]] = field(default_factory=list)
    handles: list[int] = field(default_factory=list)
    p99_first_s: float = 0.0
    p99_last_s: float = 0.0
    refused: int = 0
    failures: list[str] = field(default_factory=list)

    @property
    def is_long(self) -> bool:
        """Tell whether it went on for long enough to be judged as promised."""
        return self.watched_s >= LONG_S

    @property
    def grown_bytes_per_s(self) -> float:
        """Return how fast memory grew."""
        return slope(self.memory)

    @property
    def leaks_memory(self) -> bool:
        """Tell whether memory grew by more than it may."""
        if self.is_long:
            return self.grown_bytes_per_s * 3600 > GROWTH_BYTES_PER_HOUR
        remembered = REMEMBERED_BYTES * self.per_s * self.watched_s
        return self.grown_bytes_per_s * self.watched_s > GROWTH_BYTES_WHEN_SHORT + remembered

    @property
    def leaks_handles(self) -> bool:
        """Tell whether there are more open files at the end than at the beginning."""
        return min(self.handles[-4:]) > max(self.handles[:4]) + HANDLES_MORE

    @property
    def slows_down(self) -> bool:
        """Tell whether answers take longer in the last third than in the first."""
        drift, leeway_s = (
            (DRIFT, P99_LEEWAY_S) if self.is_long else (DRIFT_WHEN_SHORT, P99_LEEWAY_WHEN_SHORT_S)
        )
        return self.p99_last_s > self.p99_first_s * (1 + drift) + leeway_s

    def __str__(self) -> str:
        grown_mib = self.grown_bytes_per_s * self.watched_s / 2**20
        return (
            f"soak at {self.per_s:.0f} requests/s, capacity {self.capacity_per_s:.0f}/s: watched"
            f" for {self.watched_s:.0f} s after the warm-up; memory"
            f" {self.memory[-1][1] / 2**20:.0f} MiB, grown by {grown_mib:.1f} MiB"
            f" ({self.grown_bytes_per_s * 3600 / 2**20:.1f} MiB/h); open files"
            f" {self.handles[0]} to {self.handles[-1]}; p99 {self.p99_first_s * 1e3:.1f} ms to"
            f" {self.p99_last_s * 1e3:.1f} ms; put off {self.refused}"
        )


async def soak(server: RunningServer, seconds: float) -> Soak:
    """Find the capacity, load the platform below it, and watch it once it is warm."""
    found = Soak()
    load = await asyncio.to_thread(PacedLoad, server, 1)
    capacity_s = min(CAPACITY_AT_MOST_S, seconds * CAPACITY_SHARE)
    is_long = seconds >= 2 * LONG_S
    warm_up_s = seconds * (WARM_UP_SHARE_WHEN_LONG if is_long else WARM_UP_SHARE)
    load.start()
    load.running.set()
    await asyncio.sleep(capacity_s)
    found.capacity_per_s = load.requests / capacity_s
    load.per_s = LOAD * found.capacity_per_s
    await asyncio.sleep(warm_up_s)
    load.took_s = array("d")
    before, refused = load.requests, _put_off(load)
    began_s = time.monotonic()
    marks = [0]
    while (passed_s := time.monotonic() - began_s) < seconds - capacity_s - warm_up_s:
        found.memory.append((passed_s, resident_bytes(server.process.pid)))
        found.handles.append(open_handles(server.process.pid))
        marks.append(len(load.took_s))
        await asyncio.sleep(LOOK_EVERY_S)
    found.watched_s = passed_s
    found.per_s = (load.requests - before) / passed_s
    found.refused = _put_off(load) - refused
    found.p99_first_s = p99_s(load.took_s[: marks[len(marks) // 3]])
    found.p99_last_s = p99_s(load.took_s[marks[len(marks) * 2 // 3] :])
    await load.stop()
    found.failures = load.ledger.failures
    return found


def _put_off(load: MixedLoad) -> int:
    return load.ledger.statuses[429] + load.ledger.statuses[503]


def run_soak(data_dir: Path, seconds: float, plant: str) -> Soak:
    """Soak a platform of its own, with something planted."""
    server = start_server(data_dir, program=(str(PLANTED), plant))
    try:
        found = asyncio.run(soak(server, seconds))
        assert server.stop() == 0
    finally:
        server.kill()
    print(f"{plant}: {found}")
    return found


def test_platform__under_steady_load__stays_as_it_is(tmp_path: Path) -> None:
    """Memory, open files and p99 are the same at the end as they were when it was warm.

    The page cache is bounded but takes hours to fill; it is kept small so that a leak would show.
    """
    found = run_soak(tmp_path / "data", SECONDS, "cache_little")
    assert found.failures == []
    assert found.per_s > LOAD / 2 * found.capacity_per_s
    assert not found.leaks_memory, found
    assert not found.leaks_handles, found
    assert not found.slows_down, found


def test_soak_harness__platform_that_wears_out__is_caught(tmp_path: Path) -> None:
    """The harness sees memory and files that are kept, and answers that take ever longer."""
    found = run_soak(tmp_path / "data", CONTROL_S, "wear_out")
    assert found.leaks_memory
    assert found.leaks_handles
    assert found.slows_down
