"""Lean clients for load: keep-alive HTTP/1.1 and a WebSocket reader, straight on asyncio."""

import asyncio
import base64
import os
import struct
from collections import deque
from collections.abc import Callable
from typing import Any

import msgspec

Answer = tuple[int, bytes]

_HEAD_END = b"\r\n\r\n"
_LENGTH = b"content-length: "


def post(path: str, token: str, body: bytes, kind: str = "application/json") -> bytes:
    """Return the bytes of a POST with a bearer token (none where it is empty)."""
    bearer = f"Authorization: Bearer {token}\r\n" if token else ""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: bench\r\n{bearer}Content-Type: {kind}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def get(path: str, token: str) -> bytes:
    """Return the bytes of a GET with a bearer token."""
    return f"GET {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {token}\r\n\r\n".encode()


class HttpConnection(asyncio.Protocol):
    """One keep-alive connection; requests may be written one after the other."""

    def __init__(self) -> None:
        self._waiting: deque[asyncio.Future[Answer]] = deque()
        self._buffer = b""
        self._transport: asyncio.Transport
        self._loop = asyncio.get_running_loop()

    @classmethod
    async def open(cls, port: int) -> "HttpConnection":
        """Connect to 127.0.0.1."""
        loop = asyncio.get_running_loop()
        _, protocol = await loop.create_connection(cls, "127.0.0.1", port)
        return protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = transport  # type: ignore[assignment]  # it is a socket's

    @property
    def unanswered(self) -> int:
        """Return how many requests wait for their answer."""
        return len(self._waiting)

    def ask(self, request: bytes) -> "asyncio.Future[Answer]":
        """Write a request; the future gets status and body."""
        future: asyncio.Future[Answer] = self._loop.create_future()
        self._waiting.append(future)
        self._transport.write(request)
        return future

    def data_received(self, data: bytes) -> None:
        """Take answers out of what has come."""
        buffer = self._buffer + data if self._buffer else data
        while True:
            end = buffer.find(_HEAD_END)
            if end < 0:
                break
            head = buffer[:end].lower()
            start = head.find(_LENGTH)
            size = int(head[start + len(_LENGTH) :].partition(b"\r\n")[0]) if start >= 0 else 0
            whole = end + len(_HEAD_END) + size
            if len(buffer) < whole:
                break
            future = self._waiting.popleft()
            if not future.done():
                future.set_result((int(head[9:12]), buffer[whole - size : whole]))
            buffer = buffer[whole:]
        self._buffer = buffer

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail what still waits."""
        for future in self._waiting:
            if not future.done():
                future.set_exception(exc or ConnectionResetError("the server closed"))

    def close(self) -> None:
        """Close the connection."""
        self._transport.close()


async def call(connection: HttpConnection, request: bytes) -> Any:
    """Return ``data`` of a call that has to succeed."""
    status, body = await connection.ask(request)
    if status != 200:
        raise RuntimeError(f"{request.splitlines()[0]!r} was answered {status}: {body[:300]!r}")
    return msgspec.json.decode(body)["data"]


class StreamReader(asyncio.Protocol):
    """A WebSocket client that hands every text frame to ``on_frame(payload)`` and answers pings."""

    def __init__(self, request: bytes, on_frame: Callable[[bytes], None]) -> None:
        self._request = request
        self._on_frame = on_frame
        self._buffer = b""
        self._transport: asyncio.Transport
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.closed = False

    @classmethod
    async def open(
        cls, port: int, path: str, token: str, on_frame: Callable[[bytes], None]
    ) -> "StreamReader":
        """Connect, shake hands and begin to read."""
        key = base64.b64encode(os.urandom(16)).decode()
        request = (
            f"GET {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {token}\r\n"
            "Upgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n"
        ).encode()
        loop = asyncio.get_running_loop()
        _, reader = await loop.create_connection(lambda: cls(request, on_frame), "127.0.0.1", port)
        await reader.opened
        return reader

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the handshake."""
        self._transport = transport  # type: ignore[assignment]  # it is a socket's
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        """Take frames out of what has come (RFC 6455, section 5.2)."""
        buffer = self._buffer + data if self._buffer else data
        if not self.opened.done():
            end = buffer.find(_HEAD_END)
            if end < 0:
                self._buffer = buffer
                return
            if not buffer.startswith(b"HTTP/1.1 101"):
                self.opened.set_exception(RuntimeError(repr(buffer[:400])))
                return
            self.opened.set_result(None)
            buffer = buffer[end + len(_HEAD_END) :]
        position, length = 0, len(buffer)
        while length - position >= 2:
            size, start = buffer[position + 1], position + 2
            if size == 126:
                start += 2
                if length < start:
                    break
                (size,) = struct.unpack_from("!H", buffer, position + 2)
            elif size == 127:
                start += 8
                if length < start:
                    break
                (size,) = struct.unpack_from("!Q", buffer, position + 2)
            if length < start + size:
                break
            self._take(buffer[position] & 0x0F, buffer[start : start + size])
            position = start + size
        self._buffer = buffer[position:]

    def _take(self, opcode: int, payload: bytes) -> None:
        if opcode == 1:
            self._on_frame(payload)
        elif opcode == 9:
            self._transport.write(bytes([0x8A, 0x80 | len(payload)]) + bytes(4) + payload)
        elif opcode == 8:
            self.closed = True

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever still waits for the handshake."""
        self.closed = True
        if not self.opened.done():
            self.opened.set_exception(exc or ConnectionResetError("the server closed"))

    def close(self) -> None:
        """Drop the connection."""
        self._transport.close()
