"""One exception class per error code of the API; features subclass them with their own words.

A class carries its ``code`` and ``http_status``. The edge (``tellus.surfaces.envelope``) is the
only place that turns one into an answer.
"""

from typing import Any, ClassVar

from tellus.kernel.redaction import redact_text

_VALUE_CHARACTERS = 64


class ApiError(Exception):
    """A failure that the caller is told about, with the envelope's ``code`` and ``details``."""

    code: ClassVar[int] = 9001
    http_status: ClassVar[int] = 500

    def __init__(self, message: str, **details: Any) -> None:
        super().__init__(message)
        self.message = message
        self.details: dict[str, Any] = details


class InvalidParameter(ApiError):
    """1001: a value has the wrong shape or is out of bounds.

    ``details`` holds ``field`` and the ``value`` cut to 64 characters, unless it looks like a
    secret, a token or a VIN: such a thing in the wrong place must not come back in the answer.
    """

    code = 1001
    http_status = 400

    def __init__(self, message: str, field: str | None = None, value: Any = None) -> None:
        details: dict[str, Any] = {}
        if field is not None:
            details["field"] = redact_text(field)
        if value is not None and not (isinstance(value, str) and redact_text(value) != value):
            details["value"] = shorten(value)
        super().__init__(redact_text(message), **details)


class MissingParameter(ApiError):
    """1002: a required value is absent; ``details.field`` names it."""

    code = 1002
    http_status = 400

    def __init__(self, field: str) -> None:
        super().__init__(f"Missing required parameter '{field}'", field=field)


class Unauthenticated(ApiError):
    """2001: no token, or one that is not valid."""

    code = 2001
    http_status = 401

    def __init__(self, message: str = "A valid bearer token is required", **details: Any) -> None:
        super().__init__(message, **details)


class TokenExpired(ApiError):
    """2002: a genuine token of a living principal whose time has passed."""

    code = 2002
    http_status = 401

    def __init__(self, message: str = "The token has expired", **details: Any) -> None:
        super().__init__(message, **details)


class PermissionDenied(ApiError):
    """2003: the principal is known and may not do this."""

    code = 2003
    http_status = 403


class NotFound(ApiError):
    """3001: absent, deleted or another operator's; the three look alike."""

    code = 3001
    http_status = 404

    def __init__(self, message: str = "Resource not found", **details: Any) -> None:
        super().__init__(message, **details)


class Conflict(ApiError):
    """4001: the request contradicts the state of the resource."""

    code = 4001
    http_status = 409


class TooManyRequests(ApiError):
    """5001: a limit is reached; ``details.retry_after_seconds`` is at least 1."""

    code = 5001
    http_status = 429

    def __init__(self, retry_after_s: int, message: str = "Too many requests") -> None:
        self.retry_after_s = max(1, retry_after_s)
        super().__init__(message, retry_after_seconds=self.retry_after_s)


class InternalError(ApiError):
    """9001 with HTTP 500: a bug, and nothing else."""

    code = 9001
    http_status = 500

    def __init__(self, message: str = "Internal error") -> None:
        super().__init__(message)


class Unavailable(ApiError):
    """9001 with HTTP 503: storage is unavailable or the server is draining; try again later."""

    code = 9001
    http_status = 503

    def __init__(self, message: str, retry_after_s: int = 5) -> None:
        self.retry_after_s = max(1, retry_after_s)
        super().__init__(message, retry_after_seconds=self.retry_after_s)


class MethodNotAllowed(InvalidParameter):
    """1001 with HTTP 405: the path exists with other methods."""

    http_status = 405

    def __init__(self, method: str, allowed: str) -> None:
        super().__init__(f"Method {shorten(method)} is not allowed here", "method", method)
        self.allowed = allowed


class NotAcceptable(InvalidParameter):
    """1001 with HTTP 406: this installation cannot write the one kind of file that is accepted."""

    http_status = 406


class PayloadTooLarge(InvalidParameter):
    """1001 with HTTP 413: the body exceeds the bound of its route (bytes)."""

    http_status = 413

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(f"The body exceeds {limit_bytes} bytes", "body")


class TooSlow(InvalidParameter):
    """1001 with HTTP 408: the request did not arrive in time."""

    http_status = 408

    def __init__(self) -> None:
        super().__init__("The request body did not arrive in time", "body")


class UnsupportedMedia(InvalidParameter):
    """1001 with HTTP 415: the content type or encoding is not accepted here."""

    http_status = 415


class UpgradeRequired(InvalidParameter):
    """1001 with HTTP 426: this path speaks WebSocket only."""

    http_status = 426

    def __init__(self) -> None:
        super().__init__("Connect to this path with a WebSocket client", "upgrade")


def shorten(value: Any) -> Any:
    """Return ``value`` fit for an error: text cut to 64 characters, numbers as they are."""
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int | float) and abs(value) < 1e15:  # noqa: PLR2004 - prints in one word
        return value
    return str(value)[:_VALUE_CHARACTERS]
