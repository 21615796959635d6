"""The examples of the three patterns run as they stand, against a simulated fleet."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.server import RunningServer, running_server

EXAMPLES = Path(__file__).parents[2] / "examples"
CHARGERS = 12
_PATIENCE_S = 60.0


class Stage(NamedTuple):
    """A platform, the socket of its fleet, and the environment of an operator's client."""

    server: RunningServer
    control: Path
    environment: dict[str, str]

    def run(self, name: str, *arguments: str, folder: Path) -> str:
        """Run an example to its end; return what it said."""
        ended = subprocess.run(
            [sys.executable, str(EXAMPLES / name), *arguments],
            cwd=folder,
            env=os.environ | self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout

    def trigger(self, *words: str) -> None:
        """Tell the fleet what happens."""
        program = [sys.executable, "-m", "tellus", "trigger"]
        subprocess.run([*program, *words, "--control", str(self.control)], check=True)

    def devices(self) -> list[dict[str, str]]:
        """All chargers."""
        found: list[dict[str, str]] = self.server.admin("GET", "/v1/admin/devices?size=100")[
            "items"
        ]
        return found


@pytest.fixture(scope="module", name="stage")
def _stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A platform with a quiet fleet: nobody plugs in unless told."""
    folder = tmp_path_factory.mktemp("examples")
    control = folder / "fleet.sock"
    with running_server(folder / "data", "--sandbox", "--limit-scale", "10") as server:
        fleet = subprocess.Popen(
            [
                *(sys.executable, "-m", "tellus", "simulate", "--base-url", server.base_url),
                *("--chargers", str(CHARGERS), "--scenario", "quiet", "--quiet", "--json"),
                *("--control", str(control)),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            client = server.create_client()
            stage = Stage(server, control, _environment(server, client.client_id))
            stage.environment["TELLUS_CLIENT_SECRET"] = client.client_secret
            _wait_for_chargers(stage)
            stage.environment["TELLUS_DEVICE_ID"] = stage.devices()[0]["device_id"]
            yield stage
        finally:
            fleet.terminate()
            fleet.wait(30)


def _environment(server: RunningServer, client_id: str) -> dict[str, str]:
    return {"TELLUS_BASE_URL": server.base_url, "TELLUS_CLIENT_ID": client_id}


def _wait_for_chargers(stage: Stage) -> None:
    until_s = time.monotonic() + _PATIENCE_S
    while time.monotonic() < until_s:
        online = [one for one in stage.devices() if one["status"] == "online"]
        if len(online) == CHARGERS and stage.control.exists():
            return
        time.sleep(0.2)
    raise AssertionError("the simulated chargers did not come online")


def test_diagnostic_addon__charger_with_a_fault__is_explained_and_worked_through(
    stage: Stage, tmp_path: Path
) -> None:
    """An alert is listed with what the dictionary says first, and a runbook is gone through."""
    sn = next(one["sn"] for one in stage.devices() if one["model"] == "TP-DC180")
    stage.trigger("fault", sn, "1", "--value", "421")
    time.sleep(3.0)
    said = stage.run("diagnostic_addon.py", folder=tmp_path)
    assert "F-0421" in said
    assert "1 open alerts" in said
    assert "step 1:" in said
    assert "escalated:" in said
    assert list(tmp_path.glob("run_*.zip"))


def test_microgrid__idle_charger__is_started_limited_scheduled_and_stopped(
    stage: Stage, tmp_path: Path
) -> None:
    """Each command is taken up by the charger."""
    said = stage.run("microgrid.py", folder=tmp_path)
    assert "start: accepted" in said
    assert "load: executing" in said
    assert "load: released" in said
    assert "schedule: completed" in said
    assert "stop: completed" in said


def test_v2g_integrator__vehicle_that_can__discharges(stage: Stage, tmp_path: Path) -> None:
    """A connector with a vehicle delivers power, seen on the stream as negative."""
    device = next(one for one in stage.devices() if one["model"].endswith("-V2G"))
    stage.trigger("plug-in", device["sn"], "1", "--value", "90")
    said = stage.run("v2g_integrator.py", "--device", device["device_id"], folder=tmp_path)
    assert f"{device['device_id']} connector 1: -10.0 kW" in said
