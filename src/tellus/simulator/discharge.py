"""What a vehicle says to a discharge in the negotiation of ISO 15118-20."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tellus.simulator.battery import rounded_soc_pct
from tellus.simulator.breakdown import REFUSED, warn

if TYPE_CHECKING:
    from tellus.simulator.connector import ConnectorTwin

TOO_EMPTY = "soc_too_low"
REFUSALS = {
    "soc": TOO_EMPTY,
    "maintenance": "maintenance_mode",
    "not-certified": "not_certified",
    "time-of-day": "time_of_day",
}


def refusal_of(connector: ConnectorTwin) -> str | None:
    """Return the code with which the vehicle refuses to discharge, None where it does not."""
    order = connector.order
    if order is None:
        return None
    if connector.mishaps.refusal:
        return REFUSALS[connector.mishaps.refusal]
    is_too_empty = connector.power.battery.soc_pct <= order.floor_soc_pct
    return TOO_EMPTY if is_too_empty else None


def refuse_discharge(connector: ConnectorTwin, refusal: str, now_ms: int) -> None:
    """Fail the order: the vehicle gives nothing (F-0702)."""
    order = connector.order
    if order is None:
        return
    details: dict[str, Any] = {
        "reason": refusal,
        "soc": rounded_soc_pct(connector.power.battery.soc_pct),
        "min_soc": round(order.floor_soc_pct),
    }
    text = "the vehicle refuses to discharge"
    warn(connector, REFUSED, now_ms, text, refusal_code=refusal, details=details)
    connector.abandon_order(now_ms, text, details)
    connector.cancel_start(now_ms)
