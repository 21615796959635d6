"""The cabinet of one charger: its heat, its fan and its power modules. Time is a parameter.

``C dT/dt = P_loss - (T - T_air) / R(n)``, with the thermal resistance ``R`` falling with the fan's
speed ``n`` to the power 0.8. A step is exact for a loss held constant.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from tellus.simulator.electrics import cabinet_loss_kw
from tellus.simulator.fan import Fan
from tellus.simulator.figures import default_figures

if TYPE_CHECKING:
    from random import Random

    from tellus.simulator.climate import Climate
    from tellus.simulator.figures import ChargerModel

_HEAT = default_figures().thermal
_WEAR = default_figures().wear
_MODULE_KW = 30.0
_STEP_MS = 5_000
SOUND = "ok"
SILENT = "timeout"


class Cabinet:
    """What the connectors of a charger share. An AC unit has neither fan nor modules.

    ``vents_factor`` multiplies the thermal resistance, ``loss_factor`` the loss, and ``drift_k`` is
    the error of the temperature sensor. ``limit_ratio`` is the share of its rating that is given
    while it is too hot, ``rating_ratio`` the share that its configuration allows.
    """

    def __init__(self, model: ChargerModel, climate: Climate, rng: Random, now_ms: int) -> None:
        self._model = model
        self._climate = climate
        self._rise_k = _HEAT.cabinet_rise_at_rated_k
        self.fan: Fan | None = None
        self.modules: list[str] = []
        if model.kind == "ac":
            self._rise_k = _HEAT.ac_cabinet_rise_at_rated_k
        else:
            hours = rng.uniform(*_WEAR.fan_hours)
            self.fan = Fan(rng, now_ms - round(3_600_000 * hours))
            self.modules = [SOUND] * round(model.rated_kw / _MODULE_KW)
        self._rated_loss_kw = cabinet_loss_kw(model.rated_kw, model.rated_kw)
        self.vents_factor = 1.0
        self.loss_factor = 1.0
        self.drift_k = 0.0
        self.limit_ratio = 1.0
        self.rating_ratio = 1.0
        self.load_ratio = 0.0
        self._sound_ratio = 1.0
        self._heat_s = 0.0
        self._steps_ms = now_ms
        self.time_ms = now_ms
        self.temperature_c = climate.air_c(now_ms)

    def resistance_factor(self, now_ms: int) -> float:
        """Return the thermal resistance over that of a clean cabinet with a sound fan."""
        if self.fan is None:
            return self.vents_factor
        speed = max(self.fan.health(now_ms), _HEAT.fan_still_air_ratio)
        return self.vents_factor * float(speed**-_HEAT.fan_exponent)

    def loss_ratio(self, power_kw: float) -> float:
        """Return the loss at a power (kW, without sign) over the loss at rated power."""
        loss_kw: float = cabinet_loss_kw(power_kw, self._model.rated_kw)
        return self.loss_factor * loss_kw / self._rated_loss_kw

    def advance(self, now_ms: int, power_kw: float) -> None:
        """Move on to ``now_ms`` under a constant power (kW, the sum without signs).

        The loss of small steps is gathered, because a cabinet is slow.
        """
        if power_kw > 0.0:
            self._heat_s += self.loss_ratio(power_kw) * (now_ms - self._steps_ms) / 1000.0
        self._steps_ms = now_ms
        self.load_ratio = power_kw / self._model.rated_kw
        if now_ms - self.time_ms >= _STEP_MS:
            self._settle(now_ms)

    def _settle(self, now_ms: int) -> None:
        dt_s = (now_ms - self.time_ms) / 1000.0
        factor = self.resistance_factor(now_ms)
        mean_ratio = self._heat_s / dt_s
        end_c = self._climate.air_c(now_ms) + self._rise_k * factor * mean_ratio
        kept = math.exp(-dt_s / (_HEAT.cabinet_tau_s * factor))
        self.temperature_c = end_c + (self.temperature_c - end_c) * kept
        self.time_ms = now_ms
        self._heat_s = 0.0

    @property
    def shown_c(self) -> float:
        """Return what the cabinet's sensor says; the charger acts on that."""
        return self.temperature_c + self.drift_k

    @property
    def capacity_kw(self) -> float:
        """Return the power it can give now: of the modules that answer, within its limits."""
        rated_kw = self._model.rated_kw * self.rating_ratio * self.limit_ratio
        return min(rated_kw, self._model.rated_kw * self._sound_ratio)

    def set_module(self, index: int, status: str) -> None:
        """Let one module fall silent, or answer again."""
        self.modules[index] = status
        self._sound_ratio = self.modules.count(SOUND) / len(self.modules)

    def modules_of(self, connector_id: int) -> list[int]:
        """Return the indices of the modules that feed a connector: every second one, say."""
        count = self._model.connectors
        return [
            one for one in range(len(self.modules)) if one % count == (connector_id - 1) % count
        ]

    def silent_module(self, connector_id: int) -> int | None:
        """Return the first module of a connector that does not answer, None where all do."""
        fed = self.modules_of(connector_id)
        return next((one for one in fed if self.modules[one] == SILENT), None)

    def fed_by(self, index: int) -> int:
        """Return the connector id that a module feeds."""
        return index % self._model.connectors + 1

    def temperatures_c(self, now_ms: int, outlet_c: float) -> dict[str, float]:
        """Return the sensors' readings, °C; ``outlet_c`` is the connector's."""
        air_c = self._climate.air_c(now_ms)
        readings = {
            "control_board": self.shown_c - _HEAT.board_drop_k,
            "ac_inlet": air_c + _HEAT.inlet_rise_k * self.load_ratio**2,
        }
        if self.modules:
            readings["power_module"] = self.shown_c + _HEAT.module_rise_k * self.load_ratio
            readings["dc_outlet"] = outlet_c
        return {name: round(value, 1) for name, value in readings.items()}

    def factor_for(self, load_ratio: float, end_c: float) -> float:
        """Return the factor on resistance or loss that ends at ``end_c`` under a load."""
        rise_k = self._rise_k * self.loss_ratio(load_ratio * self._model.rated_kw)
        return (end_c - self._climate.air_c(self.time_ms)) / rise_k
