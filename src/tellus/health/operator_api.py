"""Component health as operators read it."""

from datetime import datetime
from typing import Annotated, Final, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from tellus.fleet.model import ConnectorId
from tellus.health.model import LAST_TEST, METRICS, MODULE, WORDS, FoldedRow
from tellus.health.model_view import ConnectorHealth, MetricView, Wear, WordView
from tellus.health.queries import Asked, HealthQueries, Resolution
from tellus.kernel.call import Call, Nothing
from tellus.kernel.errors import InvalidParameter
from tellus.kernel.paging import read_cursor, write_cursor
from tellus.kernel.units import DAY_MS, HOUR_MS, to_ms, to_text

_STATUSES: Final = (*WORDS, LAST_TEST)
_BY_MINUTE_MS: Final = 6 * HOUR_MS
_DIGITS: Final = 6
_METRIC_WORDS: Final = (
    "A number (`cooling_fan_rpm`) or a status (`relay_state`, `module_0`), as the device's"
    " component health names it."
)


class HealthHistoryQuery(msgspec.Struct, frozen=True, kw_only=True):
    """A metric of a connector in ``[start_time, end_time)``; by default that of the last day.

    Without a ``resolution`` it is by the minute up to six hours, and by the hour beyond.
    """

    metric: Annotated[str, Meta(min_length=1, max_length=64, description=_METRIC_WORDS)]
    connector_id: ConnectorId = 1
    start_time: datetime | UnsetType = UNSET
    end_time: datetime | UnsetType = UNSET
    resolution: Resolution | UnsetType = UNSET
    size: Annotated[int, Meta(ge=1, le=1000)] = 500
    cursor: Annotated[str, Meta(max_length=200)] | UnsetType = UNSET


class TrendItem(msgspec.Struct, frozen=True):
    """How fast a metric moves, in its unit a day, by so many points."""

    slope_per_day: float
    points: int


class MetricItem(msgspec.Struct, frozen=True, kw_only=True):
    """The newest value of a metric, its extremes of a day, its trends by window.

    A window for which there is too little has no trend.
    """

    value: float
    observed_at: str
    low_24h: float | UnsetType = UNSET
    high_24h: float | UnsetType = UNSET
    trends: dict[str, TrendItem]


class StatusItem(msgspec.Struct, frozen=True, kw_only=True):
    """The newest word of a status, and since when it is that, as far back as thirty days."""

    value: str
    observed_at: str
    since: str


class WearForecast(msgspec.Struct, frozen=True, kw_only=True):
    """When the rated life will be reached; ``latest_at`` is absent where it may never be."""

    expected_at: str
    earliest_at: str
    latest_at: str | UnsetType = UNSET


class WearRate(msgspec.Struct, frozen=True, kw_only=True):
    """Cycles a day, by so many whole days, and what is to be expected at least and at most."""

    cycles_per_day: float
    low_cycles_per_day: float
    high_cycles_per_day: float
    days: int


class WearItem(msgspec.Struct, frozen=True, kw_only=True):
    """A part's cycles against its rated life.

    There is either a ``forecast``, or the ``reason`` why there is none. ``rated_by`` says whether
    the charger told its rated life or it is that of its model. ``resets`` are when the counter was
    seen to begin anew in the last thirty days.
    """

    cycles: int
    observed_at: str
    rated_cycles: int | UnsetType = UNSET
    rated_by: Literal["charger", "model"] | UnsetType = UNSET
    remaining_cycles: int | UnsetType = UNSET
    used_pct: float | UnsetType = UNSET
    rate: WearRate | UnsetType = UNSET
    forecast: WearForecast | UnsetType = UNSET
    reason: (
        Literal["unknown_rated_life", "too_little_data", "no_wear", "too_far", "rated_life_reached"]
        | UnsetType
    ) = UNSET
    resets: list[str]


class ConnectorHealthItem(msgspec.Struct, frozen=True, kw_only=True):
    """The parts of a connector: ``metrics`` and ``statuses`` by name, ``wear`` by part."""

    connector_id: int
    observed_at: str
    metrics: dict[str, MetricItem]
    statuses: dict[str, StatusItem]
    wear: dict[str, WearItem]


class DeviceHealthItem(msgspec.Struct, frozen=True):
    """The parts of each connector of a device that reported any."""

    device_id: str
    connectors: list[ConnectorHealthItem]


class HealthPointItem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A metric within the minute or the hour that begins then.

    A number has its lowest, highest and last value, a status its last word in ``value``.
    """

    time: str = msgspec.field()
    low: float | UnsetType = UNSET
    high: float | UnsetType = UNSET
    last: float | UnsetType = UNSET
    value: str | UnsetType = UNSET


class HealthHistory(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A metric over time; ``next_cursor`` is there while the range may hold more."""

    device_id: str = msgspec.field()
    connector_id: int = msgspec.field()
    metric: str = msgspec.field()
    resolution: Resolution = msgspec.field()
    items: list[HealthPointItem] = msgspec.field()
    next_cursor: str | UnsetType = UNSET


async def get_component_health(
    health: HealthQueries, call: Call[Nothing, Nothing]
) -> DeviceHealthItem:
    """Return the newest state of a device's parts, with trends and wear."""
    device_id = call.path["device_id"]
    found = await health.read_device(device_id, call.principal.operator_id, call.now_ms)
    return DeviceHealthItem(device_id, [_connector_item(one) for one in found])


async def list_component_history(
    health: HealthQueries, call: Call[Nothing, HealthHistoryQuery]
) -> HealthHistory:
    """Return a metric of a connector by the minute or the hour, oldest first."""
    query = call.query
    if not _is_known(query.metric):
        names = ", ".join((*METRICS, *_STATUSES, f"{MODULE}<index>"))
        raise InvalidParameter(f"Parameter 'metric' is one of {names}", "metric", query.metric)
    asked = _read_asked(query, call.now_ms)
    device_id = call.path["device_id"]
    rows, next_ms = await health.read_history(
        device_id, call.principal.operator_id, query.connector_id, asked
    )
    points = (_point_item(query.metric, row) for row in rows)
    return HealthHistory(
        device_id=device_id,
        connector_id=query.connector_id,
        metric=query.metric,
        resolution=asked.resolution,
        items=[point for point in points if point is not None],
        next_cursor=UNSET if next_ms is None else write_cursor(next_ms),
    )


def _read_asked(query: HealthHistoryQuery, now_ms: int) -> Asked:
    to = now_ms + 1 if query.end_time is UNSET else to_ms(query.end_time)
    start = to - DAY_MS if query.start_time is UNSET else to_ms(query.start_time)
    if start >= to:
        message = "Parameter 'start_time' must be before 'end_time'"
        raise InvalidParameter(message, "start_time", to_text(start))
    short: Resolution = "minute" if to - start <= _BY_MINUTE_MS else "hour"
    resolution = short if query.resolution is UNSET else query.resolution
    if query.cursor is not UNSET:
        (after,) = read_cursor(query.cursor, int)
        start = max(start, after)
    return Asked(resolution, start, to, query.size)


def _is_known(metric: str) -> bool:
    if metric in METRICS or metric in _STATUSES:
        return True
    return metric.startswith(MODULE) and metric.removeprefix(MODULE).isdecimal()


def _connector_item(found: ConnectorHealth) -> ConnectorHealthItem:
    return ConnectorHealthItem(
        connector_id=found.connector_id,
        observed_at=to_text(found.observed_ms),
        metrics={name: _metric_item(one) for name, one in found.metrics.items()},
        statuses={name: _status_item(one) for name, one in found.words.items()},
        wear={part: _wear_item(one) for part, one in found.wear.items()},
    )


def _metric_item(view: MetricView) -> MetricItem:
    return MetricItem(
        value=view.newest.last,
        observed_at=to_text(view.newest.at_ms),
        low_24h=UNSET if view.day is None else view.day[0],
        high_24h=UNSET if view.day is None else view.day[1],
        trends={
            window: TrendItem(round(trend.slope_per_day, _DIGITS), trend.points)
            for window, trend in view.trends.items()
        },
    )


def _status_item(view: WordView) -> StatusItem:
    said = view.newest
    return StatusItem(
        value=said.word, observed_at=to_text(said.at_ms), since=to_text(view.since_ms)
    )


def _wear_item(wear: Wear) -> WearItem:
    rated, rate, forecast = wear.rated, wear.rate, wear.forecast
    return WearItem(
        cycles=wear.cycles,
        observed_at=to_text(wear.at_ms),
        rated_cycles=UNSET if rated is None else rated.cycles,
        rated_by=UNSET if rated is None else rated.by.value,
        remaining_cycles=UNSET if rated is None else max(0, rated.cycles - wear.cycles),
        used_pct=UNSET if rated is None else round(100 * wear.cycles / rated.cycles, 2),
        rate=UNSET
        if rate is None
        else WearRate(
            cycles_per_day=round(rate.per_day, _DIGITS),
            low_cycles_per_day=round(rate.low_per_day, _DIGITS),
            high_cycles_per_day=round(rate.high_per_day, _DIGITS),
            days=rate.days,
        ),
        forecast=UNSET
        if forecast is None
        else WearForecast(
            expected_at=to_text(forecast.expected_ms),
            earliest_at=to_text(forecast.earliest_ms),
            latest_at=UNSET if forecast.latest_ms is None else to_text(forecast.latest_ms),
        ),
        reason=UNSET if wear.reason is None else wear.reason.value,
        resets=[to_text(one) for one in wear.resets_ms],
    )


def _point_item(metric: str, row: FoldedRow) -> HealthPointItem | None:
    time = to_text(row.key[2])
    measured = row.folded.numbers.get(metric)
    if measured is not None:
        low, high, last, _ = measured
        return HealthPointItem(time=time, low=low, high=high, last=last)
    said = row.folded.words.get(metric)
    return None if said is None else HealthPointItem(time=time, value=said.word)
