"""The contract model of the tests, compared with the published contract in both directions."""

import copy
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.contract.conformity import parse_strictly, violations_of
from tests.contract.differences import differences
from tests.contract.model import OPERATIONS, PUBLISHED_STATUS
from tests.contract.openapi_reader import operations_of
from tests.contract.shapes import Form, Operation

PUBLISHED = Path(__file__).parents[3] / "shared" / "spec" / "published-openapi-v1.3.json"


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    """The published contract, or a skip where it is not at hand."""
    if not PUBLISHED.is_file():
        pytest.skip(f"the published contract is not at hand: {PUBLISHED.name}")
    loaded: dict[str, Any] = json.loads(PUBLISHED.read_text("utf-8"))
    return loaded


def _published(document: dict[str, Any]) -> tuple[Operation, ...]:
    return operations_of(document, prefix="/v1")


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.key)
def test_model__operation_by_operation__says_what_is_published(
    document: dict[str, Any], operation: Operation
) -> None:
    """Each operation of the model agrees with the published one, field by field."""
    theirs = [item for item in _published(document) if item.key == operation.key]
    assert differences((operation,), tuple(theirs)) == []


def test_model__whole__leaves_out_no_published_operation(document: dict[str, Any]) -> None:
    """The model holds all published operations and no other."""
    assert {item.key for item in _published(document)} == {item.key for item in OPERATIONS}


def test_error_table__published_codes__have_the_same_statuses(document: dict[str, Any]) -> None:
    """The nine error codes have the HTTP statuses of the published table."""
    assert {row["code"]: row["http"] for row in document["x-error-codes"]} == PUBLISHED_STATUS


Mutation = Callable[[dict[str, Any]], None]


def _schemas(document: dict[str, Any]) -> dict[str, Any]:
    schemas: dict[str, Any] = document["components"]["schemas"]
    return schemas


def _drop_required(document: dict[str, Any]) -> None:
    _schemas(document)["Device"]["required"].clear()


def _add_enum_value(document: dict[str, Any]) -> None:
    _schemas(document)["ConnectorState"]["enum"].append("preparing")


def _widen_bound(document: dict[str, Any]) -> None:
    _schemas(document)["Connector"]["properties"]["soc"]["maximum"] = 101


def _change_type(document: dict[str, Any]) -> None:
    _schemas(document)["ChargingRecord"]["properties"]["cost"]["type"] = "string"


def _drop_field(document: dict[str, Any]) -> None:
    del _schemas(document)["TelemetryUpload"]["properties"]["temperature"]


def _add_field(document: dict[str, Any]) -> None:
    _schemas(document)["HeartbeatRequest"]["properties"]["uptime"] = {"type": "integer"}


def _drop_null(document: dict[str, Any]) -> None:
    answer = document["paths"]["/device/commands"]["get"]["responses"]["200"]
    schema = answer["content"]["application/json"]["schema"]
    schema["properties"]["data"]["oneOf"].pop()


def _change_default(document: dict[str, Any]) -> None:
    document["components"]["parameters"]["PageSize"]["schema"]["default"] = 50


def _change_scope(document: dict[str, Any]) -> None:
    security = document["paths"]["/operator/control/flexibility"]["post"]["security"]
    security[0]["operatorOAuth2"][0] = "read"


def _drop_parameter(document: dict[str, Any]) -> None:
    document["paths"]["/operator/aggregated/energy"]["get"]["parameters"].pop()


def _make_body_required(document: dict[str, Any]) -> None:
    path = "/operator/devices/{device_id}/connectors/{connector_id}/start"
    document["paths"][path]["post"]["requestBody"]["required"] = True


def _drop_status(document: dict[str, Any]) -> None:
    del document["paths"]["/device/register"]["post"]["responses"]["409"]


def _describe_answer(document: dict[str, Any]) -> None:
    answer = document["paths"]["/device/telemetry"]["post"]["responses"]["200"]
    answer["content"] = {"application/json": {"schema": {"type": "object"}}}


def _add_operation(document: dict[str, Any]) -> None:
    document["paths"]["/operator/sites"]["post"] = {"responses": {}}


def _drop_operation(document: dict[str, Any]) -> None:
    del document["paths"]["/device/firmware/status"]


@pytest.mark.parametrize(
    "mutate",
    [
        _drop_required,
        _add_enum_value,
        _widen_bound,
        _change_type,
        _drop_field,
        _add_field,
        _drop_null,
        _change_default,
        _change_scope,
        _drop_parameter,
        _make_body_required,
        _drop_status,
        _describe_answer,
        _add_operation,
        _drop_operation,
    ],
    ids=lambda mutate: mutate.__name__.strip("_"),
)
def test_differences__published_contract_changed__are_found(
    document: dict[str, Any], mutate: Mutation
) -> None:
    """Negative control: a change of any kind in the published contract is found."""
    changed = copy.deepcopy(document)
    mutate(changed)
    assert differences(OPERATIONS, _published(document)) == []
    assert differences(OPERATIONS, _published(changed)) != []


def _examples(document: dict[str, Any]) -> Iterator[tuple[Operation, int | None, Any]]:
    """Every example of a request (status None) or of an answer in the published file."""
    for operation in OPERATIONS:
        node = document["paths"][operation.path.removeprefix("/v1")][operation.method.lower()]
        bodies = {None: node.get("requestBody", {})} | {
            int(status): answer for status, answer in node["responses"].items()
        }
        for status, body in bodies.items():
            media = body.get("content", {}).get("application/json", {})
            if "example" in media:
                yield operation, status, media["example"]


def test_model__published_examples__are_allowed(document: dict[str, Any]) -> None:
    """Every example that the published contract gives is what the model allows."""
    judged = 0
    for operation, status, example in _examples(document):
        value = parse_strictly(json.dumps(example).encode())
        shape, answer = operation.request, operation.answer(status) if status else None
        if answer is not None:
            shape = answer.payload
            value = value["data"] if answer.form is Form.ENVELOPE else value
        assert shape is not None
        assert list(violations_of(shape, value, operation.key)) == []
        judged += 1
    assert judged > 15
