"""Aggregated energy as operators read it."""

from collections.abc import Iterator
from datetime import datetime
from functools import partial
from typing import Annotated, Final
from zoneinfo import ZoneInfo

import msgspec
from msgspec import UNSET, Meta, UnsetType

from tellus.energy.model_series import Aggregate, Granularity, Group, Grouping, Totals, Wanted
from tellus.energy.queries import EnergyQueries
from tellus.kernel.call import Call, Nothing
from tellus.kernel.errors import InvalidParameter
from tellus.kernel.units import to_ms, to_text

_ENCODED_AT_ONCE: Final = 256
_TIME_WORDS: Final = (
    "The bucket's full start: `2025-03-15T09:00:00Z`, `2025-03-15` or `2025-03`; hours of a"
    " `timezone` with their offset."
)
_UTC: Final = frozenset({"UTC", "Etc/UTC"})


class EnergyQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which energy: ``[start_time, end_time)`` in buckets of one length.

    ``site_ids`` are separated by commas; without them all sites count. ``timezone`` is an IANA name
    whose days and hours the buckets are; without it they are those of UTC.
    """

    granularity: Granularity
    start_time: datetime
    end_time: datetime
    group_by: Grouping | UnsetType = UNSET
    site_ids: Annotated[str, Meta(max_length=16_384)] | UnsetType = UNSET
    timezone: Annotated[str, Meta(min_length=1, max_length=64)] | UnsetType = UNSET


class EnergyPoint(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A bucket: kWh, kW. Energies are at least 0 in either direction.

    ``avg_power`` is that of the time that is over and asked for, positive into the vehicles;
    ``max_power`` is the largest mean of one clock minute in either direction, all connectors
    together. ``site_id`` or ``operator_id`` stands there where points are grouped by it.
    """

    time: Annotated[str, Meta(description=_TIME_WORDS)] = msgspec.field()
    site_id: str | UnsetType = UNSET
    operator_id: str | UnsetType = UNSET
    charge_energy: float = msgspec.field()
    discharge_energy: float = msgspec.field()
    max_power: float = msgspec.field()
    avg_power: float = msgspec.field()


class EnergyTotal(msgspec.Struct, frozen=True, kw_only=True):
    """The sums of the range (kWh), and the largest power of its buckets (kW)."""

    charge_energy: float
    discharge_energy: float
    max_power: float


class EnergyGroup(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The sums of one site or operator."""

    site_id: str | UnsetType = UNSET
    operator_id: str | UnsetType = UNSET
    total: EnergyTotal = msgspec.field()


class EnergyResponse(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Energy by bucket, in order of time and, where grouped, of the groups' identifiers.

    ``total`` is over all groups: their energies add up, their largest powers do not. ``groups`` is
    there where points are grouped, ``timezone`` where one was given.
    """

    granularity: Granularity = msgspec.field()
    start_time: str = msgspec.field()
    end_time: str = msgspec.field()
    timezone: str | UnsetType = UNSET
    series: list[EnergyPoint] = msgspec.field()
    total: EnergyTotal = msgspec.field()
    groups: list[EnergyGroup] | UnsetType = UNSET


async def get_aggregated_energy(
    energy: EnergyQueries, call: Call[Nothing, EnergyQuery]
) -> msgspec.Raw:
    """Return the operator's energy by hours, days or months."""
    return await energy.aggregate(to_wanted(call), partial(_render, call.query))


def to_wanted(call: Call[Nothing, EnergyQuery]) -> Wanted:
    """Return what a query asks for.

    Raises:
        InvalidParameter: there is no such zone, or the list of sites is empty.
    """
    query = call.query
    return Wanted(
        call.principal.operator_id,
        query.granularity,
        to_ms(query.start_time),
        to_ms(query.end_time),
        call.now_ms,
        None if query.group_by is UNSET else query.group_by,
        None if query.site_ids is UNSET else _read_site_ids(query.site_ids),
        None if query.timezone is UNSET else _read_zone(query.timezone),
    )


def _read_site_ids(text: str) -> frozenset[str]:
    """Return the sites; blanks around them and commas with nothing between do not matter."""
    site_ids = frozenset(part.strip() for part in text.split(",")) - {""}
    if not site_ids:
        message = "Parameter 'site_ids' must name at least one site"
        raise InvalidParameter(message, "site_ids", text)
    return site_ids


def _read_zone(name: str) -> ZoneInfo | None:
    try:
        zone = ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        message = "Parameter 'timezone' must be a name such as Europe/Berlin"
        raise InvalidParameter(message, "timezone", name) from None
    return None if name in _UTC else zone


# ---------------------------------------------------------------- the answer

_encoder = msgspec.json.Encoder()


def _render(query: EnergyQuery, found: Aggregate) -> msgspec.Raw:
    """Return the answer as JSON.

    It is encoded in pieces: within one, no other thread can run, the event loop's included.
    """
    name = None if query.group_by is UNSET else f"{query.group_by}_id"
    head = EnergyResponse(
        granularity=query.granularity,
        start_time=to_text(to_ms(query.start_time)),
        end_time=to_text(to_ms(query.end_time)),
        timezone=query.timezone,
        series=[],
        total=_to_total(found.total),
        groups=UNSET if name is None else [_to_group(name, group) for group in found.groups],
    )
    before, _, after = _encoder.encode(head).partition(b'"series":[]')
    series = b",".join(_encode_points(found, name))
    return msgspec.Raw(b"".join((before, b'"series":[', series, b"]", after)))


def _encode_points(found: Aggregate, name: str | None) -> Iterator[bytes]:
    buckets = max(1, _ENCODED_AT_ONCE // max(1, len(found.groups)))
    for start in range(0, len(found.labels), buckets):
        labels = found.labels[start : start + buckets]
        points = [
            _to_point(label, group, number, name)
            for number, label in enumerate(labels, start)
            for group in found.groups
        ]
        if points:
            yield _encoder.encode(points)[1:-1]


def _to_point(label: str, group: Group, number: int, name: str | None) -> EnergyPoint:
    return EnergyPoint(
        time=label,
        site_id=group.group_id if name == "site_id" else UNSET,
        operator_id=group.group_id if name == "operator_id" else UNSET,
        charge_energy=group.charge_kwh[number],
        discharge_energy=group.discharge_kwh[number],
        max_power=group.max_power_kw[number],
        avg_power=group.avg_power_kw[number],
    )


def _to_group(name: str, group: Group) -> EnergyGroup:
    total = _to_total(group.total)
    if name == "site_id":
        return EnergyGroup(site_id=group.group_id, total=total)
    return EnergyGroup(operator_id=group.group_id, total=total)


def _to_total(total: Totals) -> EnergyTotal:
    return EnergyTotal(
        charge_energy=total.charge_kwh,
        discharge_energy=total.discharge_kwh,
        max_power=total.max_power_kw,
    )
