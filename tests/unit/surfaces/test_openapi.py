"""The OpenAPI document: valid, whole, in step with the route tables and the published contract."""

import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Generic, TypeVar

import jsonschema
import msgspec
import pytest

from tellus.kernel.batch import BatchRequest, BatchResponse
from tellus.kernel.call import Audience
from tellus.surfaces.admin import ADMIN_ROUTES
from tellus.surfaces.device import DEVICE_ROUTES
from tellus.surfaces.openapi.document import build_document
from tellus.surfaces.openapi.older import to_openapi30
from tellus.surfaces.openapi.schemas import SchemaBook, describe
from tellus.surfaces.operator import OPERATOR_ROUTES
from tellus.surfaces.routes import Route
from tests.contract.openapi_reader import operations_of
from tests.contract.shapes import ANY, Kind, Operation, Shape

ROUTES = (*OPERATOR_ROUTES, *DEVICE_ROUTES, *ADMIN_ROUTES)
PUBLISHED = Path(__file__).parents[4] / "shared" / "spec" / "published-openapi-v1.3.json"
METHODS = {"get", "put", "post", "delete", "patch"}

T = TypeVar("T")


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    """The document of all routes."""
    return build_document(ROUTES)


@pytest.fixture(scope="module")
def published() -> tuple[Operation, ...]:
    """The published operations, or a skip where the file is not at hand."""
    if not PUBLISHED.is_file():
        pytest.skip(f"the published contract is not at hand: {PUBLISHED.name}")
    return operations_of(json.loads(PUBLISHED.read_text("utf-8")), prefix="/v1")


def _operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield method, path, operation


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for value in node.values():
            yield from _references(value)
    elif isinstance(node, list):
        for value in node:
            yield from _references(value)


def _route(path: str, **more: Any) -> Route:
    async def handler() -> None:
        """Do it."""

    return Route("POST", path, path.replace("/", "_"), handler, Audience.DEVICE, "s", "t", **more)


def test_document__all_routes__is_openapi_3_1_in_structure(document: dict[str, Any]) -> None:
    """The document has what OpenAPI 3.1 requires, every reference leads somewhere."""
    assert document["openapi"] == "3.1.0"
    assert {"title", "version"} <= document["info"].keys()
    json.dumps(document, allow_nan=False)
    for reference in _references(document):
        node: Any = document
        for part in reference.removeprefix("#/").split("/"):
            node = node[part]
    for method, path, operation in _operations(document):
        assert method in METHODS
        assert path.startswith("/")
        assert operation["responses"]
        assert all("description" in one or "$ref" in one for one in operation["responses"].values())
        for parameter in operation.get("parameters", ()):
            assert {"name", "in", "schema"} <= parameter.keys()
            assert parameter["in"] in {"path", "query", "header"}
            assert parameter["in"] != "path" or parameter["required"]
        names = {p["name"] for p in operation.get("parameters", ()) if p["in"] == "path"}
        assert names == {part[1:-1] for part in path.split("/") if part.startswith("{")}


def test_document__components__are_valid_json_schemas(document: dict[str, Any]) -> None:
    """Every component is a schema by the metaschema of JSON Schema 2020-12."""
    for schema in document["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)


def test_document__every_route__stands_in_it_once(document: dict[str, Any]) -> None:
    """Each row of the tables is one operation, with its own operation id, and nothing else is."""
    found = [operation["operationId"] for _, _, operation in _operations(document)]
    assert sorted(found) == sorted(route.operation_id for route in ROUTES)
    assert len(set(found)) == len(found)


def test_document__examples__are_what_the_schemas_allow(document: dict[str, Any]) -> None:
    """No example contradicts the schema it stands beside."""
    contents = [
        content["application/json"]
        for _, _, operation in _operations(document)
        for content in (
            operation.get("requestBody", {}).get("content", {}),
            *(one.get("content", {}) for one in operation["responses"].values()),
        )
        if "application/json" in content
    ]
    checked = 0
    for content in contents:
        if "example" in content:
            schema = content["schema"] | {"components": document["components"]}
            jsonschema.Draft202012Validator(schema).validate(content["example"])
            checked += 1
    assert checked > 20


def test_document__every_operation__says_who_may_call_it(document: dict[str, Any]) -> None:
    """Security follows the audience and scope of the row."""
    by_id = {route.operation_id: route for route in ROUTES}
    schemes = {
        Audience.OPERATOR: "operatorOAuth2",
        Audience.DEVICE: "deviceBearer",
        Audience.ADMIN: "adminOAuth2",
    }
    for _, _, operation in _operations(document):
        route = by_id[operation["operationId"]]
        wanted = schemes.get(route.audience)
        scopes = [route.scope] if route.scope else []
        assert operation["security"] == ([{wanted: scopes}] if wanted else [])
        if wanted:
            scheme = document["components"]["securitySchemes"][wanted]
            known = scheme.get("flows", {}).get("clientCredentials", {}).get("scopes", {})
            assert set(scopes) <= set(known)


def test_document__names_of_components__are_words(document: dict[str, Any]) -> None:
    """Component names are plain words in one piece, pages named after what they hold."""
    names = document["components"]["schemas"].keys()
    assert all(name.isidentifier() and "_" not in name for name in names)
    assert {"Site", "SitePage", "Device", "ChargingRecordPage", "TelemetryFrame"} <= names


def test_document__batch_of_uploads__refers_to_the_single_upload(document: dict[str, Any]) -> None:
    """The items of a batch have the shape of the upload whose path the batch continues."""
    batch = document["components"]["schemas"]["TelemetryBatchRequest"]
    assert batch["properties"]["items"]["items"] == {"$ref": "#/components/schemas/TelemetryUpload"}


def test_document__sandbox_and_address__are_told() -> None:
    """A sandbox says so, and the given address is the server's."""
    document = build_document(ROUTES, server_url="https://ev.example.org/", sandbox=True)
    assert document["servers"] == [{"url": "https://ev.example.org/v1"}]
    assert document["x-sandbox"] is True
    assert "sandbox" in document["info"]["description"]
    assert "x-sandbox" not in build_document(ROUTES)


def test_document__route_outside_v1_or_id_twice__is_refused() -> None:
    """What the document could not tell truly is an error, not a guess."""
    with pytest.raises(ValueError, match="outside"):
        build_document((_route("/v2/things"),))
    with pytest.raises(ValueError, match="twice"):
        build_document((_route("/v1/things"), _route("/v1/things")))


def test_document__batch_without_single_upload__leaves_items_open() -> None:
    """A batch whose single upload is not served still has its bounds."""
    route = _route("/v1/odd-things/batch", request=BatchRequest, response=BatchResponse)
    schemas = build_document((route,))["components"]["schemas"]
    assert schemas["OddThingsBatchRequest"]["properties"]["items"]["maxItems"] == 500


class OneItem(msgspec.Struct):
    """One ``thing`` (rule P4).

    With more words.
    """

    bounded: Annotated[int, msgspec.Meta(gt=0, lt=9, description="Counted.")]
    either: int | str | None
    at: str
    day: date
    choice: Annotated[str, msgspec.Meta(pattern="^a")] = "a"
    absent: float | msgspec.UnsetType = msgspec.UNSET
    open: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET


class Shelf(msgspec.Struct, Generic[T]):
    held: list[T]


def test_schema_book__struct__becomes_a_component() -> None:
    """Bounds, unions, times, defaults and absence each become what JSON Schema calls them."""
    book = SchemaBook([Shelf[OneItem]])
    assert set(book.components) == {"One", "OneShelf"}
    one = book.components["One"]
    assert one["description"] == "One `thing`.\n\nWith more words."
    assert one["required"] == ["bounded", "either", "at", "day"]
    assert one["properties"]["bounded"] == {
        "type": "integer", "exclusiveMinimum": 0, "exclusiveMaximum": 9, "description": "Counted.",
    }  # fmt: skip
    assert sorted(one["properties"]["either"]["type"]) == ["integer", "null", "string"]
    assert one["properties"]["at"]["format"] == "date-time"
    assert one["properties"]["day"] == {"type": "string", "format": "date"}
    assert one["properties"]["choice"] == {"type": "string", "pattern": "^a", "default": "a"}
    assert one["properties"]["absent"] == {"type": "number"}
    assert one["properties"]["open"] == {"type": "object"}


def test_describe__no_docstring__is_empty() -> None:
    """What has no words of its own gets none."""
    assert describe(object()) != describe(Shelf)
    assert describe(Shelf) == ""


def test_openapi30__whole_document__holds_nothing_of_3_1(document: dict[str, Any]) -> None:
    """The edition for older readers has no null types, list types or numeric exclusive bounds."""
    older = to_openapi30(document)
    assert older["openapi"] == "3.0.3"
    assert older["paths"].keys() == document["paths"].keys()
    assert list(_leftovers(older)) == []
    assert list(_leftovers(document)) != []


def _leftovers(node: Any, where: str = "") -> Iterator[str]:
    if isinstance(node, list):
        for k, value in enumerate(node):
            yield from _leftovers(value, f"{where}/{k}")
    elif isinstance(node, dict):
        kind = node.get("type")
        if kind == "null" or isinstance(kind, list):
            yield where
        if any(not isinstance(node.get(key, True), bool | dict) for key in _EXCLUSIVE):
            yield where
        for key, value in node.items():
            if key not in {"example", "default", "enum"}:
                yield from _leftovers(value, f"{where}/{key}")


_EXCLUSIVE = ("exclusiveMinimum", "exclusiveMaximum")


def test_openapi30__each_construct__has_its_older_form() -> None:
    """Null, alternatives, exclusive bounds and examples are said as 3.0 says them."""
    newer = {
        "info": {"title": "t", "summary": "s", "license": {"name": "n", "identifier": "i"}},
        "schemas": {
            "nothing": {"type": "null"},
            "maybe": {"type": ["string", "null"]},
            "either": {"type": ["string", "integer"]},
            "found": {"oneOf": [{"$ref": "#/x"}, {"type": "null"}]},
            "above": {"type": "number", "exclusiveMinimum": 0},
            "shown": {"type": "string", "examples": ["a", "b"]},
        },
        "example": {"type": "null"},
    }
    older = to_openapi30(newer)
    assert older["schemas"] == {
        "nothing": {"nullable": True, "enum": [None]},
        "maybe": {"type": "string", "nullable": True},
        "either": {"oneOf": [{"type": "string"}, {"type": "integer"}]},
        "found": {"allOf": [{"$ref": "#/x"}], "nullable": True},
        "above": {"type": "number", "minimum": 0, "exclusiveMinimum": True},
        "shown": {"type": "string", "example": "a"},
    }
    assert older["example"] == {"type": "null"}
    assert older["info"] == {"title": "t", "license": {"name": "n"}}


# ------------------------------------------------------------ beside the published contract


def _ours(document: dict[str, Any]) -> dict[str, Operation]:
    return {one.key: one for one in operations_of(document, prefix="/v1")}


def _problems(theirs: Operation, ours: Operation) -> Iterator[str]:
    """What the published operation has and ours lacks or contradicts."""
    held = {(one.place, one.name): one for one in ours.parameters}
    for parameter in theirs.parameters:
        mine = held.get((parameter.place, parameter.name))
        if mine is None:
            yield f"parameter {parameter.name} is missing"
        else:
            yield from _narrower(parameter.shape, mine.shape, parameter.name)
            if mine.required and not parameter.required:
                yield f"parameter {parameter.name} is required"
    if theirs.request is not None:
        if ours.request is None:
            yield "it takes no body"
        else:
            yield from _narrower(theirs.request, ours.request, "body")
    for status, answer in theirs.answers:
        mine_answer = ours.answer(status)
        if mine_answer is None:
            yield f"status {status} is missing"
        elif answer.described and answer.payload.kind is not Kind.ANY:
            yield from _wider(answer.payload, mine_answer.payload, f"{status}")


def _narrower(theirs: Shape, ours: Shape, where: str) -> Iterator[str]:
    """A request: whatever the published contract allows must be allowed by ours."""
    if not _same_kind(theirs, ours):
        yield f"{where} is {ours.kind.value}, published as {theirs.kind.value}"
    if theirs.choices and ours.choices and not set(theirs.choices) <= set(ours.choices):
        yield f"{where} refuses {set(theirs.choices) - set(ours.choices)}"
    known = {field.name: field for field in theirs.fields}
    for field in ours.fields:
        if field.required and not (field.name in known and known[field.name].required):
            yield f"{where}.{field.name} is required"
    for name, field in known.items():
        mine = ours.field(name)
        if mine is None:
            yield f"{where}.{name} is missing"
        else:
            yield from _narrower(field.shape, mine.shape, f"{where}.{name}")
    if theirs.items is not None and ours.items is not None:
        yield from _narrower(theirs.items, ours.items, f"{where}[]")


def _wider(theirs: Shape, ours: Shape, where: str) -> Iterator[str]:
    """An answer: what the published contract promises must be promised by ours."""
    if not _same_kind(theirs, ours):
        yield f"{where} is {ours.kind.value}, published as {theirs.kind.value}"
    for field in theirs.fields:
        mine = ours.field(field.name)
        if mine is None:
            yield f"{where}.{field.name} is missing"
        else:
            if field.required and not mine.required:
                yield f"{where}.{field.name} is not promised"
            yield from _wider(field.shape, mine.shape, f"{where}.{field.name}")
    if theirs.items is not None and ours.items is not None:
        yield from _wider(theirs.items, ours.items, f"{where}[]")


def _same_kind(theirs: Shape, ours: Shape) -> bool:
    # `fault_code` alone may be more than the published integer (rule P2 of the parsing rules).
    return theirs.kind is ours.kind or ANY.kind in {theirs.kind, ours.kind}


def test_document__published_operations_that_are_built__promise_what_is_published(
    document: dict[str, Any], published: tuple[Operation, ...]
) -> None:
    """Parameters, required fields, types and statuses of the contract all stand in ours."""
    ours = _ours(document)
    built = [theirs for theirs in published if theirs.key in ours]
    assert len(built) >= 17
    problems = [
        f"{theirs.key}: {problem}"
        for theirs in built
        for problem in _problems(theirs, ours[theirs.key])
    ]
    assert problems == []


def test_comparison__field_taken_away__is_found(
    document: dict[str, Any], published: tuple[Operation, ...]
) -> None:
    """Negative control: a document that lacks a published field or parameter is caught."""
    poorer = json.loads(json.dumps(document))
    del poorer["components"]["schemas"]["Site"]["properties"]["name"]
    del poorer["paths"]["/operator/sites"]["get"]["parameters"][0]
    poorer["components"]["schemas"]["TelemetryUpload"]["required"].append("soc")
    ours = _ours(poorer)
    problems = [p for theirs in published if theirs.key in ours
                for p in _problems(theirs, ours[theirs.key])]  # fmt: skip
    assert len(problems) >= 3
