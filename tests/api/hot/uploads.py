"""Uploads as bytes: plain ones, and ones that deviate in a way of every kind."""

import json
import random
from collections.abc import Callable
from typing import Any

from tellus.kernel.units import to_text

NOW_MS = 1_742_031_000_000  # where the clocks of the twins begin

Make = Callable[[str, random.Random], tuple[bytes, ...]]
"""Makes the pieces of a request of the charger with this token."""


def sample(**more: Any) -> dict[str, Any]:
    """Return a sample with other values where given; a value of ... leaves its field out."""
    values = {
        "timestamp": to_text(NOW_MS),
        "connector_id": 1,
        "state": "charging",
        "voltage": 401.2,
        "current": 125.4,
        "power": 50.3,
        "energy_delivered": 12.345,
        "soc": 55,
        "temperature": 35.6,
        "phase_details": {"phase_a": {"voltage": 230.1, "current": 72.4}},
    } | more
    return {name: value for name, value in values.items() if value is not ...}


def body(**more: Any) -> bytes:
    """Return a sample as JSON."""
    return json.dumps(sample(**more)).encode()


def upload(
    token: str,
    content: bytes | None = None,
    *headers: str,
    first: str = "POST /v1/device/telemetry HTTP/1.1",
    authorization: str = "Bearer {}",
    kind: str = "application/json",
    length: str = "Content-Length: {}",
) -> bytes:
    """Return a request; texts left empty leave their line out."""
    content = body() if content is None else content
    lines = [
        first,
        "Host: 127.0.0.1",
        authorization and "Authorization: " + authorization.format(token),
        kind and f"Content-Type: {kind}",
        length.format(len(content)),
        *headers,
    ]
    return "\r\n".join(line for line in lines if line).encode() + b"\r\n\r\n" + content


def random_value(chance: random.Random) -> Any:
    """Return what may stand in a field, rightly or wrongly."""
    return chance.choice(
        [
            None, ..., True, -1, 0, 1, 2, 255, 256, 55.0, 55.5, 1e308, -10_001, "idle", "fault",
            "55", "", "x" * 33, [], {}, "WVWZZZ1JZXW000001", "\u0000", "\u00e9", [[[[]]]],
            to_text(NOW_MS - 3_600_000), to_text(NOW_MS + 600_000), to_text(NOW_MS + 1),
            "2025-03-15T09:30:60Z", "2025-03-15 09:30:00", "not a time", 1_742_031_000,
            {"phase_a": {"voltage": 1, "current": 2}, "phase_c": {"voltage": 1, "current": 2}},
            {"phase_b": {"voltage": "1"}},
        ]
    )  # fmt: skip


def random_body(chance: random.Random) -> bytes:
    """Return a body in which a few fields were changed, and perhaps some of its bytes."""
    names = [*sample(), "detail_state", "status", "unknown"]
    changed = {chance.choice(names): random_value(chance) for _ in range(chance.randrange(4))}
    content = bytearray(body(**changed))
    if chance.random() < 0.2:
        for _ in range(chance.randrange(1, 4)):
            content[chance.randrange(len(content))] = chance.randrange(256)
    return bytes(content)


def _chunked(token: str, _chance: random.Random) -> tuple[bytes, ...]:
    content = body()
    head = upload(token, b"", length="Transfer-Encoding: chunked")
    return (head + b"%x\r\n%b\r\n0\r\n\r\n" % (len(content), content),)


def _one(*args: Any, **options: Any) -> Make:
    return lambda token, _chance: (upload(token, *args, **options),)


PLAIN: Make = _one()

DEVIATING: dict[str, Make] = {
    "any body": lambda token, chance: (upload(token, random_body(chance)),),
    "an empty body": _one(b""),
    "a body that is too large": _one(b" " * 65_537),
    "a late sample": _one(body(timestamp=to_text(NOW_MS - 7_200_000))),
    "no token": _one(authorization=""),
    "a wrong token": _one(authorization="Bearer {}x"),
    "a short authorization": _one(authorization="Bearer"),
    "another scheme": _one(authorization="Basic {}"),
    "a small scheme": _one(authorization="bearer {}"),
    "blanks before the token": _one(authorization="Bearer   {}"),
    "two tokens": _one(None, "Authorization: Bearer x"),
    "no content type": _one(kind=""),
    "a content type with a parameter": _one(kind="application/json; charset=utf-8"),
    "a suffixed content type": _one(kind="application/vnd.x+json"),
    "a wrong content type": _one(kind="text/plain"),
    "a form": _one(b"connector_id=1", kind="application/x-www-form-urlencoded"),
    "two content types": _one(None, "Content-Type: text/plain"),
    "an encoded body": _one(None, "Content-Encoding: gzip"),
    "an encoding that is none": _one(None, "Content-Encoding: identity"),
    "a page's request": _one(None, "Origin: https://example.org"),
    "a forwarded request": _one(None, "X-Forwarded-For: 192.0.2.1"),
    "a request with a key": _one(None, "Idempotency-Key: a", "Idempotency-Key: b"),
    "a signed request": _one(None, "X-Timestamp: 1", "X-Signature: 00"),
    "an expectation": _one(None, "Expect: 100-continue"),
    "another expectation": _one(None, "Expect: nothing"),
    "an upgrade": _one(None, "Upgrade: h2c", "Connection: Upgrade"),
    "the last request": _one(None, "Connection: close"),
    "a kept connection": _one(None, "Connection: keep-alive"),
    "an old version": _one(first="POST /v1/device/telemetry HTTP/1.0"),
    "an unknown version": _one(first="POST /v1/device/telemetry HTTP/1.2"),
    "a query": _one(first="POST /v1/device/telemetry?x=1 HTTP/1.1"),
    "a fragment": _one(first="POST /v1/device/telemetry#x HTTP/1.1"),
    "an escaped path": _one(first="POST /v1/device/%74elemetry HTTP/1.1"),
    "an absolute target": _one(first="POST http://h/v1/device/telemetry HTTP/1.1"),
    "a path below": _one(first="POST /v1/device/telemetry/ HTTP/1.1"),
    "another method": _one(first="PUT /v1/device/telemetry HTTP/1.1"),
    "a small method": _one(first="post /v1/device/telemetry HTTP/1.1"),
    "a read": _one(b"", first="GET /v1/device/telemetry HTTP/1.1"),
    "another route": _one(b"{}", first="POST /v1/device/heartbeat HTTP/1.1"),
    "two lengths": _one(None, "Content-Length: 5"),
    "no length": _one(b"", length=""),
    "a length that is none": _one(length="Content-Length: -{}"),
    "a length and chunks": _one(None, "Transfer-Encoding: chunked"),
    "chunks": _chunked,
    "a second host": _one(None, "Host: other"),
    "a blank before the colon": _one(None, "X-Odd : 1"),
    "a folded header": _one(None, "X-Odd: 1\r\n more"),
    "a control character": _one(None, "X-Odd: \x01"),
    "a large head": _one(None, "X-Odd: " + "x" * 17_000),
    "a head too large to keep": _one(None, "X-Odd: " + "x" * 3_000),
    "line ends in front": lambda token, _: (b"\r\n\r\n" + upload(token),),
    "bare line feeds": lambda token, _: (upload(token).replace(b"\r\n", b"\n"),),
    "two at once": lambda token, _: (upload(token) + upload(token, body(soc=1)),),
    "three at once, one bad": lambda token, _: (
        upload(token) + upload(token, b"{") + upload(token, body(soc=2)),
    ),
    "one and a half": lambda token, _: (
        upload(token) + upload(token)[:100], upload(token)[100:],
    ),
    "a split head": lambda token, _: (upload(token)[:60], upload(token)[60:]),
    "a split body": lambda token, _: (upload(token)[:-20], upload(token)[-20:]),
    "head and body": lambda token, _: tuple(upload(token).partition(b"\r\n\r\n")),
    "a body that looks like an end": _one(b'{"x":"\r\n\r\n"}'),
    "nonsense": lambda _token, chance: (chance.randbytes(200),),
}  # fmt: skip
