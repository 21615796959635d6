"""Commands about the charger itself: restarts, sensors, messages, logs."""

from __future__ import annotations

from typing import Any

from tellus.simulator.figures import default_figures
from tellus.simulator.logs import LogUpload, build_bundle
from tellus.simulator.orders import CommandRefused, Handler, Job
from tellus.simulator.repairs import REPAIR_HANDLERS, refuse_if_busy
from tellus.simulator.selftest import run_self_test
from tellus.simulator.stages import Stage

_FIGURES = default_figures().downtime
_SENSORS = frozenset({"temperature", "current", "voltage"})
_TRIGGERS = frozenset(
    {"heartbeat", "bootnotification", "statusnotification", "metervalues", "telemetry"}
)
_LOGGED_COMMANDS = 20
_LOOK_AGAIN_MS = 1_000


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


def calibrate_sensor(job: Job) -> None:
    """Calibrate one kind of sensor while nobody charges."""
    sensor = job.command.params.get("sensor")
    if sensor not in _SENSORS:
        raise CommandRefused(f"sensor must be one of {', '.join(sorted(_SENSORS))}")
    refuse_if_busy(job, whole_charger=False)
    job.accept("Calibration begun")
    details = {"sensor": sensor, "offset": 0.0}
    job.later(_FIGURES.calibration_s, lambda now_ms: job.complete(now_ms, "Calibrated", details))


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
    refuse_if_busy(job, whole_charger=False)
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
    """Report what the charger remembers; with an ``upload_url``, send the bundle there first."""
    upload_url = job.command.params.get("upload_url")
    if upload_url is not None and not (isinstance(upload_url, str) and upload_url):
        raise CommandRefused("upload_url is not an address")
    job.accept("Logs accepted")
    charger = job.charger
    details: dict[str, Any] = {
        "boots": charger.power_state.boots,
        "firmware_version": charger.firmware_version,
        "config_profile_id": charger.profile.profile_id,
        "commands": charger.desk.known_ids[-_LOGGED_COMMANDS:],
        "duplicates": charger.desk.duplicates,
    }
    if upload_url is None:
        job.later(1.0, lambda now_ms: job.complete(now_ms, "Logs collected", details))
    else:
        job.later(1.0, lambda now_ms: _send_logs(job, upload_url, details, now_ms))


def _send_logs(job: Job, upload_url: str, details: dict[str, Any], now_ms: int) -> None:
    bundle = build_bundle(job.charger, now_ms)
    upload = LogUpload(job.charger.platform_url, upload_url, bundle)

    def settle(then_ms: int) -> None:
        if not upload.is_settled:
            job.charger.agenda.at(then_ms + _LOOK_AGAIN_MS, settle, job.command.command_id)
        elif upload.problem is None:
            job.complete(then_ms, "Logs sent", {**details, "size": len(bundle)})
        else:
            job.fail(then_ms, upload.problem, {**details, "reason": "upload_failed"})

    job.charger.agenda.at(now_ms + _LOOK_AGAIN_MS, settle, job.command.command_id)


DUTY_HANDLERS: dict[str, Handler] = {
    **REPAIR_HANDLERS,
    "reboot": _restart(_FIGURES.reboot_s, "Reboot"),
    "soft_reset": _restart(_FIGURES.soft_reset_s, "Soft reset"),
    "force_reconnect": force_reconnect,
    "run_self_test": run_self_test,
    "calibrate_sensor": calibrate_sensor,
    "trigger_message": trigger_message,
    "unlock_connector": unlock_connector,
    "clear_cache": clear_cache,
    "fetch_logs": fetch_logs,
}
