"""Meter values: samples under OCPP's names, one value each."""

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Final

import msgspec
from msgspec import UNSET, Meta, UnsetType

from tellus.fleet.model import ConnectorId
from tellus.kernel.call import Call, Nothing
from tellus.kernel.errors import InvalidParameter, MissingParameter, NotFound
from tellus.kernel.paging import read_cursor, write_cursor
from tellus.kernel.tables import Column, Kind, Row, Table
from tellus.kernel.units import HOUR_MS, to_ms, to_text
from tellus.telemetry.meter_values import Key, MeterValueService, Span, Taken, first_key
from tellus.telemetry.model_measurands import CONTEXT, Measurand, MeterValue

_DEFAULT_RANGE_MS: Final = HOUR_MS
_CURSOR_SHAPE: Final = (int, int, int, int)
_NAMES: Final = {one.value.lower(): one for one in Measurand}
_COLUMNS: Final = (
    Column("timestamp", Kind.TIME),
    Column("device_id"),
    Column("connector_id", Kind.INTEGER),
    Column("measurand"),
    Column("phase"),
    Column("value", Kind.NUMBER),
    Column("unit"),
    Column("context"),
    Column("location"),
)

Wanted = frozenset[Measurand] | None


class MeterValueQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Values of a device, or of one session, in ``[since, until)``.

    Without ``since`` those of the hour before ``until``, of a session all. ``measurand`` lists
    OCPP's names with commas between; all by default.
    """

    device_id: Annotated[str, Meta(min_length=1, max_length=64)] | UnsetType = UNSET
    connector_id: ConnectorId | UnsetType = UNSET
    session_id: Annotated[str, Meta(min_length=1, max_length=64)] | UnsetType = UNSET
    since: datetime | UnsetType = UNSET
    until: datetime | UnsetType = UNSET
    measurand: Annotated[str, Meta(min_length=1, max_length=400)] | UnsetType = UNSET
    size: Annotated[int, Meta(ge=1, le=1000)] = 100
    cursor: Annotated[str, Meta(max_length=200)] | UnsetType = UNSET


class MeterValueItem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One value of one sample, in the words of OCPP 1.6 and 2.0.1.

    ``Import`` is into the vehicle, ``Export`` out of it and without a sign. The energy registers
    are those of the session, which start at 0. ``phase`` is there for a phase of the AC supply.
    """

    timestamp: str = msgspec.field()
    device_id: str = msgspec.field()
    connector_id: int = msgspec.field()
    measurand: Measurand = msgspec.field()
    phase: str | UnsetType = UNSET
    value: float = msgspec.field()
    unit: str = msgspec.field()
    context: str = msgspec.field()
    location: str = msgspec.field()


class MeterValuePage(msgspec.Struct, frozen=True, omit_defaults=True):
    """Values in order of time; ``next_cursor`` is there while the range holds more."""

    items: list[MeterValueItem] = msgspec.field()
    next_cursor: str | UnsetType = UNSET


async def list_meter_values(
    values: MeterValueService, call: Call[Nothing, MeterValueQuery]
) -> MeterValuePage:
    """Return a page of values, oldest first."""
    query = call.query
    wanted = _read_measurands(query.measurand)
    span = await _to_span(values, call)
    after, skipped = first_key(span.from_ms), -1
    if query.cursor is not UNSET:
        *place, skipped = read_cursor(query.cursor, *_CURSOR_SHAPE)
        after = Key(*place)
    found, reached_ms = await values.read(span, after, enough=query.size)
    items: list[MeterValueItem] = []
    last = (*after, skipped)
    for taken in found:
        for number, value in enumerate(taken.values()):
            place_of_value = (*taken.key, number)
            if place_of_value <= (*after, skipped) or not _is_wanted(value, wanted):
                continue
            if len(items) == query.size:
                return MeterValuePage(items, write_cursor(*last))
            items.append(_to_item(span.device_id, taken, value))
            last = place_of_value
    if reached_ms < span.to_ms:
        return MeterValuePage(items, write_cursor(*first_key(reached_ms), -1))
    return MeterValuePage(items)


async def tabulate_meter_values(
    values: MeterValueService, call: Call[Nothing, MeterValueQuery]
) -> Table[Taken]:
    """Return all values that match, oldest first."""
    wanted = _read_measurands(call.query.measurand)
    span = await _to_span(values, call)

    def to_rows(taken: Taken) -> Iterator[Row]:
        time_ms, place = taken.sample.time_ms, (span.device_id, taken.connector_id)
        for value in taken.values():
            if _is_wanted(value, wanted):
                words = (value.measurand.value, value.phase, value.value, value.unit.value)
                yield (time_ms, *place, *words, CONTEXT, value.location.value)

    return Table("meter-values", _COLUMNS, values.pages(span), to_rows)


async def _to_span(values: MeterValueService, call: Call[Nothing, MeterValueQuery]) -> Span:
    """Return which samples a query is about.

    Raises:
        MissingParameter: neither a device nor a session is named.
        NotFound: they are not the operator's, or the session was elsewhere.
        InvalidParameter: the range is empty.
    """
    query, operator_id = call.query, call.principal.operator_id
    to = call.now_ms + 1 if query.until is UNSET else to_ms(query.until)
    start = None if query.since is UNSET else to_ms(query.since)
    if start is not None and start >= to:
        message = "Parameter 'since' must be before 'until'"
        raise InvalidParameter(message, "since", to_text(start))
    number = None if query.connector_id is UNSET else query.connector_id
    if query.session_id is not UNSET:
        session = await values.find_session(query.session_id, operator_id)
        device_id = session.device_id
        connectors: tuple[int, ...] = (session.connector_id,)
        start = session.start_ms if start is None else max(start, session.start_ms)
        # A sample at the very end still tells of the session.
        to = to if session.end_ms is None else min(to, session.end_ms + 1)
        if query.device_id not in (UNSET, device_id) or number not in (None, *connectors):
            raise NotFound
    elif query.device_id is UNSET:
        raise MissingParameter("device_id")
    else:
        device_id = query.device_id
        connectors = values.list_connectors(device_id, operator_id)
        start = to - _DEFAULT_RANGE_MS if start is None else start
        connectors = connectors if number is None else (number,)
    return Span(device_id, operator_id, connectors, start, to)


def _read_measurands(text: str | UnsetType) -> Wanted:
    """Return the measurands of a list with commas between, None for all.

    Raises:
        InvalidParameter: there is none of such a name.
    """
    if text is UNSET:
        return None
    names = [name.strip() for name in text.split(",")]
    unknown = next((name for name in names if name.lower() not in _NAMES), None)
    if unknown is not None:
        message = f"Parameter 'measurand' takes {', '.join(Measurand)}"
        raise InvalidParameter(message, "measurand", unknown)
    return frozenset(_NAMES[name.lower()] for name in names)


def _is_wanted(value: MeterValue, wanted: Wanted) -> bool:
    return wanted is None or value.measurand in wanted


def _to_item(device_id: str, taken: Taken, value: MeterValue) -> MeterValueItem:
    return MeterValueItem(
        timestamp=to_text(taken.sample.time_ms),
        device_id=device_id,
        connector_id=taken.connector_id,
        measurand=value.measurand,
        phase=UNSET if value.phase is None else value.phase,
        value=value.value,
        unit=value.unit.value,
        context=CONTEXT,
        location=value.location.value,
    )
