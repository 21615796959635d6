"""The control socket of a running fleet: one JSON object per line, in both directions.

A request is ``{"action": …, "sn": …, "connector_id": …, "value": …}``; the answer is
``{"ok": true, "data": …}`` or ``{"ok": false, "error": …}``. ``all`` as serial number means every
charger. The socket belongs to the user alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import msgspec

EVERY_CHARGER = "all"
_LINE_BYTES = 65_536
_CONNECT_TIMEOUT_S = 5.0
_ANSWER_TIMEOUT_S = 10.0


class ControlRefused(Exception):
    """It cannot be done; the text says why."""


class ControlRequest(msgspec.Struct, forbid_unknown_fields=True):
    """What a fleet is told; ``value`` depends on the action.

    ``variant`` and ``strength`` belong to ``inject``. ``sn`` may also be the platform's device id.
    """

    action: str
    sn: str = ""
    connector_id: int = 1
    value: str | None = None
    variant: str | None = None
    strength: float | None = None


class ControlAnswer(msgspec.Struct, omit_defaults=True):
    """What the fleet says to it."""

    ok: bool
    data: Any = None
    error: str = ""


class ControlSocket:
    """Serves a unix socket for the length of an ``async with`` block; a path of None serves none.

    Entering raises ControlRefused where the path is unusable, or another fleet listens there.
    """

    def __init__(self, path: Path | None, answer: Callable[[ControlRequest], Any]) -> None:
        self._path = path
        self._answer = answer
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        if self._path is None:
            return self
        if self._path.is_socket():
            if _is_alive(self._path):
                raise ControlRefused(f"another fleet listens on {self._path}")
            self._path.unlink()
        before = os.umask(0o177)
        try:
            self._server = await asyncio.start_unix_server(
                self._serve, str(self._path), limit=_LINE_BYTES
            )
        except OSError as error:
            raise ControlRefused(f"cannot listen on {self._path}: {error}") from error
        finally:
            os.umask(before)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is None or self._path is None:
            return
        self._server.close()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        self._path.unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._connections.add(task)
            task.add_done_callback(self._connections.discard)
        try:
            with contextlib.suppress(OSError, ValueError):
                while line := await reader.readline():
                    writer.write(msgspec.json.encode(self._reply(line)) + b"\n")
                    await writer.drain()
        finally:
            writer.close()

    def _reply(self, line: bytes) -> ControlAnswer:
        try:
            request = msgspec.json.decode(line, type=ControlRequest)
            return ControlAnswer(ok=True, data=self._answer(request))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            return ControlAnswer(ok=False, error=f"the request is not understood: {error}")
        except ControlRefused as refusal:
            return ControlAnswer(ok=False, error=str(refusal))


def _is_alive(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as trial:
        trial.settimeout(_CONNECT_TIMEOUT_S)
        try:
            trial.connect(str(path))
        except OSError:
            return False
    return True


def ask_fleet(path: Path, request: ControlRequest) -> Any:
    """Ask the fleet that listens on ``path`` and return its answer's data.

    Raises OSError where nobody listens, ControlRefused with the fleet's reason.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
        link.settimeout(_ANSWER_TIMEOUT_S)
        link.connect(str(path))
        link.sendall(msgspec.json.encode(request) + b"\n")
        with link.makefile("rb") as lines:
            line = lines.readline()
    try:
        answer = msgspec.json.decode(line, type=ControlAnswer)
    except msgspec.DecodeError as error:
        raise ControlRefused(f"what listens on {path} is no fleet: {error}") from error
    if not answer.ok:
        raise ControlRefused(answer.error)
    return answer.data
