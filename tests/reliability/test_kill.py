"""Killed at any moment under load, the platform keeps every write that it acknowledged."""

import asyncio
import os
import random
import socket
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import apsw
import pytest

from tests.reliability.lanes import Lane
from tests.reliability.ledger import Findings, Ledger, ms_of
from tests.reliability.mixed_load import CONNECTORS, LATE_MS, MixedLoad, now_ms
from tests.reliability.process_figures import waited_for_processor_s
from tests.reliability.readback import command_of, events_of, records_of, samples_of
from tests.server import Client, Device, RunningServer, start_server

KILLS = int(os.environ.get("TELLUS_TEST_KILLS", "30"))
REQUESTS_PER_S = float(os.environ.get("TELLUS_TEST_KILL_RATE", "500"))
READY_WITHIN_S = 5.0
LOAD_S = (0.3, 0.9)
LIVES_PER_FOLDER = 100
CHARGERS = 12
AUDITED_EVERY = 10
PLANTED = Path(__file__).with_name("planted.py")

pytestmark = pytest.mark.slow


@dataclass
class Campaign:
    """What a series of kills came to."""

    kills: int = 0
    requests: int = 0
    load_s: float = 0.0
    ready_s: list[float] = field(default_factory=list)
    findings: list[Findings] = field(default_factory=list)
    ledgers: list[Ledger] = field(default_factory=list)
    integrity: set[str] = field(default_factory=set)

    @property
    def lost(self) -> int:
        """Return how many acknowledged writes were not found in some audit."""
        return sum(len(found.lost) for found in self.findings)

    @property
    def rate(self) -> float:
        """Return answered requests per second of load."""
        return self.requests / self.load_s

    def __str__(self) -> str:
        duplicates = sum(len(found.duplicates) for found in self.findings)
        looked_for = sum(found.looked_for for found in self.findings)
        promised = sum(len(ledger.acknowledged) for ledger in self.ledgers)
        unknown = sum(ledger.unknown_outcomes for ledger in self.ledgers)
        repeats = sum(ledger.repeats for ledger in self.ledgers)
        return (
            f"kills: {self.kills} under {self.rate:.0f} requests/s; acknowledged writes: {promised}"
            f" (looked for {looked_for} times), lost: {self.lost}, duplicates: {duplicates};"
            f" outcomes unknown: {unknown}, repeats: {repeats};"
            f" ready after {statistics.median(self.ready_s):.2f} s, {max(self.ready_s):.2f} s at"
            f" most; integrity: {self.integrity}"
        )


class Lives:
    """One data folder and the lives of the platform over it, always on one port."""

    def __init__(self, folder: Path, programs: Sequence[Sequence[str]], seed: int) -> None:
        self.rng = random.Random(seed)
        self.data_dir = folder / "data"
        self._programs = programs
        self._lived = 0
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]

    def begin(self) -> tuple[RunningServer, float]:
        """Start the platform; return it and after how many seconds of its own it was ready."""
        program = self._programs[self._lived % len(self._programs)]
        self._lived += 1
        began_s = time.monotonic()
        server = start_server(self.data_dir, "--port", str(self.port), program=program)
        took_s = time.monotonic() - began_s
        return server, took_s - waited_for_processor_s(server.process.pid)


async def kill_again_and_again(lives: Lives, kills: int, campaign: Campaign) -> None:
    """Kill the platform `kills` times under load; audit in between and at the end."""
    server, ready_s = await asyncio.to_thread(lives.begin)
    try:
        devices = [server.register() for _ in range(CHARGERS)]
        client = server.create_client(limits={})
        load = MixedLoad(lives.port, devices, client, lives.rng.randrange(1 << 30))
        campaign.ledgers.append(load.ledger)
        load.start()
        since_ms = now_ms()
        for number in range(1, kills + 1):
            campaign.ready_s.append(ready_s)
            await _load_and_kill(server, load, lives, campaign)
            server, ready_s = await asyncio.to_thread(lives.begin)
            if number % AUDITED_EVERY == 0:
                campaign.findings.append(await audit(lives.port, devices, client, load, since_ms))
                since_ms = now_ms()
        campaign.ready_s.append(ready_s)
        campaign.findings.append(await audit(lives.port, devices, client, load, 0))
        await load.stop()
        assert await asyncio.to_thread(server.stop) == 0
    finally:
        server.kill()
    campaign.integrity |= integrity_of(lives.data_dir / "tellus.db")


async def _load_and_kill(
    server: RunningServer, load: MixedLoad, lives: Lives, campaign: Campaign
) -> None:
    before, began_s = load.requests, time.monotonic()
    load.running.set()
    await asyncio.sleep(lives.rng.uniform(*LOAD_S))
    campaign.requests += load.requests - before
    campaign.load_s += time.monotonic() - began_s
    server.process.kill()
    campaign.kills += 1
    load.running.clear()
    await asyncio.to_thread(server.process.wait)


async def audit(
    port: int, devices: list[Device], client: Client, load: MixedLoad, since_ms: int
) -> Findings:
    """Compare the ledger's writes since a time with what the API returns."""
    await load.pause()
    found = Findings()
    ledger = load.ledger
    until_ms = now_ms() + 60_000
    async with Lane(port, client.token) as lane:
        for device in devices:
            own = device.device_id
            since = max(since_ms, ms_of("2000-01-01T00:00:00Z"))
            samples = [
                ("telemetry", own, connector_id, ms_of(item["timestamp"]), item["energy_delivered"])
                for connector_id in CONNECTORS
                async for item in samples_of(lane, own, connector_id, since, until_ms)
            ]
            found.compare(ledger, ledger.promised("telemetry", own, since), samples)
            events = [
                ("event", own, item["data"]["number"])
                async for item in events_of(lane, own, since)
                if item["origin"] == "device"
            ]
            found.compare(ledger, ledger.promised("event", own, since), events)
            records = [
                ("record", own, item["record_id"]) async for item in records_of(lane, own, since)
            ]
            found.compare(ledger, ledger.promised("record", own, since), records)
            commands = ledger.promised("command", own, since)
            await _audit_commands(lane, ledger, commands, found)
    return found


async def _audit_commands(
    lane: Lane, ledger: Ledger, commands: set[tuple[object, ...]], found: Findings
) -> None:
    for key in commands:
        command_id = str(key[2])
        item = await command_of(lane, command_id)
        found.compare(ledger, {key}, [key] if item is not None else [])
        said = [
            ("report", command_id, report["status"], ms_of(report["timestamp"]))
            for report in (item or {}).get("reports", ())
        ]
        found.compare(ledger, ledger.promised("report", command_id, 0), said)


def integrity_of(file: Path) -> set[str]:
    """Return what SQLite says of the file: ``ok`` alone when it is sound."""
    connection = apsw.Connection(str(file), flags=apsw.SQLITE_OPEN_READWRITE)
    try:
        said = {str(row[0]) for row in connection.execute("PRAGMA integrity_check")}
        orphans = list(connection.execute("PRAGMA foreign_key_check"))
        return said | {f"orphan {row}" for row in orphans}
    finally:
        connection.close()


def run_campaign(folder: Path, kills: int, programs: Sequence[Sequence[str]]) -> Campaign:
    """Kill `kills` times, in a new data folder after every hundred."""
    campaign = Campaign()
    for first in range(0, kills, LIVES_PER_FOLDER):
        place = folder / f"from-{first}"
        place.mkdir()
        lives = Lives(place, programs, seed=first)
        asyncio.run(kill_again_and_again(lives, min(LIVES_PER_FOLDER, kills - first), campaign))
    print(campaign)
    return campaign


def test_platform__killed_under_mixed_load__keeps_every_acknowledged_write(tmp_path: Path) -> None:
    """No acknowledged write is lost or doubled, and each restart is ready within 5 s."""
    as_shipped, compacting = ("-m", "tellus"), (str(PLANTED), "compact_often")
    campaign = run_campaign(tmp_path, KILLS, (as_shipped, as_shipped, compacting))
    assert campaign.kills == KILLS
    for found in campaign.findings:
        assert (found.lost[:10], found.duplicates[:10], found.phantoms[:10]) == ([], [], [])
    for ledger in campaign.ledgers:
        kinds = {key[0] for key in ledger.acknowledged}
        assert kinds == {"telemetry", "event", "record", "command", "report"}
        assert ledger.failures == []
        assert set(ledger.statuses) <= {200, 429, 503}
        assert ledger.unknown_outcomes > 0
        assert min(ledger.acknowledged.values()) < now_ms() - LATE_MS
    assert campaign.integrity == {"ok"}
    assert max(campaign.ready_s) < READY_WITHIN_S
    assert campaign.rate >= REQUESTS_PER_S


def test_kill_harness__platform_that_answers_before_the_commit__is_caught(tmp_path: Path) -> None:
    """The harness sees the loss where an answer goes out while its transaction is open."""
    campaign = run_campaign(tmp_path, 4, ((str(PLANTED), "answer_before_commit"),))
    assert campaign.lost > 0
