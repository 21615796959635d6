"""The contract client, against a small server that answers by the contract model alone."""

from collections.abc import Iterator

import httpx
import pytest

from tests.contract.client import ContractClient
from tests.contract.exchange_log import ExchangeLog, Logged
from tests.contract.model import OPERATIONS, find_operation, path_values
from tests.contract.stub_server import STUB_TOKEN, stub_server

_EVENT = {
    "timestamp": "2025-06-02T10:00:00Z",
    "event_type": "plug_in",
    "connector_id": 1,
    "data": {"vehicle_connected": True},
}


@pytest.fixture
def client() -> Iterator[ContractClient]:
    """A client of a server that keeps the contract, with a log of its own."""
    with (
        stub_server() as (host, port),
        ContractClient(f"http://{host}:{port}", log=ExchangeLog()) as opened,
    ):
        yield opened


def test_client__answers_as_promised__are_returned(client: ContractClient) -> None:
    """An answer that keeps the contract comes back taken apart."""
    reply = client.device(STUB_TOKEN).post("/v1/device/events", _EVENT, expect=200, code=0)
    assert (reply.status, reply.code, reply.data, reply.request_id) == (200, 0, None, "req_stub")
    missing = client.operator(STUB_TOKEN).get("/v1/operator/devices/dvc_1", expect=404, code=3001)
    assert missing.details == {}


def test_client__no_token__is_unauthenticated(client: ContractClient) -> None:
    """Without `operator` or `device` no credential goes out."""
    client.get("/v1/operator/sites", expect=401, code=2001)


def test_client__form_and_basic__go_out_as_such(client: ContractClient) -> None:
    """Bodies may also be forms, and credentials HTTP Basic."""
    form = {"grant_type": "client_credentials"}
    client.request("POST", "/v1/device/token", form=form, basic=("a", "b"), expect=415)


def test_client__parameters__are_added_to_the_target(client: ContractClient) -> None:
    """Query parameters may be given apart from the path."""
    operator = client.operator(STUB_TOKEN)
    reply = operator.get("/v1/operator/sites", params={"page": 0}, expect=400, code=1001)
    assert reply.details["field"] == "page"


def test_client__raw_bytes__go_out_untouched(client: ContractClient) -> None:
    """Any bytes may be sent as a body, with any target."""
    device = client.device(STUB_TOKEN)
    kind = {"Content-Type": "application/json"}
    assert device.raw("POST", "/v1/device/events", b'{"a": "\xff"}', kind).status == 400
    assert device.raw("GET", "/v1/../v1//x/%2e%2e", expect=404).code == 3001


def test_client__unexpected_status__is_told_with_the_exchange(client: ContractClient) -> None:
    """A wrong status or code raises with what was sent and what came."""
    with pytest.raises(AssertionError, match=r"expected status 200 .*got 404") as raised:
        client.get("/v1/nowhere", expect=200)
    assert "GET /v1/nowhere" in str(raised.value)
    with pytest.raises(AssertionError, match="code 4001"):
        client.get("/v1/nowhere", code=4001)


def test_client__broken_contract__raises() -> None:
    """Negative control: an answer that breaks the contract fails the test that asked for it."""
    with (
        stub_server("answers without envelope") as (host, port),
        ContractClient(f"http://{host}:{port}", log=ExchangeLog()) as client,
        pytest.raises(AssertionError, match="does not go with"),
    ):
        client.operator(STUB_TOKEN).get("/v1/operator/sites")


def test_client__http_500__raises_unless_tolerated() -> None:
    """An HTTP 500 is a bug, even in a proper envelope, unless a test asks for it."""
    body, kind = b'{"a": "\xff"}', {"Content-Type": "application/json"}
    with stub_server("crash on bad utf-8") as (host, port):
        url = f"http://{host}:{port}"
        with ContractClient(url, log=ExchangeLog()) as client:
            strict = client.device(STUB_TOKEN)
            with pytest.raises(AssertionError, match="for bugs alone"):
                strict.raw("POST", "/v1/device/events", body, kind)
        with ContractClient(url, log=ExchangeLog(), tolerated=frozenset({500})) as client:
            reply = client.device(STUB_TOKEN).raw("POST", "/v1/device/events", body, kind)
    assert (reply.status, reply.code) == (500, 9001)


def test_client__closed__sends_no_more(client: ContractClient) -> None:
    """Closing a derived client leaves the shared connections open; closing the first ends them."""
    client.operator(STUB_TOKEN).close()
    client.get("/v1/nowhere", expect=404)
    client.close()
    with pytest.raises(RuntimeError):
        client.get("/v1/nowhere")
    assert isinstance(client._http, httpx.Client)


def test_exchange_log__after_requests__knows_what_was_seen(client: ContractClient) -> None:
    """The log counts answers by operation and tells what the contract names and nobody saw."""
    device = client.device(STUB_TOKEN)
    device.post("/v1/device/events", _EVENT)
    device.post("/v1/device/events", {})
    client.get("/v1/things/th_12345")
    log = client.log
    assert log.seen["POST /v1/device/events", 200] == 1
    assert log.seen["POST /v1/device/events", 400] == 1
    assert log.seen["GET /v1/things/{id}", 404] == 1
    events = find_operation("POST", "/v1/device/events")
    assert events is not None
    assert log.statuses_of(events) == {200, 400}
    assert ("POST /v1/device/events", 200) not in log.unseen()
    assert ("POST /v1/device/telemetry", 200) in log.unseen()
    assert "200×1  400×1" in log.report([events])
    assert "never 200" in log.report(OPERATIONS)


def test_exchange_log__many_paths__stays_small() -> None:
    """Counts go by operation, and only the newest exchanges are kept."""
    log = ExchangeLog()
    for number in range(3_000):
        log.add(Logged("GET", f"/v1/operator/devices/dvc_{number}?a={number}", 404, 3001, "x"))
    assert len(log.seen) == 1
    assert len(log.recent) == 2_000


def test_find_operation__enrolment_prefix_and_query__are_looked_through() -> None:
    """The operation is found whatever stands before `/v1` or after the path."""
    found = find_operation("POST", "/e/some-token/v1/device/heartbeat?x=1")
    assert found is not None
    assert found.path == "/v1/device/heartbeat"
    start = find_operation("POST", "/v1/operator/devices/d:1/connectors/2/start")
    assert start is not None
    target = "/v1/operator/devices/d:1/connectors/2/start?x"
    assert path_values(start, target) == {"device_id": "d:1", "connector_id": "2"}
    assert find_operation("GET", "/v1/device/heartbeat") is None
