"""The fuzz generator, tried on a small server that answers by the contract model alone."""

from collections.abc import Sequence

import pytest

from tests.contract.client import ContractClient
from tests.contract.exchange_log import ExchangeLog
from tests.contract.fuzz import generate, mutations_of
from tests.contract.fuzz_items import FuzzItem
from tests.contract.fuzz_run import FuzzReport, run
from tests.contract.model import OPERATIONS
from tests.contract.openapi_reader import operations_of
from tests.contract.shapes import Audience
from tests.contract.stub_server import STUB_TOKEN, stub_server

# Refused by our own rules on values, which the shapes of the model do not tell.
_BEYOND_SHAPES = (
    "2**70",
    "-2**70",
    "1e300",
    "3,900 digits",
    "the time",
    "dots",
    "blank",
    "percent",
    "colon",
)
_OUR_OPERATIONS = [
    operation
    for operation in OPERATIONS
    if operation.audience is not Audience.PEER and not operation.path.endswith("/stream")
]


def _attack(items: Sequence[FuzzItem], planted: str = "") -> FuzzReport:
    with stub_server(planted) as (host, port):
        url = f"http://{host}:{port}"
        with ContractClient(url, log=ExchangeLog(), timeout_s=2.0) as client:
            known = client.bearer(STUB_TOKEN)
            return run(items, lambda _: known)


def test_generate__same_seed__gives_the_same_requests() -> None:
    """A run can be repeated exactly, and another seed gives another run."""
    one = list(generate(OPERATIONS, 500, seed=7))
    assert one == list(generate(OPERATIONS, 500, seed=7))
    assert one != list(generate(OPERATIONS, 500, seed=8))
    assert len(one) == 500


def test_generate__one_round__meets_every_mutation_of_every_operation() -> None:
    """Each (operation, mutation) comes once before any comes twice."""
    wanted = {(op.key, m.what) for op in OPERATIONS for m in mutations_of(op)}
    count = sum(len(mutations_of(op)) for op in OPERATIONS)
    got = {(item.operation, item.what) for item in generate(OPERATIONS, count, seed=1)}
    assert got == wanted
    assert count > 3_000


def test_generate__every_item__allows_no_server_error() -> None:
    """No item ever takes an HTTP 500 or 422 for an answer."""
    for item in generate(OPERATIONS, 8_000, seed=2):
        assert not item.acceptable & {422, 500, 502, 504}, item
        assert item.target.isascii()


def test_generate__openapi_document__works_without_the_model() -> None:
    """Operations may come from any OpenAPI document, such as a server's own."""
    document = {
        "paths": {
            "/v1/things/{id}": {
                "put": {
                    "parameters": [{"name": "id", "in": "path", "schema": {"type": "string"}}],
                    "requestBody": {
                        "required": True,
                        "content": {
                            "application/json": {
                                "schema": {
                                    "type": "object",
                                    "required": ["n"],
                                    "properties": {
                                        "n": {"type": "integer", "maximum": 5},
                                        "m": {"anyOf": [{"type": "number"}, {"type": "null"}]},
                                    },
                                }
                            }
                        },
                    },
                }
            }
        }
    }
    said = {item.what for item in generate(operations_of(document), 2_000, seed=3)}
    assert {"n missing", "above its bound in n", "NaN in m", "5 MB", "dots in path id"} <= said
    assert "null in m" not in said


def test_run__server_that_keeps_the_contract__has_no_findings() -> None:
    """What the generator calls malformed is refused by an independent reading of the contract."""
    items = [
        item
        for item in generate(_OUR_OPERATIONS, 1_500, seed=4)
        if not any(part in item.what for part in _BEYOND_SHAPES) and len(item.body) < 1_000_000
    ]
    report = _attack(items)
    assert report.findings == [], str(report)
    assert report.sent == len(items)


@pytest.mark.parametrize(
    ("planted", "path", "said"),
    [
        ("crash on bad utf-8", "/events", "HTTP 500"),
        ("accepts soc out of bounds", "/telemetry", "answered with 404"),
        ("hang on NUL", "/events", "hangs"),
        ("answers without envelope", "/sites", "does not go with"),
    ],
)
def test_run__planted_bug__is_found(planted: str, path: str, said: str) -> None:
    """Negative control: a server with one bug in one operation does not get through."""
    operations = [op for op in _OUR_OPERATIONS if op.path.endswith(path)]
    count = sum(len(mutations_of(op)) for op in operations)
    items = [
        item
        for item in generate(operations, count, seed=5)
        if len(item.body) < 1_000 and (planted != "hang on NUL" or "NULs" in item.what)
    ]
    report = _attack(items, planted)
    assert any(said in finding.problem for finding in report.findings), str(report)
