"""The vehicle's battery: charge, voltage, and how much power it accepts. Pure."""

from __future__ import annotations

import math

from tellus.simulator.figures import VehicleClass, default_figures

_FIGURES = default_figures().battery
_ELECTRICAL = default_figures().electrical
_BIDIRECTIONAL = default_figures().bidirectional

Curve = tuple[tuple[float, float], ...]


def interpolate(curve: Curve, soc_pct: float) -> float:
    """Return the curve's value at a state of charge, linear between points, flat outside."""
    before = curve[0]
    if soc_pct <= before[0]:
        return before[1]
    for point in curve:
        if soc_pct <= point[0]:
            share = (soc_pct - before[0]) / (point[0] - before[0])
            return before[1] + share * (point[1] - before[1])
        before = point
    return before[1]


def taper_curve(knee_pct: float, residual_ratio: float) -> Curve:
    """Return the two-parameter taper: full power to the knee, then a line to the residual."""
    return ((0.0, 1.0), (knee_pct, 1.0), (100.0, residual_ratio))


def unknown_curve(peak_kw: float, ac_max_kw: float) -> Curve:
    """Return the curve to assume where none is known: 95 % of peak, peak at 75 %, AC at 100 %."""
    return ((0.0, 0.95), (75.0, 1.0), (100.0, min(ac_max_kw / peak_kw, 1.0)))


def curve_of(kind: VehicleClass) -> Curve:
    """Return a class's curve: measured points, else the fitted taper, else the usual shape."""
    if kind.curve:
        return kind.curve
    if kind.knee_pct is not None:
        return taper_curve(kind.knee_pct, kind.residual_ratio)
    return unknown_curve(max(kind.dc_peak_kw, kind.ac_max_kw), kind.ac_max_kw)


def constant_voltage_ratio(soc_pct: float) -> float:
    """Return the taper of an AC charge: 1 up to 97 % (constant power), then falling to 0."""
    knee = _ELECTRICAL.ac_constant_power_until_soc_pct
    if soc_pct <= knee:
        return 1.0
    return max(0.0, 100.0 - soc_pct) / (100.0 - knee)


def ac_efficiency(power_kw: float) -> float:
    """Return the share of AC energy that reaches the cells."""
    if power_kw < _FIGURES.ac_low_power_kw:
        return _FIGURES.ac_low_power_efficiency_ratio
    return _FIGURES.ac_efficiency_ratio


def rounded_soc_pct(soc_pct: float) -> int:
    """Return the integer the API carries: half up, 0 to 100."""
    return min(100, max(0, math.floor(soc_pct + 0.5)))


class Battery:
    """A battery of ``capacity_kwh`` at ``soc_pct``; the only state is the charge."""

    __slots__ = ("_curve", "capacity_kwh", "kind", "soc_pct")

    def __init__(self, kind: VehicleClass, soc_pct: float) -> None:
        self.kind = kind
        self.capacity_kwh = kind.battery_kwh
        self.soc_pct = soc_pct
        self._curve = curve_of(kind)

    @property
    def open_circuit_v(self) -> float:
        """Return the voltage at rest for this state of charge."""
        share = self.soc_pct / 100.0
        top = 0.04 * (share - 0.9) / 0.1 if share > 0.9 else 0.0
        return self.kind.nominal_voltage_v * (0.90 + 0.16 * share + top)

    @property
    def dc_limit_kw(self) -> float:
        """Return the power the vehicle asks for at this state of charge."""
        return self.kind.dc_peak_kw * interpolate(self._curve, self.soc_pct)

    @property
    def discharge_limit_kw(self) -> float:
        """Return the most the vehicle gives."""
        return self.kind.dc_peak_kw * _BIDIRECTIONAL.vehicle_share_ratio

    def exchange(self, power_kw: float, dt_s: float, efficiency_ratio: float) -> None:
        """Apply power at the connector for ``dt_s``; discharge uses its own efficiency."""
        energy_kwh = power_kw * dt_s / 3600.0
        if power_kw >= 0.0:
            stored_kwh = efficiency_ratio * energy_kwh
        else:
            stored_kwh = energy_kwh / _FIGURES.discharge_efficiency_ratio
        moved = self.soc_pct + 100.0 * stored_kwh / self.capacity_kwh
        self.soc_pct = min(100.0, max(0.0, moved))

    def energy_to_kwh(self, target_pct: float, efficiency_ratio: float) -> float:
        """Return what the connector must deliver until ``target_pct``; 0 when already there."""
        missing_pct = max(0.0, target_pct - self.soc_pct)
        return missing_pct * self.capacity_kwh / (100.0 * efficiency_ratio)

    def energy_above_kwh(self, floor_pct: float) -> float:
        """Return what the connector can take out until ``floor_pct``; 0 when already there."""
        spare_pct = max(0.0, self.soc_pct - floor_pct)
        return spare_pct * self.capacity_kwh * _FIGURES.discharge_efficiency_ratio / 100.0
