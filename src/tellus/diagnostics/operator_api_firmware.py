"""Firmware health as operators read it: rates of faults by version, with a verdict each."""

from typing import Annotated

import msgspec
from msgspec import UNSET, UnsetType

from tellus.diagnostics.firmware_health import WINDOW_DAYS, FirmwareHealth
from tellus.diagnostics.model_firmware import FirmwareRate, FirmwareVerdict, Measure
from tellus.kernel.call import Call, Nothing
from tellus.kernel.paging import Page, PageQuery

Word = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
Days = Annotated[int, msgspec.Meta(ge=1, le=365)]


class FirmwareHealthQuery(PageQuery, frozen=True):
    """Which rates to list; what is left out admits all. ``days`` back from today."""

    model: Word | UnsetType = UNSET
    code: Word | UnsetType = UNSET
    firmware_version: Word | UnsetType = UNSET
    verdict: FirmwareVerdict | UnsetType = UNSET
    days: Days = WINDOW_DAYS


class FirmwareRateItem(msgspec.Struct, frozen=True, kw_only=True):
    """How often a fault followed a start with one version of a model's firmware.

    ``rate_per_1000`` lies between ``rate_low`` and ``rate_high`` at 95%; ``other_rate_per_1000`` is
    that of what it was compared with. ``affected_devices`` had the fault, of ``devices`` that
    started. ``p_value`` is adjusted for all that was tested.
    """

    firmware_version: str
    model: str
    code: str
    verdict: FirmwareVerdict
    compared_with: Measure
    devices: int
    affected_devices: int
    sites: int
    starts: int
    faults: int
    rate_per_1000: float
    rate_low: float
    rate_high: float
    other_devices: int
    other_starts: int
    other_faults: int
    other_rate_per_1000: float
    p_value: float | UnsetType = UNSET
    upgrade_to: str | UnsetType = UNSET
    advice: str | UnsetType = UNSET


async def list_firmware_health(
    firmware: FirmwareHealth, call: Call[Nothing, FirmwareHealthQuery]
) -> Page[FirmwareRateItem]:
    """Return the rates of the caller's devices, the worst first."""
    query, operator_id = call.query, call.principal.operator_id
    found = [
        rate
        for rate in await firmware.list_rates(operator_id, query.days)
        if query.model in (UNSET, rate.model)
        and query.code in (UNSET, rate.code)
        and query.firmware_version in (UNSET, rate.firmware_version)
        and query.verdict in (UNSET, rate.verdict)
    ]
    page = found[query.offset : query.offset + query.size]
    called = [rate for rate in page if rate.verdict is FirmwareVerdict.CONCENTRATED]
    advice = iter(await firmware.advise(operator_id, called) if called else ())
    items = []
    for rate in page:
        item = _item(rate)
        if rate.verdict is FirmwareVerdict.CONCENTRATED:
            given = next(advice)
            upgrade_to = UNSET if given.upgrade_to is None else given.upgrade_to
            item = msgspec.structs.replace(item, upgrade_to=upgrade_to, advice=given.text)
        items.append(item)
    return Page(len(found), query.page, query.size, items)


def _item(rate: FirmwareRate) -> FirmwareRateItem:
    return FirmwareRateItem(
        firmware_version=rate.firmware_version,
        model=rate.model,
        code=rate.code,
        verdict=rate.verdict,
        compared_with=rate.measure,
        devices=rate.devices,
        affected_devices=rate.affected,
        sites=rate.sites,
        starts=rate.starts,
        faults=rate.faults,
        rate_per_1000=round(rate.rate, 3),
        rate_low=round(rate.low, 3),
        rate_high=round(rate.high, 3),
        other_devices=rate.other_devices,
        other_starts=rate.other_starts,
        other_faults=rate.other_faults,
        other_rate_per_1000=round(rate.other_rate, 3),
        p_value=UNSET if rate.p_adjusted is None else rate.p_adjusted,
    )
