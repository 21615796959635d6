"""Telemetry frames: what a connector shows of itself at one instant."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tellus.simulator.battery import rounded_soc_pct
from tellus.simulator.electrics import Phase, cabinet_loss_kw
from tellus.simulator.messages import (
    PhaseItem,
    PhasesItem,
    TelemetryUpload,
    utc_text,
)
from tellus.simulator.metering import reading_kwh
from tellus.simulator.stages import FLOWING, PREPARING, Stage

if TYPE_CHECKING:
    from tellus.simulator.connector_state import ConnectorState


def detail_state(connector: ConnectorState) -> str | None:
    """Return the finer state that the published enum has no word for, or None."""
    if connector.is_blocked:
        return None
    if connector.stage in PREPARING:
        return "preparing"
    if connector.stage is Stage.FINISHING:
        return "finishing"
    is_limited = connector.limit_kw < connector.home.model.rated_kw
    if connector.stage in FLOWING and is_limited and connector.power.flow.power_kw == 0.0:
        return "paused"
    return None


def state_of(connector: ConnectorState) -> str:
    """Return the state as the platform is told it."""
    if connector.fault_code is not None:
        return "fault"
    if connector.contactor.is_welded:
        return "fault" if connector.contactor.is_reported else "unavailable"
    if connector.is_out_of_service:
        return "unavailable"
    if not connector.is_energised:
        return "idle"
    return "discharging" if connector.is_discharging else "charging"


def supply_phases(connector: ConnectorState) -> tuple[Phase, ...]:
    """Return the three supply phases: the vehicle's own on AC, the cabinet's intake on DC."""
    supply = connector.home.supply
    flow = connector.power.flow
    idle = supply.idle_phases()
    if connector.home.model.kind == "ac":
        return (*flow.phases, *idle[len(flow.phases) :])
    if flow.power_kw == 0.0:
        return idle
    intake_kw = flow.power_kw + cabinet_loss_kw(flow.power_kw, connector.home.model.rated_kw)
    current_a = 1000.0 * intake_kw / sum(phase.voltage_v for phase in idle)
    return tuple(Phase(phase.voltage_v, current_a) for phase in idle)


def build_sample(connector: ConnectorState, now_ms: int) -> TelemetryUpload:
    """Return the frame of a connector; optional fields that are not known stay out."""
    power = connector.power
    flow = power.flow
    session = connector.session
    phases = [
        PhaseItem(round(phase.voltage_v, 1), round(phase.current_a, 2))
        for phase in supply_phases(connector)
    ]
    sample = TelemetryUpload(
        timestamp=utc_text(now_ms),
        connector_id=connector.connector_id,
        state=state_of(connector),
        voltage=round(flow.voltage_v, 1),
        current=round(flow.current_a, 2),
        power=round(flow.power_kw, 3),
        energy_delivered=0.0 if session is None else reading_kwh(session.energy_kwh(power.meter)),
        temperature=round(power.pins.temperature_c, 1),
        phase_details=PhasesItem(*phases),
    )
    if (
        power.is_occupied
        and power.battery.kind.reports_soc
        and connector.stage is not (Stage.PLUGGED)
    ):
        sample.soc = rounded_soc_pct(power.battery.soc_pct)
    detail = detail_state(connector)
    if detail is not None:
        sample.detail_state = detail
    return sample
