"""The three token endpoints: what they accept, what they answer, how they refuse."""

import json
from dataclasses import dataclass
from typing import Any

import pytest

from tests.api.tenancy import Tenant
from tests.contract.client import ContractClient, Reply
from tests.minting import basic, claims_of
from tests.reliability.tenant_matrix import identity_of

GRANT = {"grant_type": "client_credentials"}


@dataclass
class Endpoint:
    """A token endpoint with good credentials for it."""

    contract: ContractClient
    path: str
    names: tuple[str, str]
    credentials: tuple[str, str]
    audience: str

    @property
    def body(self) -> dict[str, str]:
        return dict(zip(self.names, self.credentials, strict=True)) | GRANT

    def ask(self, **request: Any) -> Reply:
        return self.contract.request("POST", self.path, **request)


@pytest.fixture(params=["operator", "device", "admin"])
def endpoint(request: pytest.FixtureRequest, tenant: Tenant) -> Endpoint:
    """Each of the three endpoints."""
    if request.param == "device":
        charger = tenant.charger()
        names, found = ("device_id", "device_secret"), (charger.device_id, charger.device_secret)
        path = "/v1/device/token"
    elif request.param == "operator":
        names = ("client_id", "client_secret")
        found = (tenant.client.client_id, tenant.client.client_secret)
        path = "/v1/operator/oauth/token"
    else:
        held = tenant.server.admin_file
        names = ("service_account_id", "service_account_secret")
        found = (held["service_account_id"], held["service_account_secret"])
        path = "/v1/admin/oauth/token"
    return Endpoint(tenant.contract, path, names, found, request.param)


@pytest.mark.parametrize("way", ["json", "form", "basic and form", "basic and json", "no type"])
def test_token__credentials_in_any_way__answers_with_the_superset(
    endpoint: Endpoint, way: str
) -> None:
    """JSON, form and Basic all get the bare OAuth object and the envelope in one, not stored."""
    if way == "json":
        reply = endpoint.ask(json=endpoint.body)
    elif way == "form":
        reply = endpoint.ask(form=endpoint.body)
    elif way == "no type":
        body = json.dumps(endpoint.body).encode()
        reply = endpoint.contract.raw("POST", endpoint.path, body)
    else:
        given = {"form": GRANT} if way.endswith("form") else {"json": GRANT}
        reply = endpoint.ask(basic=endpoint.credentials, **given)
    assert reply.status == 200
    bare = {"access_token", "token_type", "expires_in"}
    assert set(reply.json) == bare | {"code", "message", "data"}
    assert (reply.code, reply.json["message"]) == (0, "success")
    assert reply.data == {name: reply.json[name] for name in bare}
    assert (reply.json["token_type"], reply.json["expires_in"]) == ("Bearer", 86_400)
    assert reply.headers["cache-control"] == "no-store"


def test_token__basic_header__is_form_decoded(endpoint: Endpoint) -> None:
    """Id and secret of a Basic header may be percent-encoded, as RFC 6749 has it."""
    name, secret = ("".join(f"%{ord(c):02X}" for c in text) for text in endpoint.credentials)
    assert endpoint.ask(form=GRANT, headers={"authorization": basic(name, secret)}).status == 200


def test_token__claims__are_a_day_for_this_audience(endpoint: Endpoint) -> None:
    """A token lives exactly 86,400 s, names its audience, and no two are alike."""
    first, second = (endpoint.ask(json=endpoint.body).json["access_token"] for _ in range(2))
    claims = claims_of(first)
    assert claims["exp"] - claims["iat"] == 86_400
    assert claims["aud"] == endpoint.audience
    assert claims["sub"] == endpoint.credentials[0]
    assert first != second
    assert claims["jti"] != claims_of(second)["jti"]


@pytest.mark.parametrize("grant_type", ["password", "", "CLIENT_CREDENTIALS"])
def test_token__wrong_grant_type__is_1001(endpoint: Endpoint, grant_type: str) -> None:
    """Another grant is an invalid parameter, told in the words of OAuth besides."""
    reply = endpoint.ask(json=endpoint.body | {"grant_type": grant_type}, expect=400, code=1001)
    assert reply.details == {"field": "grant_type", "value": grant_type}
    assert reply.json["error"] == "unsupported_grant_type"
    assert reply.headers["cache-control"] == "no-store"


def test_token__something_missing__is_1002_and_names_it(endpoint: Endpoint) -> None:
    """Each required parameter is asked for by its name, in JSON as in a form."""
    for name in endpoint.body:
        given = {key: value for key, value in endpoint.body.items() if key != name}
        for way in ("json", "form"):
            reply = endpoint.ask(**{way: given}, expect=400, code=1002)
            assert reply.details == {"field": name}
            assert reply.json["error"] == "invalid_request"


@pytest.mark.parametrize(
    "header", ["Basic", "Basic !!!", "Basic bm9jb2xvbg==", "Basic /w==", "Bearer x"]
)
def test_token__header_without_credentials__asks_for_them(endpoint: Endpoint, header: str) -> None:
    """A header that is no Basic credentials counts as none."""
    reply = endpoint.ask(form=GRANT, headers={"authorization": header}, expect=400, code=1002)
    assert reply.details == {"field": endpoint.names[0]}


def test_token__unknown_id_and_wrong_secret__are_answered_alike(endpoint: Endpoint) -> None:
    """Nobody learns from a refusal whether the id exists; it is 2001 and invalid_client."""
    name, secret = endpoint.names
    tries = [
        {secret: "wrong"},
        {secret: endpoint.credentials[1] + "x"},
        {secret: ""},
        {name: "cli_unknown"},
        {name: ""},
        {name: endpoint.credentials[1]},
    ]
    replies = [endpoint.ask(json=endpoint.body | wrong, expect=401, code=2001) for wrong in tries]
    assert len({str(identity_of(reply)) for reply in replies}) == 1
    assert replies[0].json["error"] == "invalid_client"
    assert replies[0].headers["www-authenticate"] == "Bearer"
    assert replies[0].details == {}


@pytest.mark.parametrize("value", [5, None, True, ["x"], {"a": 1}])
def test_token__wrong_types__are_1001_without_the_secret(endpoint: Endpoint, value: Any) -> None:
    """What is no text is refused by its field, and what may be a secret is not repeated."""
    secret = endpoint.names[1]
    reply = endpoint.ask(json=endpoint.body | {secret: value}, expect=400, code=1001)
    assert reply.details == {"field": secret}
    assert reply.json["error"] == "invalid_request"


def test_token__parameter_twice_in_a_form__is_1001(endpoint: Endpoint) -> None:
    """A form that says something twice is refused, as RFC 6749 has it."""
    headers = {"content-type": "application/x-www-form-urlencoded"}
    body = b"grant_type=client_credentials&grant_type=client_credentials"
    reply = endpoint.contract.raw("POST", endpoint.path, body, headers, expect=400, code=1001)
    assert reply.details["field"] == "grant_type"


def test_token__unknown_properties__are_ignored(endpoint: Endpoint) -> None:
    """Parameters that we do not know, such as a scope, do no harm."""
    endpoint.ask(json=endpoint.body | {"scope": "read", "x": [1]}, expect=200)
    endpoint.ask(form=endpoint.body | {"scope": "read"}, expect=200)


def test_token__new_one__leaves_older_ones_good(tenant: Tenant) -> None:
    """The same client may be used from many servers at once."""
    tokens = [tenant.server.operator_token(tenant.client) for _ in range(3)]
    for token in (tenant.client.token, *tokens):
        tenant.contract.operator(token).get("/v1/operator/sites", expect=200)


def test_token__get__is_405_with_what_is_allowed(endpoint: Endpoint) -> None:
    """Credentials do not go into a query."""
    reply = endpoint.contract.get(endpoint.path, expect=405, code=1001)
    assert reply.headers["allow"] == "POST"
