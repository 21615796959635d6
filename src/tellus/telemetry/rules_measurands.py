"""Decisions about measurands: which values a reading holds, and in which direction."""

from collections.abc import Iterator
from typing import Final

from tellus.fleet.model import Reading
from tellus.telemetry.model_measurands import Location, Measurand, MeterValue, Unit

_PHASES: Final = ("L1", "L2", "L3")
_DISCHARGING: Final = "discharging"


def is_export(reading: Reading) -> bool:
    """Tell the direction: that of the power, without power that of the state, else import."""
    if reading.power_kw:
        return reading.power_kw < 0
    return reading.state == _DISCHARGING


def to_values(reading: Reading) -> list[MeterValue]:
    """Return what a reading holds, always in the same order.

    Exported quantities are given without their sign, everything else is as it was sent: the energy
    register is that of the session, which starts at 0.
    """
    exports = is_export(reading)
    current = Measurand.CURRENT_EXPORT if exports else Measurand.CURRENT_IMPORT
    power = Measurand.POWER_EXPORT if exports else Measurand.POWER_IMPORT
    energy = Measurand.ENERGY_EXPORT if exports else Measurand.ENERGY_IMPORT
    at = Location.OUTLET
    power_kw, energy_kwh, current_a = reading.power_kw, reading.energy_kwh, reading.current_a
    if exports:
        power_kw, energy_kwh, current_a = abs(power_kw), abs(energy_kwh), abs(current_a)
    values = [
        MeterValue(Measurand.VOLTAGE, None, reading.voltage_v, Unit.VOLT, at),
        MeterValue(current, None, current_a, Unit.AMPERE, at),
        MeterValue(power, None, power_kw, Unit.KILOWATT, at),
        MeterValue(energy, None, energy_kwh, Unit.KILOWATT_HOUR, at),
    ]
    if reading.soc_pct is not None:
        soc = float(reading.soc_pct)
        values.append(MeterValue(Measurand.SOC, None, soc, Unit.PERCENT, Location.EV))
    if reading.temperature_c is not None:
        values.append(
            MeterValue(
                Measurand.TEMPERATURE, None, reading.temperature_c, Unit.CELSIUS, Location.BODY
            )
        )
    values += _phase_values(reading, current, exports=exports)
    return values


def _phase_values(reading: Reading, current: Measurand, *, exports: bool) -> Iterator[MeterValue]:
    """Return the values of the AC supply's phases."""
    for name, phase in zip(_PHASES, reading.phases or (), strict=False):
        if phase is None:
            continue
        voltage_v, current_a = phase
        at = Location.INLET
        yield MeterValue(Measurand.VOLTAGE, name, voltage_v, Unit.VOLT, at)
        amperes = abs(current_a) if exports else current_a
        yield MeterValue(current, name, amperes, Unit.AMPERE, at)
