"""The power path of one connector: what flows, what it heats, what the meter counts.

One integrator feeds meter and battery, so the registers are the integral of the power exactly.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from tellus.simulator.battery import Battery, ac_efficiency, constant_voltage_ratio
from tellus.simulator.electrics import (
    NO_FLOW,
    Flow,
    OnboardCharger,
    dc_flow,
    pilot_current_a,
    pilot_duty_pct,
    ramped_kw,
)
from tellus.simulator.figures import default_figures
from tellus.simulator.metering import Meter, Registers
from tellus.simulator.thermal import Pins

if TYPE_CHECKING:
    from tellus.simulator.scenario import Visit
    from tellus.simulator.stages import Installation

_FIGURES = default_figures()
_ELECTRICAL = _FIGURES.electrical


class PowerPath:
    """Meter, pins and, while a vehicle is there, its battery and on-board charger."""

    def __init__(self, home: Installation, registers: Registers, now_ms: int) -> None:
        self._home = home
        self._is_ac = home.model.kind == "ac"
        self._onboard: OnboardCharger | None = None
        self._battery: Battery | None = None
        self._pins_ms = now_ms
        self._ramp_from_kw = 0.0
        self._ramp_end_ms: int | None = None
        self._at_rest: Flow = NO_FLOW
        self.meter = Meter(registers)
        self.pins = Pins(home.model, self.air_c(now_ms))
        self.flow: Flow = NO_FLOW

    def connect(self, visit: Visit) -> None:
        """Attach the vehicle of a visit."""
        kind = visit.vehicle
        self._battery = Battery(kind, visit.soc_pct)
        self._onboard = OnboardCharger(visit.rng, kind.phases, kind.ac_max_kw)

    def disconnect(self) -> None:
        """Let the vehicle go."""
        self._battery = self._onboard = None

    @property
    def is_occupied(self) -> bool:
        """Return whether a vehicle is attached."""
        return self._battery is not None

    @property
    def battery(self) -> Battery:
        """Return the attached battery; RuntimeError without a vehicle."""
        if self._battery is None:
            raise RuntimeError("no vehicle is attached")
        return self._battery

    @property
    def efficiency_ratio(self) -> float:
        """Return the share of the metered energy that reaches the cells at this power."""
        if self._is_ac:
            return ac_efficiency(self.flow.power_kw)
        return _FIGURES.battery.dc_efficiency_ratio

    @property
    def is_tapered_off(self) -> bool:
        """Return whether an AC vehicle draws so little at its end that it will stop by itself."""
        tapering = self.battery.soc_pct > _ELECTRICAL.ac_constant_power_until_soc_pct
        return self._is_ac and tapering and 0.0 < self.flow.power_kw < _ELECTRICAL.ac_full_kw

    def ramp_ms(self) -> int:
        """Return how long the present power takes down to zero; AC is simply cut."""
        if self._is_ac:
            return 0
        return round(1000 * abs(self.flow.power_kw) / _ELECTRICAL.ramp_down_kw_per_s)

    def start_ramp_down(self, end_ms: int) -> None:
        """Go down to zero in a line that ends at ``end_ms``."""
        self._ramp_from_kw = self.flow.power_kw
        self._ramp_end_ms = end_ms

    def cut(self) -> None:
        """Open the circuit: nothing flows any more."""
        self.flow = self._at_rest
        self._ramp_end_ms = None

    def stay_live(self, voltage_v: float) -> None:
        """Keep this voltage at the connector though nothing flows, as behind a welded contactor."""
        self._at_rest = Flow(voltage_v, 0.0, 0.0) if voltage_v > 0.0 else NO_FLOW
        self.cut()

    def demand_kw(self, dt_s: float, limit_kw: float, *, is_discharge: bool = False) -> float:
        """Return the DC power wanted for the coming step, within limits and ramps."""
        if self._ramp_end_ms is not None:
            return self._ramp_from_kw
        battery, sign = self.battery, -1.0 if is_discharge else 1.0
        vehicle_kw = battery.discharge_limit_kw if is_discharge else battery.dc_limit_kw
        wanted_kw = min(vehicle_kw, self._home.model.rated_kw, limit_kw) * self.pins.derating_ratio
        if is_discharge and wanted_kw < _FIGURES.bidirectional.minimum_kw:
            wanted_kw = 0.0
        return sign * max(0.0, ramped_kw(sign * self.flow.power_kw, wanted_kw, dt_s))

    def set_dc_flow(self, now_ms: int, dt_s: float, share_kw: float) -> None:
        """Set the flow of the coming step to this connector's share of the cabinet."""
        if self._ramp_end_ms is not None:
            left_s = (self._ramp_end_ms - now_ms) / 1000.0
            mean_kw = _ELECTRICAL.ramp_down_kw_per_s * (left_s - dt_s / 2.0)
            size_kw = min(max(0.0, mean_kw), abs(self._ramp_from_kw))
            share_kw = math.copysign(size_kw, self._ramp_from_kw)
        battery = self.battery
        self.flow = dc_flow(
            share_kw, battery.open_circuit_v, battery.kind.resistance_ohm,
            self._home.model.max_current_a,
        )  # fmt: skip

    def set_ac_flow(self, limit_kw: float) -> None:
        """Set the flow of the coming step to what the vehicle draws from the pilot's offer."""
        battery = self.battery
        if self._onboard is None:
            return
        per_amp_kw = battery.kind.phases * _ELECTRICAL.phase_voltage_v / 1000.0
        allowed_a = min(self._home.model.max_current_a, limit_kw / per_amp_kw)
        derating = self.pins.derating_ratio
        if derating < 1.0 and self._onboard is not None:
            allowed_a = min(allowed_a, self._onboard.max_current_a) * derating
        offered_a = pilot_current_a(pilot_duty_pct(allowed_a))
        taper = constant_voltage_ratio(battery.soc_pct)
        self.flow = self._onboard.flow(self._home.supply, offered_a, taper)

    def run(self, end_ms: int, dt_s: float) -> None:
        """Hold the flow for ``dt_s`` until ``end_ms``: meter, battery and pins move on."""
        self.meter.add(self.flow.power_kw, dt_s)
        self.battery.exchange(self.flow.power_kw, dt_s, self.efficiency_ratio)
        self.warm(end_ms)

    def air_c(self, now_ms: int) -> float:
        """Return the ambient temperature at the charger."""
        return self._home.climate.air_c(now_ms)

    def warm(self, now_ms: int) -> None:
        """Bring the pins up to ``now_ms`` under the present current."""
        if now_ms > self._pins_ms:
            dt_s = (now_ms - self._pins_ms) / 1000.0
            self.pins.advance(self.air_c(now_ms), abs(self.flow.current_a), dt_s)
            self._pins_ms = now_ms
