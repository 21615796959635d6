"""A fleet that does nothing but park long-polls, and an operator who commands it."""

import asyncio
import random
import time
from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from bench.tellus_server import Charger
from bench.wire import HttpConnection, get, post

WAIT_S = 60
_PAUSE = b'{"target_type":"all","command":"pause_charging","params":{"duration":3600}}'
_STOP = b'{"reason":"bench"}'
_AT_ONCE = 200


class _Payload(msgspec.Struct):
    command_id: str


class _Answer(msgspec.Struct):
    data: _Payload | None = None


_decode = msgspec.json.Decoder(_Answer).decode


class PollingFleet:
    """Chargers with a poll for each of ``connectors``; ``received_s`` says when a command came.

    With ``reports`` a charger says of each command that it has carried it out before it polls on;
    with ``once`` it takes one answer and polls no more. ``answered_s`` says when the last came.
    """

    def __init__(
        self,
        chargers: Sequence[Charger],
        connectors: int = 1,
        *,
        reports: bool = True,
        once: bool = False,
    ) -> None:
        self.places = [(one, number + 1) for one in chargers for number in range(connectors)]
        self.received_s: dict[str, float] = {}
        self.refused = 0
        self.answered_s = 0.0
        self._reports = reports
        self._once = once
        self._connections: list[HttpConnection] = []
        self._polling: list[asyncio.Task[None]] = []
        self._parked: list[asyncio.Future[tuple[int, bytes]] | None] = []

    async def connect(self, port: int) -> None:
        """Open a connection for each poll, some hundred at a time."""
        while len(self._connections) < len(self.places):
            some = min(_AT_ONCE, len(self.places) - len(self._connections))
            opened = await asyncio.gather(*(HttpConnection.open(port) for _ in range(some)))
            self._connections += opened

    async def ask_at_once(self, within_s: float) -> float:
        """Begin to poll everywhere at the same moment; return how long the last answer took."""
        self._parked = [None] * len(self.places)
        began_s = time.perf_counter()
        self._polling = [asyncio.create_task(self._poll(n)) for n in range(len(self.places))]
        return await self.wait_for_release(within_s) - began_s

    async def park(self) -> None:
        """Begin to poll everywhere, some hundred at a time."""
        self._parked = [None] * len(self.places)
        for number in range(len(self.places)):
            self._polling.append(asyncio.create_task(self._poll(number)))
            if number % _AT_ONCE == _AT_ONCE - 1:
                await asyncio.sleep(0.02)
        await asyncio.sleep(1.5)

    @property
    def parked(self) -> int:
        """Return how many polls wait for their answer."""
        return sum(future is not None and not future.done() for future in self._parked)

    async def _poll(self, number: int) -> None:
        charger, connector = self.places[number]
        connection = self._connections[number]
        path = f"/v1/device/commands?connector_id={connector}&wait={WAIT_S}"
        request = get(path, charger.token)
        while True:
            future = self._parked[number] = connection.ask(request)
            status, body = await future
            now_s = self.answered_s = time.perf_counter()
            if status != 200:
                self.refused += 1
                return
            payload = _decode(body).data
            if payload is None:
                if self._once:
                    return
                continue
            self.received_s[payload.command_id] = now_s
            if self._once:
                return
            if self._reports:
                status, _ = await connection.ask(_completed(charger, payload.command_id))
                self.refused += status != 200

    async def wait_for_commands(self, count: int, within_s: float) -> None:
        """Wait until ``count`` commands have come since the beginning."""
        until_s = time.perf_counter() + within_s
        while len(self.received_s) < count:
            if time.perf_counter() > until_s:
                missing = count - len(self.received_s)
                raise RuntimeError(f"{missing} commands did not come within {within_s:g} s")
            await asyncio.sleep(0.005)

    async def wait_for_release(self, within_s: float) -> float:
        """Wait until every poll has been answered, and poll no more; return when the last was."""
        self._once = True
        await asyncio.wait_for(asyncio.gather(*self._polling), within_s)
        return self.answered_s

    def leave(self) -> None:
        """Stop polling and hang up."""
        for task in self._polling:
            task.cancel()
        for connection in self._connections:
            connection.close()


def _completed(charger: Charger, command_id: str) -> bytes:
    now = datetime.now(UTC).isoformat(timespec="milliseconds").encode()
    body = b'{"command_id":"%s","status":"completed","timestamp":"%s"}'
    path = "/v1/device/command-status"
    return post(path, charger.token, body % (command_id.encode(), now))


class Operator:
    """One who sends stops; ``called_s`` says when each was called for, ``answered_s`` the last."""

    def __init__(self, connection: HttpConnection, token: str) -> None:
        self.called_s: dict[str, float] = {}
        self.answered_s = 0.0
        self._connection = connection
        self._token = token

    @classmethod
    async def connect(cls, port: int, token: str) -> "Operator":
        """Open a connection."""
        return cls(await HttpConnection.open(port), token)

    async def stop(self, charger: Charger, connector: int) -> None:
        """Stop one connector."""
        path = f"/v1/operator/devices/{charger.device_id}/connectors/{connector}/stop"
        called_s = time.perf_counter()
        status, body = await self._connection.ask(post(path, self._token, _STOP))
        self.answered_s = time.perf_counter()
        payload = _decode(body).data
        if status != 200 or payload is None:
            raise RuntimeError(f"a stop was answered {status}: {body[:300]!r}")
        self.called_s[payload.command_id] = called_s

    async def stop_now_and_then(
        self, fleet: PollingFleet, per_s: float, seconds: float, seed: int
    ) -> None:
        """Stop ``per_s`` connectors a second, each once, in no order."""
        count = min(len(fleet.places), round(per_s * seconds))
        chosen = random.Random(seed).sample(fleet.places, count)
        began_s = time.perf_counter()
        for number, place in enumerate(chosen):
            await asyncio.sleep(began_s + number / per_s - time.perf_counter())
            await self.stop(*place)

    def waits_ms(self, fleet: PollingFleet) -> list[float]:
        """Return from call to receipt, for what has come."""
        received_s = fleet.received_s
        return [
            (received_s[one] - called_s) * 1e3
            for one, called_s in self.called_s.items()
            if one in received_s
        ]

    def close(self) -> None:
        """Hang up."""
        self._connection.close()


async def pause_all(
    port: int, token: str, fleet: PollingFleet, within_s: float
) -> tuple[float, float]:
    """Pause the whole fleet with one call.

    Returns the seconds from the call until the last charger had its command, and from the first to
    the last of them.
    """
    connection = await HttpConnection.open(port)
    before = frozenset(fleet.received_s)
    began_s = time.perf_counter()
    status, body = await connection.ask(post("/v1/operator/control/flexibility", token, _PAUSE))
    if status != 200:
        raise RuntimeError(f"a pause was answered {status}: {body[:300]!r}")
    await fleet.wait_for_commands(len(before) + len(fleet.places), within_s)
    connection.close()
    came_s = [s for command_id, s in fleet.received_s.items() if command_id not in before]
    return max(came_s) - began_s, max(came_s) - min(came_s)


async def stop_all(port: int, token: str, fleet: PollingFleet, lanes: int) -> tuple[float, float]:
    """Stop every connector of a fleet over ``lanes`` connections.

    Returns when the first call was made and when the last was answered.
    """
    operators = [await Operator.connect(port, token) for _ in range(lanes)]
    places = iter(fleet.places)

    async def work(operator: Operator) -> None:
        for place in places:
            await operator.stop(*place)

    began_s = time.perf_counter()
    await asyncio.gather(*(work(operator) for operator in operators))
    for operator in operators:
        operator.close()
    return began_s, max(operator.answered_s for operator in operators)
