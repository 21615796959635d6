"""What a charger says: the wire bodies of the device API, encoded once, and their envelope."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import IntEnum
from typing import Any

import msgspec

_ENCODER = msgspec.json.Encoder()


class Kind(IntEnum):
    """Kinds of message by importance: the lower, the sooner sent and the later dropped."""

    RECORD = 0
    EVENT = 1
    COMMAND_STATUS = 2
    FIRMWARE_STATUS = 3
    TELEMETRY = 4


class Message(msgspec.Struct):
    """One message on its way. ``ref`` names a record, command or event type; energy is a record's.

    ``attempts`` counts how often it went out, so that a repeat is told from a first try.
    """

    kind: Kind
    time_ms: int
    connector_id: int
    body: bytes
    ref: str = ""
    energy_kwh: float = 0.0
    attempts: int = 0


class PhaseItem(msgspec.Struct):
    """One supply phase on the wire: V and A."""

    voltage: float
    current: float


class PhasesItem(msgspec.Struct):
    """The three supply phases on the wire."""

    phase_a: PhaseItem
    phase_b: PhaseItem
    phase_c: PhaseItem


class ModuleItem(msgspec.Struct):
    """How one power module stands."""

    index: int
    status: str


class ComponentHealth(msgspec.Struct, omit_defaults=True):
    """State and wear of the parts: cycles, rpm, °C by place, kilo-ohm, percent."""

    contactor_cycles: int
    contactor_max_cycles: int
    relay_state: str
    internal_temps: dict[str, float]
    cooling_fan_rpm: int | msgspec.UnsetType = msgspec.UNSET
    cooling_fan_status: str | msgspec.UnsetType = msgspec.UNSET
    isolation_test_kohms: int | msgspec.UnsetType = msgspec.UNSET
    last_isolation_test: str | msgspec.UnsetType = msgspec.UNSET
    modules: list[ModuleItem] | msgspec.UnsetType = msgspec.UNSET
    inverter_sync_status: str | msgspec.UnsetType = msgspec.UNSET
    inverter_health_pct: float | msgspec.UnsetType = msgspec.UNSET
    bidirectional_inverter_cycles: int | msgspec.UnsetType = msgspec.UNSET
    bidirectional_inverter_max_cycles: int | msgspec.UnsetType = msgspec.UNSET
    harmonic_distortion_v2g_pct: float | msgspec.UnsetType = msgspec.UNSET
    discharge_contactor_cycles: int | msgspec.UnsetType = msgspec.UNSET


class TelemetryUpload(msgspec.Struct, omit_defaults=True):
    """One telemetry sample: V, A, kW, kWh of the session, °C. Names are the contract's."""

    timestamp: str
    connector_id: int
    state: str
    voltage: float
    current: float
    power: float
    energy_delivered: float
    soc: int | msgspec.UnsetType = msgspec.UNSET
    temperature: float | msgspec.UnsetType = msgspec.UNSET
    phase_details: PhasesItem | msgspec.UnsetType = msgspec.UNSET
    detail_state: str | msgspec.UnsetType = msgspec.UNSET
    component_health: ComponentHealth | msgspec.UnsetType = msgspec.UNSET


class EventReport(msgspec.Struct):
    """One event; ``data`` depends on its type."""

    timestamp: str
    event_type: str
    connector_id: int
    data: dict[str, Any]


class VehicleInfo(msgspec.Struct, omit_defaults=True):
    """What the charger learnt about the vehicle."""

    vin: str | msgspec.UnsetType = msgspec.UNSET
    soc_start: int | msgspec.UnsetType = msgspec.UNSET
    soc_end: int | msgspec.UnsetType = msgspec.UNSET


class ChargingRecordUpload(msgspec.Struct, omit_defaults=True):
    """The final record of one session: kWh, kW, and the extras a charger adds."""

    record_id: str
    connector_id: int
    start_time: str
    end_time: str
    energy: float
    max_power: float
    avg_power: float
    meter_start: float
    meter_end: float
    cost: float
    currency: str
    stop_reason: str
    vehicle_info: VehicleInfo | msgspec.UnsetType = msgspec.UNSET
    transaction_id: str | msgspec.UnsetType = msgspec.UNSET
    details: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET


class CommandStatusReport(msgspec.Struct, omit_defaults=True):
    """Progress of one command."""

    command_id: str
    status: str
    timestamp: str
    message: str | msgspec.UnsetType = msgspec.UNSET
    details: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET


class FirmwareStatusReport(msgspec.Struct, omit_defaults=True):
    """Progress of a firmware upgrade; ``progress`` is 0 to 100."""

    firmware_version: str
    status: str
    progress: int | msgspec.UnsetType = msgspec.UNSET
    message: str | msgspec.UnsetType = msgspec.UNSET


class PendingCommand(msgspec.Struct):
    """A command as the platform hands it out."""

    command_id: str
    command: str
    params: dict[str, Any]
    expiry: str | None = None


def utc_text(time_ms: int) -> str:
    """Return epoch milliseconds as ISO 8601 UTC with ``Z``."""
    moment = datetime.fromtimestamp(time_ms // 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{time_ms % 1000:03d}Z"


def telemetry_message(sample: TelemetryUpload, time_ms: int) -> Message:
    """Wrap one sample."""
    return Message(Kind.TELEMETRY, time_ms, sample.connector_id, _ENCODER.encode(sample))


def event_message(
    event_type: str, connector_id: int, time_ms: int, data: dict[str, Any]
) -> Message:
    """Build and wrap one event."""
    report = EventReport(utc_text(time_ms), event_type, connector_id, data)
    return Message(Kind.EVENT, time_ms, connector_id, _ENCODER.encode(report), ref=event_type)


def record_message(record: ChargingRecordUpload, time_ms: int) -> Message:
    """Wrap one charging record."""
    body = _ENCODER.encode(record)
    return Message(Kind.RECORD, time_ms, record.connector_id, body, record.record_id, record.energy)


def status_message(report: CommandStatusReport, connector_id: int, time_ms: int) -> Message:
    """Wrap one command status report."""
    body = _ENCODER.encode(report)
    return Message(Kind.COMMAND_STATUS, time_ms, connector_id, body, ref=report.command_id)


def firmware_message(report: FirmwareStatusReport, time_ms: int) -> Message:
    """Wrap one report of a firmware upgrade."""
    body = _ENCODER.encode(report)
    return Message(Kind.FIRMWARE_STATUS, time_ms, 0, body, ref=report.firmware_version)


def batch_body(messages: list[Message]) -> bytes:
    """Join encoded bodies into one ``{"items": […]}`` upload."""
    return b'{"items":[' + b",".join(message.body for message in messages) + b"]}"
