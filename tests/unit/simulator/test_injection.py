"""Each of the twelve faults: its symptoms in order, and what clears it."""

from __future__ import annotations

from typing import Any

import pytest

from tellus.simulator.control import ControlRequest
from tellus.simulator.device import ChargerTwin
from tellus.simulator.figures import default_figures
from tellus.simulator.injection import inject
from tellus.simulator.messages import Kind
from tellus.simulator.stages import Stage
from tellus.simulator.triggers import obey_trigger
from tests.unit.simulator.builders import bodies, build_twin, command

SN = "SN-1"
MINUTE_S = 60.0


def wait(twin: ChargerTwin, wait_s: float) -> None:
    """Let time pass."""
    twin.advance(twin.time_ms + round(1000 * wait_s))


def plug_in(twin: ChargerTwin, connector: int = 1, soc: str = "10") -> None:
    """Let a vehicle come and charge by itself."""
    obey_trigger(twin, ControlRequest("plug-in", SN, connector, soc))


def charging(model: str = "TP-DC180", seed: int = 1, vehicle: str | None = None) -> ChargerTwin:
    """Return a charger at which a vehicle with much to take has been charging for a minute."""
    twin = build_twin(model, "quiet", seed)
    come(twin, vehicle=vehicle)
    wait(twin, 60)
    assert twin.connectors[0].stage is Stage.CHARGING
    return twin


def come(
    twin: ChargerTwin, connector: int = 1, vehicle: str | None = None, soc_pct: float = 10.0
) -> None:
    """Let a vehicle of a class come that stays for hours and wants its battery full."""
    chosen = twin.connectors[connector - 1]
    visit = chosen.visits.visit_at(twin.time_ms)
    kinds = {one.name: one for one in default_figures().vehicles}
    chosen.expect(
        visit._replace(
            vehicle=kinds[vehicle or "saloon-400"],
            soc_pct=soc_pct,
            demand_kwh=200.0,
            depart_ms=twin.time_ms + 6 * 3_600_000,
        )
    )
    twin.settle()


def discharging(seed: int = 1, model: str = "TP-DC180-V2G") -> ChargerTwin:
    """Return a charger that takes 20 kW out of a vehicle."""
    twin = build_twin(model, "quiet", seed)
    order_discharge(twin)
    wait(twin, 70)
    assert twin.connectors[0].stage is Stage.DISCHARGING
    return twin


def order_discharge(twin: ChargerTwin, vehicle: str | None = None) -> None:
    """Let a vehicle come and order a discharge of 20 kW."""
    come(twin, vehicle=vehicle, soc_pct=80.0)
    params = {"connector_id": 1, "discharge_power": 20.0}
    twin.execute(command("discharge", f"cmd_{twin.time_ms}", **params), 1, twin.time_ms)


def story(twin: ChargerTwin, connector: int = 1) -> list[str]:
    """Return what one connector's events and records say, in the order in which they were said."""
    said = []
    for one in twin.outbox:
        if one.connector_id != connector:
            continue
        if one.kind is Kind.EVENT:
            said.append(one.ref)
        elif one.kind is Kind.RECORD:
            said.append("record")
    return said


def frames(twin: ChargerTwin, connector: int = 1) -> list[dict[str, Any]]:
    """Return the frames of one connector."""
    return [one for one in bodies(twin.outbox, Kind.TELEMETRY) if one["connector_id"] == connector]


def faults(twin: ChargerTwin, connector: int = 1) -> list[dict[str, Any]]:
    """Return the data of the fault events of one connector."""
    events = [one for one in bodies(twin.outbox, Kind.EVENT) if one["connector_id"] == connector]
    return [one["data"] for one in events if one["event_type"] == "fault"]


def codes(twin: ChargerTwin, connector: int = 1) -> list[str]:
    """Return the codes of its fault events, in the dictionary's form."""
    return [
        f"F-{int(str(one['fault_code'])[-4:].lstrip('F-')):04d}" for one in faults(twin, connector)
    ]


def health(twin: ChargerTwin, connector: int = 1) -> list[dict[str, Any]]:
    """Return the component health that its frames carried."""
    return [one["component_health"] for one in frames(twin, connector) if "component_health" in one]


def tell(twin: ChargerTwin, name: str, command_id: str = "cmd_t", **params: Any) -> None:
    """Give the charger a command now."""
    twin.execute(command(name, command_id, **params), 1, twin.time_ms)


def last_status(twin: ChargerTwin, command_id: str = "cmd_t") -> dict[str, Any]:
    """Return the newest report of a command."""
    found = bodies(twin.outbox, Kind.COMMAND_STATUS)
    return [one for one in found if one["command_id"] == command_id][-1]


def test_f_0101__at_the_stop__stays_live_never_idle_and_refuses_starts() -> None:
    """Stop, three frames over 60 V without current, fault within 2 s, plug_out without idle."""
    twin = charging()
    inject(twin, twin.connectors[0], "F-0101")
    twin.take()
    tell(twin, "stop_charging", connector_id=1)
    wait(twin, 30)
    assert story(twin) == ["stop", "record", "fault"]
    stop, fault = (one for one in bodies(twin.outbox, Kind.EVENT) if one["connector_id"] == 1)
    assert stop["timestamp"] < fault["timestamp"]
    assert twin.connectors[0].fault_code is not None
    after = [one for one in frames(twin) if one["timestamp"] >= stop["timestamp"]]
    assert len(after) >= 3
    assert all(one["voltage"] > 60.0 and abs(one["current"]) < 0.1 for one in after)
    assert health(twin)[-1]["relay_state"] == "fault"
    obey_trigger(twin, ControlRequest("plug-out", SN))
    wait(twin, 120)
    assert story(twin)[-1] == "plug_out"
    assert {one["state"] for one in frames(twin) if one["timestamp"] >= stop["timestamp"]} == {
        "fault"
    }
    tell(twin, "start_charging", "cmd_s", connector_id=1)
    assert last_status(twin, "cmd_s")["status"] == "rejected"


def test_f_0101__reset_and_reboot__help_only_after_the_replacement() -> None:
    """A weld outlives a reset and a reboot; reset_contactor_counter stands for the new one."""
    twin = charging()
    inject(twin, twin.connectors[0], "F-0101")
    tell(twin, "stop_charging", "cmd_s", connector_id=1)
    wait(twin, 10)
    tell(twin, "reset_connector", connector_id=1)
    wait(twin, 20)
    assert last_status(twin)["status"] == "failed"
    tell(twin, "reboot", "cmd_b")
    wait(twin, 120)
    assert twin.connectors[0].fault_code is not None
    tell(twin, "reset_contactor_counter", "cmd_r", connector_id=1)
    wait(twin, 5)
    assert (twin.fault_code, twin.connectors[0].contactor.cycles) == (0, 0)
    assert frames(twin)[-1]["voltage"] == 0.0


def test_f_0101__unreported__is_seen_by_voltage_alone() -> None:
    """A charger that notices nothing tells of no fault, but its frames stay live and not idle."""
    twin = charging()
    inject(twin, twin.connectors[0], "F-0101", "unreported")
    twin.take()
    tell(twin, "stop_charging", connector_id=1)
    wait(twin, 60)
    assert "fault" not in story(twin)
    after = [one for one in frames(twin) if one["power"] == 0.0]
    assert len(after) >= 3
    assert {one["state"] for one in after} == {"unavailable"}
    assert all(one["voltage"] > 60.0 for one in after)


@pytest.mark.parametrize("model", ["TP-AC22", "TP-DC180"])
def test_f_0421__at_the_closing__goes_from_preparing_to_fault(model: str) -> None:
    """plug_in, preparing, fault; never charging, no current, no record; a reset clears it."""
    twin = build_twin(model, "quiet")
    inject(twin, twin.connectors[0], "F-0421")
    come(twin)
    wait(twin, 90)
    assert story(twin) == ["plug_in", "auth_ok", "fault"]
    shown = frames(twin)
    assert any(one.get("detail_state") == "preparing" for one in shown)
    assert "charging" not in {one["state"] for one in shown}
    assert {one["current"] for one in shown} == {0.0}
    assert shown[-1]["state"] == "fault"
    assert health(twin)[-1]["relay_state"] == "fault"
    tell(twin, "reset_connector", connector_id=1)
    wait(twin, 12)
    assert (last_status(twin)["status"], twin.fault_code) == ("completed", 0)
    tell(twin, "start_charging", "cmd_s", connector_id=1)
    wait(twin, 60)
    assert twin.connectors[0].stage is Stage.CHARGING
