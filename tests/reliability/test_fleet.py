"""A simulated fleet against a running platform: nothing acknowledged is missing, physics holds."""

import asyncio
import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import pytest

from tests.invariants import DeviceFacts, check_all, count_by_invariant
from tests.reliability.lanes import Lane
from tests.reliability.ledger import ms_of
from tests.reliability.process_figures import resident_bytes
from tests.reliability.readback import events_of, records_of, samples_of
from tests.server import Client, RunningServer, start_server

CHARGERS = int(os.environ.get("TELLUS_TEST_CHARGERS", "100"))
SECONDS = float(os.environ.get("TELLUS_TEST_FLEET_SECONDS", "14"))
# A short run is played faster, so that it holds whole sessions: its clock stays within tolerance.
TIME_SCALE = 10.0 if SECONDS <= 25 else 1.0
UNSENT_SHARE = 0.01
GROWTH_BYTES = 8 * 1024 * 1024
PLANTED = Path(__file__).with_name("planted.py")
_PAGE = 100
_A_DAY_MS = 86_400_000
_ORDER_OF_A_VISIT = (
    "plug_in",
    "auth_ok",
    "auth_failed",
    "start",
    "fault",
    "alarm",
    "stop",
    "plug_out",
)

pytestmark = pytest.mark.slow

Item = dict[str, Any]


@dataclass
class Holdings:
    """Telemetry, events and records of a fleet: as acknowledged, or as the API returns them."""

    telemetry: list[Item] = field(default_factory=list)
    events: list[Item] = field(default_factory=list)
    records: list[Item] = field(default_factory=list)

    def keys(self) -> Counter[tuple[Any, ...]]:
        """Return what identifies each item, with the figures that must have survived."""
        return Counter(
            [
                *(("telemetry", item["device"], *_sample_key(item)) for item in self.telemetry),
                *(("event", item["device"], *_event_key(item)) for item in self.events),
                *(("record", item["device"], *_record_key(item)) for item in self.records),
            ]
        )


def _sample_key(item: Item) -> tuple[Any, ...]:
    names = ("connector_id", "power", "voltage", "current", "energy_delivered", "soc", "state")
    return (ms_of(item["timestamp"]), *(item.get(name) for name in names))


def _event_key(item: Item) -> tuple[Any, ...]:
    return (ms_of(item["timestamp"]), item.get("connector_id"), item["event_type"])


def _record_key(item: Item) -> tuple[Any, ...]:
    names = ("record_id", "connector_id", "energy", "meter_start", "meter_end", "max_power", "cost")
    vin = item.get("vehicle_info", {}).get("vin")
    times = (ms_of(item["start_time"]), ms_of(item["end_time"]))
    return (*times, vin, *(item.get(name) for name in names))


def _moment(event: Item) -> tuple[int, int]:
    """Return where an event stands in time; those of one instant come in no promised order."""
    return ms_of(event["timestamp"]), _ORDER_OF_A_VISIT.index(event["event_type"])


class MemoryWatch:
    """Looks at a process's memory four times a second, in a thread."""

    def __init__(self, pid: int) -> None:
        self.seen_bytes = [resident_bytes(pid)]
        self._pid = pid
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def _look(self) -> None:
        while not self._ended.wait(0.25):
            self.seen_bytes.append(resident_bytes(self._pid))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._ended.set()
        self._thread.join()

    @property
    def grown_bytes(self) -> int:
        """Return the growth from half-way to nine tenths of the run.

        Before, everything warms up; at the end all sessions of the fleet are closed at once.
        """
        count = len(self.seen_bytes)
        return self.seen_bytes[count * 9 // 10] - self.seen_bytes[count // 2]


def simulate(server: RunningServer, ledger: Path, chargers: int, seconds: float) -> Item:
    """Run the fleet and return its report; it must end well."""
    command = [sys.executable, "-m", "tellus", "simulate", "--base-url", server.base_url]
    options = {
        "--chargers": chargers, "--duration": seconds, "--seed": 7, "--time-scale": TIME_SCALE,
        "--scenario": "load", "--ledger": ledger,
    }  # fmt: skip
    given = [str(part) for pair in options.items() for part in pair]
    ended = subprocess.run(
        [*command, *given, "--json", "--quiet"],
        capture_output=True,
        text=True,
        timeout=seconds + 120,
        check=False,
    )
    said = ended.stderr[-4000:] + ended.stdout[:4000]
    assert ended.returncode in {0, 1}, said
    report: Item = json.loads(ended.stdout)
    kinds = report["kinds"].values()
    refused = sum(kind["failed"] + kind["dropped"] for kind in kinds) + report["chargers_refused"]
    assert (report["errors"], refused) == ([], 0), said
    # On a busy machine a few may be under way when the fleet's patience ends: nobody promised them.
    unsent = sum(kind["unsent"] for kind in kinds)
    assert unsent <= UNSENT_SHARE * sum(kind["sent"] for kind in kinds), said
    return report


def acknowledged(ledger: Path) -> Holdings:
    """Return what the platform has promised to hold."""
    held = Holdings()
    place = {
        "telemetry": held.telemetry,
        "event": held.events,
        "charging_record": held.records,
    }
    with ledger.open() as lines:
        for line in map(json.loads, lines):
            place[line["kind"]].append(line["body"] | {"device": line["device_id"]})
    return held


async def _devices(lane: Lane) -> list[Item]:
    devices: list[Item] = []
    total = 1
    while len(devices) < total:
        number = len(devices) // _PAGE + 1
        reply = await lane.ask("GET", f"/v1/operator/devices?size={_PAGE}&page={number}")
        assert reply.status == 200, reply
        total = reply.data["total"]
        devices += reply.data["items"]
    return devices


async def read_back(server: RunningServer, client: Client) -> tuple[Holdings, list[Item]]:
    """Return everything that the platform holds of the client's fleet, and its devices."""
    held = Holdings()
    now_ms = int(time.time() * 1000)
    span = (now_ms - _A_DAY_MS, now_ms + _A_DAY_MS)
    port = int(server.base_url.rpartition(":")[2])
    async with Lane(port, client.token) as lane:
        devices = await _devices(lane)
        for item in devices:
            own = item["device_id"]
            mark = {"device": own}
            for connector in item["connectors"]:
                samples = samples_of(lane, own, connector["connector_id"], *span)
                held.telemetry += [sample | mark async for sample in samples]
            events = [event | mark async for event in events_of(lane, own, span[0])]
            held.events += [event for event in events if event["origin"] == "device"]
            held.records += [record | mark async for record in records_of(lane, own, span[0])]
    return held, devices


def facts_of(devices: list[Item]) -> dict[str, DeviceFacts]:
    """Return what the type plates say: AC models have it in their names."""
    return {
        item["device_id"]: DeviceFacts("ac" if "AC" in item["model"] else "dc", item["rated_power"])
        for item in devices
    }


@contextmanager
def fleet_server(data_dir: Path, *program: str) -> Iterator[RunningServer]:
    """Run a platform that takes any charger."""
    server = start_server(data_dir, program=program or ("-m", "tellus"))
    try:
        yield server
    finally:
        server.kill()


def test_fleet__of_simulated_chargers__finds_all_that_was_acknowledged(tmp_path: Path) -> None:
    """No error, no lost, doubled or altered item, sound physics, and memory stays flat.

    The page cache is bounded but takes hours to fill; it is kept small so that a leak would show.
    """
    with fleet_server(tmp_path / "data", str(PLANTED), "cache_little") as server:
        client = server.create_client()
        with MemoryWatch(server.process.pid) as memory:
            report = simulate(server, tmp_path / "ledger.jsonl", CHARGERS, SECONDS)
        held, devices = asyncio.run(read_back(server, client))
    held.events.sort(key=_moment)
    promised, found = acknowledged(tmp_path / "ledger.jsonl").keys(), held.keys()
    violations = check_all(facts_of(devices), held.telemetry, held.events, held.records)
    print(
        f"{CHARGERS} chargers for {SECONDS:.0f} s at {TIME_SCALE:.0f} times the clock: "
        f"{Counter(key[0] for key in promised)}; lost {len(promised - found)}, "
        f"extra {len(found - promised)}; {report['sessions']} sessions; invariants broken "
        f"{count_by_invariant(violations)}; memory {memory.seen_bytes[-1] / 2**20:.0f} MiB, "
        f"grown by {memory.grown_bytes / 2**20:.1f} MiB after its first half"
    )
    assert list(promised - found)[:10] == []
    assert list(found - promised)[:10] == []
    assert len(devices) == CHARGERS
    assert violations[:10] == []
    assert {key[0] for key in promised} == {"telemetry", "event", "record"}
    assert memory.grown_bytes < GROWTH_BYTES


def test_fleet_harness__platform_that_drops_samples__is_caught(tmp_path: Path) -> None:
    """The harness sees samples that were acknowledged and not stored."""
    with fleet_server(tmp_path / "data", str(PLANTED), "drop_samples") as server:
        client = server.create_client()
        simulate(server, tmp_path / "ledger.jsonl", 30, 6.0)
        held, _ = asyncio.run(read_back(server, client))
    lost = acknowledged(tmp_path / "ledger.jsonl").keys() - held.keys()
    print(f"negative control: lost {len(lost)}")
    assert {key[0] for key in lost} == {"telemetry"}
