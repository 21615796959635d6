"""The words of component health: what was measured in a minute or an hour of a connector."""

from typing import Final, NamedTuple

import msgspec

METRICS: Final = (
    "contactor_cycles",
    "contactor_max_cycles",
    "cooling_fan_rpm",
    "temp_power_module_c",
    "temp_control_board_c",
    "temp_ac_inlet_c",
    "temp_dc_outlet_c",
    "isolation_test_kohms",
    "inverter_health_pct",
    "inverter_cycles",
    "inverter_max_cycles",
    "harmonic_distortion_pct",
    "discharge_contactor_cycles",
    "temperature_c",
)
"""The names of numbers; rows are stored by their places here, so new ones come at the end.

All but the last are fields of ``ComponentHealth``, in the same order.
"""

WORDS: Final = ("cooling_fan_status", "relay_state", "inverter_sync_status")
"""The names of statuses; beside them there are those of modules, and the last isolation test."""

MODULE: Final = "module_"
"""How the name of a power module's status begins; its index follows."""

LAST_TEST: Final = "last_isolation_test"
"""The status that is an instant: when isolation was tested last."""

Place = tuple[int, int]
"""Device and connector."""

SpanKey = tuple[int, int, int]
"""Device, connector, and the start (ms) of the minute or the hour."""


class Extremes(NamedTuple):
    """The lowest, highest and last value of one metric within a span."""

    low: float
    high: float
    last: float


class Measured(NamedTuple):
    """Extremes that can be put together in any order: ``at_ms`` is when the last was measured."""

    low: float
    high: float
    last: float
    at_ms: int


class Said(NamedTuple):
    """The last word of a status, and when it was said (ms)."""

    word: str
    at_ms: int


class Folded(NamedTuple):
    """What a span's samples come to, by name."""

    numbers: dict[str, Measured]
    words: dict[str, Said]


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


class FoldedRow(NamedTuple):
    """A minute or an hour of a connector as it is stored."""

    key: SpanKey
    folded: Folded

    def span(self) -> HealthSpan:
        """Return it for those who read it."""
        numbers, words = self.folded
        return HealthSpan(
            *self.key,
            {name: Extremes(*one[:3]) for name, one in numbers.items()},
            {name: one.word for name, one in words.items()},
        )
