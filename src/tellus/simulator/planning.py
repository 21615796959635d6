"""Lets a connector do what is next by itself: an order that waits, or what its stored plan says."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from tellus.simulator.figures import default_figures
from tellus.simulator.session import StartOrder
from tellus.simulator.stages import PREPARING

if TYPE_CHECKING:
    from tellus.simulator.connector import ConnectorTwin
    from tellus.simulator.schedule import Plan, Window

_BIDIRECTIONAL = default_figures().bidirectional


def follow_plan(connector: ConnectorTwin, now_ms: int) -> None:
    """Start what the present window asks for, once; a session the other way is ended first.

    An order that has waited for the end of the last session goes before.
    """
    if connector.is_blocked:
        return
    if connector.following is not None and connector.is_waiting:
        order, connector.following = connector.following, None
        connector.authorise_remotely(order, now_ms)
        return
    bounds = connector.bounds
    if bounds.plan is not None and bounds.window is not None and bounds.has_turn:
        _act(connector, bounds.plan, bounds.window, now_ms)


def _act(connector: ConnectorTwin, plan: Plan, window: Window, now_ms: int) -> None:
    bounds = connector.bounds
    is_discharge = window.slot.action == "discharge"
    if is_discharge and not _can_discharge(connector, window.slot.limit_kw):
        return
    if connector.session is not None:
        if is_discharge == connector.is_discharging:
            bounds.take_turn()
        else:
            connector.begin_stop(now_ms, "remote", {"schedule_id": plan.schedule_id})
        return
    # A driver who has just come to charge is turned round; one who waits is started.
    is_ready = connector.is_waiting or (is_discharge and connector.stage in PREPARING)
    if not is_ready or connector.order is not None:
        return
    if not is_discharge and connector.power.battery.soc_pct >= plan.target_or_full_pct:
        return
    bounds.take_turn()
    limit_kw = window.slot.limit_kw
    order = StartOrder(
        "",
        power_kw=None if math.isinf(limit_kw) else limit_kw,
        target_soc_pct=None if is_discharge else plan.target_soc_pct,
        is_discharge=is_discharge,
        end_ms=window.end_ms,
        schedule_id=plan.schedule_id,
    )
    connector.authorise_remotely(order, now_ms)


def leave_plan(connector: ConnectorTwin, schedule_id: str, now_ms: int) -> None:
    """End what a plan began that holds no longer."""
    session, order = connector.session, connector.order
    if order is None or order.schedule_id != schedule_id:
        return
    if session is None:
        connector.cancel_start(now_ms)
    else:
        connector.begin_stop(now_ms, "remote", {"schedule_id": schedule_id})


def _can_discharge(connector: ConnectorTwin, limit_kw: float) -> bool:
    return connector.home.model.v2g and limit_kw >= _BIDIRECTIONAL.minimum_kw
