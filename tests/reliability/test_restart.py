"""Stopping in order under load, and starting again: what is promised of both."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.contract.client import ContractClient
from tests.reliability.lanes import BrokenLaneError, Lane, Reply
from tests.reliability.mixed_load import MixedLoad
from tests.reliability.process_figures import waited_for_processor_s
from tests.reliability.test_kill import Lives, audit
from tests.server import Device, RunningServer, running_server, start_server

DEVICES = int(os.environ.get("TELLUS_TEST_START_DEVICES", "10000"))
SAMPLES = int(os.environ.get("TELLUS_TEST_START_SAMPLES", "50000"))
READY_WITHIN_S = 5.0
STOPPED_WITHIN_S = 30.0
RELEASED_WITHIN_S = 7.0
POLLS = 50
CHARGERS = 8
OFFLINE_AFTER_S = 5
FOLDER = Path(__file__).parent
PLANTED = FOLDER / "planted.py"

pytestmark = pytest.mark.slow


@dataclass
class Stop:
    """What an orderly stop under load came to."""

    polls: list[Reply | None]
    took_s: float
    exit_code: int | None
    load: MixedLoad

    @property
    def empty_answers(self) -> int:
        """Return how many parked polls were answered with nothing."""
        return sum(
            reply is not None and reply.status == 200 and reply.data is None for reply in self.polls
        )


async def poll(port: int, device: Device) -> Reply | None:
    """Park a poll; return its answer, None when the connection ended without one."""
    async with Lane(port, device.token, within_s=70) as lane:
        try:
            return await lane.ask("GET", "/v1/device/commands?connector_id=1&wait=60")
        except BrokenLaneError:
            return None


async def stop_under_load(server: RunningServer, port: int, released_within_s: float) -> Stop:
    """Send SIGTERM while a mixed load runs and polls are parked."""
    load = MixedLoad(port, [server.register() for _ in range(CHARGERS)], server.create_client(), 1)
    polls = [
        asyncio.create_task(poll(port, await asyncio.to_thread(server.register)))
        for _ in range(POLLS)
    ]
    load.start()
    load.running.set()
    await asyncio.sleep(1.0)
    began_s = time.monotonic()
    server.process.terminate()
    done, parked = await asyncio.wait(polls, timeout=released_within_s)
    load.running.clear()
    for task in parked:
        task.cancel()
    exit_code: int | None = None
    if not parked:
        exit_code = await asyncio.to_thread(server.process.wait, STOPPED_WITHIN_S + 5)
    return Stop([task.result() for task in done], time.monotonic() - began_s, exit_code, load)


def test_stop__under_load__releases_polls_and_keeps_every_write(tmp_path: Path) -> None:
    """SIGTERM: parked polls get null, what was acknowledged is there afterwards, exit code 0."""

    async def run() -> None:
        lives = Lives(tmp_path, (("-m", "tellus"),), seed=1)
        server, _ = await asyncio.to_thread(lives.begin)
        try:
            stop = await stop_under_load(server, lives.port, RELEASED_WITHIN_S)
            server, _ = await asyncio.to_thread(lives.begin)
            load = stop.load
            devices = [charger.device for charger in load._chargers]
            client = server.create_client()
            found = await audit(lives.port, devices, client, load, 0)
            await load.stop()
        finally:
            server.kill()
        print(
            f"stopped in {stop.took_s:.1f} s with {stop.exit_code}: {stop.empty_answers} of {POLLS}"
            f" parked polls answered; acknowledged writes: {len(load.ledger.acknowledged)}; {found}"
        )
        assert (stop.empty_answers, stop.exit_code) == (POLLS, 0)
        assert stop.took_s < STOPPED_WITHIN_S
        assert (found.lost, found.duplicates, found.phantoms) == ([], [], [])
        assert load.ledger.failures == []
        assert set(load.ledger.statuses) <= {200, 429, 503}

    asyncio.run(run())


def test_stop_harness__server_that_forgets_its_polls__is_caught(tmp_path: Path) -> None:
    """The harness sees parked polls that are not released."""

    async def run() -> Stop:
        lives = Lives(tmp_path, ((str(PLANTED), "forget_the_polls"),), seed=1)
        server, _ = await asyncio.to_thread(lives.begin)
        try:
            stop = await stop_under_load(server, lives.port, 3.0)
        finally:
            server.kill()
        for lane in stop.load._lanes:
            lane.cancel()
        await asyncio.gather(*stop.load._lanes, return_exceptions=True)
        return stop

    assert asyncio.run(run()).empty_answers < POLLS


def fill(data_dir: Path, devices: int, samples: int) -> None:
    """Put a large fleet into a data folder and leave it as after a crash."""
    program = str(FOLDER / "large_fleet.py")
    command = [sys.executable, program, str(data_dir), str(devices), str(samples)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=FOLDER.parents[1])


def seconds_until_ready(data_dir: Path, program: Sequence[str] = ("-m", "tellus")) -> float:
    """Start the platform, check that it knows its fleet, and return how long it took.

    The time for which others had the processor is not counted.
    """
    began_s = time.monotonic()
    server = start_server(data_dir, program=program)
    took_s = time.monotonic() - began_s - waited_for_processor_s(server.process.pid)
    try:
        known = server.admin("GET", "/v1/admin/devices?size=1")["total"]
    finally:
        server.kill()
    print(f"ready after {took_s:.2f} s with {known} devices")
    assert known > 0
    return took_s


def test_start__with_ten_thousand_devices__is_ready_within_5_s(tmp_path: Path) -> None:
    """A large fleet, a log of samples and a write-ahead log to recover do not hold up the start."""
    fill(tmp_path / "data", DEVICES, SAMPLES)
    assert (tmp_path / "data" / "tellus.db-wal").stat().st_size > 0
    assert seconds_until_ready(tmp_path / "data") < READY_WITHIN_S


def test_start_harness__platform_that_starts_slowly__is_caught(tmp_path: Path) -> None:
    """The harness sees a start that takes longer than 5 s."""
    fill(tmp_path / "data", 10, 10)
    assert seconds_until_ready(tmp_path / "data", (str(PLANTED), "start_slowly")) > READY_WITHIN_S


def presence_of(server: RunningServer, device: Device, token: str) -> tuple[str, list[str]]:
    """Return a device's status, and the faults that the platform has raised for it."""
    with ContractClient(server.base_url) as contract:
        path = f"/v1/operator/devices/{device.device_id}?include=events"
        item = contract.operator(token).get(path, expect=200).data
    faults = [event["fault_key"] for event in item["events"] if event["origin"] == "platform"]
    return item["status"], faults


def connectors_of(server: RunningServer, device: Device, token: str) -> list[dict[str, Any]]:
    """Return what the platform tells of a device's connectors."""
    with ContractClient(server.base_url) as contract:
        path = f"/v1/operator/devices/{device.device_id}"
        item = contract.operator(token).get(path, expect=200).data
    connectors: list[dict[str, Any]] = item["connectors"]
    return connectors


def beat(server: RunningServer, device: Device) -> None:
    """Send a heartbeat."""
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    body: dict[str, Any] = {"timestamp": now, "status": "online", "fault_code": 0}
    with ContractClient(server.base_url) as contract:
        contract.device(device.token).post("/v1/device/heartbeat", body, expect=200)


def restart_after_silence(folder: Path, grace_s: int) -> tuple[RunningServer, list[Device], str]:
    """Let two devices be online, kill the platform, be silent for too long, start it again."""
    settings = {
        "TELLUS_PRESENCE__OFFLINE_AFTER_S": str(OFFLINE_AFTER_S),
        "TELLUS_PRESENCE__START_GRACE_S": str(grace_s),
    }
    server = start_server(folder / "data", environment=settings)
    try:
        devices = [server.register(), server.register()]
        token = server.create_client().token
        for device in devices:
            beat(server, device)
        time.sleep(2.5)  # one sweep notes that they came online
    finally:
        server.kill()
    time.sleep(OFFLINE_AFTER_S)
    return start_server(folder / "data", environment=settings), devices, token


Presences = list[tuple[str, list[str]]]


def presences_after(folder: Path, grace_s: int, settled_s: float) -> tuple[Presences, Presences]:
    """Return the presence of both devices soon after a restart, and in the end.

    The first of them sends heartbeats in between, for so long.
    """
    folder.mkdir()
    server, devices, token = restart_after_silence(folder, grace_s)
    try:
        time.sleep(2.5)
        soon = [presence_of(server, device, token) for device in devices]
        until_s = time.monotonic() + settled_s
        while time.monotonic() < until_s:
            beat(server, devices[0])
            time.sleep(2.0)
        return soon, [presence_of(server, device, token) for device in devices]
    finally:
        server.kill()


@pytest.fixture(scope="module")
def restarts(
    tmp_path_factory: pytest.TempPathFactory,
) -> "Iterator[dict[int, Future[tuple[Presences, Presences]]]]":
    """Restarts with a grace of so many seconds, at the same time: they only wait."""
    folder = tmp_path_factory.mktemp("restarts")
    settled_s = {8: 10.0, 0: 0.0}
    with ThreadPoolExecutor() as pool:
        yield {
            grace_s: pool.submit(presences_after, folder / str(grace_s), grace_s, for_s)
            for grace_s, for_s in settled_s.items()
        }


def test_presence__after_a_restart__nobody_goes_offline_in_the_grace(
    restarts: "dict[int, Future[tuple[Presences, Presences]]]",
) -> None:
    """Devices that could not be heard while the platform was away have time to come back."""
    soon, later = restarts[8].result()
    assert soon == [("online", []), ("online", [])]
    assert later == [("online", []), ("offline", ["F-0301"])]


def test_presence_harness__platform_without_a_grace__is_caught(
    restarts: "dict[int, Future[tuple[Presences, Presences]]]",
) -> None:
    """The harness sees devices that go offline because the platform was away."""
    soon, _ = restarts[0].result()
    assert soon == [("offline", ["F-0301"])] * 2


def test_kill__with_states_in_the_log_alone__forgets_none(tmp_path: Path) -> None:
    """What a connector last said is told after a crash as it was before it."""
    server = start_server(tmp_path / "data")
    try:
        device, token = server.register(), server.create_client().token
        now = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime())
        with ContractClient(server.base_url) as contract:
            for connector_id, power_kw, tenth in ((1, 11.5, 0), (2, 22.5, 0), (1, 33.5, 1)):
                body = {
                    "timestamp": f"{now}.{tenth}Z",
                    "connector_id": connector_id,
                    "state": "charging",
                    "voltage": 400.0,
                    "current": 100.0,
                    "power": power_kw,
                    "energy_delivered": 1.5,
                }
                contract.device(device.token).post("/v1/device/telemetry", body, expect=200)
        before = connectors_of(server, device, token)
    finally:
        server.kill()
    server = start_server(tmp_path / "data")
    try:
        assert connectors_of(server, device, token) == before
        assert {one["connector_id"]: one["power"] for one in before} == {1: 33.5, 2: 22.5}
    finally:
        server.kill()


def test_second_process__on_the_same_data__refuses_and_says_why(tmp_path: Path) -> None:
    """One process per data folder: the second ends with an error, the first serves on."""
    with running_server(tmp_path / "data") as server:
        command = [sys.executable, "-m", "tellus", "serve", "--data-dir", str(server.data_dir)]
        second = subprocess.run(
            [*command, "--port", "0", "--registration", "open"],
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
        assert second.returncode == 1
        assert "in use" in second.stderr
        assert "Traceback" not in second.stderr
        assert server.register().token
