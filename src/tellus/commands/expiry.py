"""How long each kind of command waits for its charger, as configured."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from tellus.commands.model import (
    APPLY_CONFIG_PROFILE,
    DISCHARGE,
    FETCH_LOGS,
    FIRMWARE_UPGRADE,
    KINDS,
    SET_POWER_LIMIT,
    SET_SCHEDULE,
    START,
    STOP,
)
from tellus.kernel.units import SECOND_MS

_SETTINGS: Final[Mapping[str, str]] = MappingProxyType(
    {
        START: "start_expires_s",
        STOP: "stop_expires_s",
        DISCHARGE: "discharge_expires_s",
        SET_POWER_LIMIT: "power_limit_expires_s",
        SET_SCHEDULE: "schedule_expires_s",
        FIRMWARE_UPGRADE: "firmware_expires_s",
        APPLY_CONFIG_PROFILE: "configuration_expires_s",
        FETCH_LOGS: "fetch_logs_expires_s",
    }
)
_ANY_OTHER: Final = "diagnostic_expires_s"


def read_lives_ms(settings: Mapping[str, int]) -> dict[str, int]:
    """Return how long (ms) each command lives, from the values of the settings by name (s)."""
    return {name: settings[_SETTINGS.get(name, _ANY_OTHER)] * SECOND_MS for name in KINDS}
