"""Secrets of clients: two live ones during a swap, revocation, and what is stored."""

from collections.abc import Awaitable, Callable

import pytest

from tellus.audit.model import PLATFORM
from tellus.identity.rules import SwapUnderWay
from tellus.kernel.errors import NotFound
from tests.unit.identity.conftest import IdentityBench

RunBench = Callable[[Callable[[IdentityBench], Awaitable[None]]], None]

DAY_S = 86_400


def test_secret__at_rest__is_a_keyed_hash_only(run_bench: RunBench) -> None:
    """The database holds no secret that it issued."""

    async def test(bench: IdentityBench) -> None:
        client, device = await bench.client(), await bench.device()
        stored = repr(
            [
                await bench.rows(f"SELECT * FROM {table}")
                for table in ("clients", "client_secrets", "device_credentials", "audit_log")
            ]
        )
        assert client.client.client_id in stored
        for text in (client.text, device.text):
            assert len(text) >= 64
            assert text not in stored
            assert text[3:] not in stored

    run_bench(test)


def test_rotate_client_secret__during_the_overlap__both_work_then_the_new_one_alone(
    run_bench: RunBench,
) -> None:
    """A swap leaves the secret in use working for the overlap, to the millisecond."""

    async def test(bench: IdentityBench) -> None:
        old = await bench.client()
        await bench.client_token(old)
        new = await bench.service.rotate_client_secret(old.client.client_id, PLATFORM, DAY_S)
        bench.clock.advance(DAY_S - 0.001)
        await bench.client_token(old)
        await bench.client_token(old, new.text)
        bench.clock.advance(0.001)
        assert not await bench.client_works(old)
        assert await bench.client_works(old, new.text)
        await bench.restart()
        assert not await bench.client_works(old)
        assert await bench.client_works(old, new.text)

    run_bench(test)


def test_rotate_client_secret__token_of_the_old_secret__lives_its_24_hours(
    run_bench: RunBench,
) -> None:
    """A token outlives the retirement of its secret, and a rotation after that."""

    async def test(bench: IdentityBench) -> None:
        old = await bench.client()
        client_id = old.client.client_id
        token = await bench.client_token(old)
        new = await bench.service.rotate_client_secret(client_id, PLATFORM, 60)
        bench.clock.advance(61)
        await bench.client_token(old, new.text)
        await bench.service.rotate_client_secret(client_id, PLATFORM, 60)
        await bench.restart()
        assert bench.accepts(token)

    run_bench(test)


def test_rotate_client_secret__answer_lost__repeating_cuts_nobody_off(run_bench: RunBench) -> None:
    """A fresh secret that was never used gives way to the next; the one in use stays."""

    async def test(bench: IdentityBench) -> None:
        old = await bench.client()
        await bench.client_token(old)
        lost = await bench.service.rotate_client_secret(old.client.client_id, PLATFORM)
        new = await bench.service.rotate_client_secret(old.client.client_id, PLATFORM)
        assert not await bench.client_works(old, lost.text)
        assert await bench.client_works(old)
        assert await bench.client_works(old, new.text)
        live = [one for one in new.client.secrets if one.secret_id != lost.secret_id]
        assert len(live) == len(new.client.secrets) == 2

    run_bench(test)


def test_rotate_client_secret__two_in_use__is_refused_until_one_is_revoked(
    run_bench: RunBench,
) -> None:
    """There are never three live secrets, and never is one in use cut off by a rotation."""

    async def test(bench: IdentityBench) -> None:
        first = await bench.client()
        client_id = first.client.client_id
        await bench.client_token(first)
        second = await bench.service.rotate_client_secret(client_id, PLATFORM)
        await bench.client_token(first, second.text)
        with pytest.raises(SwapUnderWay):
            await bench.service.rotate_client_secret(client_id, PLATFORM)
        await bench.service.revoke_client_secret(client_id, first.secret_id, PLATFORM)
        third = await bench.service.rotate_client_secret(client_id, PLATFORM)
        assert await bench.client_works(first, second.text)
        assert await bench.client_works(first, third.text)
        assert not await bench.client_works(first)

    run_bench(test)


def test_revoke_client_secret__at_once__ends_its_tokens_and_no_others(run_bench: RunBench) -> None:
    """Revoking one secret ends the tokens issued for it and leaves the other's alone."""

    async def test(bench: IdentityBench) -> None:
        first = await bench.client()
        client_id = first.client.client_id
        old = await bench.client_token(first)
        second = await bench.service.rotate_client_secret(client_id, PLATFORM)
        new = await bench.client_token(first, second.text)
        assert bench.accepts(old)
        assert bench.accepts(new)
        await bench.service.revoke_client_secret(client_id, first.secret_id, PLATFORM)
        assert not bench.accepts(old)
        assert bench.accepts(new)
        await bench.restart()
        assert not bench.accepts(old)
        assert bench.accepts(new)
        with pytest.raises(NotFound):
            await bench.service.revoke_client_secret(client_id, first.secret_id, PLATFORM)

    run_bench(test)
