"""Signed requests against a running server: what is demanded, refused, repeated."""

import hashlib
import hmac
import re
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.api.tenancy import Charger, Tenant
from tests.contract.client import ContractClient, Reply
from tests.databases import query
from tests.server import Client, RunningServer, start_server

BODY = b'{"reason": "user_request"}'
SITES = "/v1/operator/sites?page=1&size=5"


def moment(off_s: float = 0) -> str:
    """The time some seconds from now, as it is signed."""
    return (datetime.now(UTC) + timedelta(seconds=off_s)).strftime("%Y-%m-%dT%H:%M:%SZ")


def sign(
    secret: str, method: str, target: str, body: bytes = b"", time_text: str = ""
) -> dict[str, str]:
    """The two headers of a request."""
    time_text = time_text or moment()
    content = method.encode() + target.encode() + time_text.encode() + body
    digest = hmac.new(secret.encode(), content, hashlib.sha256).hexdigest()
    return {"X-Timestamp": time_text, "X-Signature": digest}


def stop_of(charger: Charger, connector: int = 1) -> str:
    """The target of a stop."""
    return f"/v1/operator/devices/{charger.device_id}/connectors/{connector}/stop"


def commands_of(charger: Charger) -> int:
    """How many commands its poll gets to see at this moment, at most one per connector."""
    reply = charger.send("heartbeat", {"timestamp": moment(), "status": "online", "fault_code": 0})
    return len(reply.data["commands"])


class Signer:
    """A client that signs, and its view of the operator surface."""

    def __init__(self, tenant: Tenant, policy: str) -> None:
        self.client: Client = tenant.client_with(signing=policy)
        self.api: ContractClient = tenant.contract.operator(self.client.token)
        self.tenant = tenant

    @property
    def path(self) -> str:
        """The client in the administration."""
        return f"/v1/admin/clients/{self.client.client_id}"

    def send(
        self, target: str, body: bytes = BODY, headers: dict[str, str] | None = None, **want: int
    ) -> Reply:
        """A POST, signed unless its headers are given."""
        given = (
            sign(self.client.client_secret, "POST", target, body) if headers is None else headers
        )
        return self.api.raw(
            "POST", target, body, {"content-type": "application/json"} | given, **want
        )


@pytest.fixture
def signer(tenant: Tenant) -> Signer:
    """A client that must sign."""
    return Signer(tenant, "required")


def test_required__control_call__must_be_signed(signer: Signer, charger: Charger) -> None:
    """Unsigned control is 2001 and names the header; signed it is done; reading needs nothing."""
    target = stop_of(charger)
    refused = signer.send(target, headers={}, expect=401, code=2001)
    assert refused.details == {"field": "X-Signature"}
    assert refused.headers["www-authenticate"] == "Bearer"
    signature = sign(signer.client.client_secret, "POST", target, BODY)["X-Signature"]
    refused = signer.send(target, headers={"X-Signature": signature}, expect=401, code=2001)
    assert refused.details == {"field": "X-Timestamp"}
    refused = signer.send(target, headers={"X-Timestamp": moment()}, expect=401, code=2001)
    assert refused.details == {"field": "X-Signature"}
    assert commands_of(charger) == 0
    assert signer.send(target, expect=200).data["status"] == "queued"
    signer.api.get(SITES, expect=200)


def test_required__every_control_operation__is_bound(signer: Signer) -> None:
    """Each operation of operators that is more than a question demands a signature."""
    document = signer.api.get("/openapi.json").json
    seen = 0
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if method == "get" or not any("operatorOAuth2" in s for s in operation["security"]):
                continue
            seen += 1
            target = "/v1" + re.sub(r"{\w+}", "1", path)
            refused = signer.api.raw(method.upper(), target, expect=401, code=2001)
            assert refused.details == {"field": "X-Signature"}
            names = {parameter["name"] for parameter in operation["parameters"]}
            assert {"X-Timestamp", "X-Signature"} <= names
    assert seen >= 2


@pytest.mark.parametrize("change", ["method", "target", "query", "time", "body", "secret"])
def test_signature__of_something_else__is_2001(
    signer: Signer, charger: Charger, change: str
) -> None:
    """Whatever was changed after signing, the answer is the same and has no effect."""
    target, secret, when = stop_of(charger), signer.client.client_secret, moment()
    signed = {
        "method": sign(secret, "PUT", target, BODY),
        "target": sign(secret, "POST", stop_of(charger, 2), BODY),
        "query": sign(secret, "POST", target + "?", BODY),
        "time": sign(secret, "POST", target, BODY, moment(-7)) | {"X-Timestamp": when},
        "body": sign(secret, "POST", target, BODY + b" "),
        "secret": sign(charger.device_secret, "POST", target, BODY),
    }[change]
    refused = signer.send(target, headers=signed, expect=401, code=2001)
    assert refused.details == {"field": "X-Signature"}
    assert "does not belong" in refused.json["message"]
    assert commands_of(charger) == 0


def test_signature__target_as_sent__counts_to_the_byte(signer: Signer) -> None:
    """Escapes, an empty query and odd but valid spellings are signed as they stand on the wire."""
    secret = signer.client.client_secret
    for target in (SITES, "/v1/operator/sites?", "/v1/operator/%73ites?page=%31"):
        signer.api.get(target, headers=sign(secret, "GET", target), expect=200)
        other = "/v1/operator/sites" if target.endswith("?") else target.replace("%", "%25")
        other = "/v1/operator/sites?page=1" if other == target else other
        headers = sign(secret, "GET", other)
        signer.api.get(target, headers=headers, expect=401, code=2001)


def test_signature__time_off__is_taken_within_300_s(signer: Signer, charger: Charger) -> None:
    """Some minutes off are fine, more name the time; another spelling of it does too."""
    target, secret = stop_of(charger), signer.client.client_secret
    for off_s in (-290, 290):
        signed = sign(secret, "POST", target, BODY, moment(off_s))
        signer.send(target, headers=signed, expect=200)
    wrong = [moment(-310), moment(310), moment()[:-1], moment()[:-1] + "+00:00", "now"]
    for text in wrong:
        signed = sign(secret, "POST", target, BODY, text)
        refused = signer.send(target, headers=signed, expect=401, code=2001)
        assert refused.details == {"field": "X-Timestamp"}


def test_signature__repeated__is_the_same_answer_and_one_effect(
    signer: Signer, charger: Charger
) -> None:
    """A repeat gets the first answer's bytes, one after the other or at once."""
    target = stop_of(charger)
    signed = sign(signer.client.client_secret, "POST", target, BODY)
    bodies: list[bytes] = []

    def call() -> None:
        bodies.append(signer.send(target, headers=signed, expect=200).body)

    threads = [threading.Thread(target=call) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    call()
    assert len(bodies) == 9
    assert len(set(bodies)) == 1
    later = sign(signer.client.client_secret, "POST", target, BODY, moment(5))
    assert signer.send(target, headers=later, expect=200).body != bodies[0]


def test_signature__refused_then_possible__is_judged_anew(signer: Signer, charger: Charger) -> None:
    """What was refused had no effect: neither shape nor absence is remembered."""
    secret = signer.client.client_secret
    bad = b'{"reason": 5}'
    target = stop_of(charger)
    signed = sign(secret, "POST", target, bad)
    for _ in range(2):
        signer.send(target, bad, signed, expect=400, code=1001)
    target = "/v1/operator/devices/dvc_unknown/connectors/1/stop"
    signed = sign(secret, "POST", target, BODY)
    for _ in range(2):
        signer.send(target, headers=signed, expect=404, code=3001)


def test_order__signature__stands_before_scope_and_shape(tenant: Tenant, charger: Charger) -> None:
    """A wrong signature is 401 even where scope and body are wrong too; then 403, then 400."""
    reader = tenant.client_with(scopes=["read"], signing="required")
    api = tenant.contract.operator(reader.token)
    target = stop_of(charger)
    kind = {"content-type": "application/json"}
    api.raw("POST", target, b"{", kind, expect=401, code=2001)
    signed = sign(reader.client_secret, "POST", target, b"{")
    api.raw("POST", target, b"{", kind | signed, expect=403, code=2003)
    large = b" " * (64 * 1024 + 1)
    signed = sign(reader.client_secret, "POST", target, large)
    api.raw("POST", target, large, kind | signed, expect=413, code=1001)


def test_optional__signature__is_checked_where_there_is_one(
    tenant: Tenant, charger: Charger
) -> None:
    """Unsigned calls pass; signed ones must be right, and are done once."""
    signer = Signer(tenant, "optional")
    target = stop_of(charger)
    signer.send(target, headers={}, expect=200)
    wrong = sign("another", "POST", target, BODY)
    signer.send(target, headers=wrong, expect=401, code=2001)
    signed = sign(signer.client.client_secret, "POST", target, BODY)
    bodies = {signer.send(target, headers=signed, expect=200).body for _ in range(2)}
    assert len(bodies) == 1
    signer.api.get(SITES, headers=wrong, expect=401, code=2001)


def test_off__headers__are_not_looked_at(tenant: Tenant, charger: Charger) -> None:
    """Where signing is off the headers mean nothing, whatever is in them."""
    headers = {"X-Timestamp": "never", "X-Signature": "none"}
    tenant.api.post(stop_of(charger), {}, headers=headers, expect=200)


def test_administration__switching_on__takes_a_rotation(tenant: Tenant, charger: Charger) -> None:
    """409 until a rotation that sets it; then both secrets of the next swap sign."""
    signer = Signer(tenant, "off")
    wanted = {"signing": "required"}
    refused = tenant.admin.patch(signer.path, wanted, expect=409, code=4001)
    assert refused.details == {"field": "signing"}
    assert "Rotate" in refused.json["message"]
    assert tenant.admin.get(signer.path).data["signing"] == "off"
    rotate = signer.path + "/secrets"
    first = tenant.admin.post(rotate, wanted, expect=200).data
    assert first["client"]["signing"] == "required"
    assert [secret["signs"] for secret in first["client"]["secrets"]] == [False, True]
    target = stop_of(charger)
    signer.send(target, expect=401, code=2001)  # signed with the secret from before
    renewed = Client(signer.client.client_id, first["client_secret"], "", "")
    tenant.server.operator_token(renewed)
    tenant.admin.delete(f"{rotate}/{first['client']['secrets'][0]['secret_id']}", expect=200)
    signer.api = tenant.contract.operator(tenant.server.operator_token(renewed))
    second = tenant.admin.post(rotate, {}, expect=200).data
    for secret in (first["client_secret"], second["client_secret"]):
        signed = sign(secret, "POST", target, BODY)
        signer.send(target, headers=signed, expect=200)
    tenant.admin.patch(signer.path, {"signing": "off"}, expect=200)
    signer.send(target, headers={}, expect=200)
    tenant.admin.patch(signer.path, wanted, expect=409, code=4001)
    tenant.admin.patch(signer.path, {"signing": "maybe"}, expect=400, code=1001)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    timestamp=st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=40),
    signature=st.one_of(
        st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=80),
        st.text("0123456789abcdefABCDEF", min_size=63, max_size=65),
    ),
    whole=st.booleans(),
)
def test_headers__any_text__are_2001(
    signer: Signer, charger: Charger, *, timestamp: str, signature: str, whole: bool
) -> None:
    """Whatever stands in the two headers, the answer is 401 and names one of them."""
    headers = {"X-Timestamp": moment() if whole else timestamp, "X-Signature": signature}
    refused = signer.send(stop_of(charger), headers=headers, expect=401, code=2001)
    assert refused.details["field"] in {"X-Timestamp", "X-Signature"}


def test_repeat__after_a_kill__is_the_same_answer(tmp_path: Path) -> None:
    """The answer is on disk: a platform that was killed and came back repeats it."""
    server = start_server(tmp_path / "data")
    try:
        post = prepare_stop(server)
        first = post(server)
        assert first.status_code == 200
        server.kill()
        server = start_server(tmp_path / "data")
        again = post(server)
        assert (again.status_code, again.content) == (200, first.content)
        assert commands_in(server.data_dir) == 1
    finally:
        server.stop()


def test_repeat__after_a_crash_between_effect_and_answer__has_no_second_effect(
    tmp_path: Path,
) -> None:
    """A platform that dies before it stored its answer does not act again on the repeat."""
    script = tmp_path / "planted.py"
    script.write_text(DIES_BEFORE_THE_ANSWER)
    server = start_server(tmp_path / "data", program=(str(script),))
    try:
        post = prepare_stop(server)
        with pytest.raises(httpx.TransportError):
            post(server)
        server.process.wait(10)
        server = start_server(tmp_path / "data")
        for _ in range(2):
            repeated = post(server)
            assert (repeated.status_code, repeated.json()["code"]) == (409, 4001)
            assert repeated.json()["details"] == {"field": "X-Signature"}
        assert commands_in(server.data_dir) == 1
    finally:
        server.stop()


DIES_BEFORE_THE_ANSWER = """
import os
from tellus.cli import main
from tellus.identity import store_signed

store_signed.keep_answer = lambda *_: os._exit(9)
main()
"""


def prepare_stop(server: RunningServer) -> Callable[[RunningServer], httpx.Response]:
    """One signed stop of a charger, ready to be sent again and again."""
    charger = server.register()
    client = server.create_client(signing="required")
    target = f"/v1/operator/devices/{charger.device_id}/connectors/1/stop"
    headers = sign(client.client_secret, "POST", target, BODY)
    headers |= {"Authorization": f"Bearer {client.token}", "Content-Type": "application/json"}
    return lambda to: httpx.post(to.base_url + target, content=BODY, headers=headers)


def commands_in(data_dir: Path) -> int:
    """How many commands the store holds."""
    ((commands,),) = query(data_dir, "SELECT COUNT(*) FROM commands")
    return int(commands)
