"""Scenes with one simulated charger: a vehicle comes, a discharge runs, and what was said of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from tellus.simulator.control import ControlRequest
from tellus.simulator.device import ChargerTwin
from tellus.simulator.figures import default_figures
from tellus.simulator.messages import Kind
from tellus.simulator.stages import Stage
from tellus.simulator.triggers import obey_trigger
from tests.unit.simulator.builders import bodies, build_twin, command

SN = "SN-1"
HOUR_S = 3_600.0
_LARGE_KWH = 600.0


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
            vehicle=msgspec.structs.replace(kinds[vehicle or "saloon-400"], battery_kwh=_LARGE_KWH),
            soc_pct=soc_pct,
            demand_kwh=_LARGE_KWH,
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


def wait_until(twin: ChargerTwin, reached: Callable[[], bool], within_s: float) -> None:
    """Let time pass until something has come about; it must within a time."""
    end_ms = twin.time_ms + round(1000 * within_s)
    while not reached():
        assert twin.time_ms < end_ms, "it did not come about"
        wait(twin, 1)
