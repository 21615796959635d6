"""The words of component health: what was measured in a minute or an hour of a connector."""

from typing import NamedTuple

import msgspec


class Extremes(NamedTuple):
    """The lowest, highest and last value of one metric within a span."""

    low: float
    high: float
    last: float


class HealthSpan(msgspec.Struct, frozen=True):
    """What one connector's parts reported within a minute, or an hour, from ``start_ms``.

    ``metrics`` are numbers by name, with the unit in it (``cooling_fan_rpm``,
    ``temp_power_module_c``); ``words`` are the last word of each status (``relay_state``,
    ``inverter_sync_status``, ``module_0``).
    """

    device_no: int
    connector_id: int
    start_ms: int
    metrics: dict[str, Extremes]
    words: dict[str, str]
