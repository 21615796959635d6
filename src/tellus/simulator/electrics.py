"""Voltages, currents and power at a connector. Pure: no clock, no I/O.

Sign: positive power flows into the vehicle. Units are in the names.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from tellus.simulator.figures import default_figures

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

    from tellus.simulator.figures import Electrical

_FIGURES = default_figures().electrical
_DRIFT_LIMIT_SIGMAS = 4.0
_FAULTY_PHASE = 2
_MAX_PILOT_A = 80.0
_TAPER_TOLERANCE = 0.002


class Phase(NamedTuple):
    """One supply phase: phase-to-neutral voltage and the current drawn from it."""

    voltage_v: float
    current_a: float


class Flow(NamedTuple):
    """What flows through a connector now. ``phases`` holds only the active ones on AC."""

    voltage_v: float
    current_a: float
    power_kw: float
    phases: tuple[Phase, ...] = ()


NO_FLOW = Flow(0.0, 0.0, 0.0)


def pilot_current_a(duty_pct: float) -> float:
    """Return the current a control-pilot duty cycle offers (IEC 61851-1, annex A); 0 = none."""
    if 8.0 <= duty_pct < 10.0:
        return 6.0
    if 10.0 <= duty_pct <= 85.0:
        return 0.6 * duty_pct
    if 85.0 < duty_pct <= 96.0:
        return 2.5 * (duty_pct - 64.0)
    if 96.0 < duty_pct <= 97.0:
        return _MAX_PILOT_A
    return 0.0


def pilot_duty_pct(current_a: float) -> float:
    """Return the duty cycle that offers a current: 100 (steady, no charging) below 6 A."""
    if current_a < _FIGURES.pilot_minimum_a:
        return 100.0
    if current_a <= 51.0:
        return current_a / 0.6
    # No duty cycle says 51 to 52.5 A: the two lines do not meet, so the lower one speaks.
    if current_a < 52.5:
        return 85.0
    return min(current_a, _MAX_PILOT_A) / 2.5 + 64.0


def power_factor(current_a: float) -> float:
    """Return the displacement factor of an on-board charger at a phase current."""
    return 1.0 - 0.32 * math.exp(-(max(current_a, 2.2) - 2.2) / 1.3)


def ramped_kw(
    before_kw: float, wanted_kw: float, dt_s: float, figures: Electrical = _FIGURES
) -> float:
    """Return the power after ``dt_s`` on the way to ``wanted_kw``, within the ramp limits."""
    highest = before_kw + figures.ramp_up_kw_per_s * dt_s
    lowest = before_kw - figures.ramp_down_kw_per_s * dt_s
    return min(max(wanted_kw, lowest), highest)


def split_equally_kw(capacity_kw: float, demands_kw: Sequence[float]) -> list[float]:
    """Share a cabinet: equal parts, and what one connector leaves unused goes to the others."""
    shares = [0.0] * len(demands_kw)
    left_kw = capacity_kw
    order = sorted(range(len(demands_kw)), key=lambda index: demands_kw[index])
    for position, index in enumerate(order):
        shares[index] = min(demands_kw[index], left_kw / (len(order) - position))
        left_kw -= shares[index]
    return shares


def dc_flow(power_kw: float, open_circuit_v: float, resistance_ohm: float, max_a: float) -> Flow:
    """Return voltage and current that put ``power_kw`` into a battery, cut at ``max_a``.

    Solves ``P = (OCV + I R) I``; negative power discharges.
    """
    root = open_circuit_v**2 + 4.0 * resistance_ohm * 1000.0 * power_kw
    current_a = (math.sqrt(max(root, 0.0)) - open_circuit_v) / (2.0 * resistance_ohm)
    current_a = min(max(current_a, -max_a), max_a)
    voltage_v = open_circuit_v + current_a * resistance_ohm
    return Flow(voltage_v, current_a, voltage_v * current_a / 1000.0)


def cabinet_loss_kw(power_kw: float, rated_kw: float, figures: Electrical = _FIGURES) -> float:
    """Return the conversion loss of a DC cabinet: fixed, linear and quadratic parts."""
    if power_kw == 0.0:
        return 0.0
    load = abs(power_kw) / rated_kw
    variable_kw = figures.loss_at_rated_ratio * rated_kw - figures.loss_fixed_kw
    return figures.loss_fixed_kw + variable_kw * (0.7 * load + 0.3 * load * load)


class Supply:
    """The grid connection of one device: a slow common drift and fixed phase differences.

    ``faulty_phase_ratio`` is what the last phase has of its voltage: less than 1 by a fault.
    """

    def __init__(self, rng: Random, figures: Electrical = _FIGURES) -> None:
        self._rng = rng
        self._figures = figures
        self._site_ratio = rng.gauss(0.0, figures.site_voltage_sigma_ratio)
        self.faulty_phase_ratio = 1.0
        limit = 2.5 * figures.phase_voltage_sigma_ratio
        self._phase_ratios = tuple(
            min(max(rng.gauss(0.0, figures.phase_voltage_sigma_ratio), -limit), limit)
            for _ in range(3)
        )

    def advance(self, dt_s: float) -> None:
        """Move the drift on by ``dt_s`` (exact step of an Ornstein-Uhlenbeck process)."""
        sigma = self._figures.site_voltage_sigma_ratio
        kept = math.exp(-dt_s / self._figures.site_voltage_tau_s)
        moved = self._site_ratio * kept + sigma * math.sqrt(1 - kept * kept) * self._rng.gauss(0, 1)
        limit = _DRIFT_LIMIT_SIGMAS * sigma
        self._site_ratio = min(max(moved, -limit), limit)

    def voltage_v(self, phase: int, current_a: float = 0.0) -> float:
        """Return the phase-to-neutral voltage of phase 0, 1 or 2 under load."""
        ratio = 1.0 + self._site_ratio + self._phase_ratios[phase]
        if phase == _FAULTY_PHASE:
            ratio *= self.faulty_phase_ratio
        return self._figures.phase_voltage_v * ratio - self._figures.source_resistance_ohm * (
            current_a
        )

    def idle_phases(self) -> tuple[Phase, ...]:
        """Return the three phases with nothing drawn."""
        return tuple(Phase(self.voltage_v(phase), 0.0) for phase in range(3))


class OnboardCharger:
    """The AC charger of one vehicle in one visit: how far below the offer, how unbalanced."""

    def __init__(self, rng: Random, phases: int, max_kw: float) -> None:
        self._margin = rng.uniform(*_FIGURES.onboard_margin_ratio)
        half = _FIGURES.phase_imbalance_ratio
        self._factors = tuple(1.0 + rng.uniform(-half, half) for _ in range(phases))
        # Round figures of a rating (3.7, 7.4, 11 kW) mean 16 or 32 A at 230 V.
        self.max_current_a = float(round(1000.0 * max_kw / (phases * _FIGURES.phase_voltage_v)))

    def flow(self, supply: Supply, offered_a: float, taper_ratio: float = 1.0) -> Flow:
        """Return what the vehicle draws from an offer, scaled down by its own taper (0 to 1)."""
        if offered_a < _FIGURES.pilot_minimum_a or taper_ratio <= 0.0:
            return NO_FLOW
        current_a = min(offered_a, self.max_current_a) * (1.0 - self._margin)
        drawn = self._draw(supply, current_a)
        wanted_kw = drawn.power_kw * taper_ratio
        # The power factor falls with the current, so that one division does not land.
        for _ in range(12):
            if abs(drawn.power_kw - wanted_kw) <= _TAPER_TOLERANCE * wanted_kw:
                break
            current_a *= wanted_kw / drawn.power_kw
            drawn = self._draw(supply, current_a)
        return drawn

    def _draw(self, supply: Supply, current_a: float) -> Flow:
        phases = []
        power_w = 0.0
        for index, factor in enumerate(self._factors):
            amps = current_a * factor
            volts = supply.voltage_v(index, amps)
            phases.append(Phase(volts, amps))
            power_w += volts * amps * power_factor(amps)
        count = len(phases)
        return Flow(
            sum(phase.voltage_v for phase in phases) / count,
            sum(phase.current_a for phase in phases) / count,
            power_w / 1000.0,
            tuple(phases),
        )
