"""Identity's handlers: where credentials may stand, and what administration answers."""

import base64
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest

from tellus.audit.model import PLATFORM
from tellus.identity import admin_api, admin_api_accounts, device_api, operator_api
from tellus.identity.credentials import read_basic
from tellus.identity.model import AdminScope
from tellus.identity.service import BadCredentials
from tellus.kernel.call import ANYONE, NOTHING, Audience, Call, Principal
from tellus.kernel.errors import InvalidParameter, MissingParameter, NotFound
from tellus.kernel.paging import PageQuery
from tests.unit.identity.conftest import ADDRESS, IdentityBench

RunBench = Callable[[Callable[[IdentityBench], Awaitable[None]]], None]

ROOT = Principal(Audience.ADMIN, "sa_root", "", frozenset(scope.value for scope in AdminScope))


def basic(name: str, secret: str) -> str:
    """A Basic header."""
    return "Basic " + base64.b64encode(f"{name}:{secret}".encode()).decode()


def call(
    body: Any = NOTHING, query: Any = NOTHING, principal: Principal = ROOT, **path: str
) -> Call[Any, Any]:
    """A call of the root service account, as a handler gets it."""
    made = Call(principal, body, query, 0, path)
    made.request_id = "req_1"
    return made


def token_call(body: Any, authorization: str = "") -> Call[Any, Any]:
    """A call without a token, as the token endpoints get it."""
    made = Call(ANYONE, body, NOTHING, 0)
    made.address, made.authorization = ADDRESS, authorization
    return made


def test_issue_operator_token__credentials_in_body_or_header__are_equal(
    run_bench: RunBench,
) -> None:
    """Id and secret are taken from the body, or from a Basic header, or one from each."""

    async def test(bench: IdentityBench) -> None:
        issued = await bench.client()
        name, secret, grant = issued.client.client_id, issued.text, "client_credentials"
        request = operator_api.OperatorTokenRequest
        for body, header in (
            (request(name, secret, grant), ""),
            (request(grant_type=grant), basic(name, secret)),
            (request(name, grant_type=grant), basic("cli_other", secret)),
            (request(name, secret, grant), basic("cli_other", "wrong")),
            (request(name, secret, grant), "Bearer x"),
        ):
            answer = await operator_api.issue_operator_token(
                bench.service, token_call(body, header)
            )
            assert (answer.token_type, answer.expires_in) == ("Bearer", 86_400)
            bench.service.authenticate(answer.access_token, Audience.OPERATOR)

    run_bench(test)


@pytest.mark.parametrize(
    ("given", "authorization", "field"),
    [
        ({}, "", "client_id"),
        ({"client_id": "a"}, "", "client_secret"),
        ({"client_secret": "a"}, "", "client_id"),
        ({"client_id": "a", "client_secret": "b"}, "", "grant_type"),
        ({"grant_type": "client_credentials"}, "Basic !!!", "client_id"),
        ({"grant_type": "client_credentials"}, "Bearer abc", "client_id"),
        ({}, basic("a", "b"), "grant_type"),
    ],
)
def test_issue_operator_token__something_missing__names_it(
    run_bench: RunBench, given: dict[str, str], authorization: str, field: str
) -> None:
    """What is nowhere to be found is named as missing."""

    async def test(bench: IdentityBench) -> None:
        body = operator_api.OperatorTokenRequest(**given)
        with pytest.raises(MissingParameter) as caught:
            await operator_api.issue_operator_token(bench.service, token_call(body, authorization))
        assert caught.value.details == {"field": field}

    run_bench(test)


def test_issue_tokens__other_grant_type__is_invalid_on_each_surface(run_bench: RunBench) -> None:
    """Only client_credentials is granted, whatever the credentials."""

    async def test(bench: IdentityBench) -> None:
        for handler, body in (
            (
                operator_api.issue_operator_token,
                operator_api.OperatorTokenRequest("a", "b", "password"),
            ),
            (device_api.issue_device_token, device_api.DeviceTokenRequest("a", "b", "password")),
            (
                admin_api_accounts.issue_admin_token,
                admin_api_accounts.AdminTokenRequest("a", "b", grant_type="password"),
            ),
        ):
            with pytest.raises(InvalidParameter) as caught:
                await handler(bench.service, token_call(body))  # type: ignore[operator]
            assert caught.value.details == {"field": "grant_type", "value": "password"}

    run_bench(test)


def test_issue_device_token__then_rotate__answers_a_secret_that_works(run_bench: RunBench) -> None:
    """A device gets its token by id and secret, and by its token another secret."""

    async def test(bench: IdentityBench) -> None:
        issued = await bench.device()
        request = device_api.DeviceTokenRequest
        answer = await device_api.issue_device_token(
            bench.service, token_call(request("dvc_1", issued.text, "client_credentials"))
        )
        principal = bench.service.authenticate(answer.access_token, Audience.DEVICE)
        rotated = await device_api.rotate_device_secret(bench.service, call(principal=principal))
        assert rotated.device_id == "dvc_1"
        assert rotated.expires_in == 365 * 86_400
        await device_api.issue_device_token(
            bench.service,
            token_call(
                request(grant_type="client_credentials"), basic("dvc_1", rotated.device_secret)
            ),
        )
        audited = await bench.rows("SELECT actor, request_id, action FROM audit_log")
        assert ("dvc_1", "req_1", "device.secret_rotated") in audited

    run_bench(test)


def test_issue_admin_token__under_either_name__works(run_bench: RunBench) -> None:
    """Administrators' credentials go under their own names or those of OAuth."""

    async def test(bench: IdentityBench) -> None:
        made = await admin_api_accounts.create_service_account(
            bench.service,
            call(admin_api_accounts.ServiceAccountRequest("root", list(AdminScope))),
        )
        name, secret = made.service_account_id, made.service_account_secret
        request = admin_api_accounts.AdminTokenRequest
        grant = "client_credentials"
        for body in (
            request(name, secret, grant_type=grant),
            request(client_id=name, client_secret=secret, grant_type=grant),
        ):
            answer = await admin_api_accounts.issue_admin_token(bench.service, token_call(body))
            bench.service.authenticate(answer.access_token, Audience.ADMIN)
        with pytest.raises(BadCredentials):
            await admin_api_accounts.issue_admin_token(
                bench.service, token_call(request(name, "wrong", grant_type=grant))
            )

    run_bench(test)


async def portal(bench: IdentityBench) -> admin_api.ClientSecretResponse:
    """A client made through the handlers."""
    operator = await admin_api.create_operator(
        bench.service, call(admin_api.OperatorRequest("Acme"))
    )
    body = {"operator_id": operator.operator_id, "scopes": ["read", "write"]}
    return await admin_api.create_client(
        bench.service, call(msgspec.convert(body, admin_api.ClientRequest))
    )


def test_update_client__some_fields__changes_those_alone(run_bench: RunBench) -> None:
    """A change shows in the client's item, what was left out stays, and no secret is shown."""

    async def test(bench: IdentityBench) -> None:
        made = await portal(bench)
        change = {"scopes": ["read"], "cors_origins": ["https://a.example"], "vin_mode": "full"}
        await admin_api.update_client(
            bench.service,
            call(msgspec.convert(change, admin_api.ClientChangeRequest), client_id=made.client_id),
        )
        shown = await admin_api.get_client(bench.service, call(client_id=made.client_id))
        assert msgspec.to_builtins(shown) == {
            "client_id": made.client_id,
            "operator_id": made.client.operator_id,
            "name": "client",
            "scopes": ["read"],
            "limits": {},
            "allowed_networks": [],
            "cors_origins": ["https://a.example"],
            "vin_mode": "full",
            "signing": "off",
            "created_at": "2025-03-15T09:30:00Z",
            "secrets": [
                {
                    "secret_id": made.secret_id,
                    "created_at": "2025-03-15T09:30:00Z",
                    "signs": False,
                }
            ],
        }
        with pytest.raises(NotFound):
            await admin_api.get_client(bench.service, call(client_id="cli_unknown"))

    run_bench(test)


def test_client__secrets_swapped__shows_both_and_when_the_old_one_ends(
    run_bench: RunBench,
) -> None:
    """The item of a client tells of each secret since when it is used and until when it works."""

    async def test(bench: IdentityBench) -> None:
        made = await portal(bench)
        await bench.service.issue_operator_token(made.client_id, made.client_secret, ADDRESS)
        rotated = await admin_api.rotate_client_secret(
            bench.service, call(admin_api.OverlapRequest(60), client_id=made.client_id)
        )
        old, new = msgspec.to_builtins(rotated.client.secrets)
        assert old["secret_id"] == made.secret_id
        assert old["first_used_at"] == "2025-03-15T09:30:00Z"
        assert old["retires_at"] == "2025-03-15T09:31:00Z"
        assert new["secret_id"] == rotated.secret_id
        assert set(new) == {"secret_id", "created_at", "signs"}
        await admin_api.revoke_client_secret(
            bench.service, call(client_id=made.client_id, secret_id=made.secret_id)
        )
        shown = await admin_api.get_client(bench.service, call(client_id=made.client_id))
        assert [one.secret_id for one in shown.secrets] == [rotated.secret_id]

    run_bench(test)


def test_list_clients__by_operator__holds_revoked_ones_as_such(run_bench: RunBench) -> None:
    """A revoked client stays listed, marked and without secrets, with its own operator only."""

    async def test(bench: IdentityBench) -> None:
        made = await portal(bench)
        await admin_api.revoke_client(bench.service, call(client_id=made.client_id))
        own = admin_api.ClientQuery(operator_id=made.client.operator_id)
        page = await admin_api.list_clients(bench.service, call(query=own))
        assert page.total == 1
        assert page.items[0].revoked_at == "2025-03-15T09:30:00Z"
        assert page.items[0].secrets == []
        other = admin_api.ClientQuery(operator_id="op_other")
        page = await admin_api.list_clients(bench.service, call(query=other))
        assert (page.total, page.items) == (0, [])

    run_bench(test)


def test_lists__paged__hold_all_once(run_bench: RunBench) -> None:
    """Operators, service accounts and signing keys come in pages that hold each once."""

    async def test(bench: IdentityBench) -> None:
        for number in range(3):
            await bench.operator(f"Operator {number}")
            await bench.service.create_service_account(
                f"account {number}", frozenset(AdminScope), PLATFORM
            )
            await admin_api_accounts.rotate_signing_key(
                bench.service, call(admin_api_accounts.RevokeTokensRequest())
            )
        for handler, key, total in (
            (admin_api.list_operators, "operator_id", 3),
            (admin_api_accounts.list_service_accounts, "service_account_id", 3),
            (admin_api_accounts.list_signing_keys, "kid", 4),
        ):
            seen = []
            for number in (1, 2, 3):
                page = await handler(bench.service, call(query=PageQuery(number, 2)))  # type: ignore[operator]
                assert page.total == total
                seen += [getattr(item, key) for item in page.items]
            assert len(seen) == len(set(seen)) == total
        newest = await admin_api_accounts.list_signing_keys(bench.service, call(query=PageQuery()))
        assert [item.signs for item in newest.items] == [True, False, False, False]
        assert newest.items[0].retires_at is msgspec.UNSET

    run_bench(test)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (basic("a", "b:c"), ("a", "b:c")),
        (basic("a%20b", "c%2Bd"), ("a b", "c+d")),
        ("bAsIc  " + base64.b64encode(b"a:b").decode(), ("a", "b")),
        ("Basic " + base64.b64encode(b"ab").decode(), None),
        ("Basic " + base64.b64encode(b"\xff:a").decode(), None),
        ("Basic ä", None),
        ("Basic", None),
        ("Bearer abc", None),
        ("", None),
    ],
)
def test_read_basic__any_header__is_read_or_none(
    header: str, expected: tuple[str, str] | None
) -> None:
    """A Basic header gives its two halves, and anything else nothing."""
    assert read_basic(header) == expected
