"""Commands that put a charger right: resets after a repair, restarts of parts, a profile."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tellus.simulator.breakdown import NOT_ENGAGED, SILENT_MODULE, WELDED, clear_fault, is_code
from tellus.simulator.cabinet import SILENT, SOUND
from tellus.simulator.figures import default_figures
from tellus.simulator.orders import CommandRefused, Handler, Job

if TYPE_CHECKING:
    from tellus.simulator.connector import ConnectorTwin

_FIGURES = default_figures().downtime
_INJECTION = default_figures().injection


def refuse_if_busy(job: Job, *, whole_charger: bool = True) -> None:
    """Raise CommandRefused where a session would be disturbed."""
    connectors = job.charger.connectors if whole_charger else [job.connector]
    if any(one.is_busy for one in connectors):
        raise CommandRefused("a session is active")


def reset_contactor_counter(job: Job) -> None:
    """Count the contactor's cycles from 0 again, as after its replacement."""
    job.accept("Reset accepted")
    connector = job.connector
    details = {"previous_cycles": connector.contactor.cycles}
    connector.contactor.replace()
    connector.power.stay_live(0.0)
    if is_code(connector.fault_code, WELDED) or is_code(connector.fault_code, NOT_ENGAGED):
        clear_fault(job.charger, connector, job.now_ms)
    connector.show(job.now_ms)
    job.complete(job.now_ms, "Counter reset", details)


def reset_fan_counter(job: Job) -> None:
    """Count the fan's hours from 0 again, as after its replacement."""
    job.accept("Reset accepted")
    fan = job.charger.cabinet.fan
    hours = 0.0
    if fan is not None:
        hours = fan.hours(job.now_ms)
        fan.replace(job.now_ms)
    job.complete(job.now_ms, "Counter reset", {"previous_hours": round(hours, 2)})


def reset_power_module(job: Job) -> None:
    """Restart one power module of a DC cabinet, which brings a silent one back more often than not.

    A module that answers comes back for certain.
    """
    charger, modules = job.charger, job.charger.cabinet.modules
    if not modules:
        raise CommandRefused("unsupported_hardware: this charger has no power modules")
    index = job.command.params.get("module_index")
    if isinstance(index, bool) or not isinstance(index, int) or not 0 <= index < len(modules):
        raise CommandRefused(f"module_index must lie between 0 and {len(modules) - 1}")
    fed = charger.connectors[charger.cabinet.fed_by(index) - 1]
    if fed.is_busy:
        raise CommandRefused("a session is active")
    job.accept("Reset accepted")
    job.later(_FIGURES.reset_s, lambda now_ms: _module_back(job, fed, index, now_ms))


def _module_back(job: Job, fed: ConnectorTwin, index: int, now_ms: int) -> None:
    modules = job.charger.cabinet.modules
    was_silent = modules[index] == SILENT
    if was_silent and fed.mishaps.rng.random() >= _INJECTION.reset_module_ratio:
        details = {"module_index": index, "status": SILENT}
        job.fail(now_ms, "The module does not answer", details)
        return
    job.charger.cabinet.set_module(index, SOUND)
    if is_code(fed.fault_code, SILENT_MODULE):
        clear_fault(job.charger, fed, now_ms)
    job.complete(now_ms, "Module reset", {"module_index": index, "status": SOUND})


def reset_connector(job: Job) -> None:
    """Restart the control of one connector, which clears what was only held on to."""
    refuse_if_busy(job, whole_charger=False)
    job.accept("Reset accepted")
    job.later(_FIGURES.reset_s, lambda now_ms: _connector_back(job, now_ms))


def _connector_back(job: Job, now_ms: int) -> None:
    connector = job.connector
    connector.contactor.stuck_closes = min(connector.contactor.stuck_closes, 0)
    if connector.mishaps.stall == "connector":
        connector.mishaps.stall = ""
    clear_fault(job.charger, connector, now_ms)
    if connector.fault_code is not None:
        details = {"fault_code": connector.fault_code}
        job.fail(now_ms, "The fault is still there", details)
        return
    connector.shake_hands_again(now_ms)
    job.complete(now_ms, "Connector reset")


def apply_config_profile(job: Job) -> None:
    """Take over a configuration profile."""
    params = job.command.params
    profile_id = params.get("config_profile_id")
    if not isinstance(profile_id, str) or not profile_id:
        raise CommandRefused("config_profile_id is missing")
    values: Any = params.get("values", {})
    if not isinstance(values, dict):
        raise CommandRefused("values is not an object")
    job.accept("Profile accepted")
    charger = job.charger
    charger.profile.apply(profile_id, str(params.get("running_config_hash") or ""), values)
    charger.heed_profile()
    details = {
        "config_profile_id": profile_id,
        "running_config_hash": charger.profile.config_hash,
        "values": len(values),
    }
    job.complete(job.now_ms, "Profile applied", details)


REPAIR_HANDLERS: dict[str, Handler] = {
    "reset_contactor_counter": reset_contactor_counter,
    "reset_fan_counter": reset_fan_counter,
    "reset_power_module": reset_power_module,
    "reset_connector": reset_connector,
    "apply_config_profile": apply_config_profile,
}
