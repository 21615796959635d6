"""Subscribers of the stream for load: good ones that read, and sockets that never do."""

import asyncio
import contextlib
import json
import socket
import time
from collections.abc import Iterator, Sequence
from urllib.parse import quote, urlsplit

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from tests.reliability.ledger import ms_of

_KEY = "dGhlIHNhbXBsZSBub25jZQ=="
_SMALL_BUFFER_BYTES = 4096
_READING_S = 5.0
# A sender whose peer had no room asks ever more rarely whether there is some again.
_PROBED_WITHIN_S = 10.0


def target_of(devices: Sequence[str]) -> str:
    """Return the request target of a stream of some devices."""
    return f"/v1/operator/stream?devices={quote(','.join(devices), safe=',')}"


class Reader:
    """A good subscriber: takes every frame at once and notes how old it was."""

    def __init__(self) -> None:
        self.ages_s: list[float] = []
        self.frames = 0
        self.closed_with: int | None = None

    async def run(self, base_url: str, devices: Sequence[str], token: str) -> None:
        """Read until cancelled or closed."""
        url = base_url.replace("http", "ws", 1) + target_of(devices)
        head = {"Authorization": f"Bearer {token}"}
        async with connect(
            url, additional_headers=head, compression=None, proxy=None, ping_interval=None
        ) as stream:
            try:
                async for text in stream:
                    self._note(json.loads(text)["timestamp"])
            except ConnectionClosed as end:
                self.closed_with = end.rcvd.code if end.rcvd else 1006

    def _note(self, timestamp: str) -> None:
        self.frames += 1
        if self.frames > 1:  # the snapshot is as old as the last sample before it
            self.ages_s.append(time.time() - ms_of(timestamp) / 1000)


class Deaf:
    """A subscriber that reads the handshake's answer and then nothing."""

    def __init__(self, base_url: str, devices: Sequence[str], token: str) -> None:
        address = urlsplit(base_url)
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SMALL_BUFFER_BYTES)
        self.socket.settimeout(10)
        self.socket.connect((address.hostname, address.port))
        self.socket.sendall(
            f"GET {target_of(devices)} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n"
            f"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {_KEY}\r\n"
            f"Authorization: Bearer {token}\r\n\r\n".encode()
        )
        head = b""
        while b"\r\n\r\n" not in head:
            head += self.socket.recv(1)
        assert b" 101 " in head, head

    def ending(self) -> int:
        """Read what was kept for it, then leave; return the close code.

        1006 stands for an end without a code, 0 for a stream that is still open.
        """
        said = bytearray()
        self.socket.settimeout(_PROBED_WITHIN_S)
        ends_at = time.monotonic() + _READING_S
        with self.socket, contextlib.suppress(ConnectionError):
            try:
                while piece := self.socket.recv(65536):
                    said += piece
                    if time.monotonic() > ends_at:
                        return 0
            except TimeoutError:
                return 0
        return _close_code(bytes(said))


def _close_code(said: bytes) -> int:
    for opcode, payload in _frames(said):
        if opcode == 8:
            return int.from_bytes(payload[:2], "big")
    return 1006


def _frames(said: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield opcode and payload of the server's frames (RFC 6455, section 5.2)."""
    at = 0
    while at + 2 <= len(said):
        opcode, length, at = said[at] & 15, said[at + 1] & 127, at + 2
        wide = {126: 2, 127: 8}.get(length, 0)
        if wide:
            length, at = int.from_bytes(said[at : at + wide], "big"), at + wide
        yield opcode, said[at : at + length]
        at += length


async def ended(tasks: Sequence[asyncio.Task[None]]) -> None:
    """Cancel tasks and wait for their ends; what went wrong in one is raised."""
    for task in tasks:
        task.cancel()
    for outcome in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(outcome, BaseException) and not isinstance(outcome, asyncio.CancelledError):
            raise outcome
