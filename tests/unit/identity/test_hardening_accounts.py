"""An account whose secret could not be put away does not come into being."""

from collections.abc import Awaitable, Callable

import pytest

from tellus.audit.model import PLATFORM
from tellus.identity.model import AdminScope, IssuedAccountSecret
from tests.unit.identity.conftest import ADDRESS, IdentityBench

RunBench = Callable[[Callable[[IdentityBench], Awaitable[None]]], None]


def test_service_account__secret_not_put_away__is_undone(run_bench: RunBench) -> None:
    """A disk that refuses the file leaves no account behind, in the store or in memory."""

    def refuse(_issued: IssuedAccountSecret) -> None:
        raise OSError("no space")

    async def check(bench: IdentityBench) -> None:
        with pytest.raises(OSError, match="no space"):
            await bench.service.create_service_account(
                "root", frozenset(AdminScope), PLATFORM, keep=refuse
            )
        assert not bench.service.has_service_accounts()
        assert await bench.rows("SELECT 1 FROM service_accounts") == []

    run_bench(check)


def test_service_account__secret_put_away__is_the_one_that_works(run_bench: RunBench) -> None:
    """What was kept before the commit is good after it."""
    kept: list[IssuedAccountSecret] = []

    async def check(bench: IdentityBench) -> None:
        issued = await bench.service.create_service_account(
            "root", frozenset(AdminScope), PLATFORM, keep=kept.append
        )
        assert kept == [issued]
        token = await bench.service.issue_admin_token(
            issued.account.service_account_id, kept[0].text, ADDRESS, "req_1"
        )
        assert token.text

    run_bench(check)
