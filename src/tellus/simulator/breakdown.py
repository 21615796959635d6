"""Faults of a connector: it stops at once and serves nobody until the fault is cleared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tellus.simulator.chance import seeded, uniform_ms
from tellus.simulator.figures import default_figures
from tellus.simulator.messages import utc_text
from tellus.simulator.planning import follow_plan

if TYPE_CHECKING:
    from tellus.simulator.connector import ConnectorTwin
    from tellus.simulator.device import ChargerTwin

_TEXT_CODES = default_figures().injection.text_code_ratio
_ATTENDED_S = default_figures().injection.attended_s
_OUT_OF_ORDER = "the connector is out of order"
WELDED = "F-0101"
HOT_CONNECTOR = "F-0203"
HOT_CABINET = "F-0204"
SILENT_MODULE = "F-0411"
NOT_ENGAGED = "F-0421"
SYNC_LOST = "F-0701"
REFUSED = "F-0702"
UNEXPECTED_END = "F-0805"


def code_form(seed: int, sn: str, code: str) -> int | str:
    """Return a code of the dictionary as this unit writes it: most as a number, some as text."""
    if seeded(seed, sn, "code form").random() < _TEXT_CODES:
        return code
    return int(code.removeprefix("F-"))


def is_code(shown: int | str | None, code: str) -> bool:
    """Tell whether a code, in either form, is this one of the dictionary."""
    return shown in {code, int(code.removeprefix("F-"))}


def warn(connector: ConnectorTwin, code: str, now_ms: int, text: str, **data: Any) -> None:
    """Tell of a fault that lets the connector go on."""
    _remember(connector, code, now_ms, text)
    told = {"fault_code": connector.home.charger.write_code(code), "fault_message": text, **data}
    connector.tell("fault", now_ms, told)


def raise_fault(
    charger: ChargerTwin,
    connector: ConnectorTwin,
    code: int | str,
    now_ms: int,
    text: str = _OUT_OF_ORDER,
    **data: Any,
) -> None:
    """Break down with a code of the fault dictionary, in either of its forms.

    A session ends unfinished; the platform hears of it by an event, a frame and a heartbeat.
    """
    connector.cut(now_ms, "fault", _OUT_OF_ORDER)
    connector.fault_code = code
    _remember(connector, code, now_ms, text)
    connector.tell("fault", now_ms, {"fault_code": code, "fault_message": text, **data})
    connector.show(now_ms)
    charger.power_state.needs_heartbeat = True
    if charger.spec.is_attended:
        _attend(charger, connector, code, now_ms)


def _attend(charger: ChargerTwin, connector: ConnectorTwin, code: int | str, now_ms: int) -> None:
    """Let somebody reset the fault after a while."""

    def reset(then_ms: int) -> None:
        if connector.fault_code == code:
            clear_fault(charger, connector, then_ms)

    charger.agenda.at(now_ms + uniform_ms(connector.mishaps.rng, _ATTENDED_S), reset)


def _remember(connector: ConnectorTwin, code: int | str, now_ms: int, text: str) -> None:
    entry = {"time": utc_text(now_ms), "connector_id": connector.connector_id}
    connector.home.charger.fault_log.append({**entry, "fault_code": code, "message": text})


def break_down(connector: ConnectorTwin, code: str, now_ms: int, text: str, **data: Any) -> None:
    """Break down with a code as this unit writes it, unless the connector has a fault already."""
    if connector.fault_code is None:
        charger = connector.home.charger
        raise_fault(charger, connector, charger.write_code(code), now_ms, text, **data)


def clear_fault(charger: ChargerTwin, connector: ConnectorTwin, now_ms: int) -> None:
    """Serve again, if there was a fault; one whose cause stands is found again."""
    if connector.fault_code is None:
        return
    connector.fault_code = None
    connector.show(now_ms)
    follow_plan(connector, now_ms)
    charger.power_state.needs_heartbeat = True
    find_standing_faults(connector, now_ms)


def find_standing_faults(connector: ConnectorTwin, now_ms: int) -> None:
    """Find what a charger sees of itself without anybody charging: after a boot or a reset."""
    charger = connector.home.charger
    if connector.contactor.is_welded and connector.contactor.is_reported:
        break_down(connector, WELDED, now_ms, "the contactor is closed though it should be open")
    silent = charger.cabinet.silent_module(connector.connector_id)
    if silent is not None:
        text = "a power module does not answer"
        break_down(connector, SILENT_MODULE, now_ms, text, module_index=silent)
    if charger.heat.is_stopped:
        break_down(connector, HOT_CABINET, now_ms, "the cabinet is too hot")
