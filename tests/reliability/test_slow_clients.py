"""Slow senders, of heads and of bodies, beside good requests: the good ones must not notice."""

import asyncio
import statistics
import time
from typing import Any

from tellus.surfaces.guard.limits import GuardLimits
from tests.api.server.rig import Rig

SLOW = 300
GOOD = 600
GOOD_PER_S = 200
DEADLINE_S = 2.0
CLOSED_WITHIN_S = DEADLINE_S + 2.0  # one sweep, and reading the refusal
GOOD_P99_S = 0.5

HEADS = (
    b"GET /ok HTTP/1.1\r\nX: ",
    b"POST /ok HTTP/1.1\r\nContent-Length: 100000\r\n\r\n",
    b"",
)


async def slow_client(port: int, head: bytes) -> tuple[float, bytes]:
    """Send a head, then a byte every 100 ms; return when the server closed and what it said."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    began = time.monotonic()
    writer.write(head)
    answer = asyncio.ensure_future(_read_all(reader))
    while not answer.done() and time.monotonic() - began < 3 * DEADLINE_S:
        if head:
            writer.write(b"a")
        await asyncio.wait({answer}, timeout=0.1)
    took_s = time.monotonic() - began
    said = answer.result() if answer.done() else b""
    answer.cancel()
    writer.transport.abort()
    return took_s, said


async def _read_all(reader: asyncio.StreamReader) -> bytes:
    said = b""
    try:
        while data := await reader.read(4096):
            said += data
    except ConnectionError:
        pass
    return said


async def good_client(port: int, requests: int, pause_s: float) -> list[float]:
    """Send requests one after the other on one connection; return each one's seconds."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    took: list[float] = []
    for _ in range(requests):
        began = time.monotonic()
        writer.write(b"POST /ok HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello")
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200")
        size = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        await reader.readexactly(size)
        took.append(time.monotonic() - began)
        await asyncio.sleep(pause_s)
    writer.close()
    return took


async def attack(port: int) -> tuple[list[tuple[float, bytes]], list[float]]:
    """Run slow and good clients side by side."""
    lanes = 10
    slow = asyncio.gather(*(slow_client(port, HEADS[n % len(HEADS)]) for n in range(SLOW)))
    good = asyncio.gather(
        *(good_client(port, GOOD // lanes, lanes / GOOD_PER_S) for _ in range(lanes))
    )
    took: list[float] = []
    for lane in await good:
        took += lane
    return await slow, took


def run_attack(**limits: Any) -> tuple[list[tuple[float, bytes]], list[float]]:
    """Attack a fresh server and print what came of it."""
    rig = Rig(GuardLimits(sweep_every_s=1.0, **limits))
    rig.start()
    try:
        slow, good = asyncio.run(attack(rig.port))
    finally:
        rig.stop()
    p99_s = statistics.quantiles(good, n=100)[98]
    print(
        f"slow clients: {len(slow)}, closed after {min(s for s, _ in slow):.2f} to "
        f"{max(s for s, _ in slow):.2f} s (deadline {DEADLINE_S} s); good requests: {len(good)}, "
        f"p50 {statistics.median(good) * 1e3:.1f} ms, p99 {p99_s * 1e3:.1f} ms"
    )
    return slow, good


def test_good_requests__beside_slow_heads_and_bodies__stay_quick() -> None:
    """All slow clients are answered 408 and closed in time; good ones keep their p99."""
    slow, good = run_attack(head_timeout_s=DEADLINE_S, body_timeout_s=DEADLINE_S, linger_s=0.5)
    assert [said[:12] for _, said in slow] == [b"HTTP/1.1 408"] * SLOW
    assert max(took_s for took_s, _ in slow) < CLOSED_WITHIN_S
    assert len(good) == GOOD
    assert statistics.quantiles(good, n=100)[98] < GOOD_P99_S


def test_harness__against_a_server_without_deadlines__sees_the_slow_ones_stay() -> None:
    """The attack would show a server that lets slow clients stay."""
    slow, _ = run_attack(head_timeout_s=3600.0, body_timeout_s=3600.0)
    assert [said for _, said in slow] == [b""] * SLOW
    assert min(took_s for took_s, _ in slow) > CLOSED_WITHIN_S
