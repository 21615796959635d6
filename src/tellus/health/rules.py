"""Samples folded to spans, spans put together; in any order, and any number of times."""

from collections.abc import Iterable, Sequence
from functools import reduce
from itertools import islice
from typing import Final

from msgspec.structs import astuple

from tellus.fleet.model import Reading
from tellus.fleet.model_health import ComponentHealth
from tellus.health.model import METRICS, WORDS, Folded, FoldedRow, Measured, Said
from tellus.kernel.units import HOUR_MS, MINUTE_MS, to_text

Told = tuple[int, Reading]
"""When a sample was taken (ms), and what it says."""

_OWN: Final = len(METRICS) - 1
"""How many of the numbers are fields of component health; the last is the connector's own."""
_MODULES: Final = ComponentHealth.__struct_fields__.index("modules")
_TESTED: Final = ComponentHealth.__struct_fields__.index("last_isolation_test_ms")


def minute_of(time_ms: int) -> int:
    """Return the start (ms) of the minute that an instant lies in."""
    return time_ms - time_ms % MINUTE_MS


def hour_of(time_ms: int) -> int:
    """Return the start (ms) of the hour that an instant lies in."""
    return time_ms - time_ms % HOUR_MS


def fold(told: Iterable[Told]) -> Folded:
    """Return what samples that tell of parts come to."""
    by_time = dict[int, list[Reading]]()
    for time_ms, reading in told:
        by_time.setdefault(time_ms, []).append(reading)
    if all(len(readings) == 1 for readings in by_time.values()):
        return _fold_series([(time_ms, by_time[time_ms][0]) for time_ms in sorted(by_time)])
    # Different samples of one instant: none of them comes last, so they are put together.
    parts = [_fold_series([(at_ms, one)]) for at_ms, some in by_time.items() for one in some]
    return put_together(parts)


def _fold_series(told: Sequence[Told]) -> Folded:
    """Fold samples that are in order of time, each instant once."""
    times_ms = [time_ms for time_ms, _ in told]
    columns = list(
        zip(*(astuple(one.component_health or _NOTHING) for _, one in told), strict=True)
    )
    numbers: dict[str, Measured] = {}
    own = [one.temperature_c for _, one in told]
    for name, column in zip(METRICS, (*islice(columns, _OWN), own), strict=True):
        values = [value for value in column if value is not None]
        if values:
            last_ms = times_ms[-1] if column[-1] is not None else _last_told(times_ms, column)
            numbers[name] = Measured(min(values), max(values), values[-1], last_ms)
    words: dict[str, Said] = {}
    for name, column in zip(WORDS, columns[_OWN:_MODULES], strict=True):
        for time_ms, word in zip(times_ms, column, strict=True):
            if word is not None:
                words[name] = Said(word, time_ms)
    for time_ms, modules, tested_ms in zip(
        times_ms, columns[_MODULES], columns[_TESTED], strict=True
    ):
        for index, status in modules or ():
            words[f"module_{index}"] = Said(status, time_ms)
        if tested_ms is not None:
            words["last_isolation_test"] = Said(to_text(tested_ms), time_ms)
    return Folded(numbers, words)


def _last_told(times_ms: Sequence[int], column: Sequence[float | None]) -> int:
    return max(at_ms for at_ms, value in zip(times_ms, column, strict=True) if value is not None)


def merge(one: Folded, other: Folded) -> Folded:
    """Put two spans together; of two last values of one instant the larger counts."""
    numbers = dict(one.numbers)
    for name, measured in other.numbers.items():
        held = numbers.get(name)
        numbers[name] = measured if held is None else _widen(held, measured)
    words = dict(one.words)
    for name, said in other.words.items():
        before = words.get(name)
        if before is None or (said.at_ms, said.word) > (before.at_ms, before.word):
            words[name] = said
    return Folded(numbers, words)


def put_together(parts: Iterable[Folded]) -> Folded:
    """Put any number of spans together."""
    return reduce(merge, parts, Folded({}, {}))


def _widen(one: Measured, other: Measured) -> Measured:
    later = max(one, other, key=_when)
    return Measured(min(one.low, other.low), max(one.high, other.high), later.last, later.at_ms)


def _when(measured: Measured) -> tuple[int, float]:
    return measured.at_ms, measured.last


def to_hours(minutes: Iterable[FoldedRow]) -> dict[tuple[int, int, int], Folded]:
    """Return the hours that minutes come to, by device, connector and start (ms)."""
    hours: dict[tuple[int, int, int], Folded] = {}
    for (device_no, connector_id, minute_ms), folded in minutes:
        key = (device_no, connector_id, hour_of(minute_ms))
        held = hours.get(key)
        hours[key] = folded if held is None else merge(held, folded)
    return hours


_NOTHING: Final = ComponentHealth()
