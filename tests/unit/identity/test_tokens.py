"""Tokens: whose they are, and the difference between one that is over and one that is no good."""

import base64
import json
from collections.abc import Awaitable, Callable
from typing import Any

import jwt
import pytest

from tellus.audit.model import PLATFORM
from tellus.identity.keys import KeyFileRefused, KeyRing
from tellus.identity.model import AdminScope
from tellus.identity.service import IdentityService
from tellus.kernel.call import Audience
from tellus.kernel.errors import TokenExpired, Unauthenticated
from tests.unit.identity.conftest import ADDRESS, IdentityBench

RunBench = Callable[[Callable[[IdentityBench], Awaitable[None]]], None]

DAY_S = 86_400


def claims_of(token: str) -> dict[str, Any]:
    """What a token says, unverified."""
    body = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))


def refused(service: IdentityService, token: str, audience: Audience = Audience.OPERATOR) -> int:
    """The API code that ``token`` is refused with, or 0."""
    try:
        service.authenticate(token, audience)
    except (Unauthenticated, TokenExpired) as error:
        return error.code
    return 0


async def operator_token(bench: IdentityBench) -> tuple[str, str]:
    """A client's id and a token of its own."""
    issued = await bench.client()
    client_id = issued.client.client_id
    return client_id, (
        await bench.service.issue_operator_token(client_id, issued.text, ADDRESS)
    ).text


def test_issue__operator_token__has_the_promised_claims(run_bench: RunBench) -> None:
    """A token names issuer, subject, audience, generation and key, and lives exactly 24 hours."""

    async def test(bench: IdentityBench) -> None:
        client_id, token = await operator_token(bench)
        claims = claims_of(token)
        assert claims["iss"] == "tellus"
        assert claims["sub"] == client_id
        assert claims["aud"] == "operator"
        assert claims["gen"] == 1
        assert claims["exp"] - claims["iat"] == DAY_S
        assert claims["iat"] == bench.clock.now_ms() // 1000
        assert claims["jti"]
        header = jwt.get_unverified_header(token)
        assert header["alg"] == "HS256"
        assert header["kid"] == (await bench.service.list_signing_keys())[0].kid

    run_bench(test)


def test_authenticate__good_token__returns_the_one_living_principal(run_bench: RunBench) -> None:
    """Every use of every token of a client gives the same living object."""

    async def test(bench: IdentityBench) -> None:
        client_id, first = await operator_token(bench)
        principal = bench.service.authenticate(first, Audience.OPERATOR)
        assert principal.principal_id == client_id
        assert principal.scopes == {"read"}
        assert bench.service.authenticate(first, Audience.OPERATOR) is principal
        await bench.restart()
        assert bench.service.authenticate(first, Audience.OPERATOR).principal_id == client_id

    run_bench(test)


@pytest.mark.parametrize("seen_before", [True, False])
def test_authenticate__around_the_expiry__says_2002_from_the_first_moment_on(
    run_bench: RunBench, *, seen_before: bool
) -> None:
    """A token is good to its last millisecond and expired from then on, remembered or not."""

    async def test(bench: IdentityBench) -> None:
        _, token = await operator_token(bench)
        if seen_before:
            assert refused(bench.service, token) == 0
        bench.clock.advance(DAY_S - 0.001)
        if seen_before:
            assert refused(bench.service, token) == 0
        bench.clock.advance(0.001)
        assert refused(bench.service, token) == 2002
        assert refused(bench.service, token) == 2002

    run_bench(test)


@pytest.mark.parametrize("expired", [False, True])
@pytest.mark.parametrize("seen_before", [False, True])
@pytest.mark.parametrize("flaw", ["none", "audience", "revoked", "signature", "alg", "garbage"])
def test_authenticate__each_flaw__is_2001_unless_the_token_is_merely_over(
    run_bench: RunBench, flaw: str, *, seen_before: bool, expired: bool
) -> None:
    """Only a genuine token of a living principal for this audience is ever called expired."""

    async def test(bench: IdentityBench) -> None:
        client_id, token = await operator_token(bench)
        if seen_before:
            assert refused(bench.service, token) == 0
        if flaw == "revoked":
            await bench.service.revoke_client(client_id, PLATFORM)
        if expired:
            bench.clock.advance(DAY_S)
        head, body, signature = token.split(".")
        forms = {
            "signature": f"{head}.{body}.{'A' if signature[0] != 'A' else 'B'}{signature[1:]}",
            "alg": jwt.encode(
                claims_of(token),
                "",
                "none",
                headers={"kid": jwt.get_unverified_header(token)["kid"]},
            ),
            "garbage": "eyJ",
        }
        audience = Audience.DEVICE if flaw == "audience" else Audience.OPERATOR
        expected = 2001 if flaw != "none" else 2002 if expired else 0
        assert refused(bench.service, forms.get(flaw, token), audience) == expected

    run_bench(test)


@pytest.mark.parametrize(
    "token",
    ["", ".", "..", "a.b.c", "é.é.é", "\ud800", "x" * 5000, "e30.e30.e30", "\0", "Bearer x"],
)
def test_authenticate__no_token_at_all__is_2001(run_bench: RunBench, token: str) -> None:
    """Whatever stands where a token should is refused, and never a crash."""

    async def test(bench: IdentityBench) -> None:
        assert refused(bench.service, token) == 2001

    run_bench(test)


def test_authenticate__claims_of_wrong_types__is_2001(run_bench: RunBench) -> None:
    """A correctly signed token whose claims are not ours is refused."""

    async def test(bench: IdentityBench) -> None:
        _, token = await operator_token(bench)
        kid = jwt.get_unverified_header(token)["kid"]
        key = bench.service._state.tokens._keys[kid].key
        good = claims_of(token)

        def sign(**changes: Any) -> str:
            return jwt.encode(good | changes, key, "HS256", headers={"kid": kid})

        assert refused(bench.service, sign()) == 0
        for changes in (
            {"gen": 2},
            {"gen": "1"},
            {"sub": "cli_unknown"},
            {"aud": ["operator"]},
            {"aud": "public"},
            {"iss": "another"},
            {"exp": "tomorrow"},
            {"sec": "sid_unknown"},
        ):
            assert refused(bench.service, sign(**changes)) == 2001

    run_bench(test)


def test_rotate_signing_key__ordinary__keeps_tokens_and_signs_with_the_new_key(
    run_bench: RunBench,
) -> None:
    """After a rotation old tokens stay good and new ones carry the new key."""

    async def test(bench: IdentityBench) -> None:
        issued = await bench.client()
        client_id = issued.client.client_id
        old = (await bench.service.issue_operator_token(client_id, issued.text, ADDRESS)).text
        keys = await bench.service.rotate_signing_key(PLATFORM)
        new = (await bench.service.issue_operator_token(client_id, issued.text, ADDRESS)).text
        assert refused(bench.service, old) == 0
        assert refused(bench.service, new) == 0
        assert jwt.get_unverified_header(new)["kid"] == keys[-1].kid
        assert jwt.get_unverified_header(old)["kid"] == keys[0].kid
        await bench.restart()
        assert refused(bench.service, old) == 0
        bench.clock.advance(DAY_S)
        assert refused(bench.service, old) == 2002
        bench.clock.advance(7 * DAY_S)
        assert refused(bench.service, old) == 2001

    run_bench(test)


def test_rotate_signing_key__revoking_tokens__ends_all_of_them(run_bench: RunBench) -> None:
    """A rotation after a leak ends every token that lives, remembered or not."""

    async def test(bench: IdentityBench) -> None:
        _, token = await operator_token(bench)
        assert refused(bench.service, token) == 0
        await bench.service.rotate_signing_key(PLATFORM, revoke_tokens=True)
        assert refused(bench.service, token) == 2001

    run_bench(test)


def test_start__other_key_file__is_refused(run_bench: RunBench) -> None:
    """A database opened with another instance's keys is refused, instead of locking all out."""

    async def test(bench: IdentityBench) -> None:
        bench.keys = KeyRing(bytes(range(100, 132)), bytes(range(132, 164)))
        with pytest.raises(KeyFileRefused, match="restore"):
            await bench.restart()

    run_bench(test)


def test_signing_keys__at_rest__are_sealed(run_bench: RunBench) -> None:
    """No signing key stands readable in the database."""

    async def test(bench: IdentityBench) -> None:
        tokens = bench.service._state.tokens
        kid, sealed = (await bench.rows("SELECT kid, sealed FROM signing_keys"))[0]
        assert tokens._keys[kid].key not in sealed
        assert len(sealed) > 32

    run_bench(test)


def test_authenticate__more_tokens_than_remembered__all_stay_good(run_bench: RunBench) -> None:
    """The memory of verified tokens is bounded and forgetting one costs no more than a check."""

    async def test(bench: IdentityBench) -> None:
        issued = await bench.client(limits={"token": 100})
        tokens = bench.service._state.tokens
        tokens._remembered = 5
        texts = [
            (
                await bench.service.issue_operator_token(
                    issued.client.client_id, issued.text, ADDRESS
                )
            ).text
            for _ in range(12)
        ]
        for text in texts * 2:
            assert refused(bench.service, text) == 0
        assert len(tokens._verified) == 5

    run_bench(test)


def test_authenticate__three_audiences__accept_their_own_tokens_only(run_bench: RunBench) -> None:
    """Operator, device and administrator tokens are good on their own surface and nowhere else."""

    async def test(bench: IdentityBench) -> None:
        account = await bench.service.create_service_account(
            "root", frozenset(AdminScope), PLATFORM
        )
        account_id = account.account.service_account_id
        device = await bench.device()
        tokens = {
            Audience.OPERATOR: (await operator_token(bench))[1],
            Audience.DEVICE: await bench.device_token(device.text),
            Audience.ADMIN: (
                await bench.service.issue_admin_token(account_id, account.text, ADDRESS)
            ).text,
        }
        for issued_for, token in tokens.items():
            for used_on in tokens:
                expected = 0 if used_on is issued_for else 2001
                assert refused(bench.service, token, used_on) == expected

    run_bench(test)
