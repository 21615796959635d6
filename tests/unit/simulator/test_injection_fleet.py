"""Faults brought about in a running fleet, over its socket and by the command line."""

from __future__ import annotations

import asyncio
import json
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tellus.simulator.control import ControlRefused, ControlRequest, ask_fleet
from tellus.simulator.device import ChargerSpec
from tests.unit.simulator.stand_in import StandIn
from tests.unit.simulator.test_control import PROGRAM, run_fleet_with
from tests.unit.simulator.test_fleet import until

SITE = [
    ChargerSpec(sn="SN-1", model="TP-DC180-V2G", site="depot"),
    ChargerSpec(sn="SN-2", model="TP-AC22", site="depot"),
    ChargerSpec(sn="SN-3", model="TP-DC180", site="elsewhere"),
]


@pytest.fixture
def quick() -> Iterator[Path]:
    """Return a short path: that of a unix socket has at most about a hundred characters."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder) / "fleet.sock"


async def request(at: Path, action: str, sn: str, value: str, **more: Any) -> Any:
    """Ask the fleet without blocking the loop."""
    asked = ControlRequest(action, sn, value=value, **more)
    return await asyncio.to_thread(ask_fleet, at, asked)


def test_socket__cause_at_a_device_id__shows_at_the_platform_and_ends(quick: Path) -> None:
    """The platform's own id names a charger too; event, heartbeat and the cure follow."""

    async def script(server: StandIn) -> None:
        await until(lambda: "SN-3" in {one["sn"] for one in server.of("heartbeat")})
        device_id = server.devices["SN-3"][0]
        await request(quick, "inject", device_id, "411")
        await until(lambda: any(one["event_type"] == "fault" for one in server.of("event")))
        await until(lambda: server.of("heartbeat", "SN-3")[-1]["status"] == "fault")
        await request(quick, "cure", "SN-3", "F-0411")
        await until(lambda: server.of("heartbeat", "SN-3")[-1]["status"] == "online")
        with pytest.raises(ControlRefused, match="no charger"):
            await request(quick, "inject", "SN-9", "411")

    assert run_fleet_with(quick, script, chargers=SITE).is_clean


def test_socket__site_wide_outage__takes_every_charger_of_that_site_alone(quick: Path) -> None:
    """The variant of a site strikes the chargers that share it, and spares the others."""

    async def script(server: StandIn) -> None:
        await until(lambda: len({one["sn"] for one in server.of("heartbeat")}) == len(SITE))
        done = await request(quick, "inject", "SN-2", "F-0301", variant="site", strength=60.0)
        assert {one["sn"]: one["online"] for one in done} == {"SN-1": False, "SN-2": False}
        listed = await asyncio.to_thread(ask_fleet, quick, ControlRequest("list"))
        assert [one["sn"] for one in listed if one["online"]] == ["SN-3"]
        await request(quick, "cure", "SN-1", "F-0301")
        await request(quick, "cure", "SN-2", "F-0301")

    run_fleet_with(quick, script, chargers=SITE)


def test_heartbeat__configuration__is_named_and_changes_with_an_override(quick: Path) -> None:
    """Every heartbeat says which profile runs, and its hash; a local change shows at once."""

    async def script(server: StandIn) -> None:
        await until(lambda: len(server.of("heartbeat", "SN-1")) > 0)
        first = server.of("heartbeat", "SN-1")[-1]
        assert first["config_profile_id"] == "factory-tp-dc180-v2g"
        assert len(first["running_config_hash"]) == 64
        await request(quick, "inject", "SN-1", "F-0512")
        await until(
            lambda: (
                server.of("heartbeat", "SN-1")[-1]["running_config_hash"]
                != first["running_config_hash"]
            )
        )

    run_fleet_with(quick, script, chargers=SITE)


def test_trigger_command__fault_and_clear_with_device__as_documented(quick: Path) -> None:
    """``fault F-0411 --device SN --connector 2`` and ``clear F-0411 --device SN``."""

    def tell(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*PROGRAM, "--control", str(quick), *arguments],
            capture_output=True, text=True, timeout=30, check=False,
        )  # fmt: skip

    async def script(server: StandIn) -> None:
        await until(lambda: len({one["sn"] for one in server.of("heartbeat")}) == len(SITE))
        words = ("fault", "F-0411", "--device", "SN-3", "--connector", "2", "--json")
        done = await asyncio.to_thread(tell, *words)
        assert json.loads(done.stdout)["connectors"][1]["state"] == "fault"
        done = await asyncio.to_thread(tell, "clear", "F-0411", "--device", "SN-3", "--json")
        assert json.loads(done.stdout)["connectors"][1]["state"] == "idle"
        done = await asyncio.to_thread(tell, "fault", "F-0204", "--device", "SN-2")
        assert (done.returncode, "DC charger" in done.stderr) == (8, True)
        done = await asyncio.to_thread(tell, "plug-in", "--device", "SN-2")
        assert done.returncode == 2
        done = await asyncio.to_thread(tell, "clear", "SN-2")
        assert done.returncode == 2

    run_fleet_with(quick, script, chargers=SITE)
