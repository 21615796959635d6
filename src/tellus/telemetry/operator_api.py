"""Telemetry as operators read it back."""

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from tellus.fleet.model_health_form import ComponentHealthForm, write_form
from tellus.kernel.call import Call, Nothing
from tellus.kernel.errors import InvalidParameter
from tellus.kernel.paging import read_cursor, write_cursor
from tellus.kernel.units import HOUR_MS, to_ms, to_text
from tellus.telemetry.model import PastSample
from tellus.telemetry.service import TelemetryService

_PHASE_NAMES = ("phase_a", "phase_b", "phase_c")
_DEFAULT_RANGE_MS = HOUR_MS
_BEFORE_ALL = -(2**63)


class TelemetryQuery(msgspec.Struct, frozen=True):
    """A connector's samples in ``[start_time, end_time)``; by default those of the last hour."""

    connector_id: Annotated[int, Meta(ge=1, le=255)] = 1
    start_time: datetime | UnsetType = UNSET
    end_time: datetime | UnsetType = UNSET
    size: Annotated[int, Meta(ge=1, le=1000)] = 100
    cursor: Annotated[str, Meta(max_length=200)] | UnsetType = UNSET


class PhaseItem(msgspec.Struct, frozen=True):
    """One phase of the AC supply: V and A."""

    voltage: float
    current: float


class SampleItem(msgspec.Struct, frozen=True, omit_defaults=True):
    """One sample as it was sent, with when it was received."""

    timestamp: str
    connector_id: int
    state: str
    voltage: float
    current: float
    power: float
    energy_delivered: float
    received_at: str
    soc: int | UnsetType = UNSET
    temperature: float | UnsetType = UNSET
    detail_state: str | UnsetType = UNSET
    phase_details: dict[str, PhaseItem] | UnsetType = UNSET
    clock_suspect: bool = False
    component_health: ComponentHealthForm | UnsetType = UNSET


class SamplePage(msgspec.Struct, frozen=True, omit_defaults=True):
    """Samples in order of time; ``next_cursor`` is there while the range holds more."""

    items: list[SampleItem] = msgspec.field()
    next_cursor: str | UnsetType = UNSET


async def list_device_telemetry(
    telemetry: TelemetryService, call: Call[Nothing, TelemetryQuery]
) -> SamplePage:
    """Return stored samples of one connector, oldest first."""
    query = call.query
    to = call.now_ms + 1 if query.end_time is UNSET else to_ms(query.end_time)
    start = to - _DEFAULT_RANGE_MS if query.start_time is UNSET else to_ms(query.start_time)
    if start >= to:
        message = "Parameter 'start_time' must be before 'end_time'"
        raise InvalidParameter(message, "start_time", to_text(start))
    after = (start, _BEFORE_ALL) if query.cursor is UNSET else read_cursor(query.cursor, int, int)
    device_id = call.path["device_id"]
    operator_id = call.principal.operator_id
    samples, reached_ms = await telemetry.history(
        device_id,
        operator_id,
        query.connector_id,
        max(start, after[0]),
        to,
        enough=query.size,
    )
    fresh = [sample for sample in samples if (sample.time_ms, sample.digest) > after]
    page = fresh[: query.size]
    items = [_to_item(sample, query.connector_id) for sample in page]
    if len(fresh) > query.size:
        return SamplePage(items, write_cursor(page[-1].time_ms, page[-1].digest))
    if reached_ms < to:
        return SamplePage(items, write_cursor(reached_ms, _BEFORE_ALL))
    return SamplePage(items)


def _to_item(sample: PastSample, connector_id: int) -> SampleItem:
    reading = sample.reading
    return SampleItem(
        to_text(sample.time_ms),
        connector_id,
        reading.state,
        reading.voltage_v,
        reading.current_a,
        reading.power_kw,
        reading.energy_kwh,
        to_text(sample.received_ms),
        UNSET if reading.soc_pct is None else reading.soc_pct,
        UNSET if reading.temperature_c is None else reading.temperature_c,
        UNSET if reading.detail_state is None else reading.detail_state,
        to_phases(reading.phases),
        sample.clock_suspect,
        UNSET if reading.component_health is None else write_form(reading.component_health),
    )


def to_phases(
    phases: tuple[tuple[float, float] | None, ...] | None,
) -> dict[str, PhaseItem] | UnsetType:
    """Return the phases of the supply by their names, those that were sent."""
    if phases is None:
        return UNSET
    named = zip(_PHASE_NAMES, phases, strict=True)
    return {name: PhaseItem(*phase) for name, phase in named if phase is not None}
