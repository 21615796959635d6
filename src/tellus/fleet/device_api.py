"""The fleet on the charger surface: registration, and events alone or in batches."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from tellus.fleet.events import EventService, make_event
from tellus.fleet.model import DeviceIdentity, EventConnectorId, EventType, StoredEvent
from tellus.fleet.model_metadata import ConnectivityReport, link_of
from tellus.fleet.registration import RegisterCall, RegistrationService
from tellus.kernel.batch import (
    DUPLICATE,
    STORED,
    BatchItem,
    BatchRequest,
    BatchResponse,
    read_item,
    rejected,
)
from tellus.kernel.call import Call, Nothing
from tellus.kernel.decoding import BodyDecoder
from tellus.kernel.errors import ApiError
from tellus.kernel.units import to_ms

SerialNumber = Annotated[
    str, Meta(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9._:\-]*$")
]
Word = Annotated[str, Meta(min_length=1, max_length=128)]

_BEARER = "bearer "
_EVENT_WITHOUT_CONNECTOR = "event_without_connector_id"


class RegisterRequest(msgspec.Struct, frozen=True):
    """What a charger says of itself."""

    sn: SerialNumber
    model: Word
    manufacturer: Word
    firmware_version: Word
    mac: Annotated[str, Meta(max_length=64)] | UnsetType = UNSET
    connectivity: ConnectivityReport | UnsetType = UNSET


class RegisterResponse(msgspec.Struct, frozen=True):
    """What the charger is from now on; the secret is told this once, ``expires_in`` in seconds."""

    device_id: str
    device_secret: str
    expires_in: int


class EventReport(msgspec.Struct, frozen=True):
    """Something that happened; ``connector_id`` 0 or absent speaks of the device as a whole."""

    timestamp: datetime
    event_type: EventType
    data: dict[str, Any]
    connector_id: EventConnectorId | UnsetType = UNSET


_decoder = BodyDecoder(EventReport)


async def register_device(
    registration: RegistrationService, call: Call[RegisterRequest, Nothing]
) -> RegisterResponse:
    """Register a charger; an answer that got lost is healed by asking again."""
    body = call.body
    identity = DeviceIdentity(
        body.sn,
        body.model,
        body.manufacturer,
        body.firmware_version,
        body.mac or None,
        link_of(body.connectivity),
    )
    enrolment = call.enrolment.strip()
    if enrolment[: len(_BEARER)].lower() == _BEARER:
        enrolment = enrolment[len(_BEARER) :].strip()
    request = RegisterCall(enrolment, call.address, call.request_id, call.now_ms)
    claimed = await registration.register(identity, request)
    return RegisterResponse(claimed.device_id, claimed.secret.text, claimed.secret.expires_in_s)


async def report_event(events: EventService, call: Call[EventReport, Nothing]) -> None:
    """Store one event; a repeat changes nothing."""
    event = _to_event(events, call.body, call.principal.device_no, call.now_ms)
    await events.report((event,))


async def report_event_batch(
    events: EventService, call: Call[BatchRequest, Nothing]
) -> BatchResponse:
    """Store up to 500 events; each is judged alone."""
    device_no, now_ms = call.principal.device_no, call.now_ms
    good: list[StoredEvent] = []
    outcomes: list[BatchItem | None] = []
    for item in call.body.items:
        try:
            report = _decoder.decode(read_item(item))
            good.append(_to_event(events, report, device_no, now_ms))
            outcomes.append(None)
        except ApiError as error:
            outcomes.append(rejected(error))
    news = iter(await events.report(good))
    return BatchResponse([outcome or (STORED if next(news) else DUPLICATE) for outcome in outcomes])


def _to_event(
    events: EventService, report: EventReport, device_no: int, now_ms: int
) -> StoredEvent:
    connector_id = report.connector_id
    if connector_id is UNSET:
        events.note_admission(device_no, _EVENT_WITHOUT_CONNECTOR)
        connector_id = 0
    place = (device_no, connector_id)
    time_ms = to_ms(report.timestamp)
    return make_event(
        place, report.event_type, time_ms, report.data, now_ms, conceal=events.kind.conceal
    )
