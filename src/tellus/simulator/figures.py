"""The simulator's figures, read once from ``defaults.toml`` and checked against these types."""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Literal

import msgspec


class _Figures(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Refuses a misspelt figure instead of ignoring it."""


class Electrical(_Figures, frozen=True):
    """Supply, on-board charger and cabinet."""

    phase_voltage_v: float
    site_voltage_sigma_ratio: float
    site_voltage_tau_s: float
    phase_voltage_sigma_ratio: float
    source_resistance_ohm: float
    onboard_margin_ratio: tuple[float, float]
    phase_imbalance_ratio: float
    pilot_minimum_a: float
    ramp_up_kw_per_s: float
    ramp_down_kw_per_s: float
    ac_full_kw: float
    ac_constant_power_until_soc_pct: float
    loss_fixed_kw: float
    loss_at_rated_ratio: float


class BatteryFigures(_Figures, frozen=True):
    """Efficiencies between the connector's meter and the cells."""

    dc_efficiency_ratio: float
    ac_efficiency_ratio: float
    ac_low_power_efficiency_ratio: float
    ac_low_power_kw: float
    discharge_efficiency_ratio: float


class ThermalFigures(_Figures, frozen=True):
    """Connector pins and the weather."""

    ambient_swing_k: float
    ac_rise_at_rated_k: float
    ac_tau_s: float
    dc_rise_at_rated_k: float
    dc_tau_s: float
    ac_warning_c: float
    dc_warning_c: float
    hysteresis_k: float
    derating_span_k: float
    derating_floor_ratio: float
    cut_off_span_k: float
    cabinet_rise_at_rated_k: float
    ac_cabinet_rise_at_rated_k: float
    cabinet_tau_s: float
    cabinet_critical_c: float
    cabinet_clear_c: float
    cabinet_limit_ratio: float
    cabinet_look_s: float
    fan_rpm: float
    fan_spread_ratio: float
    fan_exponent: float
    fan_warning_ratio: float
    fan_fault_ratio: float
    fan_still_air_ratio: float
    module_rise_k: float
    board_drop_k: float
    inlet_rise_k: float


Span = tuple[float, float]


class WearFigures(_Figures, frozen=True):
    """How parts wear: cycles, hours, and the hazard of a weld at one opening."""

    ac_max_cycles: int
    dc_max_cycles: int
    inverter_max_cycles: int
    kwh_per_cycle: float
    weld_hazard_per_opening: float
    weld_growth: float
    weld_knee_ratio: float
    feedback_ms: tuple[int, int]
    fan_wear_per_1000_h: float
    fan_hours: Span
    inverter_health_pct: Span
    thd_at_rated_pct: float
    thd_exponent: float
    thd_cap_pct: float


class IsolationFigures(_Figures, frozen=True):
    """Insulation to earth in kilo-ohm, log-normal; lower on humid days and with age."""

    median_kohm: float
    sigma_ln: float
    pass_kohm: float
    humid_day_ratio: float
    humid_drop_ratio: float
    trend_per_month_ratio: float
    age_months: Span


class InjectionFigures(_Figures, frozen=True):
    """How strong an injected cause is, and when it shows."""

    oxidised_factor: float
    heat_wave_k: float
    slow_fan_ratio: float
    dying_fan_ratio: float
    fan_decline_s: float
    bearing_decline_s: float
    blocked_vents_factor: float
    overload_factor: float
    sensor_drift_k: float
    telling_load_ratio: float
    telling_excess_k: float
    reset_module_ratio: float
    second_close_ratio: float
    overridden_power_ratio: float
    resync_s: float
    grid_excursion_hz: Span
    unbalanced_phase_ratio: float
    lost_phase_ratio: float
    sync_loss_after_s: Span
    unexpected_end_after_s: Span
    inverter_health_drop: Span
    storm_period_s: float
    storm_down_s: float
    storm_reconnects: int
    attended_s: Span
    text_code_ratio: float


class FirmwareDefect(_Figures, frozen=True):
    """A build's own fault: versions from ``since`` up to, not including, ``fixed``.

    ``ratio`` is its chance at each occasion; with ``vehicle`` only that class meets it.
    """

    code: str
    since: str
    fixed: str
    ratio: float
    vehicle: str = ""


class Timing(_Figures, frozen=True):
    """Uniform spans, in seconds, of the steps of a session."""

    authorise_s: Span
    contactor_s: Span
    slac_s: Span
    session_setup_s: Span
    cable_check_s: Span
    precharge_s: Span
    full_wait_s: Span
    unplug_s: Span
    remote_arrival_s: Span
    health_s: float
    discharge_health_s: float
    occupied_within_s: float


class BidirectionalFigures(_Figures, frozen=True):
    """Discharging after ISO 15118-20: limits, and uniform spans of its steps in seconds."""

    minimum_kw: float
    vehicle_share_ratio: float
    floor_soc_pct: float
    arrival_soc_pct: Span
    negotiation_s: Span
    synchronise_s: Span
    grid_hz: Span
    grid_voltage_ratio: Span


class DowntimeFigures(_Figures, frozen=True):
    """How long a charger takes for itself, in seconds, and how fast it downloads."""

    settle_s: float
    reboot_s: float
    soft_reset_s: float
    reconnect_s: float
    self_test_s: float
    reset_s: float
    calibration_s: float
    install_s: float
    download_mb_per_s: float


class CommandFaults(_Figures, frozen=True):
    """What goes wrong with commands, as shares (0 to 1) of them or of their reports.

    ``failing_firmware`` are versions that do not install, on a share of the chargers.
    """

    reject_ratio: float = 0.0
    slow_ratio: float = 0.0
    slow_s: Span = (5.0, 20.0)
    lost_report_ratio: float = 0.0
    repeat_after_s: float = 10.0
    duplicate_report_ratio: float = 0.0
    power_cut_ratio: float = 0.0
    power_cut_after_s: Span = (1.0, 10.0)
    failing_firmware: tuple[str, ...] = ()
    failing_firmware_ratio: float = 1.0


class Tariff(_Figures, frozen=True):
    """What a kilowatt-hour costs at the connector."""

    currency: str
    ac_per_kwh: float
    dc_per_kwh: float


class ChargerModel(_Figures, frozen=True):
    """One product: its rating is shared by its connectors."""

    name: str
    kind: Literal["ac", "dc"]
    rated_kw: float
    connectors: int
    max_current_a: float
    firmware_version: str
    v2g: bool = False


class VehicleClass(_Figures, frozen=True):
    """A kind of vehicle.

    ``curve`` holds points (SoC %, share of the peak); without it the taper of ``knee_pct`` and
    ``residual_ratio`` holds; without either the shape usual where nothing was measured.
    """

    name: str
    share_ratio: float
    battery_kwh: float
    phases: Literal[1, 2, 3]
    ac_max_kw: float
    dc_peak_kw: float = 0.0
    knee_pct: float | None = None
    residual_ratio: float = 0.17
    nominal_voltage_v: float = 360.0
    resistance_ohm: float = 0.09
    reports_soc: bool = True
    curve: tuple[tuple[float, float], ...] = ()


class Component(_Figures, frozen=True):
    """One part of a mixture distribution; a draw is multiplied by ``scale``."""

    kind: Literal["gamma", "weibull", "lognormal"]
    a: float
    b: float
    weight: float = 1.0
    scale: float = 1.0


class ArrivalPeak(_Figures, frozen=True):
    """One normal hump of arrivals over the local day."""

    weight: float
    mean_h: float
    sigma_h: float


class Usage(_Figures, frozen=True):
    """How one connector is used: by the hour of day, or by gaps between visits."""

    dwell_s: tuple[Component, ...]
    energy_kwh: tuple[Component, ...]
    rate_per_day: float = 0.0
    arrivals: tuple[ArrivalPeak, ...] = ()
    gap_s: tuple[Component, ...] = ()
    leaves_when_done_s: float | None = None


class Scenario(_Figures, frozen=True):
    """What happens to a fleet. Ratios are 0 to 1; the arrival factor multiplies the daily rate."""

    usage_ac: str
    usage_dc: str
    ambient_c: float = 18.0
    arrival_factor_ratio: float = 1.0
    occupied_at_start_ratio: float = 0.0
    arrive_on_remote_start: bool = False
    local_authorisation: bool = True
    command_faults: CommandFaults = CommandFaults()


class Figures(_Figures, frozen=True):
    """Everything in ``defaults.toml``."""

    electrical: Electrical
    battery: BatteryFigures
    thermal: ThermalFigures
    wear: WearFigures
    isolation: IsolationFigures
    injection: InjectionFigures
    firmware_defects: tuple[FirmwareDefect, ...]
    timing: Timing
    bidirectional: BidirectionalFigures
    downtime: DowntimeFigures
    tariff: Tariff
    models: tuple[ChargerModel, ...]
    vehicles: tuple[VehicleClass, ...]
    usage: dict[str, Usage]
    scenarios: dict[str, Scenario]

    def model(self, name: str) -> ChargerModel:
        """Return the model of that name; KeyError names the known ones."""
        for model in self.models:
            if model.name == name:
                return model
        known = ", ".join(model.name for model in self.models)
        message = f"unknown charger model {name!r} (known: {known})"
        raise KeyError(message)

    def scenario(self, name: str) -> Scenario:
        """Return the scenario of that name; KeyError names the known ones."""
        found = self.scenarios.get(name)
        if found is None:
            message = f"unknown scenario {name!r} (known: {', '.join(sorted(self.scenarios))})"
            raise KeyError(message)
        return found


@cache
def default_figures() -> Figures:
    """Read and check the figures shipped with the package."""
    text = resources.files(__package__).joinpath("defaults.toml").read_bytes()
    return msgspec.toml.decode(text, type=Figures)
