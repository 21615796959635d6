"""What is left of samples once they have outlived the raw tier."""

from typing import NamedTuple

Hour = tuple[int, int, int]
"""Device, connector, and the clock hour (ms)."""


class MinuteMean(NamedTuple):
    """What one connector did in one clock minute, as the samples of that minute told it.

    Means are over ``samples`` samples, that of the temperature over ``temperatures`` of them.
    ``energy_kwh`` (the session's counter), ``soc_pct`` and the states are the last that were sent,
    at ``last_ms`` or, for the state of charge, before it in that minute. Power is positive into
    the vehicle.
    """

    minute_ms: int
    samples: int
    last_ms: int
    state: str
    voltage_v: float
    current_a: float
    power_kw: float
    energy_kwh: float
    soc_pct: int | None = None
    temperature_c: float | None = None
    temperatures: int = 0
    detail_state: str | None = None
