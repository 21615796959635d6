"""A connector's parts as they are seen: newest values, trends, wear, how long a word holds."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from tellus.health.model import FoldedRow
from tellus.health.model_view import ConnectorHealth, MetricView, Wear, WordView
from tellus.health.rules_trends import trends_of
from tellus.health.rules_wear import find_rated, wear_of
from tellus.kernel.units import DAY_MS

COUNTERS: Final[Mapping[str, tuple[str, str | None]]] = MappingProxyType(
    {
        "contactor": ("contactor_cycles", "contactor_max_cycles"),
        "inverter": ("inverter_cycles", "inverter_max_cycles"),
        "discharge_contactor": ("discharge_contactor_cycles", None),
    }
)
"""Parts that wear: their counters, and where a charger says after how many cycles."""

_CONTACTORS: Final = frozenset({"contactor", "discharge_contactor"})


def view_connector(
    newest: FoldedRow,
    hours: Sequence[FoldedRow],
    since_ms: Mapping[str, int],
    rated_contactor: int | None,
    now_ms: int,
) -> ConnectorHealth:
    """Return the parts of a connector, by what it said last and by its hours in order of time.

    ``since_ms`` is since when each word holds; ``rated_contactor`` is the rated life of contactors
    of the model, None where it is not known.
    """
    numbers, words = newest.folded
    observed = [*(one.at_ms for one in numbers.values()), *(one.at_ms for one in words.values())]
    metrics = {
        name: MetricView(one, _extremes(name, hours, now_ms), trends_of(name, hours, now_ms))
        for name, one in numbers.items()
    }
    statuses = {
        name: WordView(said, min(since_ms.get(name, said.at_ms), said.at_ms))
        for name, said in words.items()
    }
    return ConnectorHealth(
        newest.key[1],
        max(observed, default=newest.key[2]),
        metrics,
        statuses,
        _wear(hours, rated_contactor),
    )


def _wear(hours: Sequence[FoldedRow], rated_contactor: int | None) -> dict[str, Wear]:
    found = {}
    for part, (counter, most) in COUNTERS.items():
        points = [
            (one.at_ms, one.last)
            for row in hours
            if (one := row.folded.numbers.get(counter)) is not None
        ]
        if points:
            reported = None if most is None else _newest(hours, most)
            by_model = rated_contactor if part in _CONTACTORS else None
            found[part] = wear_of(points, find_rated(reported, by_model))
    return found


def _newest(hours: Sequence[FoldedRow], name: str) -> float | None:
    known = (row.folded.numbers.get(name) for row in reversed(hours))
    return next((one.last for one in known if one is not None), None)


def _extremes(name: str, hours: Sequence[FoldedRow], now_ms: int) -> tuple[float, float] | None:
    """Return the lowest and highest value of the hours that began within a day."""
    found = [
        one
        for row in hours
        if row.key[2] >= now_ms - DAY_MS and (one := row.folded.numbers.get(name)) is not None
    ]
    if not found:
        return None
    return min(one.low for one in found), max(one.high for one in found)


def find_run(name: str, rows: Sequence[FoldedRow]) -> FoldedRow | None:
    """Return the row from which on a status has its newest word.

    That is the first of those at the end of ``rows``, which are in order of time, whose last word
    it is; rows that say nothing of it are passed over. None where none says any.
    """
    first: FoldedRow | None = None
    word = ""
    for row in reversed(rows):
        said = row.folded.words.get(name)
        if said is None:
            continue
        if first is not None and said.word != word:
            break
        first, word = row, said.word
    return first
