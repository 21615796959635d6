"""Samples of one session, as fine as they still are."""

from typing import Annotated, Any, Final

import msgspec
from msgspec import UNSET, Meta, UnsetType

from tellus.fleet.model_health_form import ComponentHealthForm, write_form
from tellus.kernel.call import Call, Nothing
from tellus.kernel.paging import read_cursor, write_cursor
from tellus.kernel.units import HOUR_MS, MINUTE_MS, to_text
from tellus.telemetry.meter_values import MeterValueService
from tellus.telemetry.model import PastSample
from tellus.telemetry.model_minutes import MinuteMean
from tellus.telemetry.model_tiers import HourEnergy, Resolution, TierPart
from tellus.telemetry.operator_api import PhaseItem, to_phases

_BEFORE_ALL: Final = -(2**63)


class SessionTelemetryQuery(msgspec.Struct, frozen=True, kw_only=True):
    """How much of it on a page, and from where on."""

    size: Annotated[int, Meta(ge=1, le=1000)] = 100
    cursor: Annotated[str, Meta(max_length=200)] | UnsetType = UNSET


class SessionSampleItem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is known of one moment, minute or hour, by the ``resolution`` of the page.

    ``raw``: the sample as it was sent. ``minute``: the means of ``samples`` samples of the minute
    that begins then; ``energy_delivered``, ``soc`` and states are the last of it. ``hour``: the
    energy of the clock hour that begins then, and nothing else.
    """

    timestamp: str = msgspec.field()
    state: str | UnsetType = UNSET
    voltage: float | UnsetType = UNSET
    current: float | UnsetType = UNSET
    power: float | UnsetType = UNSET
    energy_delivered: float | UnsetType = UNSET
    soc: int | UnsetType = UNSET
    temperature: float | UnsetType = UNSET
    detail_state: str | UnsetType = UNSET
    phase_details: dict[str, PhaseItem] | UnsetType = UNSET
    received_at: str | UnsetType = UNSET
    clock_suspect: bool = False
    samples: int | UnsetType = UNSET
    charge_energy: float | UnsetType = UNSET
    discharge_energy: float | UnsetType = UNSET
    component_health: ComponentHealthForm | UnsetType = UNSET


class SessionTelemetryPage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A part of a session in order of time, all in one ``resolution``.

    ``none``: nothing was sent, or nothing is left. ``end_time`` is absent while the session may go
    on. ``next_cursor`` is there while there may be more; its page may have another resolution.
    """

    device_id: str = msgspec.field()
    connector_id: int = msgspec.field()
    session_id: str | UnsetType = UNSET
    record_id: str | UnsetType = UNSET
    start_time: str = msgspec.field()
    end_time: str | UnsetType = UNSET
    resolution: Resolution = msgspec.field()
    items: list[SessionSampleItem] = msgspec.field()
    next_cursor: str | UnsetType = UNSET


async def list_session_telemetry(
    values: MeterValueService, call: Call[Nothing, SessionTelemetryQuery]
) -> SessionTelemetryPage:
    """Return a page of what a session's charger sent, oldest first."""
    query, operator_id = call.query, call.principal.operator_id
    span = await values.find_named(call.path["device_id"], call.path["record_id"], operator_id)
    # A sample at the very end still tells of the session.
    to_ms = call.now_ms + 1 if span.end_ms is None else span.end_ms + 1
    after = (span.start_ms, _BEFORE_ALL)
    if query.cursor is not UNSET:
        after = max(after, read_cursor(query.cursor, int, int))
    part = await values.read_session(span, operator_id, (after[0], to_ms), enough=query.size)
    places, items = _list_items(part, after)
    following: str | UnsetType = UNSET
    if len(items) > query.size:
        following = write_cursor(*places[query.size - 1])
    elif part.reached_ms < to_ms:
        following = write_cursor(part.reached_ms, _BEFORE_ALL)
    return SessionTelemetryPage(
        device_id=span.device_id,
        connector_id=span.connector_id,
        session_id=UNSET if span.session_id is None else span.session_id,
        record_id=UNSET if span.record_id is None else span.record_id,
        start_time=to_text(span.start_ms),
        end_time=UNSET if span.end_ms is None else to_text(span.end_ms),
        resolution=part.resolution,
        items=items[: query.size],
        next_cursor=following,
    )


def _list_items(
    part: TierPart, after: tuple[int, int]
) -> tuple[list[tuple[int, int]], list[SessionSampleItem]]:
    """Return the items that come after a place, and the place that each leaves off at."""
    samples = [one for one in part.samples if (one.time_ms, one.digest) > after]
    places = [(one.time_ms, one.digest) for one in samples]
    places += [(mean.minute_ms + MINUTE_MS, _BEFORE_ALL) for mean in part.means]
    places += [(hour.hour_ms + HOUR_MS, _BEFORE_ALL) for hour in part.hours]
    items = [_of_sample(one) for one in samples]
    items += [_of_mean(mean) for mean in part.means]
    items += [_of_hour(hour) for hour in part.hours]
    return places, items


def _of_sample(sample: PastSample) -> SessionSampleItem:
    reading = sample.reading
    health = reading.component_health
    return SessionSampleItem(
        timestamp=to_text(sample.time_ms),
        state=reading.state,
        voltage=reading.voltage_v,
        current=reading.current_a,
        power=reading.power_kw,
        energy_delivered=reading.energy_kwh,
        soc=_known(reading.soc_pct),
        temperature=_known(reading.temperature_c),
        detail_state=_known(reading.detail_state),
        phase_details=to_phases(reading.phases),
        received_at=to_text(sample.received_ms),
        clock_suspect=sample.clock_suspect,
        component_health=UNSET if health is None else write_form(health),
    )


def _of_mean(mean: MinuteMean) -> SessionSampleItem:
    return SessionSampleItem(
        timestamp=to_text(mean.minute_ms),
        state=mean.state,
        voltage=mean.voltage_v,
        current=mean.current_a,
        power=mean.power_kw,
        energy_delivered=mean.energy_kwh,
        soc=_known(mean.soc_pct),
        temperature=_known(mean.temperature_c),
        detail_state=_known(mean.detail_state),
        samples=mean.samples,
    )


def _of_hour(hour: HourEnergy) -> SessionSampleItem:
    return SessionSampleItem(
        timestamp=to_text(hour.hour_ms),
        charge_energy=hour.charge_kwh,
        discharge_energy=hour.discharge_kwh,
    )


def _known(value: Any) -> Any:
    return UNSET if value is None else value
