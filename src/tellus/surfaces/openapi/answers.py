"""Answers in the document: the envelope, what each operation may fail with, and the error table."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from tellus.kernel import errors
from tellus.kernel.call import Audience, Nothing
from tellus.kernel.files import OCTETS
from tellus.surfaces.frames import TelemetryFrame
from tellus.surfaces.openapi.examples import answer_example
from tellus.surfaces.openapi.schemas import REFERENCE, Schema, SchemaBook, describe
from tellus.surfaces.routes import Answer, LimitClass, Route
from tellus.surfaces.streaming_formats import CSV_TYPE, PARQUET_TYPE

_SAFE_METHODS: Final = frozenset({"GET", "HEAD"})
_LOOKED_UP: Final = frozenset(
    {"ChargePointId", "command_id", "device_id", "devices", "operator_id", "session_id", "site_id"}
)
_CODES: Final[tuple[tuple[type[errors.ApiError], str], ...]] = (
    (errors.InvalidParameter, "no"),
    (errors.MissingParameter, "no"),
    (errors.Unauthenticated, "after one new token"),
    (errors.TokenExpired, "with a new token"),
    (errors.PermissionDenied, "no"),
    (errors.NotFound, "no"),
    (errors.Conflict, "no"),
    (errors.TooManyRequests, "after `retry_after_seconds`"),
    (errors.InternalError, "with growing pauses"),
)


def _meaning(kind: type[errors.ApiError]) -> str:
    first = describe(kind).partition("\n")[0].partition(": ")[2]
    return first.partition(";")[0].rstrip(".")


ERROR_CODES: Final[list[dict[str, Any]]] = [
    {"code": kind.code, "http": kind.http_status, "meaning": _meaning(kind), "retry": retry}
    for kind, retry in _CODES
]
"""The nine codes with HTTP status, meaning and whether to try again."""

_FAILURES: Final[dict[str, tuple[str, str, errors.ApiError]]] = {
    "400": (
        "BadRequest",
        "A value is missing or not valid.",
        errors.InvalidParameter("Parameter 'size' is not valid", "size", 500),
    ),
    "401": ("Unauthenticated", "No valid token or credentials.", errors.Unauthenticated()),
    "403": (
        "Forbidden",
        "The caller may not do this.",
        errors.PermissionDenied("This needs the scope 'write'", scope="write"),
    ),
    "404": ("NotFound", "Absent, deleted or another operator's.", errors.NotFound()),
    "406": (
        "NotAcceptable",
        "This installation cannot write the only kind of file that `Accept` names.",
        errors.NotAcceptable("Parquet is not available here", "accept", PARQUET_TYPE),
    ),
    "409": (
        "Conflict",
        "It contradicts the state of the resource.",
        errors.Conflict("Serial number is already registered"),
    ),
    "408": ("TooSlow", "The body did not arrive in time.", errors.TooSlow()),
    "413": (
        "PayloadTooLarge",
        "The body is larger than this operation takes.",
        errors.PayloadTooLarge(32 * 1024 * 1024),
    ),
    "426": ("UpgradeRequired", "This path speaks WebSocket only.", errors.UpgradeRequired()),
    "429": ("TooManyRequests", "A limit is reached.", errors.TooManyRequests(12)),
    "503": (
        "Unavailable",
        "Nothing can be stored now, or the server is stopping; safe to repeat.",
        errors.Unavailable("The server is stopping"),
    ),
}

BINARY: Final = {"schema": {"type": "string", "format": "binary"}}
"""What a body of raw bytes looks like."""

_REQUEST_ID: Final = {
    "description": "Identifies this answer in the log.",
    "schema": {"type": "string"},
}
_RETRY_AFTER: Final = {
    "description": "Seconds to wait before trying again.",
    "schema": {"type": "integer", "minimum": 1},
}
_CHALLENGE: Final = {"description": "Always `Bearer`.", "schema": {"type": "string"}}
_MORE_HEADERS: Final = {
    "401": {"WWW-Authenticate": _CHALLENGE},
    "429": {"Retry-After": _RETRY_AFTER},
    "503": {"Retry-After": _RETRY_AFTER},
}


def fixed_schemas() -> dict[str, Schema]:
    """Return the components that no struct stands for: the envelope and failures."""
    envelope: Schema = {
        "type": "object",
        "description": "What every answer is wrapped in.",
        "required": ["code", "message"],
        "properties": {
            "code": {"type": "integer", "description": "0 for success, else an error code."},
            "message": {"type": "string", "description": "Words for people; they may change."},
            "data": {"description": "What was asked for; null on a failure."},
        },
    }
    failure: Schema = {
        "description": "A failure: `code` is for machines, `details` may name the field.",
    } | _extend(
        "ApiEnvelope",
        {
            "code": {"type": "integer", "enum": [row["code"] for row in ERROR_CODES]},
            "details": {"type": "object", "description": "What else is known of the failure."},
        },
    )
    token_failure: Schema = {
        "description": "A failure of a token endpoint, also in the words of RFC 6749 section 5.2.",
    } | _extend(
        "ErrorResponse",
        {
            "error": {"type": "string", "examples": ["invalid_client"]},
            "error_description": {"type": "string"},
        },
    )
    return {
        "ApiEnvelope": envelope,
        "ErrorResponse": failure,
        "TokenErrorResponse": token_failure,
    }


def _extend(name: str, properties: Schema, required: Sequence[str] = ()) -> Schema:
    """Return a component with more properties.

    These stand in a part of their own: generators take a lone reference for the whole.
    """
    more: Schema = {"type": "object", "properties": properties}
    if required:
        more["required"] = list(required)
    return {"allOf": [{"$ref": REFERENCE + name}, more]}


def shared_answers() -> dict[str, Any]:
    """Return the failures that operations refer to, by name."""
    return {
        name: _failure(status, words, error) for status, (name, words, error) in _FAILURES.items()
    }


def _failure(status: str, words: str, error: errors.ApiError) -> dict[str, Any]:
    body: dict[str, Any] = {"code": error.code, "message": error.message, "data": None}
    if error.details:
        body["details"] = error.details
    schema = {"$ref": REFERENCE + "ErrorResponse"}
    return {
        "description": words,
        "headers": {"X-Request-Id": _REQUEST_ID} | _MORE_HEADERS.get(status, {}),
        "content": {"application/json": {"schema": schema, "example": body}},
    }


def success_answer(route: Route, book: SchemaBook) -> dict[str, Any]:
    """Return the answer of an operation that succeeded, by status."""
    if route.answer is Answer.STREAM:
        content = {"schema": book.schema(TelemetryFrame)} | _example(route)
        words = "The connection is a WebSocket now; each text message is one frame."
        return {"101": {"description": words, "content": {"application/json": content}}}
    if route.answer is Answer.FILE:
        return {"200": _file_answer()}
    if route.answer is Answer.TOKEN:
        payload = book.schema(route.response)
        schema = _extend("ApiEnvelope", {"data": payload})
        schema["allOf"].insert(0, payload)
    elif route.answer is Answer.BARE:
        schema = book.schema(route.response)
    else:
        data = {"type": "null"} if route.response is Nothing else book.schema(route.response)
        if route.waits:
            data = {"oneOf": [data, {"type": "null"}]}
        schema = _extend("ApiEnvelope", {"data": data}, ["data"])
    answer = {
        "description": "Success.",
        "headers": {"X-Request-Id": _REQUEST_ID},
        "content": {"application/json": {"schema": schema} | _example(route)} | _files(route),
    }
    return {"200": answer}


def _file_answer() -> dict[str, Any]:
    """Return the answer that is a file.

    Its media type is the one that it was stored with. Generators of clients understand none but
    that of bytes, which is what they make of it.
    """
    headers = {
        "X-Request-Id": _REQUEST_ID,
        "Content-Disposition": {
            "description": "`attachment`, with a file name.",
            "schema": {"type": "string"},
        },
        "Content-Length": {
            "description": "Size in bytes.",
            "schema": {"type": "integer", "minimum": 0},
        },
    }
    return {
        "description": "The file, under the media type that it came with.",
        "headers": headers,
        "content": {OCTETS: BINARY},
    }


def _files(route: Route) -> dict[str, Any]:
    """Return the files that a list can be had as, instead of the envelope, by media type."""
    if route.table is None:
        return {}
    return {
        CSV_TYPE: {"schema": {"type": "string"}},
        PARQUET_TYPE: {"schema": {"type": "string", "contentMediaType": PARQUET_TYPE}},
    }


def _example(route: Route) -> dict[str, Any]:
    example = answer_example(route)
    return {} if example is None else {"example": example}


def error_answers(route: Route) -> dict[str, Any]:
    """Return the failures that an operation may answer with, by status."""
    found = {status: _refer(status) for status in failing_statuses(route)}
    if route.answer is Answer.TOKEN:
        for status in found:
            _, words, _ = _FAILURES[status]
            schema = {"$ref": REFERENCE + "TokenErrorResponse"}
            found[status] = {
                "description": words,
                "headers": {"X-Request-Id": _REQUEST_ID} | _MORE_HEADERS.get(status, {}),
                "content": {"application/json": {"schema": schema}},
            }
    return found


def failing_statuses(route: Route) -> list[str]:
    """Return the HTTP statuses beyond success that an operation may answer with, in order."""
    names = _field_names(route.request) | _field_names(route.query)
    is_token = route.answer is Answer.TOKEN
    writes = route.method not in _SAFE_METHODS and not is_token
    known = {
        "400": bool(names) or route.upload or "{connector_id}" in route.path,
        "401": route.audience is not Audience.PUBLIC or is_token,
        "403": route.audience in (Audience.OPERATOR, Audience.ADMIN),
        "404": "{" in route.path or (bool(names & _LOOKED_UP) and not is_token),
        "406": route.table is not None,
        "408": route.upload,
        "409": writes
        and not route.upload
        and route.limit not in (LimitClass.DEVICE_HOT, LimitClass.DEVICE_BATCH),
        "413": route.upload,
        "426": route.answer is Answer.STREAM,
        "429": route.limit is not LimitClass.NONE or route.audience is Audience.PUBLIC,
        "503": True,
    }
    return [status for status, may_be in known.items() if may_be]


def _refer(status: str) -> dict[str, Any]:
    return {"$ref": f"#/components/responses/{_FAILURES[status][0]}"}


def _field_names(kind: Any) -> set[str]:
    if kind is Nothing:
        return set()
    info = msgspec.inspect.type_info(kind)
    fields = info.fields if isinstance(info, msgspec.inspect.StructType) else ()
    return {field.encode_name for field in fields}
