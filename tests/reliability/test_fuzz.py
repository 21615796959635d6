"""Malformed requests to every operation that is built: an orderly refusal each, never a crash."""

import itertools
import os
import socket
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from tests.contract import raw
from tests.contract.client import ContractClient
from tests.contract.exchange_log import ExchangeLog
from tests.contract.fuzz import generate
from tests.contract.fuzz_items import FuzzItem
from tests.contract.fuzz_run import FuzzReport, run
from tests.contract.model import OPERATIONS
from tests.contract.openapi_reader import operations_of
from tests.contract.raw_cases import raw_cases
from tests.contract.shapes import Audience, Operation
from tests.reliability.tenant_peers import add_peer, token_of
from tests.reliability.tenant_portal import PORTAL, portal_token
from tests.server import RunningServer, running_server, start_server

REQUESTS = int(os.environ.get("TELLUS_TEST_FUZZ", "10000"))
PLANTED = Path(__file__).with_name("planted.py")
ANSWER_WITHIN_S = 10.0
_AT_ONCE = 16
STALL_S = 12.0  # beyond the server's deadline of 10 s for a head or a body

pytestmark = pytest.mark.slow


class Attackers:
    """Who sends which item: a charger, a client, a peer, a customer, an administrator or nobody."""

    def __init__(self, server: RunningServer, client: ContractClient) -> None:
        self.device = server.register()
        self.target = server.register()
        self.client = server.create_client()
        self.nobody = client
        self.operator = client.operator(self.client.token)
        self.charger = client.device(self.device.token)
        account = server.admin_file
        self._basic = (account["service_account_id"], account["service_account_secret"])
        self.administrator = self.new_administrator()
        self.peer = self._new_peer(server.built_in_operator_id)
        self.customer = client.operator(portal_token(server, server.built_in_operator_id))
        self.charger.post("/v1/device/events", self.plug_in(), expect=200)

    def new_administrator(self) -> ContractClient:
        """Return an administrator's client with a token of its own."""
        form = {"grant_type": "client_credentials"}
        path = "/v1/admin/oauth/token"
        issued = self.nobody.post(path, form=form, basic=self._basic, expect=200)
        return self.nobody.bearer(issued.json["access_token"], "administrator")

    def _new_peer(self, operator_id: str) -> ContractClient:
        """Return the client of a peer that the operator deals with."""
        peer_id, secret = add_peer(self.administrator, operator_id)
        return self.nobody.bearer(token_of(self.nobody, peer_id, secret), "peer")

    @staticmethod
    def plug_in() -> dict[str, object]:
        """Return an orderly event, by which a connector comes into being."""
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        return {"timestamp": now, "event_type": "plug_in", "connector_id": 1, "data": {}}

    def of(self, item: FuzzItem) -> ContractClient:
        """Return the client that an item is to be sent with."""
        if item.audience is Audience.ANYONE:
            return self.nobody
        if item.operation.endswith("/signing-keys"):
            return self.new_administrator()
        if "/v1/admin/" in item.operation:
            return self.administrator
        if f"{PORTAL}/" in item.operation:
            return self.customer
        if item.audience is Audience.PEER:
            return self.peer
        return self.charger if item.audience is Audience.DEVICE else self.operator

    def path_values(self) -> dict[str, str]:
        """Return ids that exist and that nothing else here depends on."""
        return {"device_id": self.target.device_id, "connector_id": "1"}


def built_operations(base_url: str) -> tuple[Operation, ...]:
    """Return what the running server describes, then the published operations among it."""
    document = httpx.get(f"{base_url}/openapi.json").raise_for_status().json()
    described = operations_of(document, prefix="/v1")
    places = {(operation.method, operation.path) for operation in described}
    published = [one for one in OPERATIONS if (one.method, one.path) in places]
    return (*described, *published)


def tolerate_bad_items(item: FuzzItem) -> FuzzItem:
    """Let a batch be taken whose items are refused one by one; its list is well formed."""
    if not item.operation.endswith("/batch"):
        return item
    return replace(item, acceptable=item.acceptable | {200})


def attack(server: RunningServer, requests: int, seed: int, under: str = "/v1/") -> FuzzReport:
    """Send malformed requests to the operations under a path; print and return what came back."""
    log = ExchangeLog()
    with ContractClient(server.base_url, log=log, timeout_s=ANSWER_WITHIN_S) as client:
        attackers = Attackers(server, client)
        operations = [o for o in built_operations(server.base_url) if o.path.startswith(under)]
        # A signing key may be made at the cost of every token: that is tried last.
        harmless = [one for one in operations if not one.path.endswith("/signing-keys")]
        costly = [one for one in operations if one not in harmless]
        last = requests * len(costly) // len(operations)
        values = attackers.path_values()
        items = generate(harmless, requests - last, seed, values)
        everything = map(tolerate_bad_items, itertools.chain(items, generate(costly, last, seed)))
        began_s = time.monotonic()
        report = run(everything, attackers.of)
        took_s = time.monotonic() - began_s
    print(f"{len(operations)} operations, {took_s:.0f} s: {report}")
    return report


@contextmanager
def planted_server(data_dir: Path, fault: str) -> Iterator[RunningServer]:
    """Run the platform with a planted fault."""
    server = start_server(data_dir, program=(str(PLANTED), fault))
    try:
        yield server
    finally:
        server.kill()


def assert_serves(server: RunningServer) -> None:
    """Check that a charger is heard and an operator sees it, as if nothing had happened."""
    server._admin_token = ""  # the signing key of the last one may be gone
    with ContractClient(server.base_url) as client:
        device = server.register()
        client.device(device.token).post("/v1/device/events", Attackers.plug_in(), expect=200)
        operator = client.operator(server.create_client().token)
        seen = operator.get(f"/v1/operator/devices/{device.device_id}?include=events", expect=200)
        assert [event["event_type"] for event in seen.data["events"]] == ["plug_in"]
        assert client.get("/readyz", expect=200)


def test_operations__thousands_of_malformed_requests__are_refused_in_order(tmp_path: Path) -> None:
    """No 500, no hang, every refusal in the envelope, and the server serves on."""
    with running_server(tmp_path / "data") as server:
        report = attack(server, REQUESTS, seed=1)
        assert_serves(server)
        log = "".join(server.stderr)
    assert report.sent == REQUESTS
    assert report.findings == [], str(report)
    assert "Traceback" not in log


def test_bytes__every_raw_case__end_in_an_answer_or_a_close(tmp_path: Path) -> None:
    """Broken HTTP, noise and stalls: an answer or a close for each, and the server serves on."""
    cases = raw_cases(seed=1, stall_s=STALL_S)
    statuses: Counter[int] = Counter()
    found = []
    with running_server(tmp_path / "data") as server:
        address = urlsplit(server.base_url)
        assert address.hostname is not None
        assert address.port is not None
        play = partial(raw.play, host=address.hostname, port=address.port)
        with ThreadPoolExecutor(_AT_ONCE) as threads:
            outcomes = list(threads.map(play, cases))
        for case, outcome in zip(cases, outcomes, strict=True):
            statuses.update(outcome.statuses)
            found += [f"{case.what}: {problem}" for problem in raw.problems(case, outcome)]
        assert_serves(server)
    print(f"{len(cases)} raw cases: {dict(statuses)}")
    assert found == []
    assert statuses[500] == 0


def test_refusal__behind_a_request_that_was_answered_early__is_answered(tmp_path: Path) -> None:
    """A body that comes after its answer does not cost the next request its own refusal."""
    early = b"POST /v1/device/telemetry HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n"
    with running_server(tmp_path / "data") as server:
        address = urlsplit(server.base_url)
        with socket.create_connection((address.hostname, address.port), 5) as connection:
            connection.sendall(early)
            assert connection.recv(65536).startswith(b"HTTP/1.1 401")
            connection.sendall(b"hello")
            connection.sendall(b"BREW /v1/device/telemetry HTTP/1.1\r\nHost: x\r\n\r\n")
            assert connection.recv(65536).startswith(b"HTTP/1.1 400")


def test_fuzz_harness__handler_with_a_planted_bug__is_found(tmp_path: Path) -> None:
    """The harness sees a handler that crashes on an event without a connector."""
    with planted_server(tmp_path / "data", "crash_without_connector") as server:
        report = attack(server, 2500, seed=2, under="/v1/device/")
    found = {(one.item.operation, "HTTP 500" in one.problem) for one in report.findings}
    assert found == {("POST /v1/device/events", True)}
