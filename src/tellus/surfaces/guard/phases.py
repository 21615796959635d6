"""What a connection waits for, and what happens when that takes too long."""

import asyncio
import enum
from typing import TYPE_CHECKING

from uvicorn.protocols.http.flow_control import FlowControl

from tellus.surfaces.guard import refusals
from tellus.surfaces.guard.limits import GuardLimits

if TYPE_CHECKING:
    from tellus.surfaces.guard.protocol import GuardProtocol


class Reading(enum.IntEnum):
    """What the parser is in the middle of."""

    IDLE = 0
    HEAD = 1
    BODY = 2


class Phase(enum.IntEnum):
    """What the connection waits for; the first three are the peer's turn to send."""

    IDLE = 0
    HEAD = 1
    BODY = 2
    BUSY = 3
    LINGER = 4
    CLOSING = 5


WAITS = (Phase.IDLE, Phase.HEAD, Phase.BODY)
"""The phase that goes with what is being read, by its number."""


class Pace(FlowControl):
    """uvicorn's flow control that remembers when reading went on (seconds on the loop's clock)."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(transport)
        self.resumed_at_s = 0.0
        self._loop = loop

    def resume_reading(self) -> None:
        """Take bytes from the peer again; its time starts anew."""
        if self.read_paused:
            self.resumed_at_s = self._loop.time()
            super().resume_reading()


def patience(limits: GuardLimits) -> tuple[float, ...]:
    """Return, by phase, after how many seconds a wait is looked at."""
    return (
        limits.keep_alive_s,
        limits.head_timeout_s,
        limits.body_timeout_s,
        limits.write_stall_s,
        limits.linger_s,
        limits.write_stall_s,
    )


def overdue(protocol: "GuardProtocol", now_s: float) -> None:
    """Act on a connection whose wait has lasted longer than the patience with its phase."""
    phase = protocol.phase
    if phase == Phase.HEAD:
        protocol.refuse(refusals.SLOW_HEAD)
    elif phase == Phase.BODY:
        _check_body(protocol, now_s)
    elif phase == Phase.IDLE:
        protocol.close()
    elif phase == Phase.BUSY:
        _check_reader(protocol, now_s)
    elif phase == Phase.LINGER:
        protocol.transport.abort()
    else:
        _check_closing(protocol, now_s)


def _check_body(protocol: "GuardProtocol", now_s: float) -> None:
    limits = protocol.guard.limits
    flow = protocol.flow
    if flow.read_paused:
        return  # the handler is slow, not the peer
    grace_s = protocol.connection.body_grace_s if protocol.connection is not None else 0.0
    allowed_s = limits.body_timeout_s + grace_s + protocol.body_bytes / limits.body_rate_bytes_s
    if now_s - max(protocol.since, flow.resumed_at_s) <= allowed_s:
        return
    if protocol.active is None:
        protocol.close()  # the answer was given long ago; only its leftovers were awaited
    else:
        protocol.refuse(refusals.SLOW_BODY)


def _check_reader(protocol: "GuardProtocol", now_s: float) -> None:
    """Drop a peer that has let a full write buffer stand for the whole time."""
    if protocol.flow.write_paused and not protocol.resumed:
        protocol.transport.abort()
        return
    protocol.resumed = False
    protocol.since = now_s


def _check_closing(protocol: "GuardProtocol", now_s: float) -> None:
    """Drop a peer that takes nothing of what it was sent last."""
    left = protocol.transport.get_write_buffer_size()
    if left in (0, protocol.unwritten_bytes):
        protocol.transport.abort()
        return
    protocol.unwritten_bytes = left
    protocol.since = now_s
