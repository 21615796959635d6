"""Faults of a connector: it stops at once and serves nobody until the fault is cleared."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tellus.simulator.planning import follow_plan

if TYPE_CHECKING:
    from tellus.simulator.connector import ConnectorTwin
    from tellus.simulator.device import ChargerTwin


def raise_fault(
    charger: ChargerTwin, connector: ConnectorTwin, code: int | str, now_ms: int
) -> None:
    """Break down with a code of the fault dictionary, in either of its forms.

    A session ends unfinished; the platform hears of it by an event, a frame and a heartbeat.
    """
    text = "the connector is out of order"
    connector.cut(now_ms, "fault", text)
    connector.fault_code = code
    connector.tell("fault", now_ms, {"fault_code": code, "fault_message": text})
    connector.show(now_ms)
    charger.power_state.needs_heartbeat = True


def clear_fault(charger: ChargerTwin, connector: ConnectorTwin, now_ms: int) -> None:
    """Serve again, if there was a fault."""
    if connector.fault_code is None:
        return
    connector.fault_code = None
    connector.show(now_ms)
    follow_plan(connector, now_ms)
    charger.power_state.needs_heartbeat = True
