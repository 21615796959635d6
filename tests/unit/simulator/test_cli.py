"""``tellus simulate`` as a user runs it: a program, its output, its exit code."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from tests.unit.simulator.stand_in import Serving, StandIn

PROGRAM = (sys.executable, "-c", "from tellus.cli import main; main()", "simulate")


class Background:
    """A stand-in that serves from a thread of its own while programs run."""

    def __init__(self) -> None:
        self.stand_in = StandIn()
        self.base_url = ""
        self._ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._done = asyncio.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        async with Serving(self.stand_in) as server:
            self.base_url = server.base_url
            self._ready.set()
            await self._done.wait()

    def start(self) -> None:
        self._thread.start()
        assert self._ready.wait(10.0)

    def stop(self) -> None:
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._done.set)
        self._thread.join(10.0)


@pytest.fixture
def background() -> Iterator[Background]:
    """Serve a stand-in while a test runs."""
    serving = Background()
    serving.start()
    yield serving
    serving.stop()


def _simulate(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PROGRAM, *arguments], capture_output=True, text=True, timeout=60, check=False
    )


def test_simulate__good_run__prints_json_and_exits_zero(background: Background) -> None:
    """A clean run prints one JSON document on stdout, progress on stderr, and exits 0."""
    result = _simulate(
        "--base-url", background.base_url, "--chargers", "3", "--seed", "3", "--duration", "3",
        "--time-scale", "10", "--scenario", "busy", "--json",
    )  # fmt: skip
    report = json.loads(result.stdout)
    assert result.returncode == 0, result.stderr
    assert report["clean"] is True
    assert report["kinds"]["telemetry"]["acknowledged"] == len(background.stand_in.of("telemetry"))
    assert "online" in result.stderr


def test_simulate__something_refused__exits_one(background: Background) -> None:
    """When the platform refuses messages the exit code is 1 and the table tells."""
    background.stand_in.refuse_events = True
    result = _simulate(
        "--base-url", background.base_url, "--chargers", "2", "--duration", "3",
        "--time-scale", "10", "--scenario", "busy", "--quiet",
    )  # fmt: skip
    assert result.returncode == 1
    assert "event" in result.stdout


def test_simulate__nobody_answers__exits_one_with_everything_unsent() -> None:
    """Without a platform nothing is acknowledged, and the run says so."""
    result = _simulate(
        "--base-url", "http://127.0.0.1:9", "--chargers", "2", "--duration", "2",
        "--json", "--quiet",
    )  # fmt: skip
    report = json.loads(result.stdout)
    assert result.returncode == 1
    assert report["kinds"]["heartbeat"]["acknowledged"] == 0
    assert report["kinds"]["register"]["retried"] > 0


@pytest.mark.parametrize(
    "arguments", [("--scenario", "nowhere"), ("--time-scale", "50"), ("--chargers", "0")]
)
def test_simulate__wrong_usage__exits_two(arguments: tuple[str, str]) -> None:
    """What cannot run is a usage error."""
    assert _simulate("--base-url", "http://127.0.0.1:9", *arguments).returncode == 2


def test_simulate__interrupted__ends_cleanly_and_exits_130(background: Background) -> None:
    """Ctrl-C ends the sessions, still prints the report, and exits 130."""
    program = subprocess.Popen(
        [*PROGRAM, "--base-url", background.base_url, "--chargers", "2", "--json"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert program.stderr is not None
    while "online 2/2" not in program.stderr.readline():
        assert program.poll() is None
    program.send_signal(signal.SIGINT)
    output, _ = program.communicate(timeout=10)
    assert program.returncode == 130
    assert json.loads(output)["kinds"]["heartbeat"]["acknowledged"] >= 4
