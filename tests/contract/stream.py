"""Reads the telemetry stream as an operator does; every frame is judged by the contract."""

import json
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.contract.checker import Sent, check_exchange, check_frame
from tests.contract.client import Refused, Reply
from tests.contract.exchange_log import SESSION, ExchangeLog, Logged


class FrameReader:
    """One open stream. Reading a frame that breaks the contract raises `AssertionError`."""

    def __init__(self, connection: ClientConnection, opened: ExitStack) -> None:
        self._connection = connection
        self._opened = opened
        self.frames: list[dict[str, Any]] = []

    def read(self, timeout_s: float = 5.0) -> dict[str, Any]:
        """The next frame. Raises `TimeoutError`, or `ConnectionClosed` when the stream ended."""
        text = self._connection.recv(timeout=timeout_s)
        found = check_frame(text)
        if found:
            lines = "\n".join(f"  - {line}" for line in found)
            raise AssertionError(f"a frame breaks the contract\n{lines}\n  got: {text[:600]!r}")
        frame: dict[str, Any] = json.loads(text)
        self.frames.append(frame)
        return frame

    def send(self, message: str | bytes) -> None:
        """Sends a message, which no proper client of the stream does."""
        self._connection.send(message)

    def closing(self, timeout_s: float = 10.0) -> tuple[int, str]:
        """Reads on until the server closes; gives the close code and its reason."""
        try:
            while True:
                self.read(timeout_s)
        except ConnectionClosed as end:
            frame = end.rcvd
            return (frame.code, frame.reason) if frame else (1006, "")

    def close(self) -> None:
        """Closes the stream from this side."""
        self._opened.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def open_stream(
    base_url: str,
    devices: Sequence[str],
    token: str | None,
    *,
    in_query: bool = False,
    headers: Mapping[str, str] | None = None,
    log: ExchangeLog = SESSION,
) -> FrameReader:
    """Opens a stream for some devices, with the token in the header or in the query.

    Raises `Refused` with the judged answer when the server does not upgrade.
    """
    target = f"/v1/operator/stream?devices={quote(','.join(devices), safe=',')}"
    own = dict(headers or {})
    if token is not None and in_query:
        target += f"&token={quote(token, safe='')}"
    elif token is not None:
        own["Authorization"] = f"Bearer {token}"
    url = base_url.rstrip("/").replace("http", "ws", 1) + target
    opened = ExitStack()
    try:
        connection = opened.enter_context(
            connect(url, additional_headers=own, compression=None, proxy=None, max_queue=None)
        )
    except InvalidStatus as refusal:
        raise _judged(target, own, refusal, log) from None
    log.add(Logged("GET", target, 101, None, "operator"))
    return FrameReader(connection, opened)


def _judged(
    target: str, sent: Mapping[str, str], refusal: InvalidStatus, log: ExchangeLog
) -> Exception:
    response = refusal.response
    headers, body = dict(response.headers.raw_items()), bytes(response.body or b"")
    log.add(Logged("GET", target, response.status_code, None, "operator"))
    found = check_exchange("GET", target, Sent(sent), response.status_code, headers, body)
    if found:
        lines = "\n".join(f"  - {line}" for line in found)
        return AssertionError(f"GET {target}\n{lines}\n  got: {body[:600]!r}")
    return Refused(Reply(response.status_code, headers, body))
