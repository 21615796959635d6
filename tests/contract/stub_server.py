"""A small server that answers by the contract model alone, for the tests of this harness.

It judges bodies, queries and path values by the shapes of the model, in pure standard library:
an independent reading to try the client, the fuzz generator and the raw cases on. `planted` names
a bug that it then has.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from urllib.parse import parse_qsl, unquote_to_bytes

from tests.contract.conformity import NotStrictJsonError, parse_strictly, violations_of
from tests.contract.model import find_operation, path_values
from tests.contract.samples import failure, success
from tests.contract.shapes import Audience, Kind, Operation, Parameter, Shape
from tests.contract.surface_limits import body_limit_bytes

STUB_TOKEN = "stub-token"
_MAX_DEPTH = 16
_DEADLINE_S = 2.0


class Refusal(Exception):
    """A request that the server does not take."""

    def __init__(self, status: int, code: int, **details: Any) -> None:
        super().__init__(status)
        self.status = status
        self.code = code
        self.details = details or None


def _depth(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max(map(_depth, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(_depth, value), default=0)
    return 0


def _read_body(operation: Operation, handler: BaseHTTPRequestHandler) -> bytes:
    length = handler.headers.get("Content-Length", "0")
    if not length.isdigit() or "Transfer-Encoding" in handler.headers:
        raise Refusal(400, 1001, field="Content-Length")
    if int(length) > body_limit_bytes(operation.path):
        raise Refusal(413, 1001)
    return handler.rfile.read(int(length))


def _judge_body(operation: Operation, handler: BaseHTTPRequestHandler, body: bytes) -> None:
    shape = operation.request
    if shape is None or (not body and not operation.body_required):
        return
    media = handler.headers.get("Content-Type", "application/json").partition(";")
    if media[0] != "application/json" or "utf-16" in media[2]:
        raise Refusal(415, 1001)
    if handler.headers.get("Content-Encoding", "identity") != "identity":
        raise Refusal(415, 1001)
    try:
        value = parse_strictly(body)
        too_deep = _depth(value) > _MAX_DEPTH
    except (NotStrictJsonError, RecursionError):
        raise Refusal(400, 1001) from None
    if too_deep or value is None:
        raise Refusal(400, 1001)
    _judge(shape, _integral(shape, value), "body")


def _integral(shape: Shape, value: Any) -> Any:
    """Integer fields take integral floats."""
    if shape.kind is Kind.INTEGER and isinstance(value, float) and value.is_integer():
        return int(value)
    if shape.fields and isinstance(value, dict):
        fields = {field.name: field.shape for field in shape.fields}
        return {n: _integral(fields[n], v) if n in fields else v for n, v in value.items()}
    return value


def _judge(shape: Shape, value: Any, where: str) -> None:
    for line in violations_of(shape, value, where):
        code = 1002 if "is missing" in line else 1001
        raise Refusal(400, code, field=line.split()[0])


def _judge_parameter(parameter: Parameter, text: str) -> None:
    value: Any = text
    if parameter.shape.kind is Kind.INTEGER:
        if not (text.lstrip("-").isascii() and text.lstrip("-").isdigit() and len(text) < 10):
            raise Refusal(400, 1001, field=parameter.name)
        value = int(text)
    _judge(parameter.shape, value, parameter.name)


def _judge_parameters(operation: Operation, target: str) -> None:
    query = dict(parse_qsl(target.partition("?")[2], keep_blank_values=True))
    for parameter in operation.parameters_in("query"):
        if parameter.name in query:
            _judge_parameter(parameter, query[parameter.name])
        elif parameter.required:
            raise Refusal(400, 1002, field=parameter.name)
    values = path_values(operation, target)
    for parameter in operation.parameters_in("path"):
        text = unquote_to_bytes(values[parameter.name]).decode("utf-8", "replace")
        if parameter.shape.kind is Kind.STRING and not (text.isascii() and len(text) <= 64):
            raise Refusal(400, 1001, field=parameter.name)
        _judge_parameter(parameter, text)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = _DEADLINE_S
    planted: ClassVar[str] = ""

    def send_error(self, code: int, *_: Any, **__: Any) -> None:
        """Answers a malformed head and ends the connection."""
        self.close_connection = True
        self.request_version = "HTTP/1.1"
        status = code if code in {408, 414, 431} else 400
        self._answer(status, failure(1001))

    def _serve(self) -> None:
        try:
            self._answer(200, self._success())
        except Refusal as refusal:
            self.close_connection = True
            token = {"error": "invalid_request", "error_description": "Said for people"}
            beside = token if self.path.partition("?")[0].endswith("/token") else {}
            self._answer(refusal.status, failure(refusal.code, refusal.details, **beside))

    def _success(self) -> dict[str, Any]:
        self._judge_head()
        operation = find_operation(self.command, self.path)
        if operation is None:
            raise Refusal(*self._why_unknown())
        body = _read_body(operation, self)
        self._misbehave(operation, body)
        _judge_parameters(operation, self.path)
        _judge_body(operation, self, body)
        answer = operation.answer(200)
        if answer is not None and answer.payload.kind is Kind.NULL:
            return success(None)
        raise Refusal(404, 3001)

    def _judge_head(self) -> None:
        if len(self.path) > 8_192:
            raise Refusal(414, 1001)
        if sum(len(name) + len(value) for name, value in self.headers.items()) > 16_384:
            raise Refusal(431, 1001)
        operation = find_operation(self.command, self.path)
        open_to_all = operation is None or operation.audience is Audience.ANYONE
        if not open_to_all and self.headers["Authorization"] != f"Bearer {STUB_TOKEN}":
            raise Refusal(401, 2001)

    def _why_unknown(self) -> tuple[int, int]:
        methods = ("GET", "POST", "PUT")
        known = any(find_operation(method, self.path) for method in methods)
        return (405, 1001) if known else (404, 3001)

    def _misbehave(self, operation: Operation, body: bytes) -> None:
        events = operation.path == "/v1/device/events"
        if self.planted == "crash on bad utf-8" and events:
            try:
                body.decode()
            except UnicodeDecodeError:
                raise Refusal(500, 9001) from None
        if self.planted == "accepts soc out of bounds" and b'"soc": 101' in body:
            raise Refusal(404, 3001)
        if self.planted == "hang on NUL" and events and b"\x00" in body:
            threading.Event().wait(3.0)
        if self.planted == "answers without envelope" and operation.path.endswith("/sites"):
            raise Refusal(404, 0)

    def _answer(self, status: int, body: dict[str, Any]) -> None:
        raw = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        self.send_header("X-Request-Id", "req_stub")
        if status == 401:
            self.send_header("WWW-Authenticate", "Bearer")
        if status == 405:
            self.send_header("Allow", "GET, POST")
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if getattr(self, "command", "") != "HEAD":
            self.wfile.write(raw)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Silent."""

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = do_HEAD = _serve  # noqa: N815


@contextmanager
def stub_server(planted: str = "") -> Iterator[tuple[str, int]]:
    """Runs the server on a free port of 127.0.0.1; yields host and port."""
    handler = type("Handler", (_Handler,), {"planted": planted})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield "127.0.0.1", server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
