"""uvicorn's WebSocket protocol with bounds, and what a stream needs to drop frames in time.

Bound to uvicorn 0.54.0. The request itself never reaches the WebSocket library, only the fact that
there was one: the guard has parsed it already, and no target or header can get into the library's
log lines.
"""

import asyncio
import logging
import socket
from typing import Any
from urllib.parse import unquote

from uvicorn.config import Config
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.datastructures import Headers
from websockets.exceptions import InvalidState
from websockets.frames import Frame, Opcode
from websockets.http11 import Request, Response
from websockets.protocol import OPEN
from websockets.server import ServerProtocol

from tellus.surfaces.guard import refusals
from tellus.surfaces.guard.connections import CONNECTION_KEY, Connection
from tellus.surfaces.guard.refusals import Refusal, phrase
from tellus.surfaces.guard.state import Guard

STREAM_KEY = "tellus.stream"

_EARLY_BYTES = 16 * 1024
_NOTSENT_LOWAT = getattr(socket, "TCP_NOTSENT_LOWAT", 25)  # absent from the module before 3.12
_REQUEST = b"GET / HTTP/1.1\r\n\r\n"

# Frames hold customers' data: the library's own lines about them go nowhere.
_silent = logging.Logger("tellus.silent", logging.CRITICAL + 1)  # noqa: LOG001 - not in the tree


class StreamPeer:
    """The far end of a stream, found under ``scope["extensions"][STREAM_KEY]``.

    A sender that asks ``is_writable`` before it makes a frame, and skips or replaces the frame
    otherwise, keeps at most ``stream_buffer_bytes`` and one frame per peer.
    """

    __slots__ = ("_protocol",)

    def __init__(self, protocol: "StreamProtocol") -> None:
        self._protocol = protocol

    def is_open(self) -> bool:
        """Tell whether frames can still be sent."""
        return self._protocol.is_open()

    def is_writable(self) -> bool:
        """Tell whether the peer keeps up: its buffer is below the bound."""
        return self._protocol.writable.is_set() and self._protocol.is_open()

    async def drain(self) -> bool:
        """Wait until the peer keeps up again; ``False`` when it has gone instead."""
        await self._protocol.writable.wait()
        return self._protocol.is_open()

    def buffered_bytes(self) -> int:
        """Return what waits in this process to be sent, in bytes."""
        return self._protocol.transport.get_write_buffer_size()

    def write_frame(self, frame: bytes) -> bool:
        """Send a frame made by ``text_frame`` at once; ``False`` when the stream has ended.

        The same bytes serve all subscribers of a device.
        """
        if not self._protocol.is_open():
            return False
        self._protocol.transport.write(frame)
        return True

    def abort(self) -> None:
        """Drop the connection with all that waits to be sent."""
        self._protocol.transport.abort()


def text_frame(payload: bytes) -> bytes:
    """Return the WebSocket frame of a whole text message (RFC 6455, section 5.2), unmasked."""
    return Frame(Opcode.TEXT, payload).serialize(mask=False, extensions=[])


class StreamProtocol(WebSocketsSansIOProtocol):
    """One WebSocket connection."""

    def __init__(
        self, guard: Guard, config: Config, app_state: dict[str, Any], connection: Connection
    ) -> None:
        super().__init__(config, guard.state, app_state, asyncio.get_running_loop())
        limits = guard.limits
        self.guard = guard
        self.connection = connection
        self.logger = _silent
        self.conn = ServerProtocol(max_size=limits.stream_message_bytes, logger=_silent)
        self.ping_interval = self.ping_timeout = limits.stream_ping_s
        self.close_timeout = limits.stream_close_s
        self.abort_timer: asyncio.TimerHandle | None = None
        self.refused_with: tuple[int, list[tuple[bytes, bytes]], bytes] | None = None
        self.early = b""

    # ------------------------------------------------------------------ the connection's life

    def open(self, target: bytes, headers: list[tuple[bytes, bytes]], rest: bytes) -> None:
        """Judge the handshake and start the application; ``rest`` came behind the request."""
        self.guard.streams.add(self)
        limits = self.guard.limits
        self.transport.set_write_buffer_limits(
            high=limits.stream_buffer_bytes, low=limits.stream_buffer_bytes // 4
        )
        _bound_unsent(self.transport, limits.notsent_lowat_bytes)
        self.conn.receive_data(_REQUEST)
        self.conn.events_received()
        pairs = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers]
        self.response = self.conn.accept(Request("/", Headers(pairs)))
        self.handshake_initiated = True
        if self.response.status_code != 101:  # noqa: PLR2004 - Switching Protocols
            self._refuse(refusals.BAD_UPGRADE)
            return
        self.early = rest
        self.scope = self._make_scope(target, headers)
        self.queue.put_nowait({"type": "websocket.connect"})
        task = self.loop.create_task(self.run_asgi())
        task.add_done_callback(self.on_task_complete)
        self.tasks.add(task)

    def _make_scope(self, target: bytes, headers: list[tuple[bytes, bytes]]) -> Any:
        raw_path, _, query = target.partition(b"#")[0].partition(b"?")
        offered = b",".join(v for n, v in headers if n == b"sec-websocket-protocol")
        return {
            "type": "websocket",
            "asgi": {"version": self.asgi_version, "spec_version": "2.4"},
            "http_version": "1.1",
            "scheme": self.scheme,
            "server": self.server,
            "client": self.client,
            "root_path": "",
            "path": unquote(raw_path.decode("latin-1")),
            "raw_path": raw_path,
            "query_string": query,
            "headers": headers,
            "subprotocols": [p.strip() for p in offered.decode("latin-1").split(",") if p.strip()],
            "state": self.app_state.copy(),
            "extensions": {
                "websocket.http.response": {},
                CONNECTION_KEY: self.connection,
                STREAM_KEY: StreamPeer(self),
            },
        }

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the application, release senders that wait, give back what was counted."""
        self.guard.streams.discard(self)
        self.connection.close()
        if self.abort_timer is not None:
            self.abort_timer.cancel()
        super().connection_lost(exc)

    def is_open(self) -> bool:
        """Tell whether frames can be sent: accepted, and neither closing nor lost."""
        return (
            self.handshake_complete
            and not self.close_sent
            and not self.disconnected
            and self.conn.state is OPEN
            and not self.transport.is_closing()
        )

    def shutdown(self) -> None:
        """Close with 1012 (service restart), or refuse what is not accepted yet."""
        self.stop_keepalive()
        if self.is_open():
            self.queue.put_nowait({"type": "websocket.disconnect", "code": 1012})
            self.conn.send_close(1012)
            self.close_sent = True
            self._flush()
        elif not self.handshake_complete:
            self._refuse(refusals.DRAINING)
        self._close()

    def keepalive_timeout(self) -> None:
        """Drop a peer that answers no ping; it would not read a close frame either."""
        self.pong_timer = None
        self.queue.put_nowait({"type": "websocket.disconnect", "code": 1006})
        self.close_sent = True
        self.transport.abort()

    def _flush(self) -> None:
        self.transport.write(b"".join(self.conn.data_to_send()))

    def _close(self) -> None:
        """Close once all is sent; abort when the peer does not take it in time."""
        self.transport.close()
        if self.abort_timer is None and not self.disconnected:
            self.abort_timer = self.loop.call_later(self.close_timeout, self.transport.abort)

    # ------------------------------------------------------------------ frames in

    def data_received(self, data: bytes) -> None:
        """Parse frames; what comes before the application accepts is kept back."""
        if not self.handshake_complete:
            self.early += data
            if len(self.early) > _EARLY_BYTES:
                self.transport.abort()
            return
        if self.conn.parser_exc is None and not self.transport.is_closing():
            super().data_received(data)

    def handle_parser_exception(self) -> None:
        """Close after a broken rule of the protocol, with the code that names it."""
        super().handle_parser_exception()
        self._close()

    def handle_cont(self, event: Frame) -> None:
        """Keep a fragment; empty ones count for nothing and are not kept."""
        if event.data:
            self.frames.append(bytes(event.data))
        if event.fin:
            self.send_receive_event_to_app()

    def send_receive_event_to_app(self) -> None:
        """Queue a message; text that is not UTF-8 ends the stream with 1007."""
        if self.curr_msg_data_type == "text" and not _is_utf8(b"".join(self.frames)):
            self.frames = []
            self.conn.fail(1007, "invalid UTF-8")
            self.handle_parser_exception()
            return
        if not self.frames:
            self.frames = [b""]
        super().send_receive_event_to_app()

    def handle_ping(self) -> None:
        """Answer a ping, unless the peer does not even read the answers."""
        answers = self.conn.data_to_send()
        if self.writable.is_set():
            self.transport.write(b"".join(answers))

    # ------------------------------------------------------------------ the application's side

    async def run_asgi(self) -> None:
        """Run the application for this stream; whatever it does, the peer gets an end."""
        try:
            await self.app(self.scope, self.receive, self.send)
        except (ClientDisconnected, asyncio.CancelledError):
            pass
        except Exception as exc:  # noqa: BLE001 - the edge: one answer for every bug
            self.guard.log("application_error", {"exc_info": exc})
            self._fail()
        else:
            if not self.handshake_complete:
                self.guard.log("answer_incomplete", {"started": False})
                self._fail()
        if self.close_timer is None:
            self._close()

    def _fail(self) -> None:
        if not self.handshake_complete:
            self._refuse(refusals.CRASHED)
        elif self.is_open():
            self.conn.send_close(1011)
            self.close_sent = True
            self._flush()

    def _refuse(self, refusal: Refusal) -> None:
        self.guard.refused[refusal.status] += 1
        body = refusal.body()
        self._answer(refusal.status, refusal.headers(len(body)), body)

    def _answer(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        """Answer the handshake with HTTP instead of an upgrade, and close."""
        answer = Headers()
        for name, value in (*self.default_headers, *headers):
            answer[name.decode("latin-1")] = value.decode("latin-1")
        answer.setdefault("connection", "close")
        answer.setdefault("content-length", str(len(body)))
        self.handshake_complete = self.close_sent = True
        if not self.transport.is_closing():
            self.conn.send_response(Response(status, phrase(status), answer, body))
            self._flush()
        self.queue.put_nowait({"type": "websocket.disconnect", "code": 1006})
        self._close()

    async def send(self, message: Any) -> None:
        """Take one ASGI message: a frame, or one of the handshake.

        A frame waits until the peer keeps up; a close does not, or a peer that reads nothing could
        never be closed for it.
        """
        kind = message["type"]
        if kind != "websocket.close" and not self.writable.is_set():
            await self.writable.wait()
        if self.disconnected:
            raise ClientDisconnected
        if not self.handshake_complete:
            self._send_handshake(kind, message)
        elif kind == "websocket.close":
            self._send_close(message.get("code", 1000), message.get("reason") or "")
        elif kind == "websocket.send":
            self._send_frame(message.get("text"), message.get("bytes"))
        else:
            raise RuntimeError(f"'{kind}' came after the handshake.")

    def _send_handshake(self, kind: str, message: Any) -> None:
        if kind == "websocket.http.response.body" and self.refused_with is not None:
            status, headers, body = self.refused_with
            self.refused_with = (status, headers, body + message.get("body", b""))
            if not message.get("more_body", False):
                self._answer(*self.refused_with)
        elif self.refused_with is not None:
            raise RuntimeError(f"'{kind}' came in the middle of a refusal.")
        elif kind == "websocket.http.response.start":
            self.refused_with = (message["status"], list(message.get("headers", ())), b"")
        elif kind == "websocket.accept":
            self._accept(message.get("subprotocol"), message.get("headers", ()))
        elif kind == "websocket.close":
            self._answer(403, [], b"")
        else:
            raise RuntimeError(f"'{kind}' came before the handshake.")

    def _accept(self, subprotocol: str | None, headers: Any) -> None:
        if self.transport.is_closing():
            return
        answer = self.response.headers
        del answer["Date"]
        for name, value in (*self.default_headers, *headers):
            answer[name.decode("latin-1")] = value.decode("latin-1")
        if subprotocol:
            answer["Sec-WebSocket-Protocol"] = subprotocol
        self.handshake_complete = True
        self.conn.send_response(self.response)
        self._flush()
        self.start_keepalive()
        early, self.early = self.early, b""
        if early:
            self.data_received(early)

    def _send_frame(self, text: str | None, data: bytes | None) -> None:
        if not self.is_open():
            raise ClientDisconnected
        try:
            if data is not None:
                self.conn.send_binary(data)
            elif text is not None:
                self.conn.send_text(text.encode())
        except InvalidState:
            raise ClientDisconnected from None
        self._flush()

    def _send_close(self, code: int, reason: str) -> None:
        if not self.is_open():
            return
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
        self.conn.send_close(code, reason)
        self.close_sent = True
        self._flush()
        self.stop_keepalive()
        if self.read_paused:
            self.read_paused = False
            self.transport.resume_reading()
        self.close_timer = self.loop.call_later(self.close_timeout, self.transport.abort)


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _bound_unsent(transport: asyncio.Transport, lowat_bytes: int) -> None:
    """Let the kernel hold little that the peer has not taken, so that the latest frame wins."""
    connection = transport.get_extra_info("socket")
    if connection is not None:
        connection.setsockopt(socket.IPPROTO_TCP, _NOTSENT_LOWAT, lowat_bytes)
