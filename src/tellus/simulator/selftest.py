"""The self-test: two minutes out of service, and a report of what was measured."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tellus.simulator.component_report import relay_state, steady_fan_status, sync_status
from tellus.simulator.figures import default_figures
from tellus.simulator.metering import reading_kwh
from tellus.simulator.orders import CommandRefused, Job
from tellus.simulator.planning import follow_plan
from tellus.simulator.repairs import refuse_if_busy

if TYPE_CHECKING:
    from tellus.simulator.connector import ConnectorTwin

_SELF_TEST_S = default_figures().downtime.self_test_s
_BAD_FAN = frozenset({"warning", "fault"})


def run_self_test(job: Job) -> None:
    """Take the charger out of service for two minutes and report what was measured."""
    refuse_if_busy(job)
    charger = job.charger
    if any(one.is_out_of_service for one in charger.connectors):
        raise CommandRefused("the charger is already out of service")
    job.accept("Self-test begun")
    _set_service(job, job.now_ms, is_out=True)

    def done(now_ms: int) -> None:
        _set_service(job, now_ms, is_out=False)
        report = measure_all(job, now_ms)
        word = "passed" if report["passed"] else "found faults"
        job.complete(now_ms, f"Self-test {word}", report)

    job.later(_SELF_TEST_S, done)


def _set_service(job: Job, now_ms: int, *, is_out: bool) -> None:
    for connector in job.charger.connectors:
        connector.is_out_of_service = is_out
        connector.show(now_ms)
        follow_plan(connector, now_ms)


def measure_all(job: Job, now_ms: int) -> dict[str, Any]:
    """Measure everything; ``findings`` names what is not as it should be."""
    charger = job.charger
    volts = [round(phase.voltage_v, 1) for phase in charger.home.supply.idle_phases()]
    findings: list[str] = []
    connectors = [_test(connector, now_ms, findings) for connector in charger.connectors]
    report: dict[str, Any] = {
        "supply_voltages_v": volts,
        "cabinet_temperature_c": round(charger.cabinet.shown_c, 1),
        "connectors": connectors,
    }
    if charger.cabinet.fan is not None:
        status = steady_fan_status(charger.connectors[0], now_ms)
        rpm = charger.cabinet.fan.reading_rpm(now_ms)
        report["cooling_fan"] = {"rpm": rpm, "status": status}
        report["modules"] = [
            {"index": index, "status": status}
            for index, status in enumerate(charger.cabinet.modules)
        ]
        findings += ["cooling_fan"] * (status in _BAD_FAN)
        findings += [
            f"module_{index}" for index, one in enumerate(charger.cabinet.modules) if one != "ok"
        ]
    return {"passed": not findings, "findings": findings, **report}


def _test(connector: ConnectorTwin, now_ms: int, findings: list[str]) -> dict[str, Any]:
    connector.power.warm(now_ms)
    relay = relay_state(connector)
    tested: dict[str, Any] = {
        "connector_id": connector.connector_id,
        "temperature_c": round(connector.power.pins.temperature_c, 1),
        "contactor_cycles": connector.contactor.cycles,
        "relay_state": relay,
        "meter_kwh": reading_kwh(connector.power.meter.net_kwh),
    }
    findings += [f"contactor_{connector.connector_id}"] * (relay == "fault")
    if connector.home.model.kind == "dc":
        tested["isolation_kohms"] = connector.isolation.measure(now_ms)
        findings += [f"isolation_{connector.connector_id}"] * (not connector.isolation.passes)
    if connector.home.model.v2g:
        tested["inverter_sync_status"] = sync_status(connector)
    return tested
