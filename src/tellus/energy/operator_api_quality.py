"""What cannot be believed, as operators read it."""

from datetime import datetime
from typing import Annotated, Final

import msgspec
from msgspec import UNSET, Meta, UnsetType

from tellus.energy.model_sessions import DoubtFilter, DoubtView
from tellus.energy.quality import Quality, QualityService
from tellus.kernel.call import Call, Nothing
from tellus.kernel.paging import PageQuery
from tellus.kernel.spans import read_span
from tellus.kernel.units import to_text

_FOREVER_MS: Final = 2**62


class QualityQuery(PageQuery, frozen=True, kw_only=True):
    """Which samples and records: times bound a sample's time and a record's start."""

    device_id: Annotated[str, Meta(min_length=1, max_length=64)] | UnsetType = UNSET
    site_id: Annotated[str, Meta(min_length=1, max_length=64)] | UnsetType = UNSET
    start_time: datetime | UnsetType = UNSET
    end_time: datetime | UnsetType = UNSET


class DoubtItem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A ``sample`` or a charging ``record`` that cannot be believed, and why.

    Reasons of a sample: ``power_over_rating``, ``energy_over_rating``, ``soc_jump``. Of a record:
    its flags. ``time`` is a sample's time, or a record's start.
    """

    kind: str = msgspec.field()
    device_id: str = msgspec.field()
    connector_id: int = msgspec.field()
    time: str = msgspec.field()
    reasons: list[str] = msgspec.field()
    record_id: str | UnsetType = UNSET


class DeviceQualityItem(msgspec.Struct, frozen=True):
    """Of one device how many samples and records cannot be believed, by reason."""

    device_id: str
    samples: dict[str, int]
    records: dict[str, int]
    last_time: str


class QualityResponse(msgspec.Struct, frozen=True):
    """A page of samples and records, newest first, and the counts of all by device."""

    total: int
    page: int
    size: int
    items: list[DoubtItem]
    devices: list[DeviceQualityItem]


async def get_data_quality(
    quality: QualityService, call: Call[Nothing, QualityQuery]
) -> QualityResponse:
    """Return what cannot be believed of the operator's samples and records."""
    query = call.query
    from_ms, until_ms = read_span(query.start_time, query.end_time)
    wanted = DoubtFilter(
        call.principal.operator_id,
        -_FOREVER_MS if from_ms is None else from_ms,
        _FOREVER_MS if until_ms is None else until_ms,
        None if query.device_id is UNSET else query.device_id,
        None if query.site_id is UNSET else query.site_id,
    )
    found = await quality.list_page(wanted, limit=query.size, offset=query.offset)
    items = [_to_item(doubt) for doubt in found.doubts]
    return QualityResponse(found.total, query.page, query.size, items, _to_devices(found))


def _to_item(doubt: DoubtView) -> DoubtItem:
    return DoubtItem(
        kind="sample" if doubt.record_id is None else "record",
        device_id=doubt.device_id,
        connector_id=doubt.connector_id,
        time=to_text(doubt.time_ms),
        reasons=doubt.reason.split(),
        record_id=UNSET if doubt.record_id is None else doubt.record_id,
    )


def _to_devices(found: Quality) -> list[DeviceQualityItem]:
    newest: dict[str, int] = {}
    samples: dict[str, dict[str, int]] = {}
    records: dict[str, dict[str, int]] = {}
    for count in found.counts:
        device_id = count.device_id
        newest[device_id] = max(count.newest_ms, newest.get(device_id, count.newest_ms))
        counted = (records if count.is_record else samples).setdefault(device_id, {})
        for reason in count.reason.split():
            counted[reason] = counted.get(reason, 0) + count.found
    return [
        DeviceQualityItem(
            device_id, samples.get(device_id, {}), records.get(device_id, {}), to_text(newest_ms)
        )
        for device_id, newest_ms in newest.items()
    ]
