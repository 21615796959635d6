"""A platform with a few simulated chargers, and folders to follow the documents in."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tellus.cli.environment import write_env_file
from tests.server import RunningServer, running_server

CHARGERS = 4
_READY_WITHIN_S = 30.0


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A platform for the readers of a module."""
    with platform_with_chargers(tmp_path_factory.mktemp("platform") / "data") as server:
        yield server


@contextmanager
def platform_with_chargers(data_dir: Path) -> Iterator[RunningServer]:
    """Run a fresh platform with chargers that are online and idle."""
    with running_server(data_dir, "--sandbox") as server:
        command = [sys.executable, "-m", "tellus", "simulate", "--base-url", server.base_url]
        options = ["--chargers", str(CHARGERS), "--scenario", "quiet", "--quiet", "--json"]
        fleet = subprocess.Popen(
            [*command, *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            _wait_for_chargers(server)
            yield server
        finally:
            fleet.terminate()
            fleet.wait(30)


def _wait_for_chargers(server: RunningServer) -> None:
    until_s = time.monotonic() + _READY_WITHIN_S
    while time.monotonic() < until_s:
        metrics = httpx.get(f"{server.base_url}/metrics").text
        if f'tellus_devices{{presence="online"}} {CHARGERS}.0' in metrics:
            return
        time.sleep(0.1)
    raise AssertionError("the simulated chargers did not come online")


@pytest.fixture
def reader_folder(platform: RunningServer, tmp_path: Path) -> Path:
    """A folder as the sandbox leaves it: ``.venv`` and ``.env.tellus``."""
    return make_reader_folder(platform, tmp_path / "reader")


def make_reader_folder(server: RunningServer, folder: Path) -> Path:
    """Put ``.venv`` and ``.env.tellus`` into a new ``folder``."""
    folder.mkdir()
    (folder / ".venv").symlink_to(sys.prefix)
    client = server.create_client()
    held = server.admin_file
    # Another charger for each reader: what one starts is no other's.
    devices = server.admin("GET", "/v1/admin/devices")["items"]
    readers = len(list(folder.parent.parent.glob("*/reader*")))
    variables = {
        "TELLUS_BASE_URL": server.base_url,
        "TELLUS_CLIENT_ID": client.client_id,
        "TELLUS_CLIENT_SECRET": client.client_secret,
        "TELLUS_OPERATOR_ID": client.operator_id,
        "TELLUS_ADMIN_ID": held["service_account_id"],
        "TELLUS_ADMIN_SECRET": held["service_account_secret"],
        "TELLUS_DEVICE_ID": devices[readers % len(devices)]["device_id"],
    }
    write_env_file(folder / ".env.tellus", variables, "For the documents' tests.")
    return folder
