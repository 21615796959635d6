"""The state of a charger's parts as one sample tells it."""

from typing import Final

import msgspec


class ComponentHealth(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What a connector's parts report; None is what was not sent.

    Numbers carry their unit in the name: revolutions per minute, °C, kΩ, percent. ``modules`` are
    (index, status). It is stored with its sample by position: fields are only ever added at the
    end.
    """

    contactor_cycles: int | None = None
    contactor_max_cycles: int | None = None
    cooling_fan_rpm: float | None = None
    temp_power_module_c: float | None = None
    temp_control_board_c: float | None = None
    temp_ac_inlet_c: float | None = None
    temp_dc_outlet_c: float | None = None
    isolation_test_kohms: float | None = None
    inverter_health_pct: float | None = None
    inverter_cycles: int | None = None
    inverter_max_cycles: int | None = None
    harmonic_distortion_pct: float | None = None
    discharge_contactor_cycles: int | None = None
    cooling_fan_status: str | None = None
    relay_state: str | None = None
    inverter_sync_status: str | None = None
    modules: tuple[tuple[int, str], ...] | None = None
    last_isolation_test_ms: int | None = None


NOTHING_TOLD: Final = ComponentHealth()
"""What says nothing of any part."""
