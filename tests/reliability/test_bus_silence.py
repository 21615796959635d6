"""A bus that delivers nothing costs commands latency and not one of them."""

import asyncio
import os
import statistics
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.reliability.lanes import Lane
from tests.reliability.listeners import Listener, Orders
from tests.reliability.readback import command_of
from tests.server import Client, RunningServer, start_server

SECONDS = float(os.environ.get("TELLUS_TEST_BUS_SILENCE_S", "8"))
CHARGERS = 24
EVERY_S = 0.05
GRACE_S = 4.0
DELIVERED_WITHIN_S = 3.0
NOBODY_LOOKS = "nobody looks in the store"
PLANTED = Path(__file__).with_name("planted.py")

pytestmark = pytest.mark.slow


@dataclass
class Silence:
    """What came of commands while the bus was silent."""

    took_s: list[float]
    lost: list[str]
    repeated: list[str]
    unfinished: list[str]

    @property
    def p99_s(self) -> float:
        """Return the time within which 99 of 100 came; what never came took forever."""
        took_s = sorted(self.took_s + [float("inf")] * len(self.lost))
        return took_s[min(len(took_s) - 1, len(took_s) * 99 // 100)]

    @property
    def holds(self) -> bool:
        """Whether what is promised was kept."""
        return not self.lost and self.p99_s <= DELIVERED_WITHIN_S

    def __str__(self) -> str:
        middle_s = statistics.median(self.took_s) if self.took_s else float("inf")
        return (
            f"{len(self.took_s) + len(self.lost)} commands: lost {len(self.lost)}, repeated"
            f" {len(self.repeated)}, unfinished {len(self.unfinished)}; from the call to the"
            f" charger p50 {middle_s:.3f} s, p99 {self.p99_s:.3f} s"
        )


async def command_through_silence(server: RunningServer, client: Client, seconds: float) -> Silence:
    """Issue commands to chargers that poll, and compare what was issued with what came."""
    port = int(server.base_url.rpartition(":")[2])
    listeners = [Listener(port, await asyncio.to_thread(server.register)) for _ in range(CHARGERS)]
    listening = [asyncio.create_task(listener.listen()) for listener in listeners]
    orders = Orders(port, client.token)
    await asyncio.sleep(0.5)
    await orders.issue([listener.device for listener in listeners], seconds, EVERY_S)
    await asyncio.sleep(GRACE_S)
    unfinished = []
    async with Lane(port, client.token) as lane:
        for command_id in orders.issued_s:
            shown = await command_of(lane, command_id)
            if shown is None or shown["status"] != "completed":
                unfinished.append(command_id)
    for task in listening:
        task.cancel()
    failures = await asyncio.gather(*listening, return_exceptions=True)
    assert all(isinstance(failure, asyncio.CancelledError) for failure in failures), failures
    received_s: dict[str, float] = {}
    repeated: list[str] = []
    for listener in listeners:
        received_s |= listener.received_s
        repeated += [one for one, times in listener.deliveries.items() if times > 1]
    return Silence(
        [received_s[one] - s for one, s in orders.issued_s.items() if one in received_s],
        [one for one in orders.issued_s if one not in received_s],
        repeated,
        unfinished,
    )


def run_silence(data_dir: Path, plant: str, seconds: float, **environment: Any) -> Silence:
    """Run the platform with a silent bus and return what came of the commands."""
    server = start_server(data_dir, program=(str(PLANTED), plant), environment=environment)
    try:
        return asyncio.run(command_through_silence(server, server.create_client(), seconds))
    finally:
        server.kill()


@pytest.fixture(scope="module")
def silences(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[dict[str, Future[Silence]]]":
    """The silences of this file, on servers of their own and at the same time: they mostly wait."""
    folder = tmp_path_factory.mktemp("silences")
    with ThreadPoolExecutor() as pool:
        yield {
            "mute_the_bus": pool.submit(run_silence, folder / "1", "mute_the_bus", SECONDS),
            "issue_elsewhere": pool.submit(run_silence, folder / "2", "issue_elsewhere", SECONDS),
            NOBODY_LOOKS: pool.submit(
                run_silence, folder / "3", "issue_elsewhere", 2.0, TELLUS_COMMANDS__POLL_S="0"
            ),
        }


@pytest.mark.parametrize("plant", ["mute_the_bus", "issue_elsewhere"])
def test_commands__bus_that_delivers_nothing__arrive_within_3_s(
    silences: "dict[str, Future[Silence]]", plant: str
) -> None:
    """Issued here or by another process, every command reaches its parked poll once and in time."""
    found = silences[plant].result()
    print(f"{plant}, {SECONDS:.0f} s: {found}")
    assert len(found.took_s) >= SECONDS / EVERY_S / 4
    assert (found.lost, found.repeated, found.unfinished) == ([], [], [])
    assert found.p99_s <= DELIVERED_WITHIN_S


def test_commands_harness__nothing_looks_in_the_store__is_caught(
    silences: "dict[str, Future[Silence]]",
) -> None:
    """The harness sees commands that do not arrive when only the bus could have told of them."""
    found = silences[NOBODY_LOOKS].result()
    print(f"{NOBODY_LOOKS}: {found}")
    assert not found.holds
    assert found.lost
