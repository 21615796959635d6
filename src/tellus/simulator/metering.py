"""Meters at the connector: what the vehicle is billed for is what flowed here, both ways."""

from __future__ import annotations

from typing import NamedTuple

_DECIMALS = 4


class Registers(NamedTuple):
    """Lifetime import (into the vehicle) and export registers, kWh; both only ever grow."""

    import_kwh: float
    export_kwh: float


class _Register:
    """A sum that does not lose small steps to a large total (Kahan's compensation)."""

    __slots__ = ("_owed_kwh", "total_kwh")

    def __init__(self, total_kwh: float) -> None:
        self.total_kwh = total_kwh
        self._owed_kwh = 0.0

    def add(self, energy_kwh: float) -> None:
        step_kwh = energy_kwh + self._owed_kwh
        before_kwh = self.total_kwh
        self.total_kwh = before_kwh + step_kwh
        self._owed_kwh = step_kwh - (self.total_kwh - before_kwh)


class Meter:
    """Twin registers fed by the one integrator of a connector."""

    __slots__ = ("_export", "_import")

    def __init__(self, registers: Registers) -> None:
        self._import = _Register(registers.import_kwh)
        self._export = _Register(registers.export_kwh)

    def add(self, power_kw: float, dt_s: float) -> None:
        """Integrate ``power_kw`` held for ``dt_s``."""
        energy_kwh = power_kw * dt_s / 3600.0
        if energy_kwh >= 0.0:
            self._import.add(energy_kwh)
        else:
            self._export.add(-energy_kwh)

    @property
    def net_kwh(self) -> float:
        """Return import less export, the value records carry as meter readings."""
        return self._import.total_kwh - self._export.total_kwh

    @property
    def registers(self) -> Registers:
        """Return both readings, unrounded, to carry on from later."""
        return Registers(self._import.total_kwh, self._export.total_kwh)


def reading_kwh(value_kwh: float) -> float:
    """Round to the resolution shown on the wire, 0.1 Wh."""
    return round(value_kwh, _DECIMALS)
