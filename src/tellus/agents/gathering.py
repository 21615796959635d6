"""What the agents look at, read for the devices of one operator."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from math import log10
from typing import Final

from tellus.agents.model import Place, Readings, Unit
from tellus.agents.rules_anomaly import WATCHED
from tellus.agents.rules_robust import quantile
from tellus.fleet.directory import Device
from tellus.health.model import HealthSpan
from tellus.kernel.units import DAY_MS, HOUR_MS

WINDOW_MS: Final = DAY_MS
"""The span that is judged, up to now."""

PAST_DAYS: Final = 28
"""Days before the window that it is judged by."""

_FEWEST_HOURS_OF_DAY: Final = 3
_OF_CABINET: Final = frozenset(
    {"cooling_fan_rpm", "temp_power_module_c", "temp_control_board_c", "temp_ac_inlet_c"}
)
"""Metrics of the whole unit: whichever connector's sample told them."""

_MOST_OF_A_LOG: Final = 1e-3


def to_unit(device: Device) -> Unit:
    """Return a device as agents see it."""
    return Unit(
        device.device_no,
        device.device_id,
        device.operator_id,
        device.site_id,
        device.model,
        device.firmware_version,
    )


def make_readings(device: Device, hours: Iterable[HealthSpan], now_ms: int) -> list[Readings]:
    """Return what each watched metric of a device was, now and by day, from its hours."""
    series: dict[tuple[int, str], list[tuple[int, float]]] = defaultdict(list)
    for hour in hours:
        for metric, extremes in hour.metrics.items():
            watched = WATCHED.get(metric)
            if watched is None:
                continue
            connector_id = 0 if metric in _OF_CABINET else hour.connector_id
            value = extremes.high if watched.bad > 0 else extremes.last
            series[connector_id, metric].append((hour.start_ms, value))
    return list(_to_readings(device, series, now_ms))


def _to_readings(
    device: Device, series: dict[tuple[int, str], list[tuple[int, float]]], now_ms: int
) -> Iterator[Readings]:
    from_ms = now_ms - WINDOW_MS
    for (connector_id, metric), points in series.items():
        now = [value for start_ms, value in points if start_ms + HOUR_MS > from_ms]
        if not now:
            continue
        by_day: dict[int, list[float]] = defaultdict(list)
        for start_ms, value in points:
            if start_ms + HOUR_MS <= from_ms:
                by_day[(from_ms - start_ms - 1) // DAY_MS].append(value)
        days = [
            _stand_for(metric, values)
            for values in by_day.values()
            if len(values) >= _FEWEST_HOURS_OF_DAY
        ]
        place = Place(
            device.device_no, connector_id, device.operator_id, device.site_id, device.model
        )
        yield Readings(place, metric, _stand_for(metric, now), len(now), days)


def _stand_for(metric: str, values: Sequence[float]) -> float:
    """Return the value that stands for a span's hours."""
    watched = WATCHED[metric]
    value = quantile(values, watched.share)
    return log10(max(value, _MOST_OF_A_LOG)) if watched.logarithmic else value
