"""Telemetry as chargers send it: one sample, or up to 500 that were buffered offline."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from tellus.fleet.model import PUBLISHED_STATE, HealthReading, Reading
from tellus.fleet.model_health_form import ComponentHealthForm, read_form
from tellus.kernel.batch import (
    DUPLICATE,
    STORED,
    BatchItem,
    BatchRequest,
    BatchResponse,
    read_item,
    rejected,
)
from tellus.kernel.call import Call, Nothing, Principal
from tellus.kernel.decoding import BodyDecoder
from tellus.kernel.errors import ApiError, MissingParameter
from tellus.kernel.units import to_ms
from tellus.kernel.vins import replace_vins
from tellus.telemetry.model import Sample
from tellus.telemetry.service import HotOperation, TelemetryService

Voltage = Annotated[float, Meta(ge=-10_000, le=10_000)]
Current = Annotated[float, Meta(ge=-100_000, le=100_000)]
Power = Annotated[float, Meta(ge=-100_000, le=100_000)]
SessionEnergy = Annotated[float, Meta(ge=-10_000_000, le=10_000_000)]
Temperature = Annotated[float, Meta(ge=-1_000, le=1_000)]
ConnectorId = Annotated[int, Meta(ge=1, le=255)]
DetailState = Annotated[str, Meta(max_length=32)]
State = Literal[
    "idle", "charging", "discharging", "fault", "unavailable", "preparing", "finishing", "paused"
]


class PhaseDetail(msgspec.Struct, frozen=True, gc=False):
    """One phase of the AC supply."""

    voltage: Voltage
    current: Current


class PhaseDetails(msgspec.Struct, frozen=True, gc=False):
    """The AC supply by phase; a single-phase unit sends ``phase_a`` alone."""

    phase_a: PhaseDetail | UnsetType = UNSET
    phase_b: PhaseDetail | UnsetType = UNSET
    phase_c: PhaseDetail | UnsetType = UNSET


class TelemetryUpload(msgspec.Struct, frozen=True, gc=False):
    """One sample.

    V and A at the connector's output, kW positive into the vehicle, kWh of the current session.
    ``component_health`` is the state of the charger's parts, where it tells of them.
    """

    timestamp: datetime
    connector_id: ConnectorId
    state: State
    voltage: Voltage
    current: Current
    power: Power
    energy_delivered: SessionEnergy
    soc: Annotated[int, Meta(ge=0, le=100)] | UnsetType = UNSET
    temperature: Temperature | UnsetType = UNSET
    phase_details: PhaseDetails | UnsetType = UNSET
    detail_state: DetailState | UnsetType = UNSET
    component_health: ComponentHealthForm | UnsetType = UNSET


class LenientTelemetryUpload(msgspec.Struct, frozen=True, gc=False):
    """What some chargers send instead: ``status`` for ``state``, a fractional state of charge."""

    timestamp: datetime
    connector_id: ConnectorId
    voltage: Voltage
    current: Current
    power: Power
    energy_delivered: SessionEnergy
    state: State | UnsetType = UNSET
    status: State | UnsetType = UNSET
    soc: Annotated[float, Meta(ge=0, le=100)] | UnsetType = UNSET
    temperature: Temperature | UnsetType = UNSET
    phase_details: PhaseDetails | UnsetType = UNSET
    detail_state: DetailState | UnsetType = UNSET
    component_health: ComponentHealthForm | UnsetType = UNSET


_decoder = BodyDecoder(TelemetryUpload)
_lenient_decoder = BodyDecoder(LenientTelemetryUpload)


def decode_leniently(body: bytes) -> TelemetryUpload:
    """Return the sample of a charger that is known to deviate (rule P7).

    Raises:
        InvalidParameter: it deviates in another way.
        MissingParameter: neither ``state`` nor ``status``, or another required field, is there.
    """
    upload = _lenient_decoder.decode(body)
    state = upload.status if upload.state is UNSET else upload.state
    if state is UNSET:
        raise MissingParameter("state")
    values = {name: getattr(upload, name) for name in TelemetryUpload.__struct_fields__}
    soc = UNSET if upload.soc is UNSET else round(upload.soc)
    return TelemetryUpload(**values | {"state": state, "soc": soc})


async def upload_telemetry(
    telemetry: TelemetryService, call: Call[TelemetryUpload, Nothing]
) -> None:
    """Store one sample; a repeat changes nothing."""
    sample = _to_sample(telemetry, call.body, call.principal.device_no, call.now_ms)
    await telemetry.ingest(sample)


def prepare_telemetry(
    telemetry: TelemetryService, upload: TelemetryUpload, principal: Principal, now_ms: int
) -> HotOperation | None:
    """Return what ``upload_telemetry`` would submit; None where it would have to read first."""
    return telemetry.prepare(_to_sample(telemetry, upload, principal.device_no, now_ms))


async def upload_telemetry_batch(
    telemetry: TelemetryService, call: Call[BatchRequest, Nothing]
) -> BatchResponse:
    """Store up to 500 samples; each is judged alone."""
    samples: list[Sample] = []
    outcomes: list[BatchItem | None] = []
    for item in call.body.items:
        try:
            upload = _decode_item(read_item(item), call.principal)
        except ApiError as error:
            outcomes.append(rejected(error))
        else:
            outcomes.append(None)
            samples.append(_to_sample(telemetry, upload, call.principal.device_no, call.now_ms))
    stored = iter(await telemetry.ingest_many(samples))
    return BatchResponse(
        [outcome or (STORED if next(stored) else DUPLICATE) for outcome in outcomes]
    )


def _decode_item(item: bytes, principal: Principal) -> TelemetryUpload:
    try:
        return _decoder.decode(item)
    except ApiError:
        if not principal.lenient:
            raise
        upload = decode_leniently(item)
        principal.deviations += 1
        return upload


def _to_sample(
    telemetry: TelemetryService, upload: TelemetryUpload, device_no: int, now_ms: int
) -> Sample:
    time_ms = to_ms(upload.timestamp)
    state = PUBLISHED_STATE[upload.state]
    detail = None if upload.detail_state is UNSET else replace_vins(upload.detail_state)
    reading = Reading(
        state,
        upload.voltage,
        upload.current,
        upload.power,
        upload.energy_delivered,
        None if upload.soc is UNSET else upload.soc,
        None if upload.temperature is UNSET else upload.temperature,
        upload.state if state != upload.state else detail,
        _to_phases(upload.phase_details),
    )
    if upload.component_health is not UNSET:
        reading = _with_health(reading, upload.component_health)
    return telemetry.judge(device_no, upload.connector_id, time_ms, now_ms, reading)


def _with_health(reading: Reading, form: ComponentHealthForm) -> Reading:
    health = read_form(form)
    if health is None:
        return reading
    return HealthReading(*msgspec.structs.astuple(reading), component_health=health)


def _to_phases(
    details: PhaseDetails | UnsetType,
) -> tuple[tuple[float, float] | None, ...] | None:
    if details is UNSET:
        return None
    a, b, c = details.phase_a, details.phase_b, details.phase_c
    if a is UNSET and b is UNSET and c is UNSET:
        return None
    return (
        None if a is UNSET else (a.voltage, a.current),
        None if b is UNSET else (b.voltage, b.current),
        None if c is UNSET else (c.voltage, c.current),
    )
