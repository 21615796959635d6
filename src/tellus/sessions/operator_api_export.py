"""Charging records as a table: one row each, for spreadsheets and billing."""

from collections.abc import AsyncGenerator, Iterator, Sequence
from typing import Any, Final

import msgspec

from tellus.kernel.call import Call, Nothing
from tellus.kernel.tables import PAGE_ROWS, Column, Kind, Row, Table
from tellus.sessions.model import ChargingRecord, RecordFilter
from tellus.sessions.operator_api import RecordQuery, to_filter
from tellus.sessions.service import RecordService

_NUMBER, _INTEGER, _TIME = Kind.NUMBER, Kind.INTEGER, Kind.TIME
_NAMED_EXTRAS: Final = ("stop_reason", "currency", "transaction_id")
_COLUMNS: Final = (
    Column("record_id"),
    Column("device_id"),
    Column("connector_id", _INTEGER),
    Column("site_id"),
    Column("start_time", _TIME),
    Column("end_time", _TIME),
    Column("energy", _NUMBER),
    Column("max_power", _NUMBER),
    Column("avg_power", _NUMBER),
    Column("cost", _NUMBER),
    Column("meter_start", _NUMBER),
    Column("meter_end", _NUMBER),
    Column("vin"),
    Column("soc_start", _INTEGER),
    Column("soc_end", _INTEGER),
    Column("flags"),
    Column("received_at", _TIME),
    *map(Column, _NAMED_EXTRAS),
    Column("extras"),
)

_write_json = msgspec.json.Encoder().encode


async def tabulate_charging_records(
    records: RecordService, call: Call[Nothing, RecordQuery]
) -> Table[ChargingRecord]:
    """Return all of the operator's records that match, newest first, ties by id.

    ``flags`` are separated by blanks; ``extras`` is what else the charger sent, as JSON.
    """
    wanted = await to_filter(records, call)
    pages = _read_pages(records, wanted, call.principal.vin_mode)
    return Table("charging-records", _COLUMNS, pages, _to_rows)


async def _read_pages(
    records: RecordService, wanted: RecordFilter, vin_mode: str
) -> AsyncGenerator[Sequence[ChargingRecord], None]:
    position = None
    while True:
        part = await records.read_part(wanted, vin_mode, limit=PAGE_ROWS, position=position)
        yield part.records
        position = part.following
        if position is None:
            return


def _to_rows(record: ChargingRecord) -> Iterator[Row]:
    content = record.content
    extras = dict(content.extras)
    named = [_to_text(extras.pop(name, None)) for name in _NAMED_EXTRAS]
    if content.vehicle_extras:
        extras["vehicle_info"] = content.vehicle_extras
    yield (
        content.record_id,
        record.source.device_id,
        content.connector_id,
        record.source.site_id,
        content.start_ms,
        content.end_ms,
        content.energy_kwh,
        content.max_power_kw,
        content.avg_power_kw,
        content.cost,
        content.meter_start_kwh,
        content.meter_end_kwh,
        content.vin,
        content.soc_start_pct,
        content.soc_end_pct,
        " ".join(record.flags),
        record.received_ms,
        *named,
        _write_json(extras).decode() if extras else None,
    )


def _to_text(value: Any) -> str | None:
    """Return what a charger sent under a name of its own: text as it is, all else as JSON."""
    if value is None or isinstance(value, str):
        return value
    return _write_json(value).decode()
