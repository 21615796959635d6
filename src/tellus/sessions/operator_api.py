"""Charging records as operators read them."""

from datetime import datetime
from typing import Annotated, Any, Final

import msgspec
from msgspec import UNSET, Meta, UnsetType

from tellus.fleet.model import ConnectorId
from tellus.kernel.call import Call, Nothing
from tellus.kernel.paging import Page, PageQuery, read_cursor, write_cursor
from tellus.kernel.spans import read_span
from tellus.kernel.units import to_text
from tellus.sessions.model import ChargingRecord, Content, Position, RecordFilter
from tellus.sessions.service import RecordList, RecordService


class RecordQuery(PageQuery, frozen=True, kw_only=True):
    """Which records: times bound the start, ``[start_time, end_time)``.

    ``cursor`` continues after the page whose ``next_cursor`` it was; ``page`` then only counts.
    """

    device_id: Annotated[str, Meta(min_length=1, max_length=64)] | UnsetType = UNSET
    connector_id: ConnectorId | UnsetType = UNSET
    site_id: Annotated[str, Meta(min_length=1, max_length=64)] | UnsetType = UNSET
    start_time: datetime | UnsetType = UNSET
    end_time: datetime | UnsetType = UNSET
    cursor: Annotated[str, Meta(min_length=1, max_length=512)] | UnsetType = UNSET


class VehicleInfoItem(msgspec.Struct, frozen=True):
    """The vehicle of a record; ``vin`` as the client's setting says: whole, masked or absent."""

    vin: str | UnsetType = UNSET
    soc_start: int | UnsetType = UNSET
    soc_end: int | UnsetType = UNSET


class ChargingRecordItem(msgspec.Struct, frozen=True, kw_only=True):
    """A finished session: kWh, kW, times in UTC. The charger's further properties stand beside.

    ``site_id`` is where the charger stood when it sent the record, ``received_at`` when that was,
    ``flags`` what looked wrong: ``clock_suspect``, ``energy_implausible``, ``energy_mismatch``,
    ``negative_duration``, ``repeated_differently``.
    """

    record_id: str
    device_id: str
    connector_id: int
    start_time: str
    end_time: str
    energy: float
    max_power: float
    avg_power: float | UnsetType = UNSET
    cost: float | UnsetType = UNSET
    meter_start: float | UnsetType = UNSET
    meter_end: float | UnsetType = UNSET
    vehicle_info: VehicleInfoItem | UnsetType = UNSET
    site_id: str
    received_at: str
    flags: list[str]


RecordPage = Page[ChargingRecordItem]
_NAMED: Final = frozenset(ChargingRecordItem.__struct_fields__)
_CURSOR_SHAPE: Final = (int, str, int)


async def list_charging_records(
    records: RecordService, call: Call[Nothing, RecordQuery]
) -> Page[dict[str, Any]]:
    """Return a page of the operator's records, newest first, ties by id."""
    query = call.query
    after = None if query.cursor is UNSET else read_cursor(query.cursor, *_CURSOR_SHAPE)
    wanted = await to_filter(records, call)
    vin_mode = call.principal.vin_mode
    if after is None:
        found = await records.list_page(wanted, vin_mode, limit=query.size, offset=query.offset)
    else:
        position = Position(*after)
        found = await records.list_after(wanted, vin_mode, limit=query.size, position=position)
    return _to_page(query, found)


async def to_filter(records: RecordService, call: Call[Nothing, RecordQuery]) -> RecordFilter:
    """Return which records a query is about.

    Raises:
        NotFound: the device or site is not the operator's.
        InvalidParameter: the end lies before the start.
    """
    query, operator_id = call.query, call.principal.operator_id
    from_ms, until_ms = read_span(query.start_time, query.end_time)
    device_no = None
    if query.device_id is not UNSET:
        device_no = await records.find_device_no(query.device_id, operator_id)
    if query.site_id is not UNSET:
        await records.require_site(query.site_id, operator_id)
    return RecordFilter(
        operator_id,
        device_no,
        None if query.connector_id is UNSET else query.connector_id,
        None if query.site_id is UNSET else query.site_id,
        from_ms,
        until_ms,
    )


def _to_page(query: RecordQuery, found: RecordList) -> Page[dict[str, Any]]:
    return Page(
        found.total,
        query.page,
        query.size,
        [_to_item(record) for record in found.records],
        UNSET if found.following is None else write_cursor(*found.following),
    )


def _to_item(record: ChargingRecord) -> dict[str, Any]:
    """Return the wire form: what the charger sent beyond the contract, under what we say."""
    content = record.content
    item = {name: value for name, value in content.extras.items() if name not in _NAMED}
    item |= {
        "record_id": content.record_id,
        "device_id": record.source.device_id,
        "connector_id": content.connector_id,
        "start_time": to_text(content.start_ms),
        "end_time": to_text(content.end_ms),
        "energy": content.energy_kwh,
        "max_power": content.max_power_kw,
        "site_id": record.source.site_id,
        "received_at": to_text(record.received_ms),
        "flags": list(record.flags),
    }
    item |= _known(
        avg_power=content.avg_power_kw,
        cost=content.cost,
        meter_start=content.meter_start_kwh,
        meter_end=content.meter_end_kwh,
    )
    vehicle = _to_vehicle(content)
    return item | {"vehicle_info": vehicle} if vehicle else item


def _to_vehicle(content: Content) -> dict[str, Any]:
    named = VehicleInfoItem.__struct_fields__
    extras = {name: value for name, value in content.vehicle_extras.items() if name not in named}
    return extras | _known(
        vin=content.vin, soc_start=content.soc_start_pct, soc_end=content.soc_end_pct
    )


def _known(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
