"""Samples folded to spans, spans put together; in any order, and any number of times."""

from collections.abc import Iterable, Sequence
from functools import reduce
from typing import Any, Final

from msgspec.structs import astuple

from tellus.fleet.model_health import ComponentHealth
from tellus.health.model import LAST_TEST, METRICS, MODULE, WORDS, Folded, FoldedRow, Measured, Said
from tellus.kernel.units import HOUR_MS, MINUTE_MS, to_text

Told = tuple[int, ComponentHealth, float | None]
"""When a sample was taken (ms), what it tells of parts, and the connector's temperature (°C)."""

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


def words_of(told: Told) -> tuple[Any, ...]:
    """Return the statuses of a sample, to be compared with those of another."""
    health = told[1]
    return (
        health.cooling_fan_status,
        health.relay_state,
        health.inverter_sync_status,
        health.modules,
    )


def fold(told: Sequence[Told]) -> Folded:
    """Return what samples that tell of parts come to."""
    if len({one[0] for one in told}) < len(told):
        # Different samples of one instant: none of them comes last, so they are put together.
        return put_together(_fold_series([one]) for one in told)
    return _fold_series(sorted(told, key=_time))


def _time(told: Told) -> int:
    return told[0]


def _fold_series(told: Sequence[Told]) -> Folded:
    """Fold samples that are in order of time, each instant once."""
    times_ms = [one[0] for one in told]
    columns = list(zip(*[astuple(one[1]) for one in told], strict=True))
    numbers: dict[str, Measured] = {}
    own = [one[2] for one in told]
    for name, column in zip(METRICS, (*columns[:_OWN], own), strict=True):
        place = _last_place(column)
        if place is not None:
            known = [value for value in column if value is not None] if None in column else column
            numbers[name] = Measured(min(known), max(known), column[place], times_ms[place])
    words: dict[str, Said] = {}
    for name, column in zip(WORDS, columns[_OWN:_MODULES], strict=True):
        place = _last_place(column)
        if place is not None:
            words[name] = Said(column[place], times_ms[place])
    place = _last_place(columns[_TESTED])
    if place is not None:
        words[LAST_TEST] = Said(to_text(columns[_TESTED][place]), times_ms[place])
    before: Any = None
    for time_ms, modules in zip(reversed(times_ms), reversed(columns[_MODULES]), strict=True):
        if modules != before:
            for index, status in modules or ():
                words.setdefault(f"{MODULE}{index}", Said(status, time_ms))
            before = modules
    return Folded(numbers, words)


def _last_place(column: Sequence[Any]) -> int | None:
    """Return the place of the last value that was sent, None where none was."""
    place = len(column) - 1
    while place >= 0 and column[place] is None:
        place -= 1
    return None if place < 0 else place


def merge(one: Folded, other: Folded) -> Folded:
    """Put two spans together; of two last values of one instant the larger counts."""
    numbers = dict(one.numbers)
    for name, measured in other.numbers.items():
        held = numbers.get(name)
        if held != measured:
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
    low, high, last, at_ms = one
    low_too, high_too, last_too, at_too_ms = other
    if (at_too_ms, last_too) > (at_ms, last):
        last, at_ms = last_too, at_too_ms
    return Measured(min(low_too, low), max(high, high_too), last, at_ms)


def to_hours(minutes: Iterable[FoldedRow]) -> dict[tuple[int, int, int], Folded]:
    """Return the hours that minutes come to, by device, connector and start (ms)."""
    hours: dict[tuple[int, int, int], Folded] = {}
    for (device_no, connector_id, minute_ms), folded in minutes:
        key = (device_no, connector_id, hour_of(minute_ms))
        held = hours.get(key)
        hours[key] = folded if held is None else merge(held, folded)
    return hours
