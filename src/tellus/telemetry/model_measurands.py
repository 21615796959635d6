"""Readings under the names that OCPP 1.6 and 2.0.1 give to what is measured."""

import enum
from typing import NamedTuple


class Measurand(enum.StrEnum):
    """What was measured (OCPP 1.6, section 7.31; OCPP 2.0.1, part 2, section 3.54).

    Import is into the vehicle, export out of it.
    """

    VOLTAGE = "Voltage"
    CURRENT_IMPORT = "Current.Import"
    CURRENT_EXPORT = "Current.Export"
    POWER_IMPORT = "Power.Active.Import"
    POWER_EXPORT = "Power.Active.Export"
    ENERGY_IMPORT = "Energy.Active.Import.Register"
    ENERGY_EXPORT = "Energy.Active.Export.Register"
    SOC = "SoC"
    TEMPERATURE = "Temperature"


class Location(enum.StrEnum):
    """Where it was measured: at the outlet, towards the grid, in the vehicle, in the charger."""

    OUTLET = "Outlet"
    INLET = "Inlet"
    EV = "EV"
    BODY = "Body"


class Unit(enum.StrEnum):
    """The units, as OCPP spells them."""

    VOLT = "V"
    AMPERE = "A"
    KILOWATT = "kW"
    KILOWATT_HOUR = "kWh"
    PERCENT = "Percent"
    CELSIUS = "Celsius"


CONTEXT = "Sample.Periodic"
"""Why it was measured: a charger's telemetry is sent at intervals, so this holds for all of it."""


class MeterValue(NamedTuple):
    """One value of a sample; ``phase`` is L1 to L3 of the supply, None for the whole."""

    measurand: Measurand
    phase: str | None
    value: float
    unit: Unit
    location: Location
