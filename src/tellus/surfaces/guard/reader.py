"""Reading requests: uvicorn's parser callbacks with bounds on what a head may be.

Bound to uvicorn 0.54.0, whose callbacks these replace. Trailers are no headers, lengths stated
twice or in two ways are refused, and nothing is started before the chunk it came in is judged.
"""

import asyncio
from typing import Any
from urllib.parse import unquote

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from tellus.surfaces.guard import refusals
from tellus.surfaces.guard.errands import Owed
from tellus.surfaces.guard.exchange import Exchange
from tellus.surfaces.guard.phases import Pace, Reading
from tellus.surfaces.guard.refusals import RefusedError
from tellus.surfaces.guard.state import Guard

TARGET_KEY = "target"
"""Where the request's state holds its target as it was sent, to the byte."""

_WATCHED = frozenset(
    (b"expect", b"transfer-encoding", b"content-length", b"host", b"upgrade", b"connection")
)
_VERSIONS = ("1.1", "1.0")
_HEADER_OVERHEAD_BYTES = 4  # colon, space, carriage return, line feed


class RequestReader(HttpToolsProtocol):
    """The reading half of one HTTP connection."""

    cycle: Exchange | None  # type: ignore[assignment]  # uvicorn leaves the None out
    flow: Pace

    def __init__(self, guard: Guard, config: Config, app_state: dict[str, Any]) -> None:
        super().__init__(config, guard.state, app_state, asyncio.get_running_loop())
        self.guard = guard
        self.extensions: dict[str, Any] = {}
        self.reading = Reading.HEAD
        self.moved = True  # reading has changed since the deadline was last set
        self.chunk_bytes = 0
        self.head_bytes = 0
        self.head_uncounted_bytes = 0  # of this head, in a chunk that began with something else
        self.body_bytes = 0
        self.body_raw_bytes = 0  # with chunk sizes and trailers
        self.active: Exchange | Owed | None = None  # whose answer is owed next
        self.starting: Exchange | None = None  # read, and not yet given to the application
        self._begin_head()

    def _begin_head(self) -> None:
        self.url = b""
        self.headers = []
        self.hosts = 0
        self.chunked = False
        self.sized = False
        self.upgrade = b""
        self.connection_options = b""
        self.upgrading = False
        self.resuming = False
        self.expect_100_continue = False

    def on_message_begin(self) -> None:
        """Begin a request."""
        if self.resuming:
            return
        self.reading = Reading.HEAD
        self.moved = True
        self._begin_head()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep one header; a trailer is none, so that nobody adds one after authentication."""
        if self.resuming or self.reading == Reading.BODY:
            return
        name = name.lower()
        if name in _WATCHED:
            self._watch(name, value)
        self.headers.append((name, value))

    def _watch(self, name: bytes, value: bytes) -> None:
        if name == b"host":
            self.hosts += 1
        elif name == b"content-length":
            self.sized = True
        elif name == b"connection":
            self.connection_options += b"," + value.lower()
        elif name == b"upgrade":
            self.upgrade = value.lower()
        elif name == b"expect":
            self.expect_100_continue = value.lower() == b"100-continue"
        elif self.chunked or value.strip().lower() != b"chunked":
            raise RefusedError(refusals.BAD_FRAMING)
        else:
            self.chunked = True

    def on_headers_complete(self) -> None:
        """Judge the head and queue the request for the application."""
        if self.resuming:
            return
        self.reading = Reading.BODY
        self.moved = True
        self.body_bytes = self.body_raw_bytes = 0
        version = self.parser.get_http_version()
        self._judge_head(version)
        method = self.parser.get_method()
        if self.parser.should_upgrade():
            self.upgrading = True
            if self.is_stream(method, version):
                return
        cycle = self.cycle = self._exchange(method, version)
        if self.active is None:
            self.active = self.starting = cycle
            return
        if len(self.pipeline) >= self.guard.limits.pipelined_requests:
            raise RefusedError(refusals.TOO_MANY_PIPELINED)
        self.flow.pause_reading()
        self.pipeline.appendleft((cycle, self.app))

    def _judge_head(self, version: str) -> None:
        limits = self.guard.limits
        if len(self.url) > limits.target_bytes:
            raise RefusedError(refusals.LONG_TARGET)
        if self.head_bytes + self.head_uncounted_bytes > limits.head_bytes:
            size = sum(len(name) + len(value) for name, value in self.headers)
            if size + _HEADER_OVERHEAD_BYTES * len(self.headers) > limits.head_bytes:
                raise RefusedError(refusals.LARGE_HEAD)
        if version not in _VERSIONS or self.hosts > 1:
            raise RefusedError(refusals.MALFORMED)
        if self.chunked and (self.sized or version == "1.0"):
            raise RefusedError(refusals.BAD_FRAMING)

    def _exchange(self, method: bytes, version: str) -> Exchange:
        target = httptools.parse_url(self.url)
        raw_path = target.path or b"/"
        path = raw_path.decode("ascii")
        self.scope = {
            "type": "http",
            "asgi": {"version": self.asgi_version, "spec_version": "2.3"},
            "http_version": version,
            "method": method.decode("ascii"),
            "server": self.server,
            "client": self.client,
            "scheme": self.scheme or "http",
            "root_path": "",
            "path": unquote(path) if "%" in path else path,
            "raw_path": raw_path,
            "query_string": target.query or b"",
            "headers": self.headers,
            "state": {**self.app_state, TARGET_KEY: self.url},
            "extensions": self.extensions,
        }
        keep_alive = version == "1.1" and self.parser.should_keep_alive()
        expects = self.expect_100_continue
        return Exchange(self, self.scope, keep_alive=keep_alive, expects=expects)

    def close_after_answer(self, cycle: Exchange) -> None:
        """Close behind the last answer of this connection."""
        del cycle
        self.transport.close()

    def on_body(self, body: bytes) -> None:
        """Hand a piece of the body on; stop reading when the handler is behind."""
        cycle = self.cycle
        self.body_bytes += len(body)
        if cycle is None or cycle.response_complete:
            return
        cycle.body += body
        if len(cycle.body) > HIGH_WATER_LIMIT:
            self.flow.pause_reading()
        cycle.message_event.set()

    def on_message_complete(self) -> None:
        """End a request's body; what follows in this chunk belongs to the next request."""
        if self.upgrading:
            return
        self.reading = Reading.IDLE
        self.moved = True
        self.resuming = False
        self.head_bytes = 0
        self.head_uncounted_bytes = self.chunk_bytes
        cycle = self.cycle
        if cycle is None:
            return
        cycle.more_body = False  # also of one that was answered early: nothing of it is to come
        if not cycle.response_complete:
            cycle.message_event.set()

    def is_stream(self, method: bytes, version: str) -> bool:
        """Tell whether the request that was read asks for a WebSocket (RFC 6455, section 4.1)."""
        options = [option.strip() for option in self.connection_options.split(b",")]
        return (
            method == b"GET"
            and version == "1.1"
            and self.upgrade.strip() == b"websocket"
            and b"upgrade" in options
        )
