"""Component health as it is written, by chargers and for operators alike."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from tellus.fleet.model_health import NOTHING_TOLD, ComponentHealth
from tellus.kernel.units import to_ms
from tellus.kernel.vins import replace_vins

Cycles = Annotated[int, Meta(ge=0, le=2**53)]
Rpm = Annotated[float, Meta(ge=0, le=1_000_000)]
Celsius = Annotated[float, Meta(ge=-1_000, le=1_000)]
Kiloohms = Annotated[float, Meta(ge=0, le=1e9)]
Percent = Annotated[float, Meta(ge=0, le=100)]
Distortion = Annotated[float, Meta(ge=0, le=1_000)]
StatusWord = Annotated[str, Meta(min_length=1, max_length=64)]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class InternalTemps(msgspec.Struct, frozen=True, gc=False):
    """Temperatures inside the unit, °C."""

    power_module: Celsius | UnsetType = UNSET
    control_board: Celsius | UnsetType = UNSET
    ac_inlet: Celsius | UnsetType = UNSET
    dc_outlet: Celsius | UnsetType = UNSET


class ModuleStatus(msgspec.Struct, frozen=True, gc=False):
    """A power module, counted from 0, and how it says that it is."""

    index: Annotated[int, Meta(ge=0, le=255)]
    status: StatusWord


class ComponentHealthForm(msgspec.Struct, frozen=True, gc=False):
    """The state of a charger's parts: cycles, revolutions per minute, °C, kΩ, percent.

    The last seven are those of units that can discharge.
    """

    contactor_cycles: Cycles | UnsetType = UNSET
    contactor_max_cycles: Cycles | UnsetType = UNSET
    cooling_fan_rpm: Rpm | UnsetType = UNSET
    cooling_fan_status: Literal["ok", "warning", "fault"] | UnsetType = UNSET
    internal_temps: InternalTemps | UnsetType = UNSET
    relay_state: Literal["closed", "open", "fault"] | UnsetType = UNSET
    isolation_test_kohms: Kiloohms | UnsetType = UNSET
    last_isolation_test: datetime | UnsetType = UNSET
    inverter_sync_status: StatusWord | UnsetType = UNSET
    inverter_health_pct: Percent | UnsetType = UNSET
    modules: Annotated[list[ModuleStatus], Meta(max_length=64)] | UnsetType = UNSET
    bidirectional_inverter_cycles: Cycles | UnsetType = UNSET
    bidirectional_inverter_max_cycles: Cycles | UnsetType = UNSET
    harmonic_distortion_v2g_pct: Distortion | UnsetType = UNSET
    discharge_contactor_cycles: Cycles | UnsetType = UNSET


def read_form(form: ComponentHealthForm) -> ComponentHealth | None:
    """Return what a charger wrote, None where that is nothing."""
    temps = form.internal_temps or InternalTemps()
    sync, modules, tested = form.inverter_sync_status, form.modules, form.last_isolation_test
    health = ComponentHealth(
        _known(form.contactor_cycles),
        _known(form.contactor_max_cycles),
        _known(form.cooling_fan_rpm),
        _known(temps.power_module),
        _known(temps.control_board),
        _known(temps.ac_inlet),
        _known(temps.dc_outlet),
        _known(form.isolation_test_kohms),
        _known(form.inverter_health_pct),
        _known(form.bidirectional_inverter_cycles),
        _known(form.bidirectional_inverter_max_cycles),
        _known(form.harmonic_distortion_v2g_pct),
        _known(form.discharge_contactor_cycles),
        _known(form.cooling_fan_status),
        _known(form.relay_state),
        None if sync is UNSET else replace_vins(sync),
        tuple((one.index, replace_vins(one.status)) for one in modules) if modules else None,
        None if tested is UNSET else to_ms(tested),
    )
    return None if health == NOTHING_TOLD else health


def write_form(health: ComponentHealth) -> ComponentHealthForm:
    """Return component health as it goes out; what was not sent is left out."""
    temps = InternalTemps(
        _sent(health.temp_power_module_c),
        _sent(health.temp_control_board_c),
        _sent(health.temp_ac_inlet_c),
        _sent(health.temp_dc_outlet_c),
    )
    tested_ms, modules = health.last_isolation_test_ms, health.modules
    return ComponentHealthForm(
        contactor_cycles=_sent(health.contactor_cycles),
        contactor_max_cycles=_sent(health.contactor_max_cycles),
        cooling_fan_rpm=_whole(health.cooling_fan_rpm),
        cooling_fan_status=_sent(health.cooling_fan_status),
        internal_temps=UNSET if temps == _NO_TEMPS else temps,
        relay_state=_sent(health.relay_state),
        isolation_test_kohms=_whole(health.isolation_test_kohms),
        last_isolation_test=UNSET if tested_ms is None else _moment(tested_ms),
        inverter_sync_status=_sent(health.inverter_sync_status),
        inverter_health_pct=_sent(health.inverter_health_pct),
        modules=[ModuleStatus(*module) for module in modules] if modules else UNSET,
        bidirectional_inverter_cycles=_sent(health.inverter_cycles),
        bidirectional_inverter_max_cycles=_sent(health.inverter_max_cycles),
        harmonic_distortion_v2g_pct=_sent(health.harmonic_distortion_pct),
        discharge_contactor_cycles=_sent(health.discharge_contactor_cycles),
    )


_NO_TEMPS: Final = InternalTemps()


def _known(value: Any) -> Any:
    return None if value is UNSET else value


def _sent(value: Any) -> Any:
    return UNSET if value is None else value


def _whole(value: float | None) -> Any:
    """Return a number that is one of a whole unit without a fraction, where it has none."""
    if value is None:
        return UNSET
    return int(value) if value.is_integer() else value


def _moment(time_ms: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=time_ms)
