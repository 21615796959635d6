"""Long-polls over real connections: they end in time, and nobody who left stands in the way."""

import asyncio
import os
import time
from collections.abc import Coroutine, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.reliability.lanes import Lane
from tests.reliability.mixed_load import MixedLoad
from tests.server import Device, RunningServer, start_server

POLLS = int(os.environ.get("TELLUS_TEST_POLLS", "300"))
DEVICES = 30
WAITS_S = (1, 2, 3, 5, 8)
TOLERANCE_S = 1.0
REPLACED_WITHIN_S = 1.0
PLANTED = Path(__file__).with_name("planted.py")

pytestmark = pytest.mark.slow


class Ended(NamedTuple):
    """How a poll ended: how long it was to wait and how long it did (s), and what it brought."""

    wait_s: int
    took_s: float
    data: Any


async def poll(port: int, device: Device, connector: int, wait_s: int) -> Ended:
    """Park a poll and note how it ends."""
    async with Lane(port, device.token, within_s=wait_s + 20) as lane:
        await lane.ask("GET", "/readyz")  # the way is open; what counts is the poll
        began_s = time.monotonic()
        target = f"/v1/device/commands?connector_id={connector}&wait={wait_s}"
        reply = await lane.ask("GET", target)
        assert reply.status == 200, reply
        return Ended(wait_s, time.monotonic() - began_s, reply.data)


def port_of(server: RunningServer) -> int:
    """Return the port of a server."""
    return int(server.base_url.rpartition(":")[2])


class ToldAgain(NamedTuple):
    """What became of a command that its charger took along: its id, what came, and when (s)."""

    command_id: str
    received: list[str]
    after_s: float


def take_die_and_return(data_dir: Path) -> ToldAgain:
    """Let a charger take a command and say nothing, kill the platform, and let it ask again."""
    server = start_server(data_dir)
    try:
        device, client = server.register(), server.create_client()
        control = f"/v1/operator/devices/{device.device_id}/connectors/1/stop"

        async def issue() -> str:
            async with Lane(port_of(server), client.token) as lane:
                return str((await lane.ask("POST", control, {})).data["command_id"])

        command_id = asyncio.run(issue())
        first = asyncio.run(poll(port_of(server), device, 1, 10))
        leased_s = time.monotonic()
        server.kill()
        server = start_server(data_dir)
        second = asyncio.run(poll(port_of(server), device, 1, 60))
        after_s = time.monotonic() - leased_s
    finally:
        server.kill()
    return ToldAgain(command_id, [one.data["command_id"] for one in (first, second)], after_s)


@pytest.fixture(scope="module", autouse=True)
def told_again(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[Future[ToldAgain]]":
    """A lease of 30 seconds that runs out while the other tests of this file run."""
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(take_die_and_return, tmp_path_factory.mktemp("lease") / "data")


async def wait_in_vain(server: RunningServer) -> list[Ended]:
    """Park polls of several lengths for connectors of several chargers, while others are busy."""
    port = port_of(server)
    devices = [await asyncio.to_thread(server.register) for _ in range(DEVICES)]
    busy = [await asyncio.to_thread(server.register) for _ in range(4)]
    load = MixedLoad(port, busy, await asyncio.to_thread(server.create_client), seed=3)
    load.start()
    load.running.set()
    polls: list[Coroutine[Any, Any, Ended]] = [
        poll(port, devices[n % DEVICES], n // DEVICES + 1, WAITS_S[n % len(WAITS_S)])
        for n in range(POLLS)
    ]
    ended = await asyncio.gather(*polls)
    await load.stop()
    return list(ended)


def run_in_vain(data_dir: Path, *program: str) -> list[Ended]:
    """Run the polls against a fresh server."""
    server = start_server(data_dir, program=program or ("-m", "tellus"))
    try:
        ended = asyncio.run(wait_in_vain(server))
    finally:
        server.kill()
    off_s = [one.took_s - one.wait_s for one in ended]
    print(f"{len(ended)} polls ended {min(off_s):+.3f} to {max(off_s):+.3f} s off their time")
    return ended


def test_poll__nothing_comes__ends_within_a_second_of_its_time(tmp_path: Path) -> None:
    """Whatever else the platform does, each poll is answered with nothing when its wait is over."""
    ended = run_in_vain(tmp_path / "data")
    assert [one.data for one in ended] == [None] * POLLS
    assert [one for one in ended if abs(one.took_s - one.wait_s) > TOLERANCE_S] == []


def test_poll_harness__platform_that_forgets_the_time__is_caught(tmp_path: Path) -> None:
    """The harness sees polls that end late."""
    ended = run_in_vain(tmp_path / "data", str(PLANTED), "look_at_the_clock_late")
    assert [one for one in ended if one.took_s - one.wait_s > TOLERANCE_S]


def test_poll__newer_one_of_the_same_place__releases_the_older_soon(tmp_path: Path) -> None:
    """Every older poll is answered with nothing within a second; the newest one waits on."""

    async def replace(server: RunningServer) -> list[Ended]:
        device = await asyncio.to_thread(server.register)
        port = port_of(server)
        polls = []
        began_s = []
        for _ in range(4):
            polls.append(asyncio.create_task(poll(port, device, 1, 5)))
            began_s.append(time.monotonic())
            await asyncio.sleep(1.1)
            assert [one.done() for one in polls] == [True] * (len(polls) - 1) + [False]
        return list(await asyncio.gather(*polls))

    server = start_server(tmp_path / "data")
    try:
        ended = asyncio.run(replace(server))
    finally:
        server.kill()
    assert [one.data for one in ended] == [None] * 4
    assert max(one.took_s for one in ended[:-1]) <= 1.1 + REPLACED_WITHIN_S
    assert ended[-1].took_s >= 4.0


def test_poll__charger_hung_up__its_command_goes_to_the_next_poll(tmp_path: Path) -> None:
    """A poll whose connection was cut takes no command along: the next one gets it at once."""

    async def hang_up_and_return(server: RunningServer) -> tuple[str, Ended, dict[str, Any]]:
        device = await asyncio.to_thread(server.register)
        client = await asyncio.to_thread(server.create_client)
        port = port_of(server)
        lost = asyncio.create_task(poll(port, device, 1, 60))
        await asyncio.sleep(0.5)
        lost.cancel()
        await asyncio.gather(lost, return_exceptions=True)
        await asyncio.sleep(0.2)
        async with Lane(port, client.token) as lane:
            control = f"/v1/operator/devices/{device.device_id}/connectors/1/stop"
            command_id = (await lane.ask("POST", control, {})).data["command_id"]
            ended = await poll(port, device, 1, 10)
            shown = (await lane.ask("GET", f"/v1/operator/commands/{command_id}")).data
        return command_id, ended, shown

    server = start_server(tmp_path / "data")
    try:
        command_id, ended, shown = asyncio.run(hang_up_and_return(server))
    finally:
        server.kill()
    assert ended.data["command_id"] == command_id
    assert ended.took_s < TOLERANCE_S
    assert shown["deliveries"] == 1


def test_poll__charger_that_dies_with_the_answer__is_told_again(
    told_again: "Future[ToldAgain]",
) -> None:
    """What was handed out and never answered for comes again under its id when the lease is over.

    Afterwards too: a restart in between neither shortens nor forgets the lease.
    """
    told = told_again.result()
    print(f"told again after {told.after_s:.2f} s")
    assert told.received == [told.command_id] * 2
    assert 29.0 <= told.after_s <= 32.0
