"""Charging records as chargers send them: one, or up to 500 that were buffered offline."""

import unicodedata
from datetime import datetime
from typing import Annotated, Any, Final

import msgspec
from msgspec import UNSET, Meta, UnsetType

from tellus.fleet.model import ConnectorId
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
from tellus.kernel.errors import ApiError, InvalidParameter
from tellus.kernel.units import to_ms
from tellus.sessions.model import Content, Outcome
from tellus.sessions.service import RecordContradicted, RecordService

Figure = Annotated[float, Meta(ge=-1e9, le=1e9)]
"""Any number a meter or a till may show; what is implausible is flagged, not refused."""

Percent = Annotated[int, Meta(ge=0, le=100)]


class VehicleInfo(msgspec.Struct, frozen=True, kw_only=True):
    """The vehicle: its VIN (ISO 3779) and its state of charge at both ends, percent."""

    vin: Annotated[str, Meta(max_length=64)] | UnsetType = UNSET
    soc_start: Percent | UnsetType = UNSET
    soc_end: Percent | UnsetType = UNSET


class LenientVehicleInfo(VehicleInfo, frozen=True, kw_only=True):
    """A vehicle whose states of charge may have a fraction, which is rounded."""

    soc_start: Annotated[float, Meta(ge=0, le=100)] | UnsetType = UNSET  # type: ignore[assignment]
    soc_end: Annotated[float, Meta(ge=0, le=100)] | UnsetType = UNSET  # type: ignore[assignment]


class ChargingRecordUpload(msgspec.Struct, frozen=True, kw_only=True):
    """A finished session: energy and meter readings in kWh, power in kW, cost in any currency.

    ``record_id`` is the charger's own. Properties beyond these are kept as sent.
    """

    record_id: Annotated[str, Meta(min_length=1, max_length=128)]
    connector_id: ConnectorId
    start_time: datetime
    end_time: datetime
    energy: Figure
    max_power: Figure
    avg_power: Figure
    cost: Figure | UnsetType = UNSET
    meter_start: Figure
    meter_end: Figure
    vehicle_info: VehicleInfo | UnsetType = UNSET


class LenientChargingRecordUpload(ChargingRecordUpload, frozen=True, kw_only=True):
    """A record that may lack mean power and meter readings."""

    avg_power: Figure | UnsetType = UNSET  # type: ignore[assignment]
    meter_start: Figure | UnsetType = UNSET  # type: ignore[assignment]
    meter_end: Figure | UnsetType = UNSET  # type: ignore[assignment]
    vehicle_info: LenientVehicleInfo | UnsetType = UNSET


_UNPRINTABLE: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_RECORD_FIELDS: Final = frozenset(ChargingRecordUpload.__struct_fields__)
_VEHICLE_FIELDS: Final = frozenset(VehicleInfo.__struct_fields__)
_strict_decoder: Final = BodyDecoder(ChargingRecordUpload)
decode_leniently: Final = BodyDecoder(LenientChargingRecordUpload).decode


async def upload_charging_record(
    records: RecordService, call: Call[ChargingRecordUpload, Nothing]
) -> None:
    """Store one record; a repeat changes nothing."""
    content = _to_content(call.body, call.raw)
    await records.upload(call.principal.device_no, content, call.now_ms)


async def upload_charging_record_batch(
    records: RecordService, call: Call[BatchRequest, Nothing]
) -> BatchResponse:
    """Store up to 500 records; each is judged alone."""
    contents: list[Content] = []
    outcomes: list[BatchItem | None] = []
    for item in call.body.items:
        try:
            contents.append(_decode_item(call.principal, read_item(item)))
            outcomes.append(None)
        except ApiError as error:
            outcomes.append(rejected(error))
    judged = iter(await records.upload_many(call.principal.device_no, contents, call.now_ms))
    return BatchResponse([outcome or _ITEMS[next(judged)] for outcome in outcomes])


_ITEMS: Final = {
    Outcome.STORED: STORED,
    Outcome.DUPLICATE: DUPLICATE,
    Outcome.CONFLICT: rejected(RecordContradicted()),
}


def _decode_item(principal: Principal, raw: bytes) -> Content:
    upload: ChargingRecordUpload
    try:
        upload = _strict_decoder.decode(raw)
    except ApiError:
        if not principal.lenient:
            raise
        upload = decode_leniently(raw)
        principal.deviations += 1
    return _to_content(upload, raw)


def _to_content(upload: ChargingRecordUpload, raw: bytes) -> Content:
    if any(unicodedata.category(letter) in _UNPRINTABLE for letter in upload.record_id):
        message = "Parameter 'record_id' must be printable"
        raise InvalidParameter(message, "record_id")
    extras, vehicle_extras = _split_extras(raw)
    vehicle = VehicleInfo() if upload.vehicle_info is UNSET else upload.vehicle_info
    return Content(
        record_id=upload.record_id,
        connector_id=upload.connector_id,
        start_ms=to_ms(upload.start_time),
        end_ms=to_ms(upload.end_time),
        energy_kwh=upload.energy,
        max_power_kw=upload.max_power,
        avg_power_kw=_known(upload.avg_power),
        cost=_known(upload.cost),
        meter_start_kwh=_known(upload.meter_start),
        meter_end_kwh=_known(upload.meter_end),
        soc_start_pct=_percent(vehicle.soc_start),
        soc_end_pct=_percent(vehicle.soc_end),
        vin=_known(vehicle.vin) or None,
        extras=extras,
        vehicle_extras=vehicle_extras,
    )


def _known(value: Any) -> Any:
    return None if value is UNSET else value


def _percent(value: float | UnsetType) -> int | None:
    return None if value is UNSET else round(value)


def _split_extras(raw: bytes) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the properties of the record and of its vehicle that the contract does not name."""
    try:
        plain = msgspec.json.decode(raw, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError, RecursionError):
        message = "The body is not valid JSON"
        raise InvalidParameter(message, "body") from None
    vehicle = plain.get("vehicle_info")
    vehicle_extras = _beyond(vehicle, _VEHICLE_FIELDS) if isinstance(vehicle, dict) else {}
    return _beyond(plain, _RECORD_FIELDS), vehicle_extras


def _beyond(properties: dict[str, Any], named: frozenset[str]) -> dict[str, Any]:
    return {name: value for name, value in properties.items() if name not in named}
