"""The raw conversations that a server must survive."""

import json
import random
from collections.abc import Iterator

from tests.contract.raw import RawCase

REFUSED = frozenset({400})
_HEAD_TOO_LARGE = frozenset({400, 414, 431})
_SLOW = frozenset({400, 408})
_ANY_REFUSAL = frozenset({400, 401, 404, 405, 408, 411, 413, 414, 415, 417, 426, 431, 501, 505})

_BODY = json.dumps(
    {"device_id": "dvc_raw", "device_secret": "x", "grant_type": "client_credentials"}
).encode()
_HOST = b"Host: raw.test\r\n"
_TYPE = b"Content-Type: application/json\r\n"


def head(
    line: bytes = b"POST /v1/device/token HTTP/1.1", *headers: bytes, end: bytes = b"\r\n"
) -> bytes:
    """A request head: its line, `Host`, then the given header lines without their line ends."""
    return line + b"\r\n" + _HOST + b"".join(item + b"\r\n" for item in headers) + end


def well_formed(body: bytes = _BODY) -> bytes:
    """A proper request with an unknown credential; its answer is 401."""
    length = f"Content-Length: {len(body)}".encode()
    return head(b"POST /v1/device/token HTTP/1.1", _TYPE.strip(), length) + body


def _case(
    what: str,
    data: bytes,
    acceptable: frozenset[int] = REFUSED,
    *,
    may_close: bool = True,
    half_close: bool = True,
) -> RawCase:
    return RawCase(what, ((0.0, data),), acceptable, may_close, half_close=half_close)


def raw_cases(seed: int, *, stall_s: float = 0.0) -> list[RawCase]:
    """All conversations. Those that stall wait for the server's deadline only if `stall_s` > 0."""
    rng = random.Random(seed)
    found = [
        *_request_lines(),
        *_header_lines(),
        *_lengths(),
        *_chunks(),
        *_pipelines(),
        *_other_protocols(),
        *_noise(rng),
        *_truncated(rng),
    ]
    return [*found, *_stalls(stall_s)] if stall_s else found


def _request_lines() -> Iterator[RawCase]:
    for what, line in {
        "no version": b"GET /v1/operator/sites",
        "an unknown version": b"GET /v1/operator/sites HTTP/9.9",
        "version of letters": b"GET /v1/operator/sites HTTP/x.y",
        "a blank in the target": b"GET /v1/operator sites HTTP/1.1",
        "no target": b"GET  HTTP/1.1",
        "a target without a slash": b"GET v1/operator/sites HTTP/1.1",
        "a lower-case method": b"get /v1/operator/sites HTTP/1.1",
        "a method of signs": b"@@@ /v1/operator/sites HTTP/1.1",
        "a very long method": b"A" * 5_000 + b" / HTTP/1.1",
        "a NUL in the target": b"GET /v1/op\x00erator HTTP/1.1",
        "bytes above 127 in the target": b"GET /v1/\xff\xfe HTTP/1.1",
        "an absolute target": b"GET http://elsewhere.test/v1/nowhere HTTP/1.1",
        "an asterisk target": b"OPTIONS * HTTP/1.1",
        "CONNECT": b"CONNECT elsewhere.test:443 HTTP/1.1",
        "only blanks": b"     ",
        "only a colon": b":",
    }.items():
        yield _case(f"request line: {what}", head(line), _ANY_REFUSAL | {200, 204})
    long_target = b"GET /v1/" + b"a" * 70_000 + b" HTTP/1.1"
    yield _case("request line: 70,000 characters", head(long_target), _HEAD_TOO_LARGE)
    yield _case("request line: endless", b"G" * 300_000, _HEAD_TOO_LARGE)


def _header_lines() -> Iterator[RawCase]:
    for what, line in {
        "no colon": b"Nonsense",
        "an empty name": b": value",
        "a blank before the colon": b"X-A : b",
        "a name with a blank": b"X A: b",
        "a folded line": b"X-A: b\r\n c",
        "a NUL in the value": b"X-A: \x00",
        "a bare carriage return": b"X-A: b\rX-B: c",
        "a bare line feed": b"X-A: b\nX-B: c",
        "bytes above 127 in the name": b"X-\xe9: a",
        "two hosts": b"Host: other.test",
        "a host with a blank": b"Host: a b",
        "an unknown expectation": b"Expect: the-unexpected",
        "an unknown upgrade": b"Connection: Upgrade\r\nUpgrade: h3",
        "bytes above 127 in the value": b"X-A: \xff\xfe",
        "a token of bytes above 127": b"Authorization: Bearer \xff\xfe\xe9",
    }.items():
        request = head(b"GET /v1/raw HTTP/1.1", line)
        yield _case(f"header: {what}", request, _ANY_REFUSAL)
    bombs = {
        "3,000 headers": b"".join(b"X-%d: a\r\n" % index for index in range(3_000)),
        "one of 60,000 characters": b"X-A: " + b"a" * 60_000 + b"\r\n",
        "one that never ends": b"X-A: " + b"a" * 300_000,
        "a name that never ends": b"X" * 300_000,
    }
    for what, bomb in bombs.items():
        request = b"GET /v1/raw HTTP/1.1\r\n" + _HOST + bomb + b"\r\n"
        yield _case(f"header bomb: {what}", request, _HEAD_TOO_LARGE | {404})


def _lengths() -> Iterator[RawCase]:
    post = b"POST /v1/device/token HTTP/1.1"
    for what, lines in {
        "of letters": (b"Content-Length: abc",),
        "negative": (b"Content-Length: -5",),
        "with a sign": (b"Content-Length: +5",),
        "hexadecimal": (b"Content-Length: 0x5",),
        "2**70": (b"Content-Length: 1180591620717411303424",),
        "5,000 digits": (b"Content-Length: " + b"9" * 5_000,),
        "twice and different": (b"Content-Length: 5", b"Content-Length: 6"),
        "a list": (b"Content-Length: 5, 6",),
        "empty": (b"Content-Length:",),
        "with chunks beside": (b"Content-Length: 5", b"Transfer-Encoding: chunked"),
    }.items():
        request = head(post, _TYPE.strip(), *lines) + b"0\r\n\r\n"
        yield _case(f"content length: {what}", request, _ANY_REFUSAL)
    huge = head(post, _TYPE.strip(), b"Content-Length: 5000000000")
    yield _case("content length: 5 GB announced", huge, frozenset({400, 413}))
    none = head(post, _TYPE.strip()) + _BODY
    yield _case("content length: none, with a body", none, _ANY_REFUSAL)


def _chunks() -> Iterator[RawCase]:
    post = head(b"POST /v1/device/token HTTP/1.1", _TYPE.strip(), b"Transfer-Encoding: chunked")
    for what, chunk in {
        "a size of letters": b"zz\r\nab\r\n",
        "a negative size": b"-1\r\na\r\n",
        "a size of 2**70": b"400000000000000000\r\n",
        "no size": b"\r\n\r\n",
        "a chunk without its end": b"5\r\nabcdefgh\r\n0\r\n\r\n",
        "a cut chunk": b"ff\r\nabc",
        "an endless extension": b"1;" + b"e" * 100_000 + b"\r\na\r\n0\r\n\r\n",
        "many tiny chunks beyond the limit": b"1\r\n \r\n" * 10_000 + b"0\r\n\r\n",
        "a trailer bomb": b"1\r\na\r\n0\r\n" + b"X-T: " + b"t" * 100_000 + b"\r\n\r\n",
    }.items():
        yield _case(f"chunks: {what}", post + chunk, _ANY_REFUSAL)
    coded = head(b"POST /v1/device/token HTTP/1.1", b"Transfer-Encoding: gzip, chunked")
    yield _case("chunks: an unknown coding", coded + b"0\r\n\r\n", _ANY_REFUSAL)


def _pipelines() -> Iterator[RawCase]:
    good = frozenset({400, 401, 429})
    three = ((0.0, well_formed() * 3),)
    yield RawCase("three requests in one write", three, good, may_close=False, answers=3)
    split = tuple((0.01, bytes([byte])) for byte in well_formed())
    yield RawCase("one request byte by byte", split, good, may_close=False, answers=1)
    spoiled = well_formed() + b"garbage\r\n\r\n"
    yield _case("a request, then garbage", spoiled, good, may_close=False)
    blank_first = b"\r\n" + well_formed()
    yield _case("an empty line first", blank_first, good)
    yield _case("many empty lines", b"\r\n" * 20_000, _HEAD_TOO_LARGE)


def _other_protocols() -> Iterator[RawCase]:
    for what, data in {
        "HTTP/2 by prior knowledge": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00" * 9,
        "TLS": bytes.fromhex("16030100c5010000c10303") + b"\x11" * 190,
        "SSH": b"SSH-2.0-probe\r\n",
        "HTTP/0.9": b"GET /v1/operator/sites\r\n\r\n",
        "HTTP/1.0 without a host": b"GET /v1/nowhere HTTP/1.0\r\n\r\n",
        "HTTP/1.1 without a host": b"GET /v1/nowhere HTTP/1.1\r\n\r\n",
        "PROXY": b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n",
        "a broken WebSocket key": head(
            b"GET /v1/operator/stream?devices=a HTTP/1.1",
            b"Connection: Upgrade",
            b"Upgrade: websocket",
            b"Sec-WebSocket-Version: 13",
            b"Sec-WebSocket-Key: !!",
        ),
        "an old WebSocket version": head(
            b"GET /v1/operator/stream?devices=a HTTP/1.1",
            b"Connection: Upgrade",
            b"Upgrade: websocket",
            b"Sec-WebSocket-Version: 1",
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        ),
    }.items():
        yield _case(f"protocol: {what}", data, _ANY_REFUSAL)
    yield _case("nothing at all", b"", REFUSED)


def _noise(rng: random.Random) -> Iterator[RawCase]:
    for number in range(20):
        data = rng.randbytes(rng.randrange(1, 3_000))
        yield _case(f"noise {number}", data + b"\r\n\r\n", _ANY_REFUSAL)
    request = well_formed()
    for number in range(20):
        spoiled = bytearray(request)
        for _ in range(rng.randrange(1, 6)):
            spoiled[rng.randrange(len(spoiled))] = rng.randrange(256)
        yield _case(f"flipped bytes {number}", bytes(spoiled), _ANY_REFUSAL | {429})


def _truncated(rng: random.Random) -> Iterator[RawCase]:
    request = well_formed()
    for number in range(12):
        cut = request[: rng.randrange(1, len(request) - 1)]
        yield _case(f"cut short and closed {number}", cut, _SLOW)


def _stalls(stall_s: float) -> Iterator[RawCase]:
    """Clients that stop in the middle and wait: the server must end it by its own deadline."""
    request = well_formed()
    body_at = request.index(b"\r\n\r\n") + 4
    for what, data in {
        "after the first byte": request[:1],
        "in the head": request[:40],
        "before the body": request[:body_at],
        "in the body": request[:-5],
    }.items():
        yield _case(f"stalls {what}", data, _SLOW, half_close=False)
    drips = tuple((stall_s / 20, request[i : i + 1]) for i in range(24))
    yield RawCase("drips its head", drips, _SLOW)
