"""Bearer tokens on every surface: 2001, 2002, 2003, and what ends a token at once."""

from pathlib import Path

import pytest

from tests.api.tenancy import Tenant
from tests.contract.client import ContractClient
from tests.minting import basic, broken_signature, expired, signed_again, unsigned
from tests.reliability.tenant_matrix import identity_of
from tests.server import running_server

PATHS = {
    "operator": "/v1/operator/sites",
    "device": "/v1/device/commands?connector_id=0",  # 400 for who gets that far
    "admin": "/v1/admin/operators",
}


@pytest.fixture
def tokens(tenant: Tenant) -> dict[str, str]:
    """A good token for each audience."""
    admin = tenant.server._admin_token
    return {"operator": tenant.client.token, "device": tenant.charger().token, "admin": admin}


@pytest.mark.parametrize("audience", PATHS)
def test_bearer__good_token__opens_its_own_surface_and_no_other(
    tenant: Tenant, tokens: dict[str, str], audience: str
) -> None:
    """A token is good where its audience is served; anywhere else it is 2001."""
    for where, path in PATHS.items():
        reply = tenant.contract.bearer(tokens[audience]).get(path)
        if where == audience:
            assert reply.status in {200, 400}
        else:
            assert (reply.status, reply.code) == (401, 2001)


@pytest.mark.parametrize("audience", PATHS)
def test_bearer__nothing_good__is_one_answer_of_2001(
    tenant: Tenant, tokens: dict[str, str], audience: str
) -> None:
    """Absent, malformed, forged, unsigned: all look alike and name the scheme."""
    good = tokens[audience]
    head, body, signature = good.split(".")
    headers = [
        None,
        "",
        "Bearer",
        "Bearer x",
        f"Token {good}",
        good,
        basic("a", "b"),
        f"Bearer {broken_signature(good)}",
        f"Bearer {unsigned(good)}",
        f"Bearer {head}.{body}.",
        f"Bearer {head}..{signature}",
        f"Bearer {good}.{signature}",
        "Bearer " + "a" * 5000,
        f"Bearer {signed_again(tenant.server, good, gen=99)}",
        f"Bearer {signed_again(tenant.server, good, sub='cli_unknown')}",
        f"Bearer {signed_again(tenant.server, good, iss='another')}",
    ]
    answers = set()
    for header in headers:
        given = {} if header is None else {"authorization": header}
        reply = tenant.contract.get(PATHS[audience], headers=given, expect=401, code=2001)
        assert reply.headers["www-authenticate"] == "Bearer"
        answers.add(str(identity_of(reply)))
    assert len(answers) == 1


@pytest.mark.parametrize("scheme", ["bearer", "BEARER", "Bearer "])
def test_bearer__scheme_in_any_case__is_taken(tenant: Tenant, scheme: str) -> None:
    """The scheme's case and a second space make no difference (RFC 9110, section 11.1)."""
    headers = {"authorization": f"{scheme} {tenant.client.token}"}
    tenant.contract.get(PATHS["operator"], headers=headers, expect=200)


@pytest.mark.parametrize("audience", PATHS)
def test_bearer__expired__is_2002_only_where_all_else_is_good(
    tenant: Tenant, tokens: dict[str, str], audience: str
) -> None:
    """A token that is merely over says so; on another surface, or forged, it is 2001."""
    over = expired(tenant.server, tokens[audience])
    for where, path in PATHS.items():
        code = 2002 if where == audience else 2001
        reply = tenant.contract.bearer(over).get(path, expect=401, code=code)
        assert reply.headers["www-authenticate"] == "Bearer"
    forged = broken_signature(over)
    tenant.contract.bearer(forged).get(PATHS[audience], expect=401, code=2001)


def test_bearer__last_second_of_its_life__is_good(tenant: Tenant) -> None:
    """A token is good until its very end."""
    nearly = expired(tenant.server, tenant.client.token, since_s=-30)
    tenant.contract.operator(nearly).get(PATHS["operator"], expect=200)


def test_bearer__revoked_client__is_2001_at_the_next_call(tenant: Tenant) -> None:
    """Revoking a client ends its tokens, its secret, and the expiry of its expired ones."""
    client = tenant.client_with()
    api = tenant.contract.operator(client.token)
    over = tenant.contract.operator(expired(tenant.server, client.token))
    api.get(PATHS["operator"], expect=200)
    over.get(PATHS["operator"], expect=401, code=2002)
    tenant.admin.delete(f"/v1/admin/clients/{client.client_id}", expect=200)
    api.get(PATHS["operator"], expect=401, code=2001)
    over.get(PATHS["operator"], expect=401, code=2001)
    body = {"client_id": client.client_id, "client_secret": client.client_secret}
    asked = body | {"grant_type": "client_credentials"}
    tenant.contract.post("/v1/operator/oauth/token", asked, expect=401, code=2001)


def test_bearer__two_headers__is_2001(tenant: Tenant) -> None:
    """Two Authorization headers prove nothing, for nobody knows which one counts."""
    joined = f"Bearer {tenant.client.token}, Bearer {tenant.client.token}"
    headers = {"authorization": joined}
    tenant.contract.get(PATHS["operator"], headers=headers, expect=401, code=2001)


def test_bearer__deleted_device__is_2001_at_the_next_call(tenant: Tenant) -> None:
    """Deleting a device ends its tokens and its secret at once."""
    charger = tenant.charger()
    tenant.admin.delete(f"/v1/admin/devices/{charger.device_id}", expect=200)
    charger.api.get(PATHS["device"], expect=401, code=2001)
    body = {"device_id": charger.device_id, "device_secret": charger.device_secret}
    asked = body | {"grant_type": "client_credentials"}
    tenant.contract.post("/v1/device/token", asked, expect=401, code=2001)


def test_client_secret__swapped__old_and_new_work_in_the_overlap(tenant: Tenant) -> None:
    """Two secrets are live during a swap; revoking one ends its tokens and not the other's."""
    client = tenant.client_with()
    path = f"/v1/admin/clients/{client.client_id}/secrets"
    fresh = tenant.admin.post(path, {"overlap_s": 3600}, expect=200).data
    old_token = tenant.server.operator_token(client)
    old_id = next(
        secret["secret_id"]
        for secret in fresh["client"]["secrets"]
        if secret["secret_id"] != fresh["secret_id"]
    )
    client.client_secret = fresh["client_secret"]
    new_token = tenant.server.operator_token(client)
    for token in (client.token, old_token, new_token):
        tenant.contract.operator(token).get(PATHS["operator"], expect=200)
    tenant.admin.post(path, expect=409, code=4001)  # a third would cut off one of the two
    tenant.admin.delete(f"{path}/{old_id}", expect=200)
    for token in (client.token, old_token):
        tenant.contract.operator(token).get(PATHS["operator"], expect=401, code=2001)
    tenant.contract.operator(new_token).get(PATHS["operator"], expect=200)


def test_client_secret__answer_lost__asking_again_replaces_the_unused_one(tenant: Tenant) -> None:
    """A swap whose answer was lost is repeated; the secret that nobody saw is void."""
    client = tenant.client_with()
    path = f"/v1/admin/clients/{client.client_id}/secrets"
    first = tenant.admin.post(path, expect=200).data["client_secret"]
    second = tenant.admin.post(path, expect=200).data["client_secret"]
    for secret, status in ((first, 401), (second, 200), (client.client_secret, 200)):
        body = {"client_id": client.client_id, "client_secret": secret}
        asked = body | {"grant_type": "client_credentials"}
        tenant.contract.post("/v1/operator/oauth/token", asked, expect=status)


def test_scopes__changed__bite_at_the_next_call(tenant: Tenant) -> None:
    """What a client may do is judged by its settings, not by what its token was issued for."""
    client = tenant.client_with(scopes=["read"])
    api = tenant.contract.operator(client.token)
    start = "/v1/operator/devices/dvc_none/connectors/1/start"
    reply = api.post(start, expect=403, code=2003)
    assert reply.details == {"scope": "write"}
    path = f"/v1/admin/clients/{client.client_id}"
    tenant.admin.patch(path, {"scopes": ["write"]}, expect=200)
    api.post(start, expect=404, code=3001)
    reply = api.get(PATHS["operator"], expect=403, code=2003)
    assert reply.details == {"scope": "read"}


def test_networks__calling_from_elsewhere__is_2003(tenant: Tenant) -> None:
    """A client with networks gets neither tokens nor answers outside them."""
    client = tenant.client_with(allowed_networks=["127.0.0.0/8"])
    api = tenant.contract.operator(client.token)
    api.get(PATHS["operator"], expect=200)
    path = f"/v1/admin/clients/{client.client_id}"
    tenant.admin.patch(path, {"allowed_networks": ["203.0.113.0/24"]}, expect=200)
    api.get(PATHS["operator"], expect=403, code=2003)
    body = {"client_id": client.client_id, "client_secret": client.client_secret}
    asked = body | {"grant_type": "client_credentials"}
    reply = tenant.contract.post("/v1/operator/oauth/token", asked, expect=403, code=2003)
    assert reply.json["error"] == "unauthorized_client"
    wrong = asked | {"client_secret": "wrong"}
    tenant.contract.post("/v1/operator/oauth/token", wrong, expect=401, code=2001)


def test_origins__listed_for_a_client__are_allowed_for_it_alone(tenant: Tenant) -> None:
    """A browser page of a listed origin may read the client's answers, another page not."""
    client = tenant.client_with(cors_origins=["https://fleet.example"])
    origin = {"origin": "https://fleet.example"}
    mine = tenant.contract.operator(client.token).get(PATHS["operator"], headers=origin)
    assert mine.headers["access-control-allow-origin"] == "https://fleet.example"
    other = {"origin": "https://evil.example"}
    reply = tenant.contract.operator(client.token).get(PATHS["operator"], headers=other)
    assert "access-control-allow-origin" not in reply.headers
    assert "access-control-allow-origin" not in tenant.api.get(
        PATHS["operator"], headers=origin
    ).headers  # fmt: skip
    asked = origin | {"access-control-request-method": "GET"}
    preflight = tenant.contract.request("OPTIONS", PATHS["operator"], headers=asked)
    assert preflight.headers["access-control-allow-origin"] == "https://fleet.example"


def test_signing_keys__rotated__end_tokens_only_where_asked(tmp_path: Path) -> None:
    """A fresh key leaves tokens good; ending all tokens ends the administrator's own too."""
    with running_server(tmp_path / "data") as server, ContractClient(server.base_url) as contract:
        token = server.create_client().token
        server.admin("POST", "/v1/admin/signing-keys")
        contract.operator(token).get(PATHS["operator"], expect=200)
        server.admin("POST", "/v1/admin/signing-keys", {"revoke_tokens": True})
        contract.operator(token).get(PATHS["operator"], expect=401, code=2001)
        admin = contract.bearer(server._admin_token)
        admin.get(PATHS["admin"], expect=401, code=2001)
