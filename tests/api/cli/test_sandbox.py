"""The sandbox from start to end: a living fleet, the steps as printed, no process left over."""

import asyncio
import contextlib
import fcntl
import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect

from tellus.cli.environment import read_env_file
from tests.api.cli.console import Console, clean_environment, free_port, wait_until

HISTORY_DAYS = int(os.environ.get("TELLUS_TEST_HISTORY_DAYS", "6"))
"""A sandbox makes up 30; what becomes of them does not depend on how many they are."""
_PROGRAM = f"""
from tellus.cli import main, sandbox_world
sandbox_world.HISTORY_DAYS = {HISTORY_DAYS}
main()
"""
TELLUS = [sys.executable, "-c", _PROGRAM]
RECORDS_A_DAY = 100
READY_S = 60.0
"""Patience of the tests; how quickly a sandbox is ready is not asserted here."""


class Running:
    """A sandbox in a folder of its own."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        self.port = free_port()
        self.out, self.err = folder / "out", folder / "err"
        with self.out.open("wb") as out, self.err.open("wb") as err:
            self.process = subprocess.Popen(
                [*TELLUS, "sandbox", "--port", str(self.port), *options],
                env=clean_environment(), stdout=out, stderr=err, cwd=folder,
            )  # fmt: skip

    def await_ready(self) -> str:
        """Return what it says once it is ready."""

        def is_ready() -> bool:
            assert self.process.poll() is None, self.err.read_text()
            return "Ctrl-C ends" in self.out.read_text()

        wait_until(is_ready, "the sandbox", READY_S)
        return self.out.read_text()

    def children(self) -> list[int]:
        """Return the process ids of platform and fleet."""
        listed = subprocess.run(
            ["ps", "-o", "pid=", "--ppid", str(self.process.pid)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        return [int(text) for text in listed.stdout.split()]

    def end(self, number: signal.Signals) -> int:
        """End it; return its exit code."""
        self.process.send_signal(number)
        return self.process.wait(READY_S)

    @property
    def environment(self) -> dict[str, str]:
        """What `.env.tellus` holds."""
        return read_env_file(self.folder / ".env.tellus")


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Any]:
    """Start sandboxes in one folder; whatever is left at the end is ended."""
    started: list[tuple[Running, list[int]]] = []

    def begin(*options: str) -> Running:
        running = Running(tmp_path, *options)
        started.append((running, []))
        return running

    yield begin
    for running, _ in started:
        for pid in (*running.children(), running.process.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        running.process.wait()


def is_alive(pid: int) -> bool:
    """Tell whether a process runs still (one that only waits to be collected does not)."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def steps(said: str) -> dict[int, list[str]]:
    """Return the lines to copy, by step."""
    found: dict[int, list[str]] = {}
    step = -1
    for line in said.splitlines():
        if match := re.match(r"# (\d) ", line):
            step = int(match[1])
        elif step >= 0 and line.startswith("  "):
            found.setdefault(step, []).append(line.strip())
    return found


async def read_frames(line: str, token: str, count: int) -> list[dict[str, Any]]:
    """Read frames from the address of the printed line."""
    address = line.split('"')[1].replace("$TOKEN", token)
    async with connect(address) as stream, asyncio.timeout(READY_S):
        return [json.loads(await stream.recv()) for _ in range(count)]


def run_steps(folder: Path, said: str) -> dict[str, Any]:
    """Run the printed steps as a newcomer would; return what they answered."""
    copied = steps(said)
    assert sorted(copied) == [0, 1, 2, 3, 4, 5]
    script = "set -e\n"
    for number in (0, 1, 2, 3, 5):
        script += "\n".join(copied[number]) + "; echo\n"
    script += 'echo "$TOKEN"\n'
    done = subprocess.run(
        ["bash", "-c", script], cwd=folder, env=clean_environment(), capture_output=True,
        text=True, check=True,
    )  # fmt: skip
    *answers, token = [line for line in done.stdout.splitlines() if line]
    sites, device, command = (json.loads(answer) for answer in answers)
    frames = asyncio.run(read_frames(copied[4][0], token, 2))
    return {"sites": sites, "device": device, "command": command, "frames": frames}


def look_at_fleet(console: Console, operator_id: str) -> None:
    """All chargers belong to the one operator, are online, and somebody charges already."""
    (operator,) = console.json("operators", "list")["items"]
    assert operator["operator_id"] == operator_id
    devices = console.json("devices", "list", "--operator", operator_id)["items"]
    assert len(devices) == 24
    assert {device["status"] for device in devices} == {"online"}
    states = [one["status"] for device in devices for one in device["connectors"]]
    assert "charging" in states
    assert "sandbox" in console.run("api", "GET", "/").out


@pytest.mark.slow
def test_sandbox__fresh__lives_answers_the_steps_and_ends_whole(start: Any, tmp_path: Path) -> None:
    """3 sites, 24 chargers, 41 connectors; the steps work as printed; SIGTERM leaves nothing."""
    running = start()
    said = running.await_ready()
    assert "sandbox" in said
    path = tmp_path / ".env.tellus"
    assert path.stat().st_mode & 0o777 == 0o600
    assert sorted(running.environment) == [
        "TELLUS_ADMIN_ID",
        "TELLUS_ADMIN_SECRET",
        "TELLUS_BASE_URL",
        "TELLUS_CLIENT_ID",
        "TELLUS_CLIENT_SECRET",
        "TELLUS_DEVICE_ID",
        "TELLUS_OPERATOR_ID",
        "TELLUS_PEER_ID",
        "TELLUS_PEER_SECRET",
    ]
    told = run_steps(tmp_path, said)
    sites = told["sites"]["data"]["items"]
    assert len(sites) == 3
    assert sum(site["total_connectors"] for site in sites) == 41
    assert told["device"]["data"]["status"] == "online"
    assert told["command"]["data"]["status"] in {"queued", "accepted"}
    assert {frame["device_id"] for frame in told["frames"]} >= {told["device"]["data"]["device_id"]}

    look_at_fleet(Console(tmp_path), running.environment["TELLUS_OPERATOR_ID"])
    children = running.children()
    assert len(children) == 2
    assert running.end(signal.SIGTERM) == 0
    assert not any(is_alive(pid) for pid in children)
    with socket.socket() as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        trial.bind(("127.0.0.1", running.port))


def stored_records(folder: Path) -> int:
    """Return how many charging records the sandbox holds."""
    database = sqlite3.connect(f"file:{folder}/var/sandbox/tellus.db?mode=ro", uri=True)
    try:
        return int(database.execute("SELECT count(*) FROM charging_records").fetchone()[0])
    finally:
        database.close()


@pytest.mark.slow
def test_sandbox__kept__goes_on_where_it_was(start: Any, tmp_path: Path) -> None:
    """The same operator, client and chargers, no second history; without --keep all is new."""
    first = start()
    first.await_ready()
    before = first.environment
    wait_until(lambda: "complete" in first.err.read_text(), "the history", 180.0)
    assert first.end(signal.SIGINT) == 130
    records = stored_records(tmp_path)
    assert records > RECORDS_A_DAY * HISTORY_DAYS

    kept = start("--keep")
    kept.await_ready()
    after = kept.environment
    assert after.pop("TELLUS_BASE_URL") != before.pop("TELLUS_BASE_URL")
    assert after == before
    devices = Console(tmp_path).json("devices", "list")["items"]
    assert len(devices) == 24
    assert {device["status"] for device in devices} == {"online"}
    assert kept.end(signal.SIGTERM) == 0
    assert "history" not in kept.err.read_text()
    assert records <= stored_records(tmp_path) < records + 100

    fresh = start()
    fresh.await_ready()
    assert fresh.environment["TELLUS_CLIENT_ID"] != before["TELLUS_CLIENT_ID"]
    assert fresh.end(signal.SIGTERM) == 0


@pytest.mark.slow
@pytest.mark.parametrize("victim", ["platform", "fleet", "sandbox"])
def test_sandbox__one_side_killed__nothing_is_left(start: Any, victim: str) -> None:
    """Whichever process dies, the others end too, and the exit code tells of it."""
    running = start()
    running.await_ready()
    children = running.children()
    platform, fleet = sorted(children)
    pid = {"platform": platform, "fleet": fleet, "sandbox": running.process.pid}[victim]
    os.kill(pid, signal.SIGKILL)
    code = running.process.wait(READY_S)
    assert code == (-9 if victim == "sandbox" else 137)
    wait_until(lambda: not any(is_alive(child) for child in children), "both sides to end")


def test_sandbox__port_taken__says_so_and_touches_nothing(start: Any, tmp_path: Path) -> None:
    """A port that is in use is named, with exit code 1, before anything is emptied."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        ended = Console(tmp_path).run("sandbox", "--port", str(port))
    assert ended.code == 1
    assert str(port) in ended.err
    assert list(tmp_path.iterdir()) == []


def test_sandbox__folder_holds_something_else__leaves_it_alone(tmp_path: Path) -> None:
    """What no sandbox has put there is never removed."""
    folder = tmp_path / "var" / "sandbox"
    folder.mkdir(parents=True)
    (folder / "tellus.db").write_text("precious")
    ended = Console(tmp_path).run("sandbox", "--port", str(free_port()))
    assert ended.code == 1
    assert (folder / "tellus.db").read_text() == "precious"


def test_sandbox__another_one_here__is_refused(tmp_path: Path) -> None:
    """Two sandboxes never share a folder."""
    (tmp_path / "var").mkdir()
    with (tmp_path / "var" / "sandbox.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        ended = Console(tmp_path).run("sandbox", "--port", str(free_port()))
    assert ended.code == 1
    assert "Another sandbox" in ended.err
