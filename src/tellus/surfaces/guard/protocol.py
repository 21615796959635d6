"""The guard at the door: uvicorn's HTTP/1.1 protocol with deadlines, bounds and caps.

Bound to uvicorn 0.54.0. The deadlines need no timer per request: each connection says in ``phase``
and ``since`` what it waits for, and one sweep of the server looks at all of them. Whatever is
refused is answered in the envelope, after the answers that are owed on the same connection.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

import httptools
from uvicorn.config import Config

from tellus.surfaces.guard import refusals
from tellus.surfaces.guard.connections import CONNECTION_KEY, Connection
from tellus.surfaces.guard.errands import HEAD_END, Owed
from tellus.surfaces.guard.exchange import Exchange
from tellus.surfaces.guard.phases import WAITS, Pace, Phase, Reading, overdue
from tellus.surfaces.guard.reader import RequestReader
from tellus.surfaces.guard.refusals import Refusal, RefusedError
from tellus.surfaces.guard.state import Guard
from tellus.surfaces.guard.streamsocket import StreamProtocol

_HEAD_SLACK_BYTES = 4 * 1024  # blanks and line ends, which the bound on headers does not count
_FRAMING_PER_BODY_BYTE = 8  # a chunk of one byte costs five more


class GuardProtocol(RequestReader):
    """One HTTP connection."""

    def __init__(self, guard: Guard, config: Config, app_state: dict[str, Any]) -> None:
        super().__init__(guard, config, app_state)
        self.connection: Connection | None = None
        self.phase = Phase.HEAD  # what is waited for,
        self.since = 0.0  # and since when on the loop's clock
        self.unwritten_bytes = 0
        self.resumed = False  # the peer has read since its reading was last looked at
        self.refusal: Refusal | None = None  # owed after the answers before it
        self.deaf = False  # whatever comes is thrown away
        self.lingering = False

    # ------------------------------------------------------------------ the connection's life

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Count the connection, or refuse it with 503."""
        super().connection_made(transport)
        self.flow = Pace(transport, self.loop)
        self.since = self.loop.time()
        self.guard.requests.add(self)
        address = self.client[0] if self.client else ""
        self.connection = self.guard.register.admit(address)
        if self.connection is None:
            self.answer_refusal(refusals.TOO_MANY_CONNECTIONS)
        else:
            self.extensions = {CONNECTION_KEY: self.connection}

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell every waiting handler that the peer is gone, and give back what was counted."""
        self.guard.requests.discard(self)
        self.connections.discard(self)
        for owed in (self.active, self.cycle, *(queued for queued, _ in self.pipeline)):
            if owed is not None:
                owed.lose()  # type: ignore[union-attr]  # only ours are queued
        self.pipeline.clear()
        self.flow.resume_writing()
        if exc is None:
            self.transport.close()
        # Nothing may keep a closed connection in memory until the next collection.
        self.parser = None  # type: ignore[assignment]  # as uvicorn does
        self.cycle = self.active = self.starting = None
        if self.connection is not None:
            self.connection.close()
        if self.lingering:
            self.guard.register.end_linger()

    def resume_writing(self) -> None:
        """Note that the peer has read, and let the handler write on."""
        self.resumed = True
        super().resume_writing()

    def shutdown(self) -> None:
        """Close the connection unless an answer is owed; that one closes it then."""
        if self.active is None and not self.deaf:
            self.close()

    def close(self) -> None:
        """Close once everything written has been sent; the sweep ends what takes too long."""
        self.phase = Phase.CLOSING
        self.since = self.loop.time()
        self.transport.close()

    # ------------------------------------------------------------------ bytes in

    def data_received(self, data: bytes) -> None:
        """Parse what came, start what is complete, refuse what breaks a rule."""
        size = len(data)
        if self.deaf:
            self._discard(size)
            return
        begins = self.reading is Reading.IDLE and self.active is None and not self.flow.write_paused
        if begins and self._runs_known_errand(data):
            return
        self.chunk_bytes = size
        if self.reading == Reading.BODY:
            self.body_raw_bytes += size
        elif self.reading == Reading.HEAD:
            self.head_bytes += size
        else:
            self.head_bytes = size
            self.head_uncounted_bytes = 0
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as exc:
            self._leave_http(data[exc.args[0] :])
        except httptools.HttpParserError as exc:
            cause = exc.__context__
            self.refuse(cause.refusal if isinstance(cause, RefusedError) else refusals.MALFORMED)
        else:
            if begins and self.starting is not None:
                self._get_to_know(self.starting, data)
            self._after_feed()

    def _runs_known_errand(self, data: bytes) -> bool:
        """Take a chunk that is one request with a known head; the parser need not see it."""
        known = self.guard.errands.find(data)
        return known is not None and known[0].run(self, known[1])

    def _get_to_know(self, cycle: Exchange, data: bytes) -> None:
        """Run the errand of a chunk that was parsed and is one plain request; know its head."""
        end = data.find(HEAD_END) + len(HEAD_END)
        whole = self.reading is Reading.IDLE and len(data) - end == len(cycle.body)
        plain = not (self.chunked or self.upgrade or self.connection_options or cycle.more_body)
        if not (whole and plain and cycle.keep_alive) or cycle.waiting_for_100_continue:
            return
        errands = self.guard.errands
        errand = errands.clerk.recognise(cycle.scope["method"], self.url, self.headers)
        if errand is not None and errand.run(self, bytes(cycle.body)):
            self.starting = self.cycle = None
            errands.remember(data, errand)

    def owe(self, owed: Owed) -> None:
        """Expect an answer by ``give`` or ``give_by_task``; nothing else is served before it."""
        self.active = owed
        self.phase = Phase.BUSY
        self.since = self.loop.time()

    def give(self, answer: bytes) -> None:
        """Write the whole answer that is owed, and go on."""
        self.transport.write(answer)
        self.on_response_complete()

    def give_by_task(self, scope: dict[str, Any], app: Callable[..., Any]) -> None:
        """Let an application give the answer that is owed; its request has been read."""
        cycle = self.active = Exchange(self, scope, keep_alive=True)
        cycle.more_body = False
        cycle.disconnected = self.transport.is_closing()
        self._start_asgi_task(cycle, app)

    def _after_feed(self) -> None:
        if self.starting is not None:
            cycle, self.starting = self.starting, None
            self._start_asgi_task(cycle, self.app)
        if self.reading == Reading.HEAD:
            limits = self.guard.limits
            if len(self.url) > limits.target_bytes and not self.headers:
                self.refuse(refusals.LONG_TARGET)
                return
            if self.head_bytes > limits.head_bytes + len(self.url) + _HEAD_SLACK_BYTES:
                self.refuse(refusals.LARGE_HEAD)
                return
        elif self.reading == Reading.BODY:
            framing = self.body_raw_bytes - self.body_bytes
            if framing > self.guard.limits.head_bytes + _FRAMING_PER_BODY_BYTE * self.body_bytes:
                self.refuse(refusals.MALFORMED)
                return
            if self.active is None and self.body_bytes > self.guard.limits.discard_bytes:
                self.close()
                return
        if self.moved:
            self._settle()

    def _settle(self) -> None:
        """Say what the connection waits for from now on."""
        self.moved = False
        if self.active is None:
            self.phase = WAITS[self.reading]
        elif self.reading == Reading.BODY and not self.pipeline:
            self.phase = Phase.BODY
        else:
            self.phase = Phase.BUSY
        self.since = self.loop.time()

    def _discard(self, size: int) -> None:
        self.body_bytes += size
        if self.body_bytes > self.guard.limits.discard_bytes:
            self.transport.abort()

    # ------------------------------------------------------------------ answers

    def on_response_complete(self) -> None:
        """Start the next pipelined request, or wait for one."""
        self.server_state.total_requests += 1
        if self.connection is not None:
            self.connection.end_request()
        self.active = None
        if self.transport.is_closing() or self.lingering:
            return
        self.flow.resume_reading()
        if self.pipeline:
            cycle, app = self.pipeline.pop()
            self.active = cycle  # type: ignore[assignment]  # only ours are queued
            self._start_asgi_task(cycle, app)
        elif self.refusal is not None:
            self.answer_refusal(self.refusal)
            return
        self._settle()

    def close_after_answer(self, cycle: Exchange) -> None:
        """Close behind the last answer; what the peer still sends must not reset it unread."""
        self.pipeline.clear()
        if cycle.more_body or self.refusal is not None:
            self._linger()
        else:
            self.close()

    def refuse(self, refusal: Refusal) -> None:
        """Answer a broken rule, after the answers that are owed, and read no further."""
        self.deaf = True
        if self.starting is not None and not self.starting.more_body:
            self._start_asgi_task(self.starting, self.app)
        elif self.starting is not None:
            self.active = None
        self.starting = None
        cycle = self.cycle
        if cycle is not None and cycle.more_body:
            if cycle.response_complete:
                self.close()  # answered early; a second answer would be taken for another request's
                return
            if cycle is self.active:
                cycle.disconnected = True
                cycle.message_event.set()
                self.active = None
                if cycle.response_started:
                    self.transport.abort()
                    return
            else:
                self.pipeline = deque(q for q in self.pipeline if q[0] is not cycle)
        self.refusal = refusal
        if self.active is None:
            self.answer_refusal(refusal)
        else:
            self._settle()

    def answer_refusal(self, refusal: Refusal) -> None:
        """Write a refusal and close once the peer has had time to read it."""
        self.guard.refused[refusal.status] += 1
        facts = {"status": refusal.status, "address": self.client[0] if self.client else ""}
        self.guard.log("request_refused", facts)
        self.transport.write(refusal.render(self.guard.state.default_headers))
        self._linger()

    def _linger(self) -> None:
        self.deaf = True
        self.body_bytes = 0
        if not self.guard.register.begin_linger():
            self.close()
            return
        self.lingering = True
        self.phase = Phase.LINGER
        self.since = self.loop.time()
        self.flow.resume_reading()
        if self.transport.can_write_eof():
            self.transport.write_eof()

    def check_deadline(self, now_s: float) -> None:
        """Act on a wait that has lasted too long; called by the server's sweep."""
        overdue(self, now_s)

    # ------------------------------------------------------------------ leaving HTTP/1.1

    def _leave_http(self, rest: bytes) -> None:
        """Hand the connection to a stream, or read on where another protocol was offered."""
        method = self.parser.get_method()
        if not self.is_stream(method, self.parser.get_http_version()):
            self._ignore_upgrade(rest)
            return
        if self.active is not None or self.chunked or self.sized:
            self.refuse(refusals.BAD_UPGRADE)
            return
        connection = self.connection
        if connection is None:
            return
        self.guard.requests.discard(self)
        self.connections.discard(self)
        self.connection = None
        stream = StreamProtocol(self.guard, self.config, self.app_state, connection)
        self.transport.set_protocol(stream)
        stream.connection_made(self.transport)
        stream.open(self.url, self.headers, rest)

    def _ignore_upgrade(self, rest: bytes) -> None:
        """Serve a request as if it had offered no other protocol (RFC 9110, section 7.8).

        The parser has skipped its body, so a fresh one is told its length and reads on.
        """
        self.upgrading = False
        self.parser = httptools.HttpRequestParser(self)
        if not (self.chunked or self.sized):
            self.on_message_complete()
        else:
            length = next((v for n, v in self.headers if n == b"content-length"), b"")
            framing = (
                b"transfer-encoding: chunked" if self.chunked else b"content-length: " + length
            )
            self.resuming = True
            self.parser.feed_data(b"POST / HTTP/1.1\r\n" + framing + b"\r\n\r\n")
        if rest:
            self.data_received(rest)
        else:
            self._after_feed()
