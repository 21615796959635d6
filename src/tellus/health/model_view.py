"""What is said of a charger's parts over time: trends, and when a part will be worn."""

import enum
from typing import NamedTuple

from tellus.health.model import Measured, Said


class Trend(NamedTuple):
    """How fast a metric moves (its unit a day), by so many points."""

    slope_per_day: float
    points: int


class RatedBy(enum.StrEnum):
    """Where a rated life is from: the charger said it, or it is that of units of its kind."""

    CHARGER = "charger"
    MODEL = "model"


class NoForecast(enum.StrEnum):
    """Why there is no forecast."""

    UNKNOWN_RATED_LIFE = "unknown_rated_life"
    TOO_LITTLE_DATA = "too_little_data"
    NO_WEAR = "no_wear"
    TOO_FAR = "too_far"
    REACHED = "rated_life_reached"


class Rate(NamedTuple):
    """Cycles a day: the mean of so many whole days, and what may be expected at least and most."""

    per_day: float
    low_per_day: float
    high_per_day: float
    days: int


class Forecast(NamedTuple):
    """When a rated life will be reached (ms); ``latest_ms`` None is not within a century."""

    expected_ms: int
    earliest_ms: int
    latest_ms: int | None


class RatedLife(NamedTuple):
    """After how many cycles a part is worn, and who says so."""

    cycles: int
    by: RatedBy


class Wear(NamedTuple):
    """A counter of cycles against the rated life of its part.

    There is either a forecast or a reason why there is none. ``resets_ms`` is when the counter was
    seen to begin anew.
    """

    cycles: int
    at_ms: int
    rated: RatedLife | None
    rate: Rate | None
    forecast: Forecast | None
    reason: NoForecast | None
    resets_ms: list[int]


class MetricView(NamedTuple):
    """A metric: its newest value, its extremes of the last day, its trends by window."""

    newest: Measured
    day: tuple[float, float] | None
    trends: dict[str, Trend]


class WordView(NamedTuple):
    """A status: its newest word, and since when (ms) it is that, as far back as is looked."""

    newest: Said
    since_ms: int


class ConnectorHealth(NamedTuple):
    """The parts of a connector."""

    connector_id: int
    observed_ms: int
    metrics: dict[str, MetricView]
    words: dict[str, WordView]
    wear: dict[str, Wear]
