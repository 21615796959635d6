"""Operators and clients: settings, changes, revocation, and the audit log of it all."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from msgspec.structs import replace

from tellus.audit.model import PLATFORM, Actor
from tellus.identity.model import ClientScope, ClientSettings, VinMode
from tellus.kernel.call import Audience
from tellus.kernel.errors import (
    Conflict,
    InvalidParameter,
    NotFound,
    TooManyRequests,
)
from tests.unit.identity.conftest import READ, IdentityBench

RunBench = Callable[[Callable[[IdentityBench], Awaitable[None]]], None]

DAY_S = 86_400


def test_create_operator__other_region__is_refused(run_bench: RunBench) -> None:
    """An operator of another region than the instance's is refused, its own is taken."""

    async def test(bench: IdentityBench) -> None:
        with pytest.raises(InvalidParameter) as caught:
            await bench.service.create_operator("Acme", PLATFORM, region="us")
        assert caught.value.details["field"] == "region"
        made = await bench.service.create_operator("Acme", PLATFORM, region="local")
        assert await bench.service.list_operators(0, 10) == (1, [made])

    run_bench(test)


def test_create_operator__chosen_id_taken__conflicts(run_bench: RunBench) -> None:
    """The built-in operator is created once."""

    async def test(bench: IdentityBench) -> None:
        await bench.service.create_operator("Own", PLATFORM, operator_id="op_own")
        with pytest.raises(Conflict):
            await bench.service.create_operator("Own", PLATFORM, operator_id="op_own")

    run_bench(test)


def test_create_client__unknown_operator__is_not_found(run_bench: RunBench) -> None:
    """A client belongs to an operator that exists."""

    async def test(bench: IdentityBench) -> None:
        with pytest.raises(NotFound):
            await bench.client("op_unknown")

    run_bench(test)


@pytest.mark.parametrize(
    ("field", "settings"),
    [
        ("scopes", {"scopes": frozenset()}),
        ("limits", {"limits": {"device_hot": 5}}),
        ("limits", {"limits": {"queries": 0}}),
        ("limits", {"limits": {"queries": 1_000_001}}),
        ("allowed_networks", {"allowed_networks": ("192.0.2.1/24",)}),
        ("allowed_networks", {"allowed_networks": ("example.com",)}),
        ("cors_origins", {"cors_origins": ("https://app.example.com/path",)}),
        ("cors_origins", {"cors_origins": ("*",)}),
        ("vin_mode", {"vin_mode": "half"}),
    ],
)
def test_create_client__unsound_setting__names_it(
    run_bench: RunBench, field: str, settings: dict[str, Any]
) -> None:
    """A setting that makes no sense is refused by name, and no client comes into being."""

    async def test(bench: IdentityBench) -> None:
        operator_id = await bench.operator()
        with pytest.raises(InvalidParameter) as caught:
            await bench.client(operator_id, **settings)
        assert caught.value.details["field"] == field
        assert await bench.service.list_clients(0, 10) == (0, [])

    run_bench(test)


def test_client__after_restart__is_as_it_was_made(run_bench: RunBench) -> None:
    """Settings, secrets and tokens of a client survive a restart."""

    async def test(bench: IdentityBench) -> None:
        issued = await bench.client(
            scopes=frozenset(ClientScope) - {ClientScope.PEER, ClientScope.CUSTOMER_PORTAL},
            limits={"queries": 600},
            allowed_networks=("203.0.113.0/24", "2001:db8::/32"),
            cors_origins=("https://app.example.com", "http://localhost:3000"),
            vin_mode=VinMode.FULL,
        )
        token = await bench.client_token(issued)
        await bench.restart()
        principal = bench.service.authenticate(token, Audience.OPERATOR)
        assert principal.scopes == {"read", "write", "diagnostics"}
        assert principal.limits == {"queries": 600}
        assert principal.vin_mode == "full"
        assert principal.cors_origins == ("https://app.example.com", "http://localhost:3000")
        assert [str(network) for network in principal.allowed_networks] == [
            "203.0.113.0/24",
            "2001:db8::/32",
        ]
        assert bench.service.cors_origins() == set(principal.cors_origins)
        assert await bench.client_works(issued)

    run_bench(test)


def test_revoke_client__at_once__ends_everything_for_good(run_bench: RunBench) -> None:
    """A revoked client has no token, gets none, and cannot be brought back by changing it."""

    async def test(bench: IdentityBench) -> None:
        issued = await bench.client()
        client_id = issued.client.client_id
        token = await bench.client_token(issued)
        principal = bench.service.authenticate(token, Audience.OPERATOR)
        await bench.service.revoke_client(client_id, PLATFORM)
        assert principal.revoked
        for _ in range(2):
            assert not bench.accepts(token)
            assert not await bench.client_works(issued)
            with pytest.raises(NotFound):
                await bench.service.rotate_client_secret(client_id, PLATFORM)
            with pytest.raises(NotFound):
                await bench.service.update_client(client_id, lambda settings: settings, PLATFORM)
            await bench.service.revoke_client(client_id, PLATFORM)
            await bench.restart()
        audited = await bench.rows("SELECT action FROM audit_log WHERE action = 'client.revoked'")
        assert len(audited) == 1

    run_bench(test)


def test_revoke_client__caller_goes_away__still_bites(run_bench: RunBench) -> None:
    """A revocation whose request was cancelled after it was queued takes effect in memory too."""

    async def test(bench: IdentityBench) -> None:
        issued = await bench.client()
        token = await bench.client_token(issued)
        request = asyncio.create_task(
            bench.service.revoke_client(issued.client.client_id, PLATFORM)
        )
        await asyncio.sleep(0)
        request.cancel()
        with pytest.raises(asyncio.CancelledError):
            await request
        # The next write is answered after the one before it.
        await bench.operator("Later")
        assert not bench.accepts(token)

    run_bench(test)


def test_update_client__scopes_and_limits__bite_at_the_next_call(run_bench: RunBench) -> None:
    """A change shows in the principal that callers already hold, windows included."""

    async def test(bench: IdentityBench) -> None:
        issued = await bench.client()
        token = await bench.client_token(issued)
        principal = bench.service.authenticate(token, Audience.OPERATOR)
        updated = await bench.service.update_client(
            issued.client.client_id,
            lambda settings: replace(
                settings, scopes=frozenset({ClientScope.WRITE}), limits={"token": 1}
            ),
            PLATFORM,
        )
        assert updated.settings.name == "portal"
        assert principal.scopes == {"write"}
        assert bench.accepts(token)
        with pytest.raises(TooManyRequests):
            await bench.client_token(issued)
        changed = (await bench.rows("SELECT details FROM audit_log ORDER BY entry_no DESC"))[0][0]
        assert changed == '{"changed":["scopes","limits"]}'

    run_bench(test)


def test_directory__older_commit_remembered_late__is_ignored(run_bench: RunBench) -> None:
    """Memory follows the order of commits, in whatever order it hears of them."""

    async def test(bench: IdentityBench) -> None:
        issued = await bench.client()
        await bench.service.revoke_client(issued.client.client_id, PLATFORM)
        directory = bench.service._state.directory
        directory.remember_client(issued.client)
        assert directory.client(issued.client.client_id).principal.revoked

    run_bench(test)


def test_administration__every_action__is_audited_with_who_and_what(run_bench: RunBench) -> None:
    """Each change appends one entry with actor, request and resource, and none without change."""

    async def test(bench: IdentityBench) -> None:
        by = Actor("sa_1", "req_9")
        operator = await bench.service.create_operator("Acme", by)
        issued = await bench.service.create_client(
            operator.operator_id, ClientSettings("portal", READ), by
        )
        client_id = issued.client.client_id
        rotated = await bench.service.rotate_client_secret(client_id, by)
        await bench.service.revoke_client_secret(client_id, rotated.secret_id, by)
        await bench.service.revoke_client(client_id, by)
        with pytest.raises(NotFound):
            await bench.service.rotate_client_secret(client_id, by)
        entries = await bench.rows(
            "SELECT action, resource_id, operator_id FROM audit_log"
            " WHERE actor = 'sa_1' AND request_id = 'req_9' ORDER BY entry_no"
        )
        assert entries == [
            ("operator.created", operator.operator_id, operator.operator_id),
            ("client.created", client_id, operator.operator_id),
            ("client.secret_rotated", client_id, operator.operator_id),
            ("client.secret_revoked", client_id, operator.operator_id),
            ("client.revoked", client_id, operator.operator_id),
        ]

    run_bench(test)
