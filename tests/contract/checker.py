"""Judges one HTTP exchange, or one stream frame, by the contract.

`check_exchange` gives a list of readable violations; an empty list means the answer is as
promised. Operations of the published contract are judged field by field; everything else under
`/v1/` by the rules of the envelope; the rest (health, metrics, documents) by its headers.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import parse_qs

from tests.contract import leaks
from tests.contract.conformity import NotStrictJsonError, parse_strictly, violations_of
from tests.contract.model import (
    PAGE_DEFAULT,
    SIZE_DEFAULT,
    TOKEN_LIFETIME_S,
    find_operation,
    is_status_of_code,
    plain_path,
)
from tests.contract.operator_surface import FRAME
from tests.contract.shapes import Form, Kind, Operation

_TOKEN_NAMES = ("access_token", "token_type", "expires_in")
_CONNECTOR_COMMANDS = frozenset(
    {"start_charging", "stop_charging", "discharge", "set_schedule", "set_power_limit"}
)
_LONGEST_VALUE = 64


@dataclass(frozen=True, slots=True)
class Sent:
    """The headers and body of a request, as far as the judgement of its answer needs them."""

    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class _Exchange:
    method: str
    target: str
    sent: Sent
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def operation(self) -> Operation | None:
        return find_operation(self.method, self.target)

    @property
    def is_json(self) -> bool:
        return self.headers.get("content-type", "").partition(";")[0] == "application/json"


def check_exchange(
    method: str,
    path: str,
    request: Sent | None,
    status: int,
    headers: Mapping[str, str],
    body_bytes: bytes,
) -> list[str]:
    """Every violation of the contract in one exchange.

    `path` is the request target as sent, with its query. Repeated answer headers may be joined by
    commas. An orderly 500/9001 is no violation here: whether one is tolerated is the caller's.
    """
    lower = {name.lower(): value for name, value in headers.items()}
    exchange = _Exchange(method, path, request or Sent(), status, lower, body_bytes)
    return [*_headers(exchange), *_body(exchange)]


def check_frame(text: str | bytes) -> list[str]:
    """Every violation of the contract in one frame of the stream."""
    body = text.encode() if isinstance(text, str) else text
    try:
        frame = parse_strictly(body)
    except NotStrictJsonError as error:
        return [f"frame: {error}"]
    found = [*violations_of(FRAME, frame, "frame")]
    found.extend(f"frame: holds {what}" for what in leaks.personal_data(body))
    return found


def _headers(exchange: _Exchange) -> Iterator[str]:
    headers, status = exchange.headers, exchange.status
    try:
        parsedate_to_datetime(headers.get("date", ""))
    except ValueError:
        yield f"Date is absent or no date: {headers.get('date')!r}"
    if not headers.get("x-request-id", "").strip():
        yield "X-Request-Id is absent"
    if status == 422:
        yield "status 422 is never used"
    if status == 401 and not headers.get("www-authenticate", "").lower().startswith("bearer"):
        yield "401 without WWW-Authenticate: Bearer"
    if status == 405 and not headers.get("allow"):
        yield "405 without Allow (RFC 9110, 15.5.6)"
    if status == 426 and headers.get("upgrade", "").lower() != "websocket":
        yield "426 without Upgrade: websocket (RFC 9110, 15.5.22)"
    if status in {429, 503} and _retry_after_s(headers) is None:
        yield f"{status} without a Retry-After of whole seconds, at least 1"


def _retry_after_s(headers: Mapping[str, str]) -> int | None:
    text = headers.get("retry-after", "")
    return int(text) if text.isascii() and text.isdigit() and int(text) >= 1 else None


def _body(exchange: _Exchange) -> Iterator[str]:
    in_api = plain_path(exchange.target).startswith("/v1/")
    if exchange.method in {"HEAD", "OPTIONS"} or exchange.status == 101:
        return
    if not in_api and exchange.status not in {404, 405}:
        return
    if 300 <= exchange.status < 400 and exchange.status != 304:
        yield f"HTTP status {exchange.status}: the API redirects nobody"
        return
    if exchange.status < 400 and not exchange.is_json and exchange.operation is None:
        return
    if not exchange.is_json:
        yield f"Content-Type is {exchange.headers.get('content-type')!r}, not application/json"
        return
    try:
        body = parse_strictly(exchange.body)
    except NotStrictJsonError as error:
        yield f"body: {error}"
        return
    if exchange.status >= 400:
        yield from _failure(exchange, body)
    else:
        yield from _success(exchange, body)


# --------------------------------------------------------------------------------- failures


def _failure(exchange: _Exchange, body: Any) -> Iterator[str]:
    if not isinstance(body, dict):
        yield "a failure that is no object"
        return
    yield from _code_and_message(body)
    code, details = body.get("code"), body.get("details")
    if isinstance(code, int) and not is_status_of_code(exchange.status, code):
        yield f"code {code} does not go with HTTP status {exchange.status}"
    if "data" not in body or body["data"] is not None:
        yield "a failure whose data is not null"
    if "details" in body and not isinstance(details, dict):
        yield "details is no object: left out when there is nothing to say"
    else:
        yield from _details(exchange, code, details or {})
    operation = exchange.operation
    if operation is not None and _is_token(operation) and exchange.status in {400, 401}:
        for name in ("error", "error_description"):
            if not isinstance(body.get(name), str):
                yield f"{name} is absent beside the envelope of a refused token (RFC 6749, 5.2)"
    sent = exchange.sent
    for what in leaks.in_failure(exchange.body, sent.headers, sent.body, exchange.target):
        yield f"a failure that holds {what}"


def _code_and_message(body: dict[str, Any]) -> Iterator[str]:
    code, message = body.get("code"), body.get("message")
    if isinstance(code, bool) or not isinstance(code, int):
        yield f"code is no integer: {code!r}"
    if not isinstance(message, str) or not message:
        yield f"message is no text: {message!r}"


def _details(exchange: _Exchange, code: Any, details: dict[str, Any]) -> Iterator[str]:
    named = details.get("field")
    if code == 1002 and not (isinstance(named, str) and named):
        yield "1002 without details.field"
    if code == 1001 and "value" in details:
        value = details["value"]
        if not named:
            yield "details.value without details.field"
        if isinstance(value, str) and len(value) > _LONGEST_VALUE:
            yield f"details.value is longer than {_LONGEST_VALUE} characters"
    if exchange.status == 429:
        seconds = details.get("retry_after_seconds")
        if isinstance(seconds, bool) or not isinstance(seconds, int) or seconds < 1:
            yield f"details.retry_after_seconds is no integer of at least 1: {seconds!r}"
        elif seconds != _retry_after_s(exchange.headers):
            yield f"details.retry_after_seconds {seconds} is not what Retry-After says"


# --------------------------------------------------------------------------------- successes


def _success(exchange: _Exchange, body: Any) -> Iterator[str]:
    operation = exchange.operation
    answer = operation.answer(200) if operation else None
    if answer is not None and exchange.status != 200:
        yield f"HTTP status {exchange.status} for a success: the contract has 200"
    if answer is not None and answer.form is Form.BARE:
        yield from violations_of(answer.payload, body, "body")
        return
    if not isinstance(body, dict):
        yield "an answer outside the envelope"
        return
    yield from _code_and_message(body)
    if body.get("code") != 0:
        yield f"a success with code {body.get('code')!r}"
    if "data" not in body:
        yield "a success without data"
        return
    if operation is None or answer is None:
        return
    yield from violations_of(answer.payload, body["data"], "data")
    if answer.form is Form.TOKEN:
        yield from _token(exchange, body)
    if answer.payload.kind is Kind.NULL and body.get("message") != "success":
        yield f"message is {body.get('message')!r}, not 'success'"
    if isinstance(body["data"], dict):
        yield from _page(exchange, body["data"])
        yield from _commands(body["data"])


def _is_token(operation: Operation) -> bool:
    answer = operation.answer(200)
    return answer is not None and answer.form is Form.TOKEN


def _token(exchange: _Exchange, body: dict[str, Any]) -> Iterator[str]:
    data = body["data"] if isinstance(body["data"], dict) else {}
    for name in _TOKEN_NAMES:
        if name not in body or body[name] != data.get(name):
            yield f"{name} is not the same beside the envelope and in data"
    if data.get("expires_in") != TOKEN_LIFETIME_S or isinstance(data.get("expires_in"), float):
        yield f"expires_in is {data.get('expires_in')!r}, not {TOKEN_LIFETIME_S}"
    if body.get("message") != "success":
        yield f"message is {body.get('message')!r}, not 'success'"
    if "no-store" not in exchange.headers.get("cache-control", ""):
        yield "a token answer without Cache-Control: no-store"


def _page(exchange: _Exchange, data: dict[str, Any]) -> Iterator[str]:
    items, total = data.get("items"), data.get("total")
    if not (isinstance(items, list) and isinstance(total, int) and "page" in data):
        return
    query = parse_qs(exchange.target.partition("?")[2])
    for name, default in (("page", PAGE_DEFAULT), ("size", SIZE_DEFAULT)):
        wanted = query.get(name, [str(default)])
        if wanted[0] != str(data.get(name)) and "cursor" not in query:
            yield f"data.{name} is {data.get(name)!r} where {wanted[0]} was asked for"
    if len(items) > total or (isinstance(data.get("size"), int) and len(items) > data["size"]):
        yield f"{len(items)} items on a page of {data.get('size')!r}, of {total} in all"


def _commands(data: dict[str, Any]) -> Iterator[str]:
    """Pending commands, alone or in a heartbeat's list, name the connector they are for."""
    pending = data.get("commands") if isinstance(data.get("commands"), list) else [data]
    for command in pending or ():
        if not isinstance(command, dict) or command.get("command") not in _CONNECTOR_COMMANDS:
            continue
        params = command.get("params")
        connector_id = params.get("connector_id") if isinstance(params, dict) else None
        if not isinstance(connector_id, int) or connector_id < 1:
            yield f"params.connector_id of {command['command']} is {connector_id!r}"
