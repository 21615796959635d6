"""Component health: what a charger says about its parts, and when it says it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tellus.simulator.breakdown import NOT_ENGAGED, is_code
from tellus.simulator.fan import fan_status
from tellus.simulator.figures import default_figures
from tellus.simulator.inverter import harmonic_distortion_pct
from tellus.simulator.messages import ComponentHealth, ModuleItem, utc_text
from tellus.simulator.stages import Stage

if TYPE_CHECKING:
    from tellus.simulator.connector_state import ConnectorState

_HEAT = default_figures().thermal
_DISCHARGE_MS = round(1000 * default_figures().timing.discharge_health_s)
Condition = tuple[object, ...]


def relay_state(connector: ConnectorState) -> str:
    """Return the word for the contactor."""
    has_failed = is_code(connector.fault_code, NOT_ENGAGED)
    return connector.contactor.relay_state(is_closed=connector.is_energised, has_failed=has_failed)


def sync_status(connector: ConnectorState) -> str:
    """Return how the inverter stands to the grid."""
    if connector.inverter.is_lost:
        return "lost"
    if connector.stage is Stage.SYNCING:
        return "syncing"
    return "synced" if connector.is_energised and connector.is_discharging else "unsynced"


def steady_fan_status(connector: ConnectorState, now_ms: int) -> str:
    """Return the word for the fan's speed without the noise of one reading."""
    fan = connector.home.charger.cabinet.fan
    return "" if fan is None else fan_status(_HEAT.fan_rpm * fan.health(now_ms))


def condition_of(connector: ConnectorState, now_ms: int) -> Condition:
    """Return what is told at once when it changes."""
    is_v2g = connector.home.model.v2g
    return (
        relay_state(connector),
        connector.contactor.cycles,
        connector.isolation.measured_ms,
        steady_fan_status(connector, now_ms),
        tuple(connector.home.charger.cabinet.modules),
        sync_status(connector) if is_v2g else "",
        connector.fault_code,
        connector.home.charger.heat.is_tripped,
    )


def build_health(connector: ConnectorState, now_ms: int) -> ComponentHealth:
    """Return the health of the parts that this connector has or shares."""
    contactor, cabinet = connector.contactor, connector.home.charger.cabinet
    outlet_c = connector.power.pins.temperature_c
    report = ComponentHealth(
        contactor_cycles=contactor.cycles,
        contactor_max_cycles=contactor.max_cycles,
        relay_state=relay_state(connector),
        internal_temps=cabinet.temperatures_c(now_ms, outlet_c),
    )
    if cabinet.fan is not None:
        report.cooling_fan_rpm = cabinet.fan.reading_rpm(now_ms)
        report.cooling_fan_status = steady_fan_status(connector, now_ms)
        report.modules = [ModuleItem(*one) for one in enumerate(cabinet.modules)]
    if connector.isolation.kohm is not None:
        report.isolation_test_kohms = connector.isolation.kohm
        report.last_isolation_test = utc_text(connector.isolation.measured_ms)
    if connector.home.model.v2g:
        _add_inverter(report, connector)
    return report


def _add_inverter(report: ComponentHealth, connector: ConnectorState) -> None:
    inverter, contactor = connector.inverter, connector.contactor
    report.inverter_sync_status = sync_status(connector)
    report.inverter_health_pct = round(inverter.health_pct, 1)
    report.bidirectional_inverter_cycles = contactor.discharge_cycles
    report.bidirectional_inverter_max_cycles = inverter.max_cycles
    report.discharge_contactor_cycles = contactor.discharge_cycles
    if connector.is_discharging:
        power_kw = connector.power.flow.power_kw
        distortion_pct = harmonic_distortion_pct(power_kw, connector.home.model.rated_kw)
        if distortion_pct is not None:
            report.harmonic_distortion_v2g_pct = round(distortion_pct, 2)


class HealthCadence:
    """Lets health go along with a frame when something changed, and else now and then."""

    __slots__ = ("_due_ms", "_gap_ms", "_told")

    def __init__(self, gap_ms: int) -> None:
        self._gap_ms = gap_ms
        self._due_ms = 0
        self._told: Condition = ()

    def report_if_due(self, connector: ConnectorState, now_ms: int) -> ComponentHealth | None:
        """Return what is to be told with the frame of this moment, if anything."""
        condition = condition_of(connector, now_ms)
        if now_ms < self._due_ms and condition == self._told:
            return None
        self._due_ms = now_ms + (
            min(self._gap_ms, _DISCHARGE_MS) if connector.is_discharging else self._gap_ms
        )
        self._told = condition
        return build_health(connector, now_ms)
