"""A rollout over simulated chargers, with a build that many of them cannot install."""

import json
import os
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.contract.client import ContractClient
from tests.server import RunningServer, start_server

CHARGERS = int(os.environ.get("TELLUS_TEST_ROLLOUT_CHARGERS", "100"))
# A small fleet can be played faster.
TIME_SCALE = 60 if CHARGERS <= 100 else 30
BAD = "9.9.9"
IN_FLIGHT = 25
ROLLOUTS = "/v1/operator/firmware/rollouts"

pytestmark = pytest.mark.slow

Item = dict[str, Any]


@contextmanager
def simulated_fleet(server: RunningServer, seconds: float) -> Iterator[subprocess.Popen[str]]:
    """Run chargers of which a quarter cannot install the bad build, at a faster clock."""
    command = [sys.executable, "-m", "tellus", "simulate", "--base-url", server.base_url]
    options = {
        "--chargers": CHARGERS, "--duration": seconds, "--seed": 7, "--time-scale": TIME_SCALE,
        "--scenario": "bad_build",
    }  # fmt: skip
    given = [str(part) for pair in options.items() for part in pair]
    process = subprocess.Popen(
        [*command, *given, "--batch-replay", "--json", "--quiet"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


class Watch:
    """Looks at a rollout as an operator does, and remembers the most that was under way."""

    def __init__(self, server: RunningServer) -> None:
        self.server = server
        self.client = server.create_client()
        self.most_in_flight = 0

    def devices(self, **query: Any) -> list[Item]:
        """All devices of the operator."""
        return self.read_all("/v1/operator/devices", **query)

    def read_all(self, path: str, **query: Any) -> list[Item]:
        """All items of a list."""
        items: list[Item] = []
        total, page = 1, 1
        with ContractClient(self.server.base_url) as client:
            api = client.operator(self.client.token)
            while len(items) < total:
                data = api.get(path, params=query | {"size": 100, "page": page}, expect=200).data
                total, page = data["total"], page + 1
                items += data["items"]
        return items

    def fleet(self, within_s: float = 60.0) -> list[Item]:
        """Wait until all chargers are online; return them."""
        until_s = time.monotonic() + within_s
        while time.monotonic() < until_s:
            devices = self.devices(status="online")
            if len(devices) == CHARGERS:
                return devices
            time.sleep(0.2)
        raise AssertionError("the chargers did not come online")

    def post(self, path: str, body: Any = None) -> Item:
        """Post and return what came of it."""
        with ContractClient(self.server.base_url) as client:
            made: Item = client.operator(self.client.token).post(path, body, expect=200).data
        return made

    def rollout(self, rollout_id: str) -> Item:
        """The rollout as it is now."""
        with ContractClient(self.server.base_url) as client:
            api = client.operator(self.client.token)
            seen: Item = api.get(f"{ROLLOUTS}/{rollout_id}", expect=200).data
        self.most_in_flight = max(self.most_in_flight, seen["counts"]["in_flight"])
        return seen

    def until(self, rollout_id: str, within_s: float, **wanted: Any) -> Item:
        """Look until the rollout is as wanted."""
        until_s = time.monotonic() + within_s
        seen: Item = {}
        while time.monotonic() < until_s:
            seen = self.rollout(rollout_id)
            if all((seen | seen["counts"]).get(name) == value for name, value in wanted.items()):
                return seen
            time.sleep(0.2)
        raise AssertionError(f"not {wanted} within {within_s} s: {seen}")


def add_releases(server: RunningServer, models: list[str], versions: list[str]) -> None:
    """Let all models have these releases; the files are small, so that downloads are quick."""
    for version in versions:
        body = {
            "models": models,
            "firmware_version": version,
            "url": f"https://firmware.example/{version}.bin",
            "sha256": "c4" * 32,
            "size": 100_000,
        }
        server.admin("POST", "/v1/admin/firmware/releases", body)


def plan(version: str, *waves: Item) -> Item:
    """A rollout over the whole fleet."""
    return {
        "firmware_version": version,
        "cohort": {},
        "waves": list(waves),
        "max_in_flight": IN_FLIGHT,
    }


def free_port() -> int:
    """A port that a server can come back on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def installs_of(report: Item) -> Counter[int]:
    """How often chargers carried out one and the same command, over all commands."""
    return Counter(report["effects"].values())


@dataclass
class Story:
    """What a rollout of the bad build came to, as its operator saw it; times in seconds."""

    before: dict[str, str] = field(default_factory=dict)
    after: dict[str, str] = field(default_factory=dict)
    halted: Item = field(default_factory=dict)
    settled: Item = field(default_factory=dict)
    done: Item = field(default_factory=dict)
    members: list[Item] = field(default_factory=list)
    report: Item = field(default_factory=dict)
    most_in_flight: int = 0
    to_second_s: float = 0.0
    to_halt_s: float = 0.0
    to_rollback_s: float = 0.0

    def __str__(self) -> str:
        halt = self.halted["halted"]
        return (
            f"{CHARGERS} chargers: first wave passed after {self.to_second_s:.1f} s, halted "
            f"{self.to_halt_s:.1f} s later in wave {halt['wave']} with {halt['failed']} of "
            f"{halt['devices']} failed, at most {self.most_in_flight} under way; "
            f"{self.settled['counts']['upgraded']} upgraded, {self.done['counts']['rolled_back']} "
            f"rolled back {self.to_rollback_s:.1f} s after the halt; "
            f"commands carried out so often: {installs_of(self.report)}"
        )


def live_through(folder: Path) -> Story:
    """Roll the bad build out; the platform is killed in the second wave and comes back."""
    story, port = Story(), free_port()
    server = start_server(folder / "data", "--port", str(port))
    try:
        watch = Watch(server)
        with simulated_fleet(server, 300.0) as fleet:
            story.before = {one["device_id"]: one["firmware_version"] for one in watch.fleet()}
            began_s = time.monotonic()
            rollout_id = begin(watch, sorted(set(story.before.values())))
            watch.until(rollout_id, 60, wave=2)
            second_s = time.monotonic()
            time.sleep(1.0)
            server.kill()
            server = watch.server = start_server(folder / "data", "--port", str(port))
            story.halted = watch.until(rollout_id, 60, status="halted")
            halted_s = time.monotonic()
            story.settled = watch.until(rollout_id, 60, in_flight=0)
            watch.post(f"{ROLLOUTS}/{rollout_id}/rollback")
            story.done = watch.until(rollout_id, 60, status="rolled_back")
            story.to_rollback_s = time.monotonic() - halted_s
            story.to_second_s, story.to_halt_s = second_s - began_s, halted_s - second_s
            story.after = {one["device_id"]: one["firmware_version"] for one in watch.devices()}
            story.members = watch.read_all(f"{ROLLOUTS}/{rollout_id}/devices")
            story.most_in_flight = watch.most_in_flight
            story.report = end(fleet)
    finally:
        server.kill()
    return story


def begin(watch: Watch, versions: list[str]) -> str:
    """Begin the rollout of the bad build over all chargers; return its id.

    A quarter fails: seven of the first eight hardly ever, four of the next sixty always.
    """
    models = sorted({one["model"] for one in watch.devices()})
    add_releases(watch.server, models, [BAD, *versions])
    waves = (
        {"count": 8, "success_percent": 20, "max_failure_percent": 80},
        {"count": 60, "success_percent": 95, "max_failure_percent": 5},
        {"success_percent": 95, "max_failure_percent": 5},
    )
    return str(watch.post(ROLLOUTS, plan(BAD, *waves))["rollout_id"])


def end(fleet: subprocess.Popen[str]) -> Item:
    """End a fleet in order; return its report."""
    fleet.terminate()
    assert fleet.stdout is not None
    report: Item = json.loads(fleet.stdout.read())
    return report


def test_rollout__of_a_bad_build__halts_in_its_second_wave_and_rolls_back(
    tmp_path: Path,
) -> None:
    """The platform is killed in the second wave too; nobody installs twice, and all go back."""
    story = live_through(tmp_path)
    print(story)
    upgraded = story.settled["counts"]["upgraded"]
    assert story.halted["halted"]["reason"] == "max_failure_exceeded"
    assert story.halted["halted"]["wave"] == 2
    assert story.halted["waves"][2]["counts"]["waiting"] == CHARGERS - 68
    assert story.most_in_flight <= IN_FLIGHT
    assert upgraded > 0
    assert story.done["counts"]["rolled_back"] == upgraded
    assert story.done["counts"]["rollback_failed"] == 0
    assert story.after == story.before
    assert set(installs_of(story.report)) == {1}
    touched = [one for one in story.members if "command_id" in one]
    assert 0 < len(touched) <= 68
    assert all(one["wave"] < 3 for one in touched)


def test_rollout__of_a_good_build__reaches_every_charger_once(tmp_path: Path) -> None:
    """All waves pass by themselves, and each charger carried out one command."""
    server = start_server(tmp_path / "data")
    try:
        watch = Watch(server)
        with simulated_fleet(server, 300.0) as fleet:
            watch.fleet()
            models = sorted({one["model"] for one in watch.devices()})
            add_releases(server, models, ["9.0.0"])
            began_s = time.monotonic()
            waves = [
                {"percent": 10, "success_percent": 100, "max_failure_percent": 0},
                {"success_percent": 100, "max_failure_percent": 0},
            ]
            made = watch.post(ROLLOUTS, plan("9.0.0", *waves) | {"max_in_flight": 100})
            watch.until(made["rollout_id"], 90, status="completed")
            took_s = time.monotonic() - began_s
            versions = Counter(one["firmware_version"] for one in watch.devices())
            report = end(fleet)
    finally:
        server.kill()
    print(f"{CHARGERS} chargers upgraded in {took_s:.1f} s, {watch.most_in_flight} at most at once")
    assert versions == {"9.0.0": CHARGERS}
    assert installs_of(report) == {1: CHARGERS}
