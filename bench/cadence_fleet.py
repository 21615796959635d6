"""Lean chargers of one process: a poll, telemetry and heartbeats each, over two connections.

Started by ``bench.cadence``, once per process. Reads one line of JSON (``Orders``) from its input,
connects and parks its polls, says READY, begins at the next line, and writes a ``Tally``.
"""

import asyncio
import itertools
import math
import sys
import time
from collections import deque

import msgspec
import uvloop

from bench.idle_connections import open_many, raise_file_limit
from bench.wire import HttpConnection, get, post

_POLL_WAIT_S = 55
_TICK_S = 0.005
_BATCH = 200


class Place(msgspec.Struct, array_like=True):
    """A charger's token, and the port of its node."""

    token: str
    port: int


class Orders(msgspec.Struct):
    """What this process is to do; without ``telemetry_s`` its chargers do nothing but poll."""

    places: list[Place]
    connectors: int
    seconds: float
    telemetry_s: float = 0.0
    heartbeat_s: float = 0.0


class Tally(msgspec.Struct):
    """What came of it; ``late`` counts what was sent over half a second after its time.

    ``waits`` counts answers by how long (ms, rounded up) they took.
    """

    parked: int = 0
    telemetry: int = 0
    heartbeats: int = 0
    polls: int = 0
    refused: int = 0
    broken: int = 0
    late: int = 0
    waits: dict[int, int] = msgspec.field(default_factory=dict)


class Chargers:
    """All chargers of this process."""

    def __init__(self, orders: Orders) -> None:
        self.tally = Tally()
        self._orders = orders
        self._polls: list[HttpConnection] = []
        self._hot: list[HttpConnection] = []
        self._waiting: set[asyncio.Future[tuple[int, bytes]]] = set()
        self._counter = itertools.count()
        self._ending = False

    async def connect(self) -> None:
        """Open all connections and park all polls."""
        orders = self._orders
        for port, some in itertools.groupby(orders.places, key=lambda place: place.port):
            count = len(list(some))
            self._polls += await open_many(port, count * orders.connectors)
            if orders.telemetry_s:
                self._hot += await open_many(port, count)
        for number in range(len(self._polls)):
            self._park(number)
            if number % _BATCH == _BATCH - 1:
                await asyncio.sleep(0.02)

    async def run(self) -> None:
        """Keep the cadence, every charger at a moment of its own."""
        orders = self._orders
        began_s = time.perf_counter()
        if orders.telemetry_s:
            each = [
                (self._send_telemetry, orders.telemetry_s),
                (self._send_heartbeat, orders.heartbeat_s),
            ]
            await asyncio.gather(
                *(self._keep(send, every_s, began_s, orders.seconds) for send, every_s in each)
            )
        else:
            await asyncio.sleep(orders.seconds)
        await asyncio.sleep(1.0)
        self._ending = True
        self.tally.parked = len(self._waiting)

    async def _keep(self, send: object, every_s: float, began_s: float, seconds: float) -> None:
        count = len(self._orders.places)
        due = deque((began_s + every_s * number / count, number) for number in range(count))
        until_s = began_s + seconds
        while True:
            now_s = time.perf_counter()
            while due[0][0] <= now_s:
                at_s, number = due.popleft()
                self.tally.late += now_s - at_s > 0.5
                send(number)  # type: ignore[operator]  # one of the two below
                due.append((at_s + every_s, number))
            if now_s > until_s:
                return
            await asyncio.sleep(_TICK_S)

    def _park(self, number: int) -> None:
        place, connector = divmod(number, self._orders.connectors)
        token = self._orders.places[place].token
        path = f"/v1/device/commands?connector_id={connector + 1}&wait={_POLL_WAIT_S}"
        future = self._polls[number].ask(get(path, token))
        self._waiting.add(future)

        def answered(future: "asyncio.Future[tuple[int, bytes]]") -> None:
            self._waiting.discard(future)
            if self._count(future):
                self.tally.polls += 1
                if not self._ending:
                    self._park(number)

        future.add_done_callback(answered)

    def _send_telemetry(self, number: int) -> None:
        body = (
            f'{{"timestamp":"{_now()}","connector_id":1,"state":"charging","voltage":401.2,'
            f'"current":125.4,"power":50.3,"energy_delivered":{next(self._counter) / 1000},'
            '"soc":55,"temperature":35.6}'
        )
        self.tally.telemetry += 1
        self._send(number, "/v1/device/telemetry", body)

    def _send_heartbeat(self, number: int) -> None:
        body = f'{{"timestamp":"{_now()}","status":"online","fault_code":0}}'
        self.tally.heartbeats += 1
        self._send(number, "/v1/device/heartbeat", body)

    def _send(self, number: int, path: str, body: str) -> None:
        began_s = time.perf_counter()

        def answered(future: "asyncio.Future[tuple[int, bytes]]") -> None:
            if self._count(future):
                wait_ms = math.ceil((time.perf_counter() - began_s) * 1e3)
                self.tally.waits[wait_ms] = self.tally.waits.get(wait_ms, 0) + 1

        request = post(path, self._orders.places[number].token, body.encode())
        self._hot[number].ask(request).add_done_callback(answered)

    def _count(self, future: "asyncio.Future[tuple[int, bytes]]") -> bool:
        """Tell whether the answer is a good one; what came after the end does not count."""
        if self._ending or future.cancelled():
            return False
        if future.exception() is not None:
            self.tally.broken += 1
            return False
        if future.result()[0] != 200:
            self.tally.refused += 1
            return False
        return True


def _now() -> str:
    seconds, part = divmod(time.time(), 1)
    text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return f"{text}.{int(part * 1000):03d}Z" if part >= 0.001 else f"{text}Z"


async def _run(orders: Orders) -> Tally:
    chargers = Chargers(orders)
    await chargers.connect()
    print("READY", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    await chargers.run()
    return chargers.tally


def main() -> None:
    """Obey one line of orders."""
    raise_file_limit()
    orders = msgspec.json.decode(sys.stdin.readline(), type=Orders)
    tally = uvloop.run(_run(orders))
    print(msgspec.json.encode(tally).decode(), flush=True)


if __name__ == "__main__":
    main()
