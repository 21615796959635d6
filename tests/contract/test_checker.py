"""The checker: answers as promised pass, and each kind of broken promise is named."""

from typing import Any

import pytest

from tests.contract.checker import Sent, check_exchange, check_frame
from tests.contract.samples import (
    DEVICE,
    FRAME,
    HEADERS,
    RECORD,
    failure,
    page,
    success,
    text,
    token,
)

_DEVICE = "/v1/operator/devices/dvc_k3m9"
_RECORDS = "/v1/operator/charging-records"
_SITES = "/v1/operator/sites"
_HEARTBEAT = "/v1/device/heartbeat"
_POLL = "/v1/device/commands?connector_id=1"
_TOKEN = "/v1/operator/oauth/token"
_NO_STORE = {"Cache-Control": "no-store"}
_BEARER = {"WWW-Authenticate": "Bearer"}
_PENDING = {
    "command_id": "cmd_1",
    "command": "stop_charging",
    "params": {"connector_id": 1},
    "expiry": "2025-06-02T11:00:00Z",
}
_VIN = "WTLZ5AB19RC700421"
_JWT = "eyJhbGciOiJI.eyJzdWIiOiJ"
_SECRET = "q8Zt3LwYx0VbN5sKd7RjPmC2hUeG9aFiTo4XyB1nWvE6MkQr"
_REFUSED: dict[str, Any] = {"error": "invalid_client", "error_description": "Not known"}


def _check(
    method: str,
    target: str,
    status: int,
    body: Any,
    headers: dict[str, str] | None = None,
    sent: Sent | None = None,
) -> list[str]:
    raw = body if isinstance(body, bytes) else text(body)
    return check_exchange(method, target, sent, status, {**HEADERS, **(headers or {})}, raw)


_GOOD: list[tuple[str, str, int, Any, dict[str, str]]] = [
    ("GET", _DEVICE, 200, success(DEVICE), {}),
    ("GET", _DEVICE, 200, success({**DEVICE, "product": {"phases": 3}}), {}),
    ("GET", _RECORDS, 200, page([RECORD], next_cursor="c1"), {}),
    ("GET", f"{_RECORDS}?page=3&size=5", 200, page([], page=3, size=5), {}),
    ("GET", _RECORDS, 200, page([{**RECORD, "details": {"note": None, "at": "noon"}}]), {}),
    ("POST", _TOKEN, 200, token(), _NO_STORE),
    ("POST", "/e/enrol-token/v1/device/token", 200, token(), _NO_STORE),
    ("POST", _TOKEN, 401, failure(2001, **_REFUSED), _BEARER),
    ("POST", _HEARTBEAT, 200, success({"commands": []}), {}),
    ("POST", _HEARTBEAT, 200, success({"commands": [_PENDING]}), {}),
    ("GET", _POLL, 200, success(None), {}),
    ("GET", _POLL, 200, success(_PENDING), {}),
    ("POST", "/v1/device/telemetry", 200, success(None), {}),
    ("GET", _DEVICE, 404, failure(3001), {}),
    ("GET", _SITES, 400, failure(1002, {"field": "granularity"}), {}),
    ("GET", _SITES, 400, failure(1001, {"field": "page", "value": 0}), {}),
    ("GET", _SITES, 429, failure(5001, {"retry_after_seconds": 7}), {"Retry-After": "7"}),
    ("GET", _SITES, 503, failure(9001), {"Retry-After": "5"}),
    ("GET", _SITES, 500, failure(9001), {}),
    ("POST", _SITES, 405, failure(1001), {"Allow": "GET"}),
    ("POST", _HEARTBEAT, 413, failure(1001), {}),
    ("GET", "/v1/operator/stream?devices=a", 426, failure(1001), {"Upgrade": "websocket"}),
    ("GET", "/v1/operator/devices", 200, success({"anything": None}), {}),
    ("GET", "/v1/nowhere", 404, failure(3001), {}),
    ("GET", "/metrics", 200, b"tellus_up 1\n", {"Content-Type": "text/plain"}),
    ("PUT", "/v1/cp/query_station_status", 200, [], {}),
]


@pytest.mark.parametrize("exchange", _GOOD, ids=lambda item: f"{item[0]} {item[1]} {item[2]}")
def test_check_exchange__answer_as_promised__is_accepted(
    exchange: tuple[str, str, int, Any, dict[str, str]],
) -> None:
    """An answer that keeps the contract has no violations."""
    assert _check(*exchange) == []


def _device(**changes: Any) -> Any:
    return success({**DEVICE, **changes})


def _connector(**changes: Any) -> Any:
    return _device(connectors=[{"connector_id": 1, "status": "idle", **changes}])


_BAD: list[tuple[str, str, str, int, Any, dict[str, str]]] = [
    ("contract requires", "GET", _DEVICE, 200, success({"sn": "SN-1"}), {}),
    ("null", "GET", _DEVICE, 200, _device(site_id=None), {}),
    ("is null", "GET", _DEVICE, 200, _device(health=None), {}),
    ("none of", "GET", _DEVICE, 200, _device(status="fault"), {}),
    ("none of", "GET", _DEVICE, 200, _connector(status="preparing"), {}),
    ("no number", "GET", _DEVICE, 200, _connector(power="41.5"), {}),
    ("no number", "GET", _DEVICE, 200, _connector(power=True), {}),
    ("above 100", "GET", _DEVICE, 200, _connector(soc=101), {}),
    ("below 1", "GET", _DEVICE, 200, _connector(connector_id=0), {}),
    ("fraction", "GET", _DEVICE, 200, _connector(soc=55.0), {}),
    ("ending in Z", "GET", _DEVICE, 200, _device(last_heartbeat="2025-06-02T11:00:00+00:00"), {}),
    ("ending in Z", "GET", _DEVICE, 200, _device(last_heartbeat="2025-02-30T11:00:00Z"), {}),
    ("ending in Z", "GET", _DEVICE, 200, _device(activated_at="2025-06-02T11:00:00"), {}),
    ("no array", "GET", _DEVICE, 200, _device(connectors={}), {}),
    ("no object", "GET", _DEVICE, 200, success([]), {}),
    ("is null", "GET", _DEVICE, 200, success(None), {}),
    ("without data", "GET", _DEVICE, 200, {"code": 0, "message": "success"}, {}),
    ("code 7", "GET", _DEVICE, 200, {**success(DEVICE), "code": 7}, {}),
    ("no integer", "GET", _DEVICE, 200, {**success(DEVICE), "code": 0.0}, {}),
    ("no text", "GET", _DEVICE, 200, {**success(DEVICE), "message": ""}, {}),
    ("outside the envelope", "GET", _DEVICE, 200, [], {}),
    ("has 200", "GET", _DEVICE, 201, success(DEVICE), {}),
    ("redirects", "GET", _DEVICE, 307, b"", {"Content-Type": "text/html"}),
    ("NaN", "GET", _DEVICE, 200, _connector(power=float("nan")), {}),
    ("twice", "GET", _DEVICE, 200, b'{"code":0,"code":0,"message":"x","data":{}}', {}),
    ("UTF-8", "GET", _DEVICE, 200, b'{"code":0,"message":"\xff","data":{}}', {}),
    ("beyond", "GET", _DEVICE, 200, text(_connector(power=1)).replace(b": 1}", b": 1e400}"), {}),
    ("not JSON", "GET", _DEVICE, 200, b"{", {}),
    ("Content-Type", "GET", _DEVICE, 200, success(DEVICE), {"Content-Type": "text/plain"}),
    ("always promised", "GET", _SITES, 200, success({"items": [], "total": 0, "page": 1}), {}),
    ("was asked for", "GET", f"{_SITES}?page=2", 200, page([]), {}),
    ("was asked for", "GET", f"{_SITES}?size=5", 200, page([]), {}),
    ("items on a page", "GET", _RECORDS, 200, page([RECORD], total=0), {}),
    ("always promised", "POST", _HEARTBEAT, 200, success({}), {}),
    ("is null", "POST", _HEARTBEAT, 200, success(None), {}),
    ("is null", "GET", _POLL, 200, success({**_PENDING, "expiry": None}), {}),
    ("connector_id", "GET", _POLL, 200, success({**_PENDING, "params": {}}), {}),
    ("not null", "POST", "/v1/device/telemetry", 200, success({}), {}),
    ("'success'", "POST", "/v1/device/events", 200, {**success(None), "message": "ok"}, {}),
    ("Bearer", "POST", _TOKEN, 200, success({**token()["data"], "token_type": "bearer"}), {}),
    ("no-store", "POST", _TOKEN, 200, token(), {}),
    ("not the same", "POST", _TOKEN, 200, success(token()["data"]), _NO_STORE),
    ("without data", "POST", _TOKEN, 200, {**token()["data"], "code": 0, "message": "x"}, {}),
    ("error", "POST", _TOKEN, 401, failure(2001), _BEARER),
    ("WWW-Authenticate", "GET", _SITES, 401, failure(2001), {}),
    ("does not go with", "GET", _SITES, 400, failure(3001), {}),
    ("does not go with", "GET", _SITES, 404, failure(1001), {}),
    ("does not go with", "GET", _SITES, 503, failure(5001), {"Retry-After": "1"}),
    ("data is not null", "GET", _SITES, 404, failure(3001, data={}), {}),
    ("details is no object", "GET", _SITES, 404, {**failure(3001), "details": None}, {}),
    ("details.field", "GET", _SITES, 400, failure(1002), {}),
    ("longer than 64", "GET", _SITES, 400, failure(1001, {"field": "a", "value": "x" * 65}), {}),
    ("422", "GET", _SITES, 422, failure(1001), {}),
    ("Retry-After", "GET", _SITES, 503, failure(9001), {}),
    ("Retry-After", "GET", _SITES, 429, failure(5001, {"retry_after_seconds": 1}), {}),
    ("what Retry-After says", "GET", _SITES, 429, failure(5001, {"retry_after_seconds": 2}),
     {"Retry-After": "3"}),
    ("at least 1", "GET", _SITES, 429, failure(5001, {"retry_after_seconds": 1.0}),
     {"Retry-After": "1"}),
    ("Allow", "POST", _SITES, 405, failure(1001), {}),
    ("Upgrade", "GET", "/v1/operator/stream?devices=a", 426, failure(1001), {}),
    ("Date", "GET", _SITES, 200, page([]), {"Date": "yesterday"}),
    ("X-Request-Id", "GET", _SITES, 200, page([]), {"X-Request-Id": ""}),
    ("Date", "GET", "/metrics", 200, b"", {"Date": ""}),
    ("Content-Type", "GET", "/nowhere", 404, b"Not Found", {"Content-Type": "text/plain"}),
    ("VIN", "GET", _SITES, 400, failure(1001, {"field": "vin", "value": _VIN}), {}),
    ("token", "GET", _SITES, 400, failure(1001, {"field": "a", "value": _JWT}), {}),
    ("secret", "GET", _SITES, 400, failure(1001, {"field": "a", "value": _SECRET}), {}),
]  # fmt: skip


@pytest.mark.parametrize("sample", _BAD, ids=lambda item: f"{item[0]}: {item[2]} {item[3]}")
def test_check_exchange__broken_promise__is_named(
    sample: tuple[str, str, str, int, Any, dict[str, str]],
) -> None:
    """Negative controls: each kind of violation is found and said in words."""
    said, method, target, status, body, headers = sample
    found = _check(method, target, status, body, headers)
    assert any(said in line for line in found), found


@pytest.mark.parametrize(
    ("target", "sent"),
    [
        ("/v1/device/token", Sent({}, b'{"device_id":"d","device_secret":"hunter2hunter2"}')),
        ("/v1/device/token", Sent({}, b"client_id=a&client_secret=hunter2hunter2")),
        ("/v1/operator/sites", Sent({"Authorization": "Bearer hunter2hunter2"})),
        ("/v1/operator/sites", Sent({"Authorization": "Basic YTpodW50ZXIyaHVudGVyMg=="})),
        ("/v1/operator/stream?devices=a&token=hunter2hunter2", Sent()),
        ("/e/hunter2hunter2/v1/device/register", Sent()),
        ("/v1/device/charging-records", Sent({}, b'{"vehicle_info":{"vin":"hunter2hunter2"}}')),
    ],
)
def test_check_exchange__error_echoes_what_was_sent_in_secret__is_named(
    target: str, sent: Sent
) -> None:
    """A credential or VIN of the request must not come back in the error, however it was sent."""
    told = failure(1001, {"field": "x", "value": "hunter2hunter2"})
    found = _check("GET", target, 400, told, sent=sent)
    assert any("that was sent" in line for line in found), found
    silent = _check("GET", target, 400, failure(1001, {"field": "x"}), sent=sent)
    assert not any("that was sent" in line for line in silent)


def test_check_frame__frame_as_promised__is_accepted() -> None:
    """A frame of the published shape, also with additional fields, has no violations."""
    assert check_frame(text(FRAME)) == []
    assert check_frame(text({**FRAME, "cadence_s": 1}).decode()) == []


@pytest.mark.parametrize(
    ("said", "changes"),
    [
        ("contract requires", {"connectors": [], "device_id": None}),
        ("ending in Z", {"timestamp": "2025-06-02T11:05:00"}),
        ("none of", {"connectors": [{"state": "preparing"}]}),
        ("fraction", {"connectors": [{"soc": 58.0}]}),
        ("VIN", {"note": "WTLZ5AB19RC700421"}),
        ("vin", {"vin": "x"}),
    ],
)
def test_check_frame__broken_promise__is_named(said: str, changes: dict[str, Any]) -> None:
    """Negative controls: a frame out of shape, or one that holds a VIN, is found."""
    frame = {k: v for k, v in {**FRAME, **changes}.items() if v is not None}
    assert any(said in line for line in check_frame(text(frame)))
