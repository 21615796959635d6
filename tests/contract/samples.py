"""Builders of answers as the contract wants them, for the tests of the checker itself."""

import json
from typing import Any

HEADERS = {
    "Date": "Mon, 02 Jun 2025 11:00:00 GMT",
    "X-Request-Id": "req_0123456789",
    "Content-Type": "application/json",
}

DEVICE: dict[str, Any] = {
    "device_id": "dvc_k3m9",
    "sn": "SN-1",
    "status": "online",
    "health": "ok",
    "connectors": [{"connector_id": 1, "status": "charging", "power": 41.5, "soc": 55}],
    "last_heartbeat": "2025-06-02T11:00:00Z",
}

RECORD: dict[str, Any] = {
    "record_id": "rec_1",
    "device_id": "dvc_k3m9",
    "connector_id": 1,
    "start_time": "2025-06-02T09:00:00Z",
    "energy": 33.25,
    "vehicle_info": {"vin": "WTLZ5AB19RC700421", "soc_start": 20},
}

FRAME: dict[str, Any] = {
    "device_id": "dvc_k3m9",
    "timestamp": "2025-06-02T11:05:00.250Z",
    "connectors": [{"connector_id": 1, "state": "charging", "power": 41.5, "soc": 58}],
}


def success(data: Any, **beside: Any) -> dict[str, Any]:
    """A success in the envelope."""
    return {"code": 0, "message": "success", "data": data, **beside}


def failure(code: int, details: dict[str, Any] | None = None, **beside: Any) -> dict[str, Any]:
    """A failure in the envelope."""
    body = {"code": code, "message": "Said for people", "data": None, **beside}
    return body if details is None else {**body, "details": details}


def page(items: list[Any], **fields: Any) -> dict[str, Any]:
    """A page of items in the envelope."""
    return success({"total": len(items), "page": 1, "size": 20, "items": items, **fields})


def token() -> dict[str, Any]:
    """A token answer: the bare object and the envelope in one."""
    bare = {"access_token": "abc.def.ghi", "token_type": "Bearer", "expires_in": 86400}
    return success(bare, **bare)


def text(body: Any) -> bytes:
    """The JSON text of an answer."""
    return json.dumps(body).encode()
