"""Old data goes without holding anybody up; what is erased is nowhere, on any node, in any file."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tellus.audit.model import PLATFORM
from tellus.kernel.clock import ManualClock
from tellus.kernel.retention import timed
from tellus.kernel.units import DAY_MS, HOUR_MS
from tellus.storage.database import Tx
from tellus.telemetry import store, store_retention
from tellus.telemetry.model import PastSample
from tellus.telemetry.packing import pack
from tellus.telemetry.retention import Retention, Round
from tellus.telemetry.retention_minutes import MinutesTier
from tellus.telemetry.retention_raw import RawTier
from tellus.telemetry.rules import hour_of
from tests.contract.canaries import Canary, flock, scan_bytes, scan_text
from tests.contract.canary_files import scan_paths
from tests.databases import POSTGRES, SQLITE, Choice, postgres_server, query
from tests.reliability.node_group import node_group, until
from tests.reliability.secret_traffic import SecretTraffic, plain
from tests.server import RunningServer, start_server
from tests.unit.telemetry.conftest import TelemetryBench

LONGEST_HOLD_S = 0.050
"""What is promised: no transaction of retention holds the writer longer."""

LONGEST_S = {SQLITE: LONGEST_HOLD_S, POSTGRES: 0.250}
"""On PostgreSQL it has a connection of its own, and its time is the server's: nobody waits for it
but who uploads late for the same connectors."""

HOURS = 240
VIN, KEPT_VIN = (canary for canary in flock(4_711, each=2) if canary.kind == "vin")
FORGOTTEN_WITHIN_S = 5.0

pytestmark = pytest.mark.slow


@pytest.fixture(params=[SQLITE, POSTGRES])
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each database in turn."""
    if request.param == POSTGRES:
        postgres_server()
    monkeypatch.setattr(Choice, "kind", request.param)
    return str(request.param)


# ------------------------------------------------------------------------------- the writer


class WallClock(ManualClock):
    """Stands still, but knows how long things take."""

    def monotonic_s(self) -> float:
        """Return the machine's own."""
        return time.monotonic()


def _fill(tx: Tx, hour_ms: int, hours: range, content: bytes) -> None:
    for k in hours:
        store.upsert_pack(tx, k % 40 + 1, 1, hour_ms + k // 40 * HOUR_MS, 720, content)


def _full_hour(bench: TelemetryBench, hour_ms: int) -> bytes:
    """A packed hour of a sample each five seconds."""
    samples = []
    for k in range(720):
        sample = bench.sample(power_kw=40 + k % 7 / 10, energy_kwh=k * 0.05, soc_pct=k // 8)
        time_ms = hour_ms + k * 5_000
        samples.append(PastSample(time_ms, sample.digest, time_ms + 200, sample.reading))
    return pack(hour_ms, samples)


async def _store_hours(bench: TelemetryBench, hours: int) -> None:
    hour_ms = hour_of(bench.clock.now_ms() - 60 * DAY_MS)
    content = _full_hour(bench, hour_ms)
    for first in range(0, hours, 40):
        await bench.database.write(_fill, hour_ms, range(first, first + 40), content)


async def _upload(bench: TelemetryBench, waits_s: list[float]) -> None:
    """Upload a sample every few milliseconds, and note how long each took."""
    number = 0
    while True:
        begun_s = time.perf_counter()
        await bench.service.ingest(bench.sample(number / 1_000, energy_kwh=number / 100))
        waits_s.append(time.perf_counter() - begun_s)
        number += 1
        await asyncio.sleep(0.003)


def _retention(bench: TelemetryBench) -> Retention:
    """The tiers of samples, of which nothing is needed any more."""
    database = bench.database
    raw = RawTier(database, bench.service.packing, 30, lambda _tx, _hours: set())
    minutes = MinutesTier(database, 90, lambda _tx, _hours: set(), lambda _tx, _from, _to: False)
    return Retention(database, bench.clock, (raw, minutes))


async def _drop(folder: Path) -> tuple[Round, list[float], float]:
    """Have a round made beside uploads; return it, their times, and how long it takes in one."""
    bench = TelemetryBench(folder / "tellus.db", WallClock())
    async with bench.database:
        await bench.service.start()
        await _store_hours(bench, HOURS)
        retention = _retention(bench)
        waits_s: list[float] = []
        uploading = asyncio.create_task(_upload(bench, waits_s))
        await retention.ask(PLATFORM)
        await retention.turn()
        uploading.cancel()
        done = await retention.find_round()
        assert done is not None
        await _store_hours(bench, 40 * HOURS)
        hours = await bench.database.read(
            store_retention.list_old_hours, (0, 0, 0), 2**62, 0, 40 * HOURS
        )
        _, control_s = await bench.database.write(
            timed(store_retention.remove_packed), [one.hour for one in hours]
        )
        return done, waits_s, control_s


def test_round__beside_uploads__never_holds_the_writer_for_50_ms(kind: str, tmp_path: Path) -> None:
    """Hundreds of full hours are averaged and dropped in steps that uploads hardly notice.

    The control drops as much in one piece, and holds the writer longer than is promised.
    """
    done, waits_s, control_s = asyncio.run(_drop(tmp_path))
    assert done.dropped["raw_samples"] == HOURS
    waits_s.sort()
    print(
        f"{kind}: {HOURS} hours dropped, longest hold {done.longest_hold_s * 1e3:.1f} ms;"
        f" {len(waits_s)} uploads, p99 {waits_s[len(waits_s) * 99 // 100] * 1e3:.1f} ms;"
        f" control {control_s * 1e3:.0f} ms"
    )
    assert done.longest_hold_s < LONGEST_S[kind]
    assert control_s > LONGEST_HOLD_S


# ------------------------------------------------------------------------------- erasing


class Traces:
    """What the store holds of a vehicle: its sealed key and its blind index, as stored."""

    def __init__(self, data_dir: Path) -> None:
        rows = query(data_dir, "SELECT sealed_key, blind_index FROM subjects ORDER BY created_ms")
        self.values = [bytes(value) for row in rows for value in row]

    def in_files(self, data_dir: Path) -> list[bool]:
        """Tell of each whether any file of the data directory has it."""
        content = b"".join(
            path.read_bytes() for path in data_dir.iterdir() if path.name.startswith("tellus.db")
        )
        return [value in content for value in self.values]

    def in_tables(self, data_dir: Path) -> list[bool]:
        """Tell of each whether the table has it."""
        return [value in Traces(data_dir).values for value in self.values]


@pytest.fixture
def running(kind: str, tmp_path: Path) -> Iterator[RunningServer]:
    """A server that logs all it can."""
    assert kind == Choice.kind
    server = start_server(tmp_path / "data", "--log-level", "debug")
    try:
        yield server
    finally:
        server.stop()


def _shown(server: RunningServer, token: str, accept: str = "application/json") -> bytes:
    headers = {"Authorization": f"Bearer {token}", "Accept": accept}
    answer = httpx.get(f"{server.base_url}/v1/operator/charging-records", headers=headers)
    assert answer.status_code == 200
    return answer.content


def _erase(server: RunningServer, operator_id: str, vin: str) -> Any:
    body = {"operator_id": operator_id, "vin": vin}
    return server.admin("POST", "/v1/admin/erasures/vehicle", body)


def test_vehicle__erased__is_in_no_answer_file_or_table(running: RunningServer) -> None:
    """Records stay without it; key and blind index are in no file, log included; others stay.

    Before the erasure all of it is found where it belongs: the search works.
    """
    client, device = running.create_client(vin_mode="full"), running.register()
    with SecretTraffic(running, client, device) as traffic:
        traffic.send_records([VIN])
        traffic.send_events([VIN])
        gone = Traces(running.data_dir)
        traffic.accept("/v1/device/charging-records", _record("K-1", KEPT_VIN))
    on_sqlite = Choice.kind == SQLITE
    assert len(gone.values) == 2
    assert all(gone.in_files(running.data_dir) if on_sqlite else gone.in_tables(running.data_dir))
    assert VIN.value.encode() in _shown(running, client.token)

    receipt = _erase(running, client.operator_id, VIN.value)
    removed = {"keys": 1, "charging_records": 3, "events": 2}
    assert (receipt["status"], receipt["removed"]) == ("done", removed)
    assert not any(gone.in_tables(running.data_dir))
    if on_sqlite:
        assert not any(gone.in_files(running.data_dir))
    for accept in ("application/json", "text/csv"):
        shown = _shown(running, client.token, accept)
        assert scan_bytes(shown, [VIN], accept) == []
        assert KEPT_VIN.value.encode() in shown
        assert b"R-0" in shown
    audit = plain(running.admin("GET", "/v1/admin/audit-log?size=100"))
    assert scan_bytes(audit, [VIN], "audit log") == []
    assert running.stop() == 0
    assert [str(hit) for hit in scan_text("".join(running.stderr), [VIN], "log")] == []
    if on_sqlite:
        files = [path for path in running.data_dir.iterdir() if path.name.startswith("tellus.db")]
        assert [str(hit) for hit in scan_paths(files, [VIN])] == []
        assert not any(gone.in_files(running.data_dir))


def test_vehicle__erased_on_one_node__is_unreadable_on_the_other(tmp_path: Path) -> None:
    """Another node that has the key in memory forgets it within seconds."""
    url = postgres_server().make_database()
    with node_group(tmp_path, url, [("-m", "tellus")] * 2) as group:
        client = group.create_client(vin_mode="full")
        first, second = group.servers
        device = first.register()
        with SecretTraffic(first, client, device) as traffic:
            traffic.accept("/v1/device/charging-records", _record("R-1", VIN))
        until(lambda: VIN.value.encode() in _try_shown(second, client.token), 5.0)
        _erase(group.administration, client.operator_id, VIN.value)
        took_s = until(
            lambda: VIN.value.encode() not in _try_shown(second, client.token), FORGOTTEN_WITHIN_S
        )
        print(f"forgotten by the other node after {took_s:.2f} s")
        assert b"R-1" in _shown(second, client.token)


def _try_shown(server: RunningServer, token: str) -> bytes:
    """Return what a node shows, once it knows the client."""
    headers = {"Authorization": f"Bearer {token}"}
    return httpx.get(f"{server.base_url}/v1/operator/charging-records", headers=headers).content


def _record(record_id: str, vin: Canary) -> dict[str, Any]:
    return {
        "record_id": record_id,
        "connector_id": 1,
        "start_time": "2026-03-02T06:12:10Z",
        "end_time": "2026-03-02T07:12:10Z",
        "energy": 10.0,
        "max_power": 22.0,
        "avg_power": 10.0,
        "meter_start": 1.0,
        "meter_end": 11.0,
        "vehicle_info": {"vin": vin.value},
    }
