"""The answers that the server gives by itself, before or instead of the application's."""

import http
import json
from dataclasses import dataclass

from tellus.kernel.ids import new_id

INVALID = 1001
INTERNAL = 9001
RETRY_AFTER_S = 5


@dataclass(frozen=True, slots=True)
class Refusal:
    """One failure in the envelope: HTTP status, code of the API, what a person reads."""

    status: int
    code: int
    message: str
    retry_after_s: int | None = None

    def body(self) -> bytes:
        """Return the envelope as JSON."""
        return json.dumps(
            {"code": self.code, "message": self.message, "data": None}, separators=(",", ":")
        ).encode()

    def headers(self, size_bytes: int) -> list[tuple[bytes, bytes]]:
        """Return the headers of an answer whose body has ``size_bytes``, without ``Date``."""
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(size_bytes).encode()),
            (b"x-request-id", new_id("req").encode()),
            (b"connection", b"close"),
        ]
        if self.retry_after_s is not None:
            headers.append((b"retry-after", str(self.retry_after_s).encode()))
        return headers

    def render(
        self, default_headers: list[tuple[bytes, bytes]], *, bodiless: bool = False
    ) -> bytes:
        """Return the whole HTTP/1.1 answer; it always closes the connection."""
        body = self.body()
        lines = [status_line(self.status)]
        for name, value in default_headers + self.headers(len(body)):
            lines += (name, b": ", value, b"\r\n")
        lines.append(b"\r\n")
        if not bodiless:
            lines.append(body)
        return b"".join(lines)


class RefusedError(Exception):
    """Raised inside the parser's callbacks: the parser stops, and the refusal is answered."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


def status_line(status: int) -> bytes:
    """Return the first line of an answer, phrase included where the status has one."""
    return f"HTTP/1.1 {status} {phrase(status)}\r\n".encode()


def phrase(status: int) -> str:
    """Return the reason phrase of a status; empty for an unregistered one."""
    try:
        return http.HTTPStatus(status).phrase
    except ValueError:
        return ""


MALFORMED = Refusal(400, INVALID, "The request is not valid HTTP/1.1")
BAD_FRAMING = Refusal(
    400, INVALID, "The length of the body is not stated in a way that is accepted"
)
BAD_UPGRADE = Refusal(400, INVALID, "The WebSocket handshake is not valid")
TOO_MANY_PIPELINED = Refusal(400, INVALID, "Too many requests were sent without awaiting answers")
SLOW_HEAD = Refusal(408, INVALID, "The request head did not arrive in time")
SLOW_BODY = Refusal(408, INVALID, "The request body did not arrive in time")
LONG_TARGET = Refusal(414, INVALID, "The request target is too long")
LARGE_HEAD = Refusal(431, INVALID, "The request headers are too large")
CRASHED = Refusal(500, INTERNAL, "Internal error")
DRAINING = Refusal(503, INTERNAL, "The server is stopping", RETRY_AFTER_S)
TOO_MANY_CONNECTIONS = Refusal(503, INTERNAL, "Too many connections", RETRY_AFTER_S)
