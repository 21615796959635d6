"""One request and its answer, as the ASGI application sees them."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.httptools_impl import (
    HEADER_RE,
    HEADER_VALUE_RE,
    STATUS_LINE,
    RequestResponseCycle,
)

from tellus.surfaces.guard.refusals import CRASHED, DRAINING, Refusal

if TYPE_CHECKING:
    from tellus.surfaces.guard.reader import RequestReader

_BODILESS = (204, 304)
_TOO_LARGE = 413
_KNOWN_NAMES = 512

_lower_names: dict[bytes, bytes] = {}


class Exchange(RequestResponseCycle):
    """uvicorn's cycle with answers in the envelope and ``Connection: close`` while draining.

    The head of an answer waits for the first piece of its body, so that both leave in one write
    and a handler that fails in between can still be answered with an error.
    """

    def __init__(
        self, protocol: "RequestReader", scope: Any, *, keep_alive: bool, expects: bool = False
    ) -> None:
        super().__init__(
            scope=scope,
            transport=protocol.transport,
            flow=protocol.flow,
            logger=protocol.logger,
            access_logger=protocol.access_logger,
            access_log=False,
            default_headers=protocol.guard.state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=expects,
            keep_alive=keep_alive,
            on_response=protocol.on_response_complete,
        )
        self.protocol = protocol
        self._head: list[bytes] | None = None

    def lose(self) -> None:
        """Hear that the peer is gone."""
        self.disconnected = not self.response_complete
        self.message_event.set()

    async def run_asgi(self, app: Callable[..., Any]) -> None:
        """Run the application for this request; whatever it does, the peer gets an end."""
        try:
            await app(self.scope, self.receive, self.send)
        except asyncio.CancelledError:
            self._break_off(DRAINING)
        except Exception as exc:  # noqa: BLE001 - the edge: one answer for every bug
            self.protocol.guard.log("application_error", {"exc_info": exc})
            self._break_off(CRASHED)
        else:
            if not self.response_complete and not self.disconnected:
                self.protocol.guard.log("answer_incomplete", {"started": self.response_started})
                self._break_off(CRASHED)
        finally:
            self.on_response = _nothing

    def _break_off(self, refusal: Refusal) -> None:
        if self.response_complete or self.disconnected:
            return
        if self.response_started and self._head is None:
            self.transport.abort()
            return
        self.response_started = self.response_complete = True
        self.keep_alive = False
        bodiless = self.scope["method"] == "HEAD"
        self.transport.write(refusal.render(self.default_headers, bodiless=bodiless))
        self._end()

    async def send(self, message: Any) -> None:
        """Take one ASGI message of the answer."""
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected:
            return
        if not self.response_started:
            if message["type"] != "http.response.start":
                raise RuntimeError(f"Expected 'http.response.start', got '{message['type']}'.")
            self._start(message["status"], message.get("headers", ()))
        elif not self.response_complete:
            if message["type"] != "http.response.body":
                raise RuntimeError(f"Expected 'http.response.body', got '{message['type']}'.")
            self._continue(message.get("body", b""), more=message.get("more_body", False))
        else:
            raise RuntimeError(f"'{message['type']}' came after the answer was complete.")

    def _start(self, status: int, headers: Any) -> None:
        content = [STATUS_LINE[status]]
        names = _lower_names
        closes = False
        for name, value in (*self.default_headers, *headers):
            lower = names.get(name) or _lower_name(name)
            if HEADER_VALUE_RE.search(value):
                raise RuntimeError("Invalid HTTP header value.")
            if lower == b"content-length" and self.chunked_encoding is None:
                self.expected_content_length = int(value)
                self.chunked_encoding = False
            elif lower == b"transfer-encoding" and value.lower() == b"chunked":
                self.expected_content_length = 0
                self.chunked_encoding = True
            elif lower == b"connection" and b"close" in value.lower():
                closes = True
            content += (lower, b": ", value, b"\r\n")
        # A client that still waits for "100 Continue" may or may not send its body now; only a new
        # connection tells the two apart.
        if closes or self.waiting_for_100_continue or self.protocol.guard.drain.draining:
            self.keep_alive = False
        # Nobody is to wait for the rest of a body that is too large, nor to be cut off within it.
        if status == _TOO_LARGE and self.more_body:
            self.keep_alive = False
        if not self.keep_alive and not closes:
            content.append(b"connection: close\r\n")
        if (
            self.chunked_encoding is None
            and self.scope["method"] != "HEAD"
            and status not in _BODILESS
        ):
            self.chunked_encoding = True
            content.append(b"transfer-encoding: chunked\r\n")
        content.append(b"\r\n")
        self.response_started = True
        self.waiting_for_100_continue = False
        self._head = content

    def _continue(self, body: bytes, *, more: bool) -> None:
        content = self._head if self._head is not None else []
        if self.scope["method"] == "HEAD":
            self.expected_content_length = 0
        elif self.chunked_encoding:
            if body:
                content += (b"%x\r\n" % len(body), body, b"\r\n")
            if not more:
                content.append(b"0\r\n\r\n")
        else:
            if len(body) > self.expected_content_length:
                raise RuntimeError("The answer is longer than its Content-Length.")
            self.expected_content_length -= len(body)
            content.append(body)
        if not more and self.expected_content_length != 0:
            raise RuntimeError("The answer is shorter than its Content-Length.")
        self._head = None
        self.transport.write(b"".join(content))
        if not more:
            self.response_complete = True
            self._end()

    def _end(self) -> None:
        self.message_event.set()
        if not self.keep_alive:
            self.protocol.close_after_answer(self)
        self.on_response()


def _lower_name(name: bytes) -> bytes:
    """Return a header name in lower case, checked once and remembered."""
    if HEADER_RE.search(name):
        raise RuntimeError("Invalid HTTP header name.")
    lower = name.lower()
    if len(_lower_names) < _KNOWN_NAMES:
        _lower_names[name] = lower
    return lower


def _nothing() -> None:
    """Stand in for a callback that has done its work, so that no cycle of references stays."""
