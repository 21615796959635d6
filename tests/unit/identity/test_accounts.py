"""Service accounts: scopes that are handed on, secrets, and the last administrator."""

from collections.abc import Awaitable, Callable

import pytest

from tellus.audit.model import PLATFORM, Actor
from tellus.identity.model import AdminScope, IssuedAccountSecret
from tellus.identity.service import BadCredentials
from tellus.kernel.call import Audience
from tellus.kernel.errors import Conflict, InvalidParameter, NotFound, PermissionDenied
from tests.unit.identity.conftest import ADDRESS, IdentityBench

RunBench = Callable[[Callable[[IdentityBench], Awaitable[None]]], None]

ALL = frozenset(AdminScope)
SITES = frozenset({AdminScope.SITE_READ, AdminScope.SITE_WRITE})


async def account(bench: IdentityBench, scopes: frozenset[AdminScope] = ALL) -> IssuedAccountSecret:
    """A new service account."""
    return await bench.service.create_service_account("root", scopes, PLATFORM)


async def get_token(bench: IdentityBench, issued: IssuedAccountSecret, secret: str = "") -> str:
    """A token of a service account."""
    token = await bench.service.issue_admin_token(
        issued.account.service_account_id, secret or issued.text, ADDRESS, "req_1"
    )
    return token.text


def as_actor(issued: IssuedAccountSecret) -> Actor:
    """The account as who acts."""
    return Actor(issued.account.service_account_id, "req_1", issued.account.scopes)


def test_service_account__token__carries_its_scopes(run_bench: RunBench) -> None:
    """A service account calls with the scopes that it was given, after a restart too."""

    async def test(bench: IdentityBench) -> None:
        assert not bench.service.has_service_accounts()
        issued = await account(bench, SITES)
        token = await get_token(bench, issued)
        for _ in range(2):
            principal = bench.service.authenticate(token, Audience.ADMIN)
            assert principal.scopes == {"site:read", "site:write"}
            assert bench.service.has_service_accounts()
            await bench.restart()

    run_bench(test)


def test_create_service_account__beyond_the_creators_scopes__is_refused(
    run_bench: RunBench,
) -> None:
    """Nobody hands on, or takes over by a rotation, what they do not have."""

    async def test(bench: IdentityBench) -> None:
        root, limited = await account(bench), await account(bench, SITES | {AdminScope.ORG_WRITE})
        by = as_actor(limited)
        with pytest.raises(PermissionDenied):
            await bench.service.create_service_account("more", ALL, by)
        with pytest.raises(PermissionDenied):
            await bench.service.rotate_service_account_secret(root.account.service_account_id, by)
        with pytest.raises(PermissionDenied):
            await bench.service.revoke_service_account(root.account.service_account_id, by)
        await bench.service.create_service_account("equal", limited.account.scopes, by)
        await get_token(bench, root)

    run_bench(test)


def test_create_service_account__no_scope__is_refused(run_bench: RunBench) -> None:
    """An account that may do nothing is not created."""

    async def test(bench: IdentityBench) -> None:
        with pytest.raises(InvalidParameter):
            await account(bench, frozenset())
        assert await bench.service.list_service_accounts(0, 10) == (0, [])

    run_bench(test)


@pytest.mark.parametrize("revoke_tokens", [False, True])
def test_rotate_service_account_secret__old_secret__ends_at_once(
    run_bench: RunBench, *, revoke_tokens: bool
) -> None:
    """A rotation replaces the secret; tokens end only where that was asked for."""

    async def test(bench: IdentityBench) -> None:
        issued = await account(bench)
        token = await get_token(bench, issued)
        rotated = await bench.service.rotate_service_account_secret(
            issued.account.service_account_id, as_actor(issued), revoke_tokens=revoke_tokens
        )
        with pytest.raises(BadCredentials):
            await get_token(bench, issued)
        await get_token(bench, issued, rotated.text)
        if revoke_tokens:
            with pytest.raises(Exception, match="valid bearer token"):
                bench.service.authenticate(token, Audience.ADMIN)
        else:
            bench.service.authenticate(token, Audience.ADMIN)

    run_bench(test)


def test_revoke_service_account__the_last_administrator__stays(run_bench: RunBench) -> None:
    """The last account that can administer accounts cannot be revoked; any other can."""

    async def test(bench: IdentityBench) -> None:
        first, second = await account(bench), await account(bench)
        await account(bench, SITES)
        token = await get_token(bench, first)
        first_id = first.account.service_account_id
        await bench.service.revoke_service_account(first_id, as_actor(second))
        await bench.service.revoke_service_account(first_id, as_actor(second))
        with pytest.raises(Conflict):
            await bench.service.revoke_service_account(
                second.account.service_account_id, as_actor(second)
            )
        with pytest.raises(BadCredentials):
            await get_token(bench, first)
        with pytest.raises(Exception, match="valid bearer token"):
            bench.service.authenticate(token, Audience.ADMIN)
        with pytest.raises(NotFound):
            await bench.service.rotate_service_account_secret(first_id, PLATFORM)
        total, listed = await bench.service.list_service_accounts(0, 2)
        assert (total, len(listed)) == (3, 2)

    run_bench(test)


def test_issue_admin_token__good_or_bad__is_audited_without_what_was_typed(
    run_bench: RunBench,
) -> None:
    """Logins and failures are recorded; an unknown id, which may be a secret, is not."""

    async def test(bench: IdentityBench) -> None:
        issued = await account(bench)
        await get_token(bench, issued)
        with pytest.raises(BadCredentials):
            await get_token(bench, issued, "wrong")
        with pytest.raises(BadCredentials):
            await bench.service.issue_admin_token(issued.text, "typed in the wrong box", ADDRESS)
        entries = await bench.rows(
            "SELECT actor, action, details FROM audit_log WHERE resource_type = 'service_account'"
            " ORDER BY entry_no"
        )
        account_id = issued.account.service_account_id
        assert [entry[:2] for entry in entries[1:]] == [
            (account_id, "service_account.token_issued"),
            (account_id, "service_account.token_refused"),
            ("unknown", "service_account.token_refused"),
        ]
        assert all(entry[2] == f'{{"address":"{ADDRESS}"}}' for entry in entries[1:])

    run_bench(test)
