"""The OpenAPI 3.1 document, made from the route tables: what is served is what is described."""

import re
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from tellus.identity.signing import SIGNATURE, TIMESTAMP
from tellus.kernel.call import Audience, Nothing
from tellus.kernel.files import OCTETS
from tellus.kernel.limits import RATES
from tellus.surfaces.frames import TelemetryFrame
from tellus.surfaces.idempotency import HEADER, KEY_CHARACTERS, takes_key
from tellus.surfaces.openapi.answers import (
    BINARY,
    ERROR_CODES,
    error_answers,
    fixed_schemas,
    shared_answers,
    success_answer,
)
from tellus.surfaces.openapi.examples import request_example
from tellus.surfaces.openapi.schemas import Schema, SchemaBook, describe
from tellus.surfaces.openapi.words import FIELD_WORDS
from tellus.surfaces.routes import Answer, LimitClass, Route

API_VERSION: Final = "1.3.0"
PREFIX: Final = "/v1"

_PARAMETER: Final = re.compile(r"\{([^}]+)\}")
_CONNECTOR: Final[Schema] = {"type": "integer", "minimum": 1, "maximum": 255}
_IDENTIFIER: Final[Schema] = {
    "type": "string",
    "minLength": 1,
    "maxLength": 64,
    "pattern": "^[A-Za-z0-9][A-Za-z0-9._:\\-]{0,63}$",
}
_PATH_SCHEMAS: Final[dict[str, Schema]] = {
    "connector_id": _CONNECTOR,
    "token": {"type": "string", "minLength": 1, "maxLength": 64, "pattern": "^[A-Za-z0-9_\\-]+$"},
    "record_id": {"type": "string", "minLength": 1, "maxLength": 128},
}
_KEY_PARAMETER: Final[dict[str, Any]] = {
    "name": HEADER,
    "in": "header",
    "required": False,
    "schema": {"type": "string", "minLength": 1, "maxLength": KEY_CHARACTERS},
    "description": "Repeating the request under the same key within 24 hours returns the first"
    " answer; another request under it is 409.",
}
_SIGNED_HEADERS: Final[tuple[tuple[str, Schema], ...]] = (
    (TIMESTAMP, {"type": "string", "pattern": "^\\d{4}-\\d{2}-\\d{2}T\\d{2}:\\d{2}:\\d{2}Z$"}),
    (SIGNATURE, {"type": "string", "pattern": "^[0-9a-f]{64}$"}),
)
_TITLE: Final = "Tellus Open Platform API"
_ABOUT: Final = """\
The cloud side of a fleet of EV chargers, as served by this installation of `tellus`.

Operators read their fleet and control it under `/v1/operator`, chargers report under \
`/v1/device`, and whoever runs the installation administers it under `/v1/admin`.

Bodies are JSON. Times are RFC 3339 in UTC. Energy is in kWh, power in kW (positive into the \
vehicle), current in A, voltage in V, temperature in °C, state of charge in percent. Every answer \
is an envelope of `code`, `message` and `data`; on a failure `details` may say more. A value that \
is not known is left out, never null."""
_FILE_WORDS: Final = (
    "By `Accept` also as a CSV or Parquet file: all that matches, whatever the page."
)
_SANDBOX: Final = "\n\n**This is a sandbox: its chargers are simulated.**"

_OPERATOR_SCOPES: Final = {
    "read": "Read sites, devices, records, telemetry and energy.",
    "write": "Start, stop and otherwise control chargers.",
    "diagnostics": "Beside `write`: commands that take a charger out of service for a while.",
    "peer": "The legacy paths, for the platform of another operator; it comes with the peer.",
}
_TOKEN_PATHS: Final = {
    Audience.OPERATOR: "/v1/operator/oauth/token",
    Audience.ADMIN: "/v1/admin/oauth/token",
}


def build_document(
    routes: Sequence[Route], *, server_url: str | None = None, sandbox: bool = False
) -> dict[str, Any]:
    """Return the document of ``routes`` as plain data.

    ``server_url`` is the address that callers use, without ``/v1``; None means the address the
    document was fetched from. A sandbox says plainly that it is one.

    Raises:
        ValueError: a route lies outside ``/v1``, or two share an operation id.
    """
    _check(routes)
    book = SchemaBook(_kinds(routes))
    paths = _paths(routes, book)
    batches = _batches(routes, book)
    schemas = dict(sorted((fixed_schemas() | book.components | batches).items()))
    info = {
        "title": _TITLE,
        "version": API_VERSION,
        "summary": "Sites, chargers, records and control of a charging fleet.",
        "description": _ABOUT + (_SANDBOX if sandbox else ""),
        "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
    }
    document: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": info,
        "servers": [{"url": (server_url or "").rstrip("/") + PREFIX}],
        "tags": [{"name": tag} for tag in dict.fromkeys(route.tag for route in routes)],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "responses": shared_answers(),
            "securitySchemes": _security_schemes(routes),
        },
        "x-error-codes": ERROR_CODES,
    }
    if sandbox:
        document["x-sandbox"] = True
    return document


def _check(routes: Sequence[Route]) -> None:
    seen: set[str] = set()
    for route in routes:
        if not route.path.startswith(PREFIX + "/"):
            raise ValueError(f"{route.path} lies outside {PREFIX}")
        if route.operation_id in seen:
            raise ValueError(f"operation id {route.operation_id} is given twice")
        seen.add(route.operation_id)


def _kinds(routes: Sequence[Route]) -> list[Any]:
    """Return every struct that stands in a body; the queries are spelt out as parameters."""
    kinds: list[Any] = []
    for route in routes:
        kinds += [kind for kind in (route.request, route.query) if kind is not Nothing]
        kinds.append(TelemetryFrame if route.answer is Answer.STREAM else route.response)
    return [kind for kind in kinds if kind is not Nothing]


def _paths(routes: Sequence[Route], book: SchemaBook) -> dict[str, Any]:
    paths: dict[str, Any] = {}
    for route in routes:
        item = paths.setdefault(route.path.removeprefix(PREFIX), {})
        item[route.method.lower()] = _operation(route, book)
    _drop_queries(routes, book)
    return paths


def _drop_queries(routes: Sequence[Route], book: SchemaBook) -> None:
    bodies = {route.request for route in routes} | {route.response for route in routes}
    for route in routes:
        if route.query is not Nothing and route.query not in bodies:
            book.components.pop(book.name(route.query), None)


def _operation(route: Route, book: SchemaBook) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.operation_id,
        "tags": [route.tag],
        "summary": route.summary,
    }
    description = route.description or describe(route.handler)
    if route.table is not None:
        description += " " + _FILE_WORDS
    if description:
        operation["description"] = description
    parameters = [_path_parameter(name) for name in _PARAMETER.findall(route.path)]
    if route.query is not Nothing:
        parameters += [_query_parameter(*field) for field in book.fields(route.query)]
    if takes_key(route):
        parameters.append(dict(_KEY_PARAMETER))
    if route.is_control:
        parameters += [_header_parameter(*header) for header in _SIGNED_HEADERS]
    if parameters:
        operation["parameters"] = parameters
    if route.upload:
        operation["requestBody"] = {"required": True, "content": {OCTETS: dict(BINARY)}}
    elif route.request is not Nothing:
        operation["requestBody"] = _request_body(route, book)
    operation["responses"] = success_answer(route, book) | error_answers(route)
    operation["security"] = _security(route)
    if route.limit is not LimitClass.NONE:
        rate = RATES[route.limit.value]
        operation["x-rate-limit"] = {
            "class": route.limit.value,
            "limit": rate.limit,
            "period_s": rate.period_s,
        }
    return operation


def _path_parameter(name: str) -> dict[str, Any]:
    schema = _PATH_SCHEMAS.get(name, _IDENTIFIER)
    parameter = {"name": name, "in": "path", "required": True, "schema": dict(schema)}
    words = FIELD_WORDS.get(name)
    return parameter | ({"description": words} if words else {})


def _query_parameter(name: str, schema: Schema, needed: bool) -> dict[str, Any]:  # noqa: FBT001
    schema = dict(schema)
    words = schema.pop("description", None)
    parameter = {"name": name, "in": "query", "required": needed, "schema": schema}
    return parameter | ({"description": words} if words else {})


def _header_parameter(name: str, schema: Schema) -> dict[str, Any]:
    parameter = {"name": name, "in": "header", "required": False, "schema": dict(schema)}
    return parameter | {"description": FIELD_WORDS[name]}


def _request_body(route: Route, book: SchemaBook) -> dict[str, Any]:
    schema = book.schema(route.request)
    if _holds_raw_items(route.request):
        schema = {"$ref": f"#/components/schemas/{_batch_name(route)}"}
    content: dict[str, Any] = {"schema": schema}
    example = request_example(route)
    if example is not None:
        content["example"] = example
    kinds = {"application/json": content}
    if route.form:
        kinds["application/x-www-form-urlencoded"] = {"schema": schema}
    return {"required": not route.optional_body, "content": kinds}


def _batches(routes: Sequence[Route], book: SchemaBook) -> dict[str, Schema]:
    """Return one component per batch, its items in the shape of the single upload.

    A batch struct holds its items undecoded, so that each can be judged alone; what they have to
    look like is said by the route of the single upload, whose path it continues.
    """
    singles = {(route.method, route.path): route for route in routes}
    found: dict[str, Schema] = {}
    for route in routes:
        if route.request is Nothing or not _holds_raw_items(route.request):
            continue
        single = singles.get((route.method, route.path.rpartition("/")[0]))
        schema = msgspec.to_builtins(book.components[book.name(route.request)])
        if single is not None:
            schema["properties"]["items"]["items"] = book.schema(single.request)
        found[_batch_name(route)] = schema
    for route in routes:
        if route.request is not Nothing and _holds_raw_items(route.request):
            book.components.pop(book.name(route.request), None)
    return found


def _holds_raw_items(kind: Any) -> bool:
    info = msgspec.inspect.type_info(kind)
    fields = info.fields if isinstance(info, msgspec.inspect.StructType) else ()
    return any(
        isinstance(field.type, msgspec.inspect.CollectionType)
        and isinstance(field.type.item_type, msgspec.inspect.RawType)
        for field in fields
    )


def _batch_name(route: Route) -> str:
    words = route.path.removesuffix("/batch").rpartition("/")[2].replace("-", "_").split("_")
    return "".join(word.capitalize() for word in words) + "BatchRequest"


def _security(route: Route) -> list[dict[str, list[str]]]:
    scopes = [route.scope] if route.scope else []
    match route.audience:
        case Audience.OPERATOR:
            return [{"operatorOAuth2": scopes}]
        case Audience.DEVICE:
            return [{"deviceBearer": []}]
        case Audience.ADMIN:
            return [{"adminOAuth2": scopes}]
        case _:
            return []


def _security_schemes(routes: Sequence[Route]) -> dict[str, Any]:
    admin = sorted({r.scope for r in routes if r.audience is Audience.ADMIN and r.scope})
    schemes = {
        "operatorOAuth2": _client_credentials(
            "Client of an operator: identifier and secret buy a token for 86,400 s.",
            _TOKEN_PATHS[Audience.OPERATOR],
            _OPERATOR_SCOPES,
        ),
        "deviceBearer": {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "Token of a charger from `/v1/device/token`, good for 86,400 s.",
        },
    }
    if any(route.audience is Audience.ADMIN for route in routes):
        schemes["adminOAuth2"] = _client_credentials(
            "Service account that administers this installation.",
            _TOKEN_PATHS[Audience.ADMIN],
            {scope: _scope_words(scope) for scope in admin},
        )
    return schemes


def _client_credentials(words: str, token_path: str, scopes: dict[str, str]) -> dict[str, Any]:
    flow = {"tokenUrl": token_path, "scopes": scopes}
    return {"type": "oauth2", "description": words, "flows": {"clientCredentials": flow}}


def _scope_words(scope: str) -> str:
    resource, _, right = scope.partition(":")
    return f"{(right or 'use').capitalize()} {resource.replace('_', ' ')}."
