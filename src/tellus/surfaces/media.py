"""Which bodies are accepted: JSON, and forms where a route says so; how they are read."""

from collections.abc import Callable
from typing import Any

from tellus.kernel.errors import InvalidParameter, PayloadTooLarge, UnsupportedMedia
from tellus.surfaces.endpoint import Endpoint

Receive = Callable[[], Any]


def check_media(scope: dict[str, Any], endpoint: Endpoint) -> bool:
    """Tell whether the body is a form; JSON, also undeclared, is the rule.

    Raises:
        UnsupportedMedia: another content type, or an encoding such as gzip.
    """
    form = False
    for name, value in scope["headers"]:
        if name == b"content-type":
            if value == b"application/json":
                continue
            kind = value.partition(b";")[0].strip().lower()
            form = endpoint.route.form and kind == b"application/x-www-form-urlencoded"
            if not form and kind != b"application/json" and not kind.endswith(b"+json"):
                text = "The body must be application/json"
                raise UnsupportedMedia(text, "content-type", kind.decode("latin-1"))
        elif name == b"content-encoding" and value.strip().lower() not in (b"", b"identity"):
            text = "The body must not be encoded"
            raise UnsupportedMedia(text, "content-encoding", value.decode("latin-1"))
    return form


async def read_body(receive: Receive, scope: dict[str, Any], limit_bytes: int) -> bytes:
    """Return the whole body.

    Raises:
        PayloadTooLarge: it exceeds ``limit_bytes``, as announced or as sent.
        InvalidParameter: the caller left in the middle of it.
    """
    for name, value in scope["headers"]:
        if name == b"content-length" and int(value) > limit_bytes:
            raise PayloadTooLarge(limit_bytes)
    message = await receive()
    body: bytes = message.get("body", b"")
    if not message.get("more_body"):
        _check_whole(message, body, limit_bytes)
        return body
    parts = [body]
    size = len(body)
    while message.get("more_body"):
        message = await receive()
        part = message.get("body", b"")
        size += len(part)
        if size > limit_bytes:
            raise PayloadTooLarge(limit_bytes)
        parts.append(part)
    body = b"".join(parts)
    _check_whole(message, body, limit_bytes)
    return body


def _check_whole(message: dict[str, Any], body: bytes, limit_bytes: int) -> None:
    if message["type"] == "http.disconnect":
        text = "The body ended before it was complete"
        raise InvalidParameter(text, "body")
    if len(body) > limit_bytes:
        raise PayloadTooLarge(limit_bytes)


async def until_left(receive: Receive) -> None:
    """Return when the caller has left."""
    while (await receive())["type"] != "http.disconnect":
        pass
