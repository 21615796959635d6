"""A whole fleet that comes back at once after an outage gets in, is heard, and loses nothing."""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.reliability.lanes import Lane
from tests.reliability.ledger import ms_of
from tests.reliability.readback import samples_of
from tests.reliability.returning_fleet import MOMENTS
from tests.reliability.test_kill import Lives
from tests.server import Client, RunningServer, start_server

CHARGERS = int(os.environ.get("TELLUS_TEST_CHARGERS", "500"))
SAMPLES = int(os.environ.get("TELLUS_TEST_BUFFERED_SAMPLES", "24"))
HEARTBEAT_S = float(os.environ.get("TELLUS_TEST_HEARTBEAT_S", "4"))
OUTAGE_S = float(os.environ.get("TELLUS_TEST_OUTAGE_S", "2"))
PROCESSES = 2
AUTHENTICATED_WITHIN_S = 60.0
HEARTBEATING_WITHIN_S = 120.0
AUDIT_LANES = 8
# A few are between two polls, or at a heartbeat, in the moment that they are counted.
PARKED_SHARE = 0.9
ROOT = Path(__file__).parents[2]
PLANTED = Path(__file__).with_name("planted.py")

pytestmark = pytest.mark.slow

Key = tuple[str, int, float]


class Share:
    """A part of the fleet in a process of its own."""

    def __init__(self, folder: Path, port: int, first: int, count: int, samples: int) -> None:
        self._result = folder / f"fleet-{first}.json"
        numbers = [str(number) for number in (port, first, count, samples, HEARTBEAT_S)]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.reliability.returning_fleet", *numbers, self._result],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )

    def wait_for(self, word: str) -> None:
        """Wait until the share says so."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line.strip() == word, f"a share of the fleet said {line!r}, not {word}"

    def tell(self, word: str) -> None:
        """Send a line."""
        assert self._process.stdin is not None
        self._process.stdin.write(word + "\n")
        self._process.stdin.flush()

    @property
    def result(self) -> dict[str, Any]:
        """Return what the share wrote down."""
        document: dict[str, Any] = json.loads(self._result.read_text())
        return document

    def end(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()


@dataclass
class Return:
    """What came of a fleet's return."""

    chargers: list[dict[str, Any]] = field(default_factory=list)
    statuses: Counter[str] = field(default_factory=Counter)
    broken: int = 0
    ready_s: float = 0.0
    parked: int = 0
    stored: set[Key] = field(default_factory=set)
    expected: int = 0

    def latest_s(self, name: str) -> float:
        """Return when the last charger had got so far, from the platform's being ready."""
        return max(charger["moments_s"][name] for charger in self.chargers)

    @property
    def acknowledged(self) -> set[Key]:
        """Return the key of every sample that was promised to be kept."""
        return {
            (charger["device_id"], time_ms, energy_kwh)
            for charger in self.chargers
            for time_ms, energy_kwh in charger["acknowledged"]
        }

    @property
    def lost(self) -> set[Key]:
        """Return what was promised and is not there."""
        return self.acknowledged - self.stored

    def __str__(self) -> str:
        moments = ", ".join(f"{name} {self.latest_s(name):.1f} s" for name in MOMENTS)
        return (
            f"{len(self.chargers)} chargers; platform ready after {self.ready_s:.2f} s; the last"
            f" one: {moments}; {self.parked} polls parked then; uploads acknowledged"
            f" {len(self.acknowledged)} of {self.expected}, lost {len(self.lost)}; answers"
            f" {dict(self.statuses)}, connections broken {self.broken}"
        )


@contextmanager
def fleet_of(folder: Path, port: int, chargers: int, samples: int) -> Iterator[list[Share]]:
    """Connect a fleet from several processes; ends them by their ids."""
    size = -(-chargers // PROCESSES)
    shares = [
        Share(folder, port, first, min(size, chargers - first), samples)
        for first in range(0, chargers, size)
    ]
    try:
        for share in shares:
            share.wait_for("connected")
        yield shares
    finally:
        for share in shares:
            share.end()


def count_parked(server: RunningServer) -> int:
    """Return how many polls wait on the server."""
    page = httpx.get(f"{server.base_url}/metrics", timeout=30).text
    line = next(one for one in page.splitlines() if one.startswith("tellus_polls_parked"))
    return int(float(line.split()[-1]))


async def read_back(port: int, client: Client, found: Return) -> None:
    """Read every charger's samples over the API."""
    waiting = iter(found.chargers)
    now_ms = int(time.time() * 1000)
    span_ms = (now_ms - 86_400_000, now_ms + 86_400_000)

    async def read() -> None:
        async with Lane(port, client.token, within_s=60) as lane:
            for charger in waiting:
                own = charger["device_id"]
                async for item in samples_of(lane, own, 1, *span_ms):
                    found.stored.add((own, ms_of(item["timestamp"]), item["energy_delivered"]))

    await asyncio.gather(*(read() for _ in range(AUDIT_LANES)))


def lose_and_regain(
    folder: Path, chargers: int, samples: int, program: Sequence[str] = ("-m", "tellus")
) -> Return:
    """Kill the platform under a connected fleet, start it again, and let all return at once.

    The fleet lives under the limits as they are by default; the audit does not.
    """
    lives = Lives(folder, (program,), seed=1)
    usual = ("--port", str(lives.port), "--limit-scale", "1")
    found = Return(expected=chargers * (samples + 1))
    server = start_server(lives.data_dir, *usual, program=program)
    try:
        with fleet_of(folder, lives.port, chargers, samples) as shares:
            server.kill()
            time.sleep(OUTAGE_S)
            began_s = time.monotonic()
            server = start_server(lives.data_dir, *usual, program=program)
            found.ready_s = time.monotonic() - began_s
            for share in shares:
                share.tell("return")
            for share in shares:
                share.wait_for("returned")
            time.sleep(1.0)
            found.parked = count_parked(server)
            for share in shares:
                found.chargers += share.result["chargers"]
                found.statuses.update(share.result["statuses"])
                found.broken += share.result["broken"]
        server.kill()
        server, _ = lives.begin()
        asyncio.run(read_back(lives.port, server.create_client(), found))
    finally:
        server.kill()
    print(found)
    return found


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Return:
    """What came of the whole fleet's return."""
    return lose_and_regain(tmp_path_factory.mktemp("fleet"), CHARGERS, SAMPLES)


def test_fleet__all_return_at_once__get_in_and_lose_no_upload(found: Return) -> None:
    """All have a token within 60 s and a second heartbeat within 120 s; all uploads are there."""
    assert len(found.chargers) == CHARGERS
    assert found.latest_s("authenticated") <= AUTHENTICATED_WITHIN_S
    assert found.latest_s("heartbeating") <= HEARTBEATING_WITHIN_S
    assert sorted(found.lost)[:10] == []
    assert len(found.acknowledged) == found.expected
    assert found.parked >= CHARGERS * PARKED_SHARE
    assert set(found.statuses) <= {"200", "429", "503"}


def test_fleet_harness__platform_that_drops_samples__is_caught(tmp_path: Path) -> None:
    """The harness sees uploads that were acknowledged and not kept."""
    found = lose_and_regain(tmp_path, 20, SAMPLES, (str(PLANTED), "drop_samples"))
    assert len(found.acknowledged) == found.expected
    assert found.lost


def test_fleet_harness__ledger_entry_that_was_never_sent__is_caught(found: Return) -> None:
    """The audit looks for every single entry of the ledger."""
    never_sent = int(time.time() * 1000)
    ledger = found.chargers[-1]["acknowledged"]
    ledger.append((never_sent, 1.0))
    try:
        assert found.lost == {(found.chargers[-1]["device_id"], never_sent, 1.0)}
    finally:
        ledger.pop()
