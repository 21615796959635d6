"""Commands about the charger itself: restarts, tests, resets, logs, configuration."""

from __future__ import annotations

from typing import Any

from tellus.simulator.breakdown import clear_fault
from tellus.simulator.figures import default_figures
from tellus.simulator.metering import reading_kwh
from tellus.simulator.orders import CommandRefused, Handler, Job
from tellus.simulator.planning import follow_plan
from tellus.simulator.stages import Stage

_FIGURES = default_figures().downtime
_MODULE_KW = 30.0
_SENSORS = frozenset({"temperature", "current", "voltage"})
_TRIGGERS = frozenset(
    {"heartbeat", "bootnotification", "statusnotification", "metervalues", "telemetry"}
)
_LOGGED_COMMANDS = 20


def _restart(off_s: float, text: str) -> Handler:
    def handle(job: Job) -> None:
        job.accept(f"{text} accepted")
        power = job.charger.power_state

        def back(now_ms: int) -> None:
            details = {"boots": power.boots, "firmware_version": job.charger.firmware_version}
            job.complete(now_ms, f"{text} done", details)

        # The answer has to leave before the charger does; nothing else may lose the command.
        due_ms = job.now_ms + round(1000 * _FIGURES.settle_s)
        job.charger.agenda.at(due_ms, lambda now_ms: power.go_down(now_ms, off_s, back))

    return handle


def force_reconnect(job: Job) -> None:
    """Drop the link and build it up again; sessions go on."""
    job.accept("Reconnect accepted")

    def drop(now_ms: int) -> None:
        job.charger.power_state.drop_link(
            now_ms, _FIGURES.reconnect_s, lambda back_ms: job.complete(back_ms, "Reconnected")
        )

    job.later(_FIGURES.settle_s, drop)


def _refuse_if_busy(job: Job, *, whole_charger: bool = True) -> None:
    connectors = job.charger.connectors if whole_charger else [job.connector]
    if any(one.is_busy for one in connectors):
        raise CommandRefused("a session is active")


def run_self_test(job: Job) -> None:
    """Take the charger out of service for two minutes and report what was measured."""
    _refuse_if_busy(job)
    charger = job.charger
    if any(one.is_out_of_service for one in charger.connectors):
        raise CommandRefused("the charger is already out of service")
    job.accept("Self-test begun")
    _set_service(job, job.now_ms, is_out=True)

    def done(now_ms: int) -> None:
        _set_service(job, now_ms, is_out=False)
        job.complete(now_ms, "Self-test passed", _test_report(job, now_ms))

    job.later(_FIGURES.self_test_s, done)


def _set_service(job: Job, now_ms: int, *, is_out: bool) -> None:
    for connector in job.charger.connectors:
        connector.is_out_of_service = is_out
        connector.show(now_ms)
        follow_plan(connector, now_ms)


def _test_report(job: Job, now_ms: int) -> dict[str, Any]:
    supply = job.charger.home.supply
    volts = [round(phase.voltage_v, 1) for phase in supply.idle_phases()]
    connectors = []
    for connector in job.charger.connectors:
        connector.power.warm(now_ms)
        connectors.append(
            {
                "connector_id": connector.connector_id,
                "temperature_c": round(connector.power.pins.temperature_c, 1),
                "contactor_cycles": connector.contactor_cycles,
                "meter_kwh": reading_kwh(connector.power.meter.net_kwh),
            }
        )
    return {"passed": True, "supply_voltages_v": volts, "connectors": connectors}


def calibrate_sensor(job: Job) -> None:
    """Calibrate one kind of sensor while nobody charges."""
    sensor = job.command.params.get("sensor")
    if sensor not in _SENSORS:
        raise CommandRefused(f"sensor must be one of {', '.join(sorted(_SENSORS))}")
    _refuse_if_busy(job, whole_charger=False)
    job.accept("Calibration begun")
    details = {"sensor": sensor, "offset": 0.0}
    job.later(_FIGURES.calibration_s, lambda now_ms: job.complete(now_ms, "Calibrated", details))


def reset_contactor_counter(job: Job) -> None:
    """Count the contactor's cycles from 0 again, as after its replacement."""
    job.accept("Reset accepted")
    details = {"previous_cycles": job.connector.contactor_cycles}
    job.connector.contactor_cycles = 0
    job.complete(job.now_ms, "Counter reset", details)


def reset_fan_counter(job: Job) -> None:
    """Count the fan's hours from 0 again, as after its replacement."""
    job.accept("Reset accepted")
    hours = (job.now_ms - job.charger.fan_since_ms) / 3_600_000
    job.charger.fan_since_ms = job.now_ms
    job.complete(job.now_ms, "Counter reset", {"previous_hours": round(hours, 2)})


def reset_power_module(job: Job) -> None:
    """Restart one power module of a DC cabinet."""
    model = job.charger.model
    if model.kind == "ac":
        raise CommandRefused("unsupported_hardware: this charger has no power modules")
    modules = round(model.rated_kw / _MODULE_KW)
    index = job.command.params.get("module_index")
    if isinstance(index, bool) or not isinstance(index, int) or not 0 <= index < modules:
        raise CommandRefused(f"module_index must lie between 0 and {modules - 1}")
    _refuse_if_busy(job)
    job.accept("Reset accepted")
    details = {"module_index": index, "status": "ok"}
    job.later(_FIGURES.reset_s, lambda now_ms: job.complete(now_ms, "Module reset", details))


def reset_connector(job: Job) -> None:
    """Restart the control of one connector, which clears its fault."""
    _refuse_if_busy(job, whole_charger=False)
    job.accept("Reset accepted")

    def done(now_ms: int) -> None:
        clear_fault(job.charger, job.connector, now_ms)
        job.complete(now_ms, "Connector reset")

    job.later(_FIGURES.reset_s, done)


def trigger_message(job: Job) -> None:
    """Send a heartbeat, or a frame of the connector, now."""
    message = str(job.command.params.get("message", ""))
    name = message.replace("_", "").lower()
    if name not in _TRIGGERS:
        raise CommandRefused(f"this charger has no message {message!r} to send")
    job.accept("Trigger accepted")
    if name in {"heartbeat", "bootnotification"}:
        job.charger.power_state.needs_heartbeat = True
    else:
        job.connector.show(job.now_ms)
    job.complete(job.now_ms, "Sent", {"message": message})


def unlock_connector(job: Job) -> None:
    """Release the plug; never in a session."""
    _refuse_if_busy(job, whole_charger=False)
    job.accept("Unlock accepted")
    is_held = job.connector.stage is not Stage.AVAILABLE
    job.complete(job.now_ms, "Unlocked", {"vehicle_connected": is_held})


def clear_cache(job: Job) -> None:
    """Forget the authorisations that are cached."""
    job.accept("Clear accepted")
    entries = sum(one.cached_authorisations for one in job.charger.connectors)
    for connector in job.charger.connectors:
        connector.cached_authorisations = 0
    job.complete(job.now_ms, "Cache cleared", {"entries": entries})


def fetch_logs(job: Job) -> None:
    """Report what the charger remembers of its commands and starts."""
    job.accept("Logs accepted")
    charger = job.charger
    details = {
        "boots": charger.power_state.boots,
        "firmware_version": charger.firmware_version,
        "config_profile_id": charger.config_profile_id,
        "commands": charger.desk.known_ids[-_LOGGED_COMMANDS:],
        "duplicates": charger.desk.duplicates,
    }
    job.later(1.0, lambda now_ms: job.complete(now_ms, "Logs collected", details))


def apply_config_profile(job: Job) -> None:
    """Take over a configuration profile."""
    params = job.command.params
    profile_id = params.get("config_profile_id")
    if not isinstance(profile_id, str) or not profile_id:
        raise CommandRefused("config_profile_id is missing")
    if not isinstance(params.get("values", {}), dict):
        raise CommandRefused("values is not an object")
    job.accept("Profile accepted")
    job.charger.config_profile_id = profile_id
    job.charger.config = dict(params.get("values", {}))
    details = {
        "config_profile_id": profile_id,
        "running_config_hash": str(params.get("running_config_hash", "")),
        "values": len(job.charger.config),
    }
    job.complete(job.now_ms, "Profile applied", details)


DUTY_HANDLERS: dict[str, Handler] = {
    "reboot": _restart(_FIGURES.reboot_s, "Reboot"),
    "soft_reset": _restart(_FIGURES.soft_reset_s, "Soft reset"),
    "force_reconnect": force_reconnect,
    "run_self_test": run_self_test,
    "calibrate_sensor": calibrate_sensor,
    "reset_contactor_counter": reset_contactor_counter,
    "reset_fan_counter": reset_fan_counter,
    "reset_power_module": reset_power_module,
    "reset_connector": reset_connector,
    "trigger_message": trigger_message,
    "unlock_connector": unlock_connector,
    "clear_cache": clear_cache,
    "fetch_logs": fetch_logs,
    "apply_config_profile": apply_config_profile,
}
