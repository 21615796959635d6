"""What a charger does about heat: it reduces power, warns, and stops before it is too late."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tellus.simulator.breakdown import (
    HOT_CABINET,
    HOT_CONNECTOR,
    break_down,
    clear_fault,
    is_code,
    warn,
)
from tellus.simulator.figures import default_figures

if TYPE_CHECKING:
    from tellus.simulator.connector import ConnectorTwin
    from tellus.simulator.device import ChargerTwin

_HEAT = default_figures().thermal
_STAGGER_MS = (0, 1_200)


def watch_pins(connector: ConnectorTwin, now_ms: int) -> None:
    """Warn once of hot pins (F-0203), stop where nothing may flow any more, forget when cool."""
    pins = connector.power.pins
    over_k = pins.temperature_c - pins.warning_c
    if over_k < -_HEAT.hysteresis_k:
        connector.is_hot = False
    elif over_k > 0.0 and not connector.is_hot:
        connector.is_hot = True
        details = {"temperature_c": round(pins.temperature_c, 1), "warning_c": pins.warning_c}
        warn(connector, HOT_CONNECTOR, now_ms, "the connector is hot", details=details)
    if over_k >= _HEAT.cut_off_span_k:
        break_down(connector, HOT_CONNECTOR, now_ms, "the connector is too hot")


class CabinetWatch:
    """Watches the temperature of a DC cabinet (F-0204), until it has cooled down again.

    ``only_limits`` makes a hot cabinet reduce its power instead of stopping.
    """

    __slots__ = ("_charger", "is_tripped", "only_limits")

    def __init__(self, charger: ChargerTwin) -> None:
        self._charger = charger
        self.is_tripped = False
        self.only_limits = False

    @property
    def is_stopped(self) -> bool:
        """Return whether the heat keeps every connector from serving."""
        return self.is_tripped and not self.only_limits

    def look(self, now_ms: int) -> None:
        """Trip where the sensor shows more than the critical temperature."""
        charger = self._charger
        if self.is_tripped or charger.cabinet.shown_c <= _HEAT.cabinet_critical_c:
            return
        if charger.cabinet.fan is None:
            return
        self.is_tripped = True
        if self.only_limits:
            charger.cabinet.limit_ratio = _HEAT.cabinet_limit_ratio
        for index, connector in enumerate(charger.connectors):
            charger.agenda.at(now_ms + _STAGGER_MS[index % 2], self._telling(connector))
        self._look_again(now_ms)

    def _telling(self, connector: ConnectorTwin) -> Any:
        return lambda now_ms: self._tell(connector, now_ms)

    def _tell(self, connector: ConnectorTwin, now_ms: int) -> None:
        if not self.is_tripped:
            return
        details = {"temperature_c": round(self._charger.cabinet.shown_c, 1)}
        text = "the cabinet is too hot"
        if self.only_limits:
            warn(connector, HOT_CABINET, now_ms, f"{text}, power is reduced", details=details)
        else:
            break_down(connector, HOT_CABINET, now_ms, text, details=details)

    def _look_again(self, now_ms: int) -> None:
        self._charger.agenda.at(now_ms + round(1000 * _HEAT.cabinet_look_s), self._cool)

    def _cool(self, now_ms: int) -> None:
        if not self.is_tripped:
            return
        if self._charger.cabinet.shown_c >= _HEAT.cabinet_clear_c:
            self._look_again(now_ms)
            return
        self.release(now_ms)

    def release(self, now_ms: int) -> None:
        """Serve again, now that the cabinet is cool."""
        charger = self._charger
        self.is_tripped = False
        charger.cabinet.limit_ratio = 1.0
        for connector in charger.connectors:
            if is_code(connector.fault_code, HOT_CABINET):
                clear_fault(charger, connector, now_ms)
