"""Readings as telemetry stores them."""

from typing import Any

import msgspec

from tellus.fleet.model import Reading

NINE_MS = 1_742_029_200_000


def encode(**changes: Any) -> bytes:
    """A reading as telemetry stores it."""
    values: dict[str, Any] = {
        "state": "charging",
        "voltage_v": 223.0,
        "current_a": 30.5,
        "power_kw": 6.8,
        "energy_kwh": 12.3,
    }
    return msgspec.msgpack.encode(Reading(**values | changes))


def show(device: Any, connector_id: int, **changes: Any) -> None:
    """Let a connector's newest reading be in memory, as telemetry does after its commit."""
    connector = device.connectors[connector_id]
    connector.content = encode(**changes)
    connector.reading = msgspec.msgpack.decode(connector.content, type=Reading)
    connector.time_ms = NINE_MS
