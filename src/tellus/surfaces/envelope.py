"""Results and failures as bytes: the only place where either becomes an answer."""

from typing import Any, Final

import msgspec

from tellus.kernel.call import NOTHING
from tellus.kernel.errors import (
    ApiError,
    MethodNotAllowed,
    TooManyRequests,
    Unavailable,
    UpgradeRequired,
)
from tellus.surfaces.routes import Answer

Header = tuple[bytes, bytes]

JSON_TYPE: Final[Header] = (b"content-type", b"application/json")
NO_STORE: Final[Header] = (b"cache-control", b"no-store")
_CHALLENGE: Final[Header] = (b"www-authenticate", b"Bearer")
_OAUTH_ERRORS: Final = {
    1001: "invalid_request",
    1002: "invalid_request",
    2001: "invalid_client",
    2002: "invalid_client",
    2003: "unauthorized_client",
}
_PREFIX: Final = b'{"code":0,"message":"success","data":'

NULL_BODY: Final = _PREFIX + b"null}"

_encoder = msgspec.json.Encoder()


def encode_success(result: Any, answer: Answer = Answer.ENVELOPE) -> bytes:
    """Return the body of a 200; None and NOTHING of a handler stand for ``data: null``."""
    if result is None or result is NOTHING:
        return NULL_BODY
    if answer is Answer.ENVELOPE:
        return _PREFIX + _encoder.encode(result) + b"}"
    if answer is Answer.BARE:
        return _encoder.encode(result)
    plain = msgspec.to_builtins(result)
    return _encoder.encode({**plain, "code": 0, "message": "success", "data": plain})


def encode_failure(error: ApiError, answer: Answer = Answer.ENVELOPE) -> bytes:
    """Return the body of a failure; token endpoints also carry the words of RFC 6749 §5.2."""
    body: dict[str, Any] = {"code": error.code, "message": error.message, "data": None}
    if error.details:
        body["details"] = error.details
    if answer is Answer.TOKEN:
        body["error"] = _oauth_error(error)
        body["error_description"] = error.message
    return _encoder.encode(body)


def failure_headers(error: ApiError) -> list[Header]:
    """Return the headers that belong to a failure beside those of every answer."""
    headers: list[Header] = []
    if error.http_status == 401:  # noqa: PLR2004 - HTTP's own number
        headers.append(_CHALLENGE)
    if isinstance(error, TooManyRequests | Unavailable):
        headers.append((b"retry-after", b"%d" % error.retry_after_s))
    if isinstance(error, MethodNotAllowed):
        headers.append((b"allow", error.allowed.encode()))
    if isinstance(error, UpgradeRequired):
        headers.append((b"upgrade", b"websocket"))
    return headers


def _oauth_error(error: ApiError) -> str:
    if error.details.get("field") == "grant_type" and error.code == 1001:  # noqa: PLR2004
        return "unsupported_grant_type"
    if isinstance(error, TooManyRequests):
        return "slow_down"
    if error.http_status >= 500:  # noqa: PLR2004
        return "temporarily_unavailable"
    return _OAUTH_ERRORS.get(error.code, "invalid_request")
