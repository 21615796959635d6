"""One charging session: its limits, what it has moved, and the record that closes it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tellus.simulator.battery import rounded_soc_pct
from tellus.simulator.chance import uniform_ms
from tellus.simulator.figures import default_figures
from tellus.simulator.messages import ChargingRecordUpload, VehicleInfo, utc_text
from tellus.simulator.metering import reading_kwh

if TYPE_CHECKING:
    from tellus.simulator.connector import ConnectorTwin
    from tellus.simulator.electrics import Flow
    from tellus.simulator.figures import Usage
    from tellus.simulator.metering import Meter
    from tellus.simulator.power import PowerPath
    from tellus.simulator.scenario import Visit

_TARIFF = default_figures().tariff
_BIDIRECTIONAL = default_figures().bidirectional
_TIMING = default_figures().timing
_SHORTEST_LINGER_MS = 5_000


@dataclass(frozen=True, slots=True)
class StartOrder:
    """What a start asks for; None = no such limit.

    ``power_kw`` is the most that may flow, either way. ``command_id`` is empty where a stored plan
    asks: ``schedule_id`` names it then, and ``end_ms`` is when its window ends.
    """

    command_id: str
    power_kw: float | None = None
    duration_s: int | None = None
    target_soc_pct: int | None = None
    transaction_id: str | None = None
    is_discharge: bool = False
    min_soc_pct: int | None = None
    end_ms: int | None = None
    schedule_id: str = ""

    @property
    def floor_soc_pct(self) -> float:
        """Return the charge below which nothing is taken out."""
        return max(_BIDIRECTIONAL.floor_soc_pct, float(self.min_soc_pct or 0))


@dataclass(slots=True)
class Session:
    """A session between the closing and the opening of the contactor."""

    visit: Visit
    start_ms: int
    meter_start_kwh: float
    soc_start_pct: float
    order: StartOrder | None = None
    stop_reason: str = ""
    stop_details: dict[str, Any] = field(default_factory=dict)
    stop_command_ids: list[str] = field(default_factory=list)
    peak_in_kw: float = 0.0
    peak_out_kw: float = 0.0
    current_a: float = 0.0

    @property
    def end_limit_ms(self) -> int | None:
        """Return when the time that was ordered is over, if an end was set."""
        if self.order is None:
            return None
        if self.order.duration_s is None:
            return self.order.end_ms
        return self.start_ms + 1000 * self.order.duration_s

    @property
    def is_discharge(self) -> bool:
        """Return whether energy is to flow out of the vehicle."""
        return self.order is not None and self.order.is_discharge

    def note_flow(self, flow: Flow) -> None:
        """Keep the peaks of both directions, and the present current."""
        power_kw = flow.power_kw
        self.peak_in_kw = max(self.peak_in_kw, power_kw)
        self.peak_out_kw = max(self.peak_out_kw, -power_kw)
        self.current_a = abs(flow.current_a)

    def energy_kwh(self, meter: Meter) -> float:
        """Return the net energy so far."""
        return meter.net_kwh - self.meter_start_kwh


def goals_kwh(session: Session, power: PowerPath) -> list[tuple[float, str]]:
    """Return what still has to flow, as magnitudes, and why the session would end then."""
    battery, efficiency = power.battery, power.efficiency_ratio
    order = session.order
    if order is not None and order.is_discharge:
        return [(battery.energy_above_kwh(order.floor_soc_pct), "target_soc")]
    goals = [(battery.energy_to_kwh(100.0, efficiency), "ev_full")]
    if order is None:
        left_kwh = session.visit.demand_kwh - session.energy_kwh(power.meter)
        goals.append((left_kwh, "user_request"))
    elif order.target_soc_pct is not None and battery.kind.reports_soc:
        goals.append((battery.energy_to_kwh(order.target_soc_pct, efficiency), "target_soc"))
    return goals


def completion_details(session: Session, energy_kwh: float, now_ms: int) -> dict[str, Any]:
    """Return what a command is told about the session that it began or ended."""
    return {
        "energy_delivered": energy_kwh,
        "duration": round((now_ms - session.start_ms) / 1000),
        "stop_reason": session.stop_reason,
    }


def departure_ms(session: Session, usage: Usage, now_ms: int) -> int:
    """Return when the vehicle leaves, now that its session is over."""
    rng = session.visit.rng
    planned_ms = max(session.visit.depart_ms, now_ms + uniform_ms(rng, _TIMING.unplug_s))
    linger_s = usage.leaves_when_done_s
    if linger_s is not None and session.stop_reason != "remote":
        linger_ms = _SHORTEST_LINGER_MS + round(1000 * rng.expovariate(1.0 / linger_s))
        planned_ms = min(planned_ms, now_ms + linger_ms)
    return planned_ms


def close_session(session: Session, connector: ConnectorTwin, end_ms: int) -> ChargingRecordUpload:
    """Return the record. Energy is the difference of the readings shown, not of hidden digits."""
    home, power = connector.home, connector.power
    first_kwh = reading_kwh(session.meter_start_kwh)
    last_kwh = reading_kwh(power.meter.net_kwh)
    energy_kwh = reading_kwh(last_kwh - first_kwh)
    hours = (end_ms - session.start_ms) / 3_600_000
    per_kwh = _TARIFF.ac_per_kwh if home.model.kind == "ac" else _TARIFF.dc_per_kwh
    record = ChargingRecordUpload(
        record_id=f"{home.sn}-{connector.connector_id}-{session.start_ms}",
        connector_id=connector.connector_id,
        start_time=utc_text(session.start_ms),
        end_time=utc_text(end_ms),
        energy=energy_kwh,
        max_power=round(session.peak_in_kw if energy_kwh >= 0.0 else -session.peak_out_kw, 3),
        avg_power=round(energy_kwh / hours, 3) if hours > 0.0 else 0.0,
        meter_start=first_kwh,
        meter_end=last_kwh,
        cost=round(per_kwh * energy_kwh, 2),
        currency=_TARIFF.currency,
        stop_reason=session.stop_reason,
    )
    if session.visit.vehicle.reports_soc:
        record.vehicle_info = VehicleInfo(
            vin=session.visit.vin,
            soc_start=rounded_soc_pct(session.soc_start_pct),
            soc_end=rounded_soc_pct(power.battery.soc_pct),
        )
    if session.order is not None and session.order.transaction_id is not None:
        record.transaction_id = session.order.transaction_id
    if session.stop_details:
        record.details = session.stop_details
    return record
