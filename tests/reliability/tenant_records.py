"""Charging records for the matrix of tenants."""

from typing import Any


def record_body(record_id: str) -> dict[str, Any]:
    """A charging record as a charger sends it."""
    return {
        "record_id": record_id,
        "connector_id": 1,
        "start_time": "2025-06-02T09:00:00Z",
        "end_time": "2025-06-02T10:00:00Z",
        "energy": 20.0,
        "max_power": 50.0,
        "avg_power": 20.0,
        "meter_start": 100.0,
        "meter_end": 120.0,
    }
