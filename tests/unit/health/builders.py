"""Samples that tell of parts, and what they ought to come to, worked out one value at a time."""

from collections.abc import Iterable, Sequence
from typing import Any

from hypothesis import strategies as st

from tellus.fleet.model import HealthReading
from tellus.fleet.model_health import ComponentHealth
from tellus.health.model import METRICS, Folded, FoldedRow, Measured, Said
from tellus.health.rules import Told
from tellus.kernel.units import to_text
from tellus.telemetry.model import Sample
from tellus.telemetry.rules import make_sample

NUMBERS = METRICS[:-1]


def reading(temperature_c: float | None = None, **health: Any) -> HealthReading:
    """A reading of an idle connector that tells of parts."""
    told = ComponentHealth(**health)
    plain = ("idle", 0.0, 0.0, 0.0, 0.0, None, temperature_c)
    return HealthReading(*plain, component_health=told)


def sample(
    time_ms: int, device_no: int = 1, *, received_ms: int | None = None, **health: Any
) -> Sample:
    """A sample that tells of parts, received when it was taken unless told otherwise."""
    connector_id = health.pop("connector_id", 1)
    came_ms = time_ms if received_ms is None else received_ms
    return make_sample(device_no, connector_id, time_ms, came_ms, reading(**health))


def row(start_ms: int, place: tuple[int, int] = (1, 1), **values: float | str) -> FoldedRow:
    """A span in which each metric had one value, a moment after its start."""
    numbers, words = {}, {}
    for name, value in values.items():
        if isinstance(value, str):
            words[name] = Said(value, start_ms + 1)
        else:
            numbers[name] = Measured(value, value, value, start_ms + 1)
    return FoldedRow((*place, start_ms), Folded(numbers, words))


WORD = st.sampled_from(["ok", "warning", "fault"])
VALUE = st.one_of(st.integers(0, 50), st.floats(0, 50).map(lambda one: round(one, 1)))
HEALTH = st.builds(
    ComponentHealth,
    **{name: st.none() | VALUE for name in NUMBERS},
    cooling_fan_status=st.none() | WORD,
    relay_state=st.none() | WORD,
    inverter_sync_status=st.none() | WORD,
    modules=st.none() | st.lists(st.tuples(st.integers(0, 3), WORD), max_size=3).map(tuple),
    last_isolation_test_ms=st.none() | st.integers(0, 10_000),
)
TOLD = st.lists(
    st.tuples(st.integers(0, 59_999), HEALTH, st.none() | VALUE), min_size=1, max_size=12
)


def expected(told: Iterable[Told]) -> Folded:
    """What samples come to, by the definition of each value and not by how it is made."""
    numbers: dict[str, list[tuple[int, float]]] = {}
    words: dict[str, list[tuple[int, str]]] = {}
    for time_ms, health, temperature_c in told:
        values: dict[str, Any] = {name: getattr(health, name) for name in NUMBERS}
        values["temperature_c"] = temperature_c
        for name, value in values.items():
            if value is not None:
                numbers.setdefault(name, []).append((time_ms, value))
        for name, word in _words(health):
            words.setdefault(name, []).append((time_ms, word))
    return Folded(
        {name: _measured(points) for name, points in numbers.items()},
        {name: Said(*reversed(max(said))) for name, said in words.items()},
    )


def _measured(points: Sequence[tuple[int, float]]) -> Measured:
    values = [value for _, value in points]
    at_ms, last = max(points)
    return Measured(min(values), max(values), last, at_ms)


def _words(health: ComponentHealth) -> Iterable[tuple[str, str]]:
    for name in ("cooling_fan_status", "relay_state", "inverter_sync_status"):
        word = getattr(health, name)
        if word is not None:
            yield name, word
    # Of a module that is told of twice in one sample the first counts.
    yield from {f"module_{n}": word for n, word in reversed(health.modules or ())}.items()
    if health.last_isolation_test_ms is not None:
        yield "last_isolation_test", to_text(health.last_isolation_test_ms)
