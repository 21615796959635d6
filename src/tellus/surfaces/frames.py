"""Frames: what the stream says of a device, made once per change and shared by all subscribers."""

from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from tellus.fleet.directory import Device
from tellus.fleet.operator_api import NewestHealth, newest_health
from tellus.kernel.units import to_text
from tellus.surfaces.guard.streamsocket import text_frame


class FrameConnector(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """One connector in a frame: kW positive into the vehicle, kWh of the current session."""

    connector_id: int
    state: str
    power: float | UnsetType = UNSET
    energy_delivered: float | UnsetType = UNSET
    soc: int | UnsetType = UNSET
    voltage: float | UnsetType = UNSET
    current: float | UnsetType = UNSET
    temperature: float | UnsetType = UNSET
    detail_state: str | UnsetType = UNSET
    component_health: NewestHealth = UNSET


class TelemetryFrame(msgspec.Struct, frozen=True, gc=False):
    """A device with all its connectors; ``timestamp`` is that of its newest sample."""

    device_id: str
    timestamp: str
    connectors: list[FrameConnector]


_encoder = msgspec.json.Encoder()


def make_frame(device: Device, now_ms: int) -> TelemetryFrame:
    """Return the frame of a device as it is now; one that never reported is stamped now."""
    connectors = [device.connectors[number] for number in sorted(device.connectors)]
    newest_ms = max((connector.time_ms for connector in connectors), default=0)
    return TelemetryFrame(
        device.device_id,
        to_text(newest_ms or now_ms),
        [_frame_connector(connector) for connector in connectors],
    )


def encode_frame(device: Device, now_ms: int) -> bytes:
    """Return the WebSocket text frame, ready to be written to any subscriber."""
    return text_frame(_encoder.encode(make_frame(device, now_ms)))


def _frame_connector(connector: Any) -> FrameConnector:
    reading = connector.reading
    if reading is None:
        return FrameConnector(connector.connector_id, connector.state)
    return FrameConnector(
        connector.connector_id,
        reading.state,
        reading.power_kw,
        reading.energy_kwh,
        UNSET if reading.soc_pct is None else reading.soc_pct,
        reading.voltage_v,
        reading.current_a,
        UNSET if reading.temperature_c is None else reading.temperature_c,
        UNSET if reading.detail_state is None else reading.detail_state,
        newest_health(connector),
    )
