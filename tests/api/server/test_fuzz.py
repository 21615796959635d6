"""Raw bytes of every kind: an answer or a close for each, never a 500, never an internal error."""

import asyncio
import logging
import random

import pytest

from tests.api.server.conftest import Serve
from tests.api.server.rig import frame, upgrade_request

CASES = 2000
AT_ONCE = 100

SEEDS = (
    b"GET /ok?a=b HTTP/1.1\r\nHost: x\r\nAccept: */*\r\n\r\n",
    b"POST /ok HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello",
    b"POST /ok HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX: y\r\n\r\n",
    b"POST /early HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello",
    b"POST /ok HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 5\r\n\r\nhello",
    upgrade_request("/echo") + frame(1, b"hello") + frame(9, b"p") + frame(8, b"\3\xe8"),
    upgrade_request("/refuse"),
)
SPLINTERS = (
    b"\0", b"\r", b"\n", b"\r\n\r\n", b" ", b":", b"\xff", b"%", b"\x80", b"/", b"?", b"#", b"\t",
    b"Content-Length: 7\r\n", b"Transfer-Encoding: chunked\r\n", b"Connection: close\r\n",
    b"Upgrade: websocket\r\n", b"HTTP/1.0", b"HTTP/1.1", b"999999999999", b"ffffffffffffffff",
    b"HEAD ", b"a" * 9000, b"X: y\r\n" * 3000,
)  # fmt: skip


def mutate(chance: random.Random) -> bytes:
    """Return one or several seeds with splinters put in, pieces cut out or bytes flipped."""
    data = bytearray(b"".join(chance.choices(SEEDS, k=chance.choice((1, 1, 1, 2, 3)))))
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(data) + 1)
        kind = chance.randrange(4)
        if kind == 0:
            data[at:at] = chance.choice(SPLINTERS)
        elif kind == 1:
            del data[at : at + chance.randint(1, 20)]
        elif kind == 2 and at < len(data):
            data[at] = chance.randrange(256)
        else:
            del data[at:]
    return bytes(data)


async def throw(port: int, data: bytes, chance: random.Random) -> bytes:
    """Send bytes, cut anywhere, and return all that comes back until the server closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    cut = chance.randrange(len(data) + 1)
    said = b""
    try:
        writer.write(data[:cut])
        await asyncio.sleep(0)
        writer.write(data[cut:])
        if chance.random() < 0.3:
            writer.write_eof()
        async with asyncio.timeout(10):
            while piece := await reader.read(65536):
                said += piece
    except TimeoutError:
        raise
    except OSError:
        pass  # the server closed while this end was still sending
    finally:
        writer.transport.abort()
    return said


async def throw_all(port: int) -> list[tuple[bytes, bytes]]:
    """Throw all cases, a hundred at a time."""
    lanes = asyncio.Semaphore(AT_ONCE)

    async def one(number: int) -> tuple[bytes, bytes]:
        chance = random.Random(number)
        data = mutate(chance)
        async with lanes:
            return data, await throw(port, data, chance)

    return await asyncio.gather(*(one(number) for number in range(CASES)))


def test_bytes__of_every_kind__end_in_an_answer_or_a_close(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    """No hang, no 500, no internal error, nothing left open, and the server still serves."""
    rig = serve(keep_alive_s=1, stream_ping_s=0.3)
    with caplog.at_level(logging.WARNING):
        answers = asyncio.run(throw_all(rig.port))
        assert [data for data, said in answers if b"HTTP/1.1 500" in said] == []
        assert not [event for event, _ in rig.logged if event == "application_error"]
        rig.eventually(lambda: rig.server.guard.register.open_count == 0)
        assert rig.ask(b"GET /ok HTTP/1.1\r\n\r\n").status == 200
    assert [r.getMessage() for r in caplog.records] == []
    statuses = {said[9:12] for _, said in answers if said}
    assert {b"200", b"400", b"401", b"404", b"408", b"101"} <= statuses
