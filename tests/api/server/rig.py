"""A served application with a door for every situation, and raw sockets to knock on it."""

import asyncio
import contextlib
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from tellus.surfaces.guard.connections import connection_of
from tellus.surfaces.guard.draining import DrainState
from tellus.surfaces.guard.limits import GuardLimits
from tellus.surfaces.guard.proxies import TrustedProxies
from tellus.surfaces.guard.server import GuardServer, TlsFiles, build_server
from tellus.surfaces.guard.streamsocket import STREAM_KEY, StreamPeer, text_frame

PATIENCE_S = 10.0

KEY = b"dGhlIHNhbXBsZSBub25jZQ=="


class DoorApp:
    """The application: each path behaves as one test needs it."""

    def __init__(self) -> None:
        self.drain = DrainState()
        self.release = asyncio.Event()
        self.parked = 0
        self.left: list[str] = []
        self.started: list[str] = []
        self.received_bytes = 0
        self.trailing: list[Any] = []
        self.peers: list[StreamPeer] = []
        self.stopped = False
        self.trusted: tuple[str, ...] = ()
        self.loop: asyncio.AbstractEventLoop | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        name = scope["path"].strip("/").replace("/", "_") or "root"
        self.started.append(scope["path"])
        if scope["type"] == "websocket":
            door = getattr(self, f"stream_{name}", self.stream_refuse)
        else:
            door = getattr(self, f"http_{name}", self.http_ok)
        await door(scope, receive, send)

    async def _live(self, receive: Any, send: Any) -> None:
        self.loop = asyncio.get_running_loop()
        self.drain.on_drain(self._unpark)
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        self.stopped = True
        await send({"type": "lifespan.shutdown.complete"})

    async def _unpark(self) -> None:
        self.release.set()

    def call(self, work: Callable[[], object]) -> None:
        """Run something on the server's loop."""
        assert self.loop is not None
        self.loop.call_soon_threadsafe(work)

    async def http_ok(self, scope: Any, receive: Any, send: Any) -> None:
        size = await read_body(receive)
        self.trailing.append([name for name, _ in scope["headers"]])
        await answer(send, 200, {"size": size, "path": scope["path"], "method": scope["method"]})

    async def http_early(self, scope: Any, receive: Any, send: Any) -> None:
        await answer(send, 401, {"code": 2001})

    async def http_patient(self, scope: Any, receive: Any, send: Any) -> None:
        connection = connection_of(scope)
        assert connection is not None
        connection.body_grace_s = 1.0
        await self.http_ok(scope, receive, send)

    async def http_large(self, scope: Any, receive: Any, send: Any) -> None:
        await answer(send, 413, {"code": 1001})

    async def http_park(self, scope: Any, receive: Any, send: Any) -> None:
        await read_body(receive)
        self.parked += 1
        gone = asyncio.ensure_future(receive())
        release = asyncio.ensure_future(self.release.wait())
        await asyncio.wait({gone, release}, return_when=asyncio.FIRST_COMPLETED)
        if gone.done():
            self.left.append(gone.result()["type"])
        gone.cancel()
        release.cancel()
        await answer(send, 200, {"data": None})

    async def http_crash(self, scope: Any, receive: Any, send: Any) -> None:
        raise LookupError("a planted bug")

    async def http_halfway(self, scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise LookupError("a planted bug after the start")

    async def http_torn(self, scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"first", "more_body": True})
        raise LookupError("a planted bug after the first piece")

    async def http_device(self, scope: Any, receive: Any, send: Any) -> None:
        connection = connection_of(scope)
        assert connection is not None
        held = connection.claim_device(scope["query_string"].decode())
        await answer(send, 200 if held else 429, {})

    async def http_whoami(self, scope: Any, receive: Any, send: Any) -> None:
        address = TrustedProxies(self.trusted).client_address(scope)
        await answer(send, 200, {"address": address})

    async def http_stuck(self, scope: Any, receive: Any, send: Any) -> None:
        """Read the body only when released."""
        self.parked += 1
        await self.release.wait()
        self.received_bytes = await read_body(receive)
        await answer(send, 200, {"size": self.received_bytes})

    async def http_endless(self, scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while not self.release.is_set():
            await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})
            await asyncio.sleep(0)

    async def http_deaf(self, scope: Any, receive: Any, send: Any) -> None:
        """Never answer, whatever happens."""
        self.parked += 1
        await asyncio.sleep(3600)

    async def stream_echo(self, scope: Any, receive: Any, send: Any) -> None:
        self.peers.append(scope["extensions"][STREAM_KEY])
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": str(len(message.get("text") or ""))})
        self.left.append(str(message["code"]))

    async def stream_refuse(self, scope: Any, receive: Any, send: Any) -> None:
        body = b'{"code":3001,"message":"Resource not found","data":null}'
        headers = [(b"content-type", b"application/json"), (b"x-request-id", b"req_1")]
        start = {"type": "websocket.http.response.start", "status": 404, "headers": headers}
        await send(start)
        await send({"type": "websocket.http.response.body", "body": body})

    async def stream_late(self, scope: Any, receive: Any, send: Any) -> None:
        """Accept only when released."""
        await self.release.wait()
        await self.stream_echo(scope, receive, send)

    async def stream_slow(self, scope: Any, receive: Any, send: Any) -> None:
        """Send until the peer no longer keeps up, then close it for that."""
        self.peers.append(peer := scope["extensions"][STREAM_KEY])
        await send({"type": "websocket.accept"})
        while peer.is_writable():
            peer.write_frame(text_frame(b"x" * 10_000))
        await send({"type": "websocket.close", "code": 4408})
        self.left.append("closed")

    async def stream_crash(self, scope: Any, receive: Any, send: Any) -> None:
        raise LookupError("a planted bug in a stream")

    async def stream_close(self, scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.close", "code": 4408, "reason": "slow"})


async def read_body(receive: Any) -> int:
    """Read a whole body and return its size in bytes."""
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return -1
        size += len(message["body"])
        if not message["more_body"]:
            return size


async def answer(send: Any, status: int, content: Any) -> None:
    """Answer with JSON."""
    body = json.dumps(content).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"x-request-id", b"req_app"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class Rig:
    """A server in a thread, its application, what it logged."""

    def __init__(self, limits: GuardLimits, tls: TlsFiles | None = None) -> None:
        self.app = DoorApp()
        self.app.trusted = limits.trusted_proxies
        self.logged: list[tuple[str, dict[str, Any]]] = []
        self.server: GuardServer = build_server(
            self.app,
            limits=limits,
            drain=self.app.drain,
            tls=tls,
            log=lambda event, facts: self.logged.append((event, dict(facts))),
        )
        self.thread = threading.Thread(target=self.server.run, daemon=True)

    def start(self) -> None:
        self.thread.start()
        assert self.server.ready.wait(PATIENCE_S)

    def stop(self) -> None:
        self.server.request_stop()
        if self.thread.is_alive():
            self.thread.join(1)
        self.server.force_exit = True
        self.thread.join(PATIENCE_S)
        assert not self.thread.is_alive()

    @property
    def port(self) -> int:
        return self.server.bound_port

    @contextlib.contextmanager
    def connect(self, context: ssl.SSLContext | None = None) -> Iterator["Peer"]:
        raw = socket.create_connection(("127.0.0.1", self.port), PATIENCE_S)
        sock = context.wrap_socket(raw, server_hostname="localhost") if context else raw
        with sock:
            yield Peer(sock)

    def ask(self, request: bytes) -> "Answer":
        """Send bytes on a connection of their own and read one answer."""
        with self.connect() as peer:
            peer.send(request)
            return peer.read()

    def eventually(self, claim: Callable[[], object]) -> None:
        """Wait until a claim about the server holds."""
        ends_at = time.monotonic() + PATIENCE_S
        while not claim():
            assert time.monotonic() < ends_at, "it never came true"
            time.sleep(0.01)


class Answer:
    """One HTTP answer."""

    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    def assert_refusal(self, status: int, code: int) -> None:
        """Check that this is the server's own failure: envelope, date, id, closing."""
        assert self.status == status
        assert self.json["code"] == code
        assert self.json["data"] is None
        assert self.json["message"]
        assert set(self.json) == {"code", "message", "data"}
        assert self.headers["content-type"] == "application/json"
        assert self.headers["connection"] == "close"
        assert self.headers["date"].endswith("GMT")
        assert self.headers["x-request-id"].startswith("req_")
        assert "server" not in self.headers


class Peer:
    """The client's end of a connection."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.sock.settimeout(PATIENCE_S)
        self.buffer = b""

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def _more(self) -> bool:
        try:
            data = self.sock.recv(65536)
        except ConnectionError:
            return False
        self.buffer += data
        return bool(data)

    def read_head(self) -> tuple[int, dict[str, str]]:
        while b"\r\n\r\n" not in self.buffer:
            assert self._more(), f"closed in the head: {self.buffer!r}"
        head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = dict(line.lower().split(": ", 1)[:1] + line.split(": ", 1)[1:] for line in lines)
        return int(first.split(" ")[1]), headers

    def read(self) -> Answer:
        status, headers = self.read_head()
        length = int(headers.get("content-length", "0"))
        while len(self.buffer) < length:
            assert self._more(), "closed in the body"
        body, self.buffer = self.buffer[:length], self.buffer[length:]
        return Answer(status, headers, body)

    def is_closed(self) -> bool:
        """Wait for the server's end to close; ``False`` if anything else comes first."""
        return not self.buffer and not self._more()

    def upgrade(self, path: str, extra: bytes = b"") -> Answer:
        """Ask for a WebSocket and read the answer's head (and body, when refused)."""
        self.send(upgrade_request(path, extra))
        return self.read()

    def read_frame(self) -> tuple[int, bytes]:
        """Read one frame of the server: opcode and payload."""
        while len(self.buffer) < 2:
            assert self._more(), "closed between frames"
        opcode, length, start = self.buffer[0] & 15, self.buffer[1] & 127, 2
        if length == 126:
            while len(self.buffer) < 4:
                assert self._more()
            length, start = int.from_bytes(self.buffer[2:4], "big"), 4
        elif length == 127:
            while len(self.buffer) < 10:
                assert self._more()
            length, start = int.from_bytes(self.buffer[2:10], "big"), 10
        while len(self.buffer) < start + length:
            assert self._more(), "closed in a frame"
        payload = self.buffer[start : start + length]
        self.buffer = self.buffer[start + length :]
        return opcode, payload

    def close_code(self) -> int:
        """Read frames until the close frame and return its code."""
        while True:
            opcode, payload = self.read_frame()
            if opcode == 8:
                return int.from_bytes(payload[:2], "big")


def upgrade_request(path: str, extra: bytes = b"") -> bytes:
    """Return the bytes of a valid WebSocket handshake."""
    return (
        b"GET " + path.encode() + b" HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n"
        b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: "
        + KEY
        + b"\r\n"
        + extra
        + b"\r\n"
    )


def frame(opcode: int, payload: bytes, *, fin: bool = True, reserved: int = 0) -> bytes:
    """Return a masked frame as a client sends it (mask of zeros)."""
    first = bytes([(0x80 if fin else 0) | reserved | opcode])
    size = len(payload)
    if size < 126:
        length = bytes([0x80 | size])
    elif size < 65536:
        length = bytes([0x80 | 126]) + size.to_bytes(2, "big")
    else:
        length = bytes([0x80 | 127]) + size.to_bytes(8, "big")
    return first + length + b"\0\0\0\0" + payload
