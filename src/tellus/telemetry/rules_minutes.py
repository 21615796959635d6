"""Means of one minute: made of samples, and put together where samples came late."""

from collections.abc import Iterable, Sequence
from itertools import groupby
from math import fsum

from tellus.kernel.units import MINUTE_MS
from tellus.telemetry.model import PastSample
from tellus.telemetry.model_minutes import MinuteMean


def means_of(samples: Iterable[PastSample]) -> list[MinuteMean]:
    """Return the minutes of a connector's samples, which are in order of time.

    What a clock that ran ahead has dated counts for nothing: its minute is another one.
    """
    trusted = (sample for sample in samples if not sample.clock_suspect)
    return [
        _mean(minute * MINUTE_MS, list(group))
        for minute, group in groupby(trusted, key=lambda sample: sample.time_ms // MINUTE_MS)
    ]


def merge_means(held: Iterable[MinuteMean], late: Iterable[MinuteMean]) -> list[MinuteMean]:
    """Return the minutes of both, by how many samples each stands for where both have one."""
    merged = {mean.minute_ms: mean for mean in held}
    for mean in late:
        known = merged.get(mean.minute_ms)
        merged[mean.minute_ms] = mean if known is None else _join(known, mean)
    return [merged[minute_ms] for minute_ms in sorted(merged)]


def received_to(samples: Iterable[PastSample]) -> int:
    """Return when the newest of ``samples`` to arrive arrived (ms)."""
    return max(sample.received_ms for sample in samples)


def _mean(minute_ms: int, samples: Sequence[PastSample]) -> MinuteMean:
    readings = [sample.reading for sample in samples]
    last = readings[-1]
    temperatures = [one.temperature_c for one in readings if one.temperature_c is not None]
    count = len(readings)
    return MinuteMean(
        minute_ms,
        count,
        samples[-1].time_ms,
        last.state,
        fsum(one.voltage_v for one in readings) / count,
        fsum(one.current_a for one in readings) / count,
        fsum(one.power_kw for one in readings) / count,
        last.energy_kwh,
        next((one.soc_pct for one in reversed(readings) if one.soc_pct is not None), None),
        fsum(temperatures) / len(temperatures) if temperatures else None,
        len(temperatures),
        last.detail_state,
    )


def _join(held: MinuteMean, late: MinuteMean) -> MinuteMean:
    count = held.samples + late.samples
    temperatures = held.temperatures + late.temperatures
    last, first = (held, late) if held.last_ms >= late.last_ms else (late, held)
    return MinuteMean(
        held.minute_ms,
        count,
        last.last_ms,
        last.state,
        (held.voltage_v * held.samples + late.voltage_v * late.samples) / count,
        (held.current_a * held.samples + late.current_a * late.samples) / count,
        (held.power_kw * held.samples + late.power_kw * late.samples) / count,
        last.energy_kwh,
        first.soc_pct if last.soc_pct is None else last.soc_pct,
        _temperature(held, late, temperatures),
        temperatures,
        last.detail_state,
    )


def _temperature(held: MinuteMean, late: MinuteMean, temperatures: int) -> float | None:
    if not temperatures:
        return None
    total = sum(
        mean.temperature_c * mean.temperatures
        for mean in (held, late)
        if mean.temperature_c is not None
    )
    return total / temperatures
