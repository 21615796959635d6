"""``import records`` and ``replay`` against a platform of their own, through its public API."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tellus.cli.client import Api, ApiClient
from tellus.cli.importing import import_group, replay

REAL_FILE = (
    Path(__file__).parents[4] / "shared" / "data" / "epfl_dc_sessions" / "charging_records.jsonl"
)
PATIENCE_S = 20.0


@dataclass
class Platform:
    """A served platform with an operator and a client of it."""

    data_dir: Path
    operator_id: str = ""
    client: tuple[str, str] = ("", "")

    def prepare(self) -> None:
        with ApiClient.find(self.data_dir) as admin:
            self.operator_id = admin.post("/v1/admin/operators", {"name": "Import"})["operator_id"]
            body = {"operator_id": self.operator_id, "name": "reader", "scopes": ["read"]}
            made = admin.post("/v1/admin/clients", body)
            self.client = (made["client_id"], made["client_secret"])

    def read(self, path: str, **parameters: Any) -> list[dict[str, Any]]:
        """All items of an operator's list."""

        async def ask(base_url: str) -> list[dict[str, Any]]:
            async with Api(base_url) as api:
                body = {
                    "client_id": self.client[0],
                    "client_secret": self.client[1],
                    "grant_type": "client_credentials",
                }
                token = (await api.call("POST", "/v1/operator/oauth/token", body))["access_token"]
                pages = api.pages(path, token=token, parameters=parameters)
                return [item async for item in pages]

        with ApiClient.find(self.data_dir) as admin:
            return admin.run(ask(admin.access.base_url))


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Platform]:
    """Serve a platform on a free port until the test is over."""
    data_dir = tmp_path / "data"
    arguments = ["serve", "--data-dir", str(data_dir), "--port", "0"]
    environment = {name: text for name, text in os.environ.items() if not name.startswith("TELLUS")}
    log = (tmp_path / "log").open("wb")
    process = subprocess.Popen(
        [sys.executable, "-c", "from tellus.cli import main; main()", *arguments,
         "--registration", "allowlist", "--limit-scale", "20"],
        env=environment, stdout=log, stderr=log, cwd=tmp_path,
    )  # fmt: skip
    log.close()
    try:
        ends_s = time.monotonic() + PATIENCE_S
        while not (data_dir / "admin.json").exists():
            assert process.poll() is None, (tmp_path / "log").read_text()
            assert time.monotonic() < ends_s, "the platform did not start"
            time.sleep(0.05)
        served = Platform(data_dir)
        served.prepare()
        yield served
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0


def run(command: Any, *arguments: str) -> tuple[Result, dict[str, Any]]:
    """Run a command in this process; return how it ended and its summary."""
    result = CliRunner().invoke(command, arguments)
    return result, json.loads(result.stdout) if result.stdout.startswith("{") else {}


def write_file(path: Path, count: int) -> float:
    """Write ``count`` records of two devices; return their energy (kWh)."""
    energy_kwh = 0.0
    with path.open("w") as file:
        for k in range(count):
            record = {
                "device_key": f"Unit {k % 2}",
                "record_id": f"r{k}",
                "connector_id": k % 2 + 1,
                "start_time": f"2024-01-{k % 28 + 1:02d}T09:00:00Z",
                "end_time": f"2024-01-{k % 28 + 1:02d}T10:00:00Z",
                "energy": 5.0 + k,
                "max_power": 11.0,
                "avg_power": 5.0 + k,
                "meter_start": 0.0,
                "meter_end": 5.0 + k,
                "colour": "green",
            }
            energy_kwh += record["energy"]
            file.write(json.dumps(record) + "\n")
    return energy_kwh


def test_import_records__twice__second_run_changes_nothing(
    platform: Platform, tmp_path: Path
) -> None:
    """The site is made, the records are those of the file, and repeating is harmless."""
    path = tmp_path / "records.jsonl"
    energy_kwh = write_file(path, 60)
    arguments = ["records", str(path), "--data-dir", str(platform.data_dir), "--site", "Depot"]
    result, _ = run(import_group, *arguments)
    assert result.exit_code == 3
    result, summary = run(import_group, *arguments, "--operator", platform.operator_id)
    assert (result.exit_code, summary["devices"]) == (0, 2)
    assert (summary["stored"], summary["duplicates"], summary["rejected"]) == (60, 0, 0)
    assert summary["energy_kwh"] == energy_kwh
    shown = platform.read("/v1/operator/charging-records")
    result, summary = run(import_group, *arguments)
    assert (result.exit_code, summary["stored"], summary["duplicates"]) == (0, 0, 60)
    assert summary["energy_kwh"] == energy_kwh
    assert platform.read("/v1/operator/charging-records") == shown
    assert {item["colour"] for item in shown} == {"green"}
    assert len(platform.read("/v1/operator/sites")) == 1
    state = platform.data_dir / "import-state.json"
    assert state.stat().st_mode & 0o077 == 0


def test_import_records__state_file_lost__asks_before_it_takes_devices_over(
    platform: Platform, tmp_path: Path
) -> None:
    """Known devices are not given new secrets unless that is asked for; then all goes on."""
    path = tmp_path / "records.jsonl"
    write_file(path, 4)
    arguments = ["records", str(path), "--data-dir", str(platform.data_dir), "--site", "Depot"]
    run(import_group, *arguments, "--operator", platform.operator_id)
    (platform.data_dir / "import-state.json").unlink()
    result, _ = run(import_group, *arguments)
    assert result.exit_code == 6
    result, summary = run(import_group, *arguments, "--reclaim")
    assert (result.exit_code, summary["duplicates"]) == (0, 4)


def test_import_records__bad_records__are_listed_and_the_rest_goes_in(
    platform: Platform, tmp_path: Path
) -> None:
    """A record that the platform rejects is told with its reason; exit code 1."""
    path = tmp_path / "records.jsonl"
    write_file(path, 4)
    with path.open("a") as file:
        file.write('{"record_id": "odd", "device_key": "Unit 0"}\n')
    result, summary = run(
        import_group, "records", str(path), "--data-dir", str(platform.data_dir),
        "--site", "Depot", "--operator", platform.operator_id,
    )  # fmt: skip
    assert (result.exit_code, summary["stored"], summary["rejected"]) == (1, 4, 1)
    (rejection,) = summary["rejections"]
    assert (rejection["record_id"], rejection["code"]) == ("odd", 1002)


@pytest.mark.skipif(not REAL_FILE.exists(), reason="the shared data set is not at hand")
def test_replay__real_sessions__come_back_whole(platform: Platform) -> None:
    """All measured sessions and their whole energy are what the record query returns, twice."""
    arguments = [str(REAL_FILE), "--data-dir", str(platform.data_dir), "--site", "Station"]
    result, summary = run(replay, *arguments, "--operator", platform.operator_id)
    assert result.exit_code == 0
    assert (summary["stored"], summary["energy_kwh"]) == (1_878, 60_441.935575)
    assert summary["events"] == {"stored": 4 * 1_878}
    assert set(summary["telemetry"]) == {"stored"}
    samples = summary["telemetry"]["stored"]
    shown = platform.read("/v1/operator/charging-records")
    assert (len(shown), sum(item["energy"] for item in shown)) == (
        1_878,
        pytest.approx(60_441.935575, abs=1e-6),
    )
    result, summary = run(replay, *arguments)
    assert result.exit_code == 0
    assert summary["telemetry"] == {"duplicate": samples}
    assert summary["events"] == {"duplicate": 4 * 1_878}
    assert platform.read("/v1/operator/charging-records") == shown
