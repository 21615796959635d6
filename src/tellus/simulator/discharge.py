"""What a vehicle says to a discharge in the negotiation of ISO 15118-20."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tellus.simulator.battery import rounded_soc_pct

if TYPE_CHECKING:
    from tellus.simulator.connector import ConnectorTwin

_REFUSED_BY_VEHICLE = 702


def is_too_empty(connector: ConnectorTwin) -> bool:
    """Return whether the vehicle stands at or below the charge it must keep."""
    order = connector.order
    return order is not None and connector.power.battery.soc_pct <= order.floor_soc_pct


def refuse_discharge(connector: ConnectorTwin, now_ms: int) -> None:
    """Fail the order: the vehicle gives nothing (F-0702)."""
    order = connector.order
    if order is None:
        return
    details = {
        "reason": "soc_too_low",
        "soc": rounded_soc_pct(connector.power.battery.soc_pct),
        "min_soc": round(order.floor_soc_pct),
    }
    text = "the vehicle refuses to discharge"
    data = {"fault_code": _REFUSED_BY_VEHICLE, "fault_message": text, "details": details}
    connector.tell("alarm", now_ms, data)
    connector.abandon_order(now_ms, text, details)
    connector.cancel_start(now_ms)
