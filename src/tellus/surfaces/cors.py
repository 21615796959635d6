"""Browsers and addresses: which origins may read answers, which networks a client calls from."""

from collections.abc import Callable, Iterable
from typing import Any

from tellus.surfaces.guard.proxies import parse_address

Header = tuple[bytes, bytes]

_METHODS = b"GET, POST, PUT, PATCH, DELETE"
_HEADERS = b"authorization, content-type, idempotency-key, x-timestamp, x-signature"
_REMEMBER_S = b"600"


def origin_of(scope: dict[str, Any]) -> str | None:
    """Return the Origin header, or None where the caller is no browser page."""
    for name, value in scope["headers"]:
        if name == b"origin":
            origin: str = value.decode("latin-1")
            return origin
    return None


def allow(origin: str) -> list[Header]:
    """Return the headers that let a page of ``origin`` read an answer."""
    return [
        (b"access-control-allow-origin", origin.encode("latin-1")),
        (b"access-control-expose-headers", b"x-request-id, retry-after, content-disposition"),
        (b"vary", b"origin"),
    ]


async def answer_preflight(
    send: Callable[[dict[str, Any]], Any],
    origin: str,
    known: Iterable[str],
    headers: list[Header],
) -> None:
    """Answer a page's question whether it may call: yes for the origins of any client.

    Which client calls is not known yet; the call itself is held to that client's own origins.
    """
    answer = list(headers)
    if origin in known:
        answer += [
            *allow(origin),
            (b"access-control-allow-methods", _METHODS),
            (b"access-control-allow-headers", _HEADERS),
            (b"access-control-max-age", _REMEMBER_S),
        ]
    await send({"type": "http.response.start", "status": 204, "headers": answer})
    await send({"type": "http.response.body", "body": b""})


def is_in_networks(address: str, networks: Iterable[Any]) -> bool:
    """Tell whether ``address`` lies in one of ``networks`` (ipaddress networks).

    An IPv4 caller of a socket that listens on IPv6 comes as ``::ffff:192.0.2.1`` and is the same.
    """
    parsed = parse_address(address)
    return parsed is not None and any(
        parsed.version == network.version and parsed in network for network in networks
    )
