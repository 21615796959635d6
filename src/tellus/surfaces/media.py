"""Which bodies are accepted: JSON, and forms where a route says so."""

from typing import Any

from tellus.kernel.errors import UnsupportedMedia
from tellus.surfaces.endpoint import Endpoint


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
