"""Where a visit goes wrong: the occasions on which faulty parts, builds and vehicles show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tellus.simulator.breakdown import (
    NOT_ENGAGED,
    SYNC_LOST,
    UNEXPECTED_END,
    WELDED,
    break_down,
    clear_fault,
    is_code,
    warn,
)
from tellus.simulator.chance import uniform_ms
from tellus.simulator.defects import defect_ratio
from tellus.simulator.figures import default_figures
from tellus.simulator.stages import HANDSHAKING, Stage

if TYPE_CHECKING:
    from tellus.simulator.connector import ConnectorTwin
    from tellus.simulator.session import Session

_INJECTION = default_figures().injection
_WEAR = default_figures().wear
_BIDIRECTIONAL = default_figures().bidirectional
_ENDS = {
    "unplug": ("ev_disconnected", "the cable was pulled under load"),
    "network": ("communication_lost", "the vehicle stopped talking"),
    "bms": ("ev_fault", "the vehicle's battery management cut the charge"),
    "lock": ("lock_failure", "the lock of the plug opened"),
}
END_VARIANTS = tuple(_ENDS)
_LOSSES: dict[str, dict[str, Any]] = {
    "grid": {},
    "pll": {"phase_error_deg": 31.0},
    "weld-delay": {"contactor_delay_ms": 640},
    "iso15118": {"timeout": "ac_der_control"},
    "firmware": {"timeout": "dialect"},
}
LOSS_VARIANTS = tuple(_LOSSES)


def stalls(connector: ConnectorTwin) -> bool:
    """Tell whether the stage that ends now leads nowhere: the vehicle stays in preparing."""
    kind = connector.mishaps.stall
    if kind == "auth":
        return connector.stage is Stage.PLUGGED
    return bool(kind) and connector.stage in HANDSHAKING


def engages(connector: ConnectorTwin, now_ms: int) -> bool:
    """Close the contactor; without feedback in its window the connector breaks down (F-0421)."""
    version = connector.home.charger.firmware_version
    if connector.contactor.closes(defect_ratio(NOT_ENGAGED, version)):
        return True
    details = {"feedback_window_ms": 200}
    text = "no feedback from the contactor"
    break_down(connector, NOT_ENGAGED, now_ms, text, details=details)
    return False


def stay_live(connector: ConnectorTwin, voltage_v: float, now_ms: int) -> None:
    """Leave the connector energised behind its welded contactor, and tell within 2 s (F-0101)."""
    connector.power.stay_live(voltage_v)
    if not connector.contactor.is_reported:
        return

    def tell(then_ms: int) -> None:
        if connector.contactor.is_welded:
            text = "the contactor did not open"
            break_down(connector, WELDED, then_ms, text, details={"voltage_v": round(voltage_v, 1)})

    wait_ms = connector.mishaps.rng.randint(*_WEAR.feedback_ms)
    connector.home.charger.agenda.at(now_ms + wait_ms, tell)


def await_trouble(connector: ConnectorTwin, session: Session, now_ms: int) -> None:
    """Plan what a session that has just begun is going to run into."""
    rng, agenda = connector.mishaps.rng, connector.home.charger.agenda
    if connector.is_discharging:
        version = connector.home.charger.firmware_version
        vehicle = session.visit.vehicle.name
        trouble = connector.inverter.trouble
        if rng.random() < defect_ratio(SYNC_LOST, version, vehicle):
            trouble = "firmware"
        if trouble:
            due_ms = now_ms + uniform_ms(rng, _INJECTION.sync_loss_after_s)
            agenda.at(due_ms, lambda then_ms: _lose_in(connector, session, trouble, then_ms))
    if connector.mishaps.unexpected_end:
        due_ms = now_ms + uniform_ms(rng, _INJECTION.unexpected_end_after_s)
        agenda.at(due_ms, lambda then_ms: _end_in(connector, session, then_ms))


def _lose_in(connector: ConnectorTwin, session: Session, cause: str, now_ms: int) -> None:
    if connector.session is session:
        lose_sync(connector, cause, now_ms)


def lose_sync(connector: ConnectorTwin, cause: str, now_ms: int) -> None:
    """Fall out of step with the grid while discharging (F-0701); a minute later all is well."""
    connector.inverter.lose()
    text = "the inverter lost the grid"
    details = {"cause": cause, **_LOSSES[cause]}
    if cause == "grid":
        below_hz = connector.mishaps.rng.uniform(*_INJECTION.grid_excursion_hz)
        details["grid_frequency_hz"] = round(_BIDIRECTIONAL.grid_hz[0] - below_hz, 2)
    break_down(connector, SYNC_LOST, now_ms, text, details=details)

    def resync(then_ms: int) -> None:
        connector.inverter.resync()
        if is_code(connector.fault_code, SYNC_LOST):
            clear_fault(connector.home.charger, connector, then_ms)
        else:
            connector.show(then_ms)

    due_ms = now_ms + round(1000 * _INJECTION.resync_s)
    connector.home.charger.agenda.at(due_ms, resync)


def _end_in(connector: ConnectorTwin, session: Session, now_ms: int) -> None:
    if connector.session is session and connector.mishaps.unexpected_end:
        end_unexpectedly(connector, connector.mishaps.unexpected_end, now_ms)


def end_unexpectedly(connector: ConnectorTwin, variant: str, now_ms: int) -> None:
    """End a session as nobody wanted (F-0805); a vehicle torn away is gone before the stop."""
    connector.mishaps.unexpected_end = ""
    reason, text = _ENDS[variant]
    details = {"cause": variant, "message": text}
    if variant == "unplug":
        connector.tell("plug_out", now_ms, {"vehicle_connected": False})
    warn(connector, UNEXPECTED_END, now_ms, text, details=details)
    connector.cut(now_ms, reason, text, details)
    if variant == "unplug":
        connector.vacate(now_ms)
