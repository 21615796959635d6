"""What a charger can be told over the control socket: things that people and networks do."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tellus.simulator.battery import rounded_soc_pct
from tellus.simulator.breakdown import clear_fault, raise_fault
from tellus.simulator.control import ControlRefused, ControlRequest
from tellus.simulator.figures import default_figures
from tellus.simulator.frames import detail_state, state_of
from tellus.simulator.injection import EVERYWHERE, cure, dictionary_form, inject
from tellus.simulator.session import StartOrder
from tellus.simulator.stages import Stage

if TYPE_CHECKING:
    from tellus.simulator.connector import ConnectorTwin
    from tellus.simulator.device import ChargerTwin


_REBOOT_S = default_figures().downtime.reboot_s
_USUAL_FAULT = "F-0421"


def describe(charger: ChargerTwin, *, is_online: bool) -> dict[str, Any]:
    """Return a charger as it stands."""
    return {
        "sn": charger.spec.sn,
        "model": charger.model.name,
        "firmware_version": charger.firmware_version,
        "online": is_online,
        "connectors": [_describe_connector(one) for one in charger.connectors],
    }


def _describe_connector(connector: ConnectorTwin) -> dict[str, Any]:
    power = connector.power
    shown: dict[str, Any] = {
        "connector_id": connector.connector_id,
        "state": state_of(connector),
        "stage": connector.stage.value,
        "power_kw": round(power.flow.power_kw, 3),
    }
    detail = detail_state(connector)
    if detail is not None:
        shown["detail_state"] = detail
    if connector.fault_code is not None:
        shown["fault_code"] = connector.fault_code
    if power.is_occupied:
        shown["soc_pct"] = rounded_soc_pct(power.battery.soc_pct)
    return shown


def _plug_in(charger: ChargerTwin, connector: ConnectorTwin, value: str | None) -> None:
    if connector.stage is not Stage.AVAILABLE:
        raise ControlRefused("a vehicle is plugged in already")
    visit = connector.visits.visit_at(charger.time_ms)
    if value is not None:
        visit = visit._replace(soc_pct=_read_percent(value))
    connector.expect(visit)


def _read_percent(value: str) -> float:
    try:
        soc_pct = float(value)
    except ValueError:
        raise ControlRefused(f"{value!r} is no state of charge") from None
    if not 0.0 <= soc_pct <= 100.0:
        raise ControlRefused("a state of charge lies between 0 and 100")
    return soc_pct


def _plug_out(charger: ChargerTwin, connector: ConnectorTwin, _: str | None) -> None:
    if connector.stage is Stage.AVAILABLE:
        raise ControlRefused("no vehicle is plugged in")
    connector.send_away(charger.time_ms)


def _start(charger: ChargerTwin, connector: ConnectorTwin, _: str | None) -> None:
    if connector.stage is Stage.AVAILABLE:
        raise ControlRefused("no vehicle is plugged in")
    if not connector.is_waiting or connector.order is not None:
        raise ControlRefused("the vehicle is not waiting for a start")
    connector.authorise_remotely(StartOrder(""), charger.time_ms)


def _stop(charger: ChargerTwin, connector: ConnectorTwin, _: str | None) -> None:
    if connector.session is None:
        raise ControlRefused("there is no session to stop")
    connector.begin_stop(charger.time_ms, "user_request")


def _offline(charger: ChargerTwin, _: ConnectorTwin, value: str | None) -> None:
    off_s = None if value is None else _read_seconds(value)
    charger.power_state.drop_link(charger.time_ms, off_s)


def _read_seconds(value: str) -> float:
    try:
        wait_s = float(value)
    except ValueError:
        wait_s = 0.0
    if not 0.0 < wait_s < 1e7:
        raise ControlRefused(f"{value!r} is no time in seconds")
    return wait_s


def _online(charger: ChargerTwin, _: ConnectorTwin, __: str | None) -> None:
    if charger.power_state.is_frozen:
        raise ControlRefused("the charger has no power; it comes back by itself")
    charger.power_state.restore_link()


def _reboot(charger: ChargerTwin, _: ConnectorTwin, __: str | None) -> None:
    charger.power_state.go_down(charger.time_ms, _REBOOT_S, reason="reboot")


def _fault(charger: ChargerTwin, connector: ConnectorTwin, value: str | None) -> None:
    if connector.fault_code is not None:
        raise ControlRefused(f"the connector has the fault {connector.fault_code} already")
    code = value or _USUAL_FAULT
    raise_fault(charger, connector, int(code) if code.isdecimal() else code, charger.time_ms)


def _clear_fault(charger: ChargerTwin, connector: ConnectorTwin, _: str | None) -> None:
    if connector.fault_code is None:
        raise ControlRefused("the connector has no fault")
    clear_fault(charger, connector, charger.time_ms)


def _power_cut(charger: ChargerTwin, _: ConnectorTwin, __: str | None) -> None:
    charger.power_state.cut_power(charger.time_ms)


def _reject(charger: ChargerTwin, _: ConnectorTwin, __: str | None) -> None:
    charger.faults.next_rejects += 1


def _slow(charger: ChargerTwin, _: ConnectorTwin, value: str | None) -> None:
    delay_s = charger.faults.figures.slow_s[1] if value is None else _read_seconds(value)
    charger.faults.next_delays_s.append(delay_s)


def _lose_command(charger: ChargerTwin, _: ConnectorTwin, __: str | None) -> None:
    charger.faults.next_lost_commands += 1


def _lose_report(charger: ChargerTwin, _: ConnectorTwin, __: str | None) -> None:
    charger.faults.next_lost_reports += 1


def _duplicate_report(charger: ChargerTwin, _: ConnectorTwin, __: str | None) -> None:
    charger.faults.next_duplicate_reports += 1


def _power_cut_next(charger: ChargerTwin, _: ConnectorTwin, __: str | None) -> None:
    charger.faults.next_power_cuts += 1


def _fail_firmware(charger: ChargerTwin, _: ConnectorTwin, value: str | None) -> None:
    if not value:
        raise ControlRefused("which version is not to install?")
    charger.failing_firmware.add(value)


def _inject(charger: ChargerTwin, connector: ConnectorTwin, request: ControlRequest) -> None:
    code = request.value or _USUAL_FAULT
    inject(charger, connector, code, request.variant, request.strength)


def _cure(charger: ChargerTwin, connector: ConnectorTwin, request: ControlRequest) -> None:
    cure(charger, connector, request.value or _USUAL_FAULT)


CAUSES: dict[str, Callable[[ChargerTwin, ConnectorTwin, ControlRequest], None]] = {
    "inject": _inject,
    "cure": _cure,
}
TRIGGERS: dict[str, Callable[[ChargerTwin, ConnectorTwin, str | None], None]] = {
    "plug-in": _plug_in,
    "plug-out": _plug_out,
    "start": _start,
    "stop": _stop,
    "offline": _offline,
    "online": _online,
    "reboot": _reboot,
    "power-cut": _power_cut,
    "fault": _fault,
    "clear-fault": _clear_fault,
    "reject": _reject,
    "slow": _slow,
    "lose-command": _lose_command,
    "lose-report": _lose_report,
    "duplicate-report": _duplicate_report,
    "power-cut-next": _power_cut_next,
    "fail-firmware": _fail_firmware,
}
_WITHOUT_POWER = frozenset({"online", "offline", "fail-firmware", "inject", "cure"})


def strikes_site(request: ControlRequest) -> bool:
    """Tell whether a cause strikes every charger of a site at once."""
    return (dictionary_form(request.value or _USUAL_FAULT), request.variant) in EVERYWHERE


def obey_trigger(charger: ChargerTwin, request: ControlRequest) -> dict[str, Any]:
    """Do it at the charger's present time and return how the charger stands then."""
    act, because = TRIGGERS.get(request.action), CAUSES.get(request.action)
    if act is None and because is None:
        known = ", ".join(["list", *TRIGGERS, *CAUSES])
        raise ControlRefused(f"unknown action {request.action!r} (known: {known})")
    if charger.power_state.is_frozen and request.action not in _WITHOUT_POWER:
        raise ControlRefused("the charger has no power; it comes back by itself")
    for connector in charger.connectors:
        if connector.connector_id == request.connector_id:
            if act is not None:
                act(charger, connector, request.value)
            elif because is not None:
                because(charger, connector, request)
            charger.settle()
            return describe(charger, is_online=not charger.power_state.is_dark)
    raise ControlRefused(f"{request.sn} has no connector {request.connector_id}")
