"""Devices' secrets: activation, rotation, overdue ones, moves, revocation."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tellus.identity.model import DeviceTokenIssued, SecretFirstUsed, SecretOverdue
from tellus.identity.service import BadCredentials
from tellus.kernel.call import Audience
from tellus.kernel.errors import TooManyRequests, Unauthenticated
from tests.unit.identity.conftest import ADDRESS, IdentityBench

RunBench = Callable[[Callable[[IdentityBench], Awaitable[None]]], None]

DAY_S = 86_400
YEAR_S = 365 * DAY_S


async def works(bench: IdentityBench, secret: str, device_no: int = 1) -> bool:
    """Whether a secret gets a token, a minute from now, so that no limit is met."""
    bench.clock.advance(61)
    try:
        await bench.device_token(secret, device_no)
    except BadCredentials:
        return False
    return True


def test_issue_device_token__first_use__activates_once(run_bench: RunBench) -> None:
    """The first token of a secret is told inside its transaction and after it; later ones not."""

    async def test(bench: IdentityBench) -> None:
        told: list[Any] = []

        def in_tx(tx: Any, fact: SecretFirstUsed) -> None:
            used = tx.row("SELECT first_used_ms FROM device_credentials")
            told.append(("in_tx", fact, used))

        bench.service.react(SecretFirstUsed, in_tx=in_tx, after_commit=told.append)
        issued = await bench.device()
        bench.clock.advance(5)
        now_ms = bench.clock.now_ms()
        await bench.device_token(issued.text)
        await bench.device_token(issued.text)
        fact = SecretFirstUsed(1, now_ms)
        assert told == [("in_tx", fact, (now_ms,)), fact]

    run_bench(test)


def test_issue_device_token__reaction_fails__nothing_is_activated(run_bench: RunBench) -> None:
    """Activation is whole: when what it owes fails, the secret stays unused and can be retried."""

    async def test(bench: IdentityBench) -> None:
        told: list[Any] = []
        broken = [True]

        def in_tx(tx: Any, fact: SecretFirstUsed) -> None:
            if broken:
                raise LookupError

        bench.service.react(SecretFirstUsed, in_tx=in_tx, after_commit=told.append)
        issued = await bench.device()
        with pytest.raises(LookupError):
            await bench.device_token(issued.text)
        assert told == []
        broken.clear()
        await bench.device_token(issued.text)
        assert len(told) == 1

    run_bench(test)


def test_issue_device_token__every_token__tells_what_was_left_of_the_last(
    run_bench: RunBench,
) -> None:
    """Each token is told with the life left in the one before, for counting reconnects."""

    async def test(bench: IdentityBench) -> None:
        told: list[DeviceTokenIssued] = []
        bench.service.react(DeviceTokenIssued, after_commit=told.append)
        issued = await bench.device()
        await bench.device_token(issued.text)
        bench.clock.advance(3600)
        await bench.device_token(issued.text)
        bench.clock.advance(2 * DAY_S)
        await bench.device_token(issued.text)
        assert [fact.previous_token_left_s for fact in told] == [0, DAY_S - 3600, 0]
        assert {fact.device_no for fact in told} == {1}

    run_bench(test)


def test_issue_device_token__repeated_registration__replaces_the_unused_secret(
    run_bench: RunBench,
) -> None:
    """While no secret was used, a new one takes the place of the last."""

    async def test(bench: IdentityBench) -> None:
        first, second = await bench.device(), await bench.device()
        assert not await works(bench, first.text)
        assert await works(bench, second.text)
        assert len(await bench.rows("SELECT 1 FROM device_credentials")) == 1

    run_bench(test)


def test_issue_device_token__replaced_between_look_up_and_commit__is_refused(
    run_bench: RunBench,
) -> None:
    """A secret that another request replaced first gets no token, although memory still had it."""

    async def test(bench: IdentityBench) -> None:
        first = await bench.device()
        stale = bench.service
        bench.service = bench.fresh_service()
        await bench.service.start()
        second = await bench.device()
        with pytest.raises(BadCredentials):
            await stale.issue_device_token("dvc_1", first.text, ADDRESS)
        assert await works(bench, second.text)

    run_bench(test)


def test_rotate_device_secret__new_one_unused__old_one_works_on_and_on(
    run_bench: RunBench,
) -> None:
    """A rotation whose answer never arrived leaves the old secret as good as it was."""

    async def test(bench: IdentityBench) -> None:
        old = await bench.device()
        assert await works(bench, old.text)
        await bench.rotate()
        for _ in range(5):
            bench.clock.advance(30 * DAY_S)
            assert await works(bench, old.text)

    run_bench(test)


def test_rotate_device_secret__new_one_used__old_one_retires_a_day_later(
    run_bench: RunBench,
) -> None:
    """The old secret works until exactly 24 hours after the new one's first token."""

    async def test(bench: IdentityBench) -> None:
        old = await bench.device()
        await bench.device_token(old.text)
        new = await bench.rotate()
        bench.clock.advance(3 * DAY_S)
        await bench.device_token(new)
        bench.clock.advance(DAY_S - 0.001)
        await bench.device_token(old.text)
        bench.clock.advance(0.001)
        with pytest.raises(BadCredentials):
            await bench.device_token(old.text)
        await bench.restart()
        assert not await works(bench, old.text)
        assert await works(bench, new)

    run_bench(test)


def test_rotate_device_secret__repeated_before_use__replaces_the_unused_one(
    run_bench: RunBench,
) -> None:
    """Asking again before the new secret was used makes only the newest and the old one good."""

    async def test(bench: IdentityBench) -> None:
        old = await bench.device()
        await bench.device_token(old.text)
        lost, new = await bench.rotate(), await bench.rotate()
        assert not await works(bench, lost)
        assert await works(bench, old.text)
        assert await works(bench, new)

    run_bench(test)


def test_rotate_device_secret__within_one_millisecond__keeps_their_order(
    run_bench: RunBench,
) -> None:
    """Secrets issued in the same instant retire in the order in which they were issued."""

    async def test(bench: IdentityBench) -> None:
        for device_no in range(1, 21):
            first = await bench.device(device_no)
            await bench.device_token(first.text, device_no)
            second = await bench.rotate(device_no)
            await bench.device_token(second, device_no)
            rows = await bench.rows(
                "SELECT retires_ms IS NULL FROM device_credentials WHERE device_no = $1"
                " ORDER BY created_ms",
                device_no,
            )
            assert rows == [(0,), (1,)]

    run_bench(test)


def test_issue_device_token__secret_overdue__works_and_is_told_once(run_bench: RunBench) -> None:
    """A secret past its advised life works on, and that is told once, restarts included."""

    async def test(bench: IdentityBench) -> None:
        told: list[SecretOverdue] = []
        bench.service.react(SecretOverdue, after_commit=told.append)
        issued = await bench.device()
        assert issued.expires_in_s == YEAR_S
        due_ms = bench.clock.now_ms() + YEAR_S * 1000
        await bench.device_token(issued.text)
        bench.clock.advance(YEAR_S - 1)
        await bench.device_token(issued.text)
        assert told == []
        bench.clock.advance(1)
        await bench.device_token(issued.text)
        await bench.device_token(issued.text)
        assert told == [SecretOverdue(1, due_ms, due_ms)]
        await bench.restart()
        bench.service.react(SecretOverdue, after_commit=told.append)
        await bench.device_token(issued.text)
        assert len(told) == 1

    run_bench(test)


def test_issue_device_token__more_than_sixty_a_minute__waits(run_bench: RunBench) -> None:
    """A device gets tokens within its limit of sixty calls a minute."""

    async def test(bench: IdentityBench) -> None:
        issued = await bench.device()
        for _ in range(60):
            await bench.device_token(issued.text)
        with pytest.raises(TooManyRequests):
            await bench.device_token(issued.text)

    run_bench(test)


def test_move_device__to_another_operator__keeps_token_and_living_object(
    run_bench: RunBench,
) -> None:
    """A moved device goes on with its token, now as a device of the other operator."""

    async def test(bench: IdentityBench) -> None:
        token = await bench.device_token((await bench.device()).text)
        principal = bench.service.authenticate(token, Audience.DEVICE)
        assert (principal.operator_id, principal.device_no) == ("op_1", 1)
        record = await bench.database.write(bench.service.move_device, 1, "op_2")
        assert bench.service.remember_device(record) is principal
        assert bench.service.authenticate(token, Audience.DEVICE).operator_id == "op_2"
        await bench.restart()
        assert bench.service.authenticate(token, Audience.DEVICE).operator_id == "op_2"

    run_bench(test)


def test_revoke_device__at_once__ends_secrets_and_tokens(run_bench: RunBench) -> None:
    """A revoked device has no good token or secret and can rotate none."""

    async def test(bench: IdentityBench) -> None:
        issued = await bench.device()
        token = await bench.device_token(issued.text)
        principal = bench.service.authenticate(token, Audience.DEVICE)
        record = await bench.database.write(bench.service.revoke_device, 1, bench.clock.now_ms())
        bench.service.remember_device(record)
        assert principal.revoked
        for _ in range(2):
            with pytest.raises(Unauthenticated):
                bench.service.authenticate(token, Audience.DEVICE)
            assert not await works(bench, issued.text)
            with pytest.raises(Unauthenticated):
                await bench.rotate()
            await bench.restart()

    run_bench(test)


def test_remember_device__records_out_of_order__the_newest_stands(run_bench: RunBench) -> None:
    """Memory heard of two registrations in the wrong order and still knows the newer secret."""

    async def test(bench: IdentityBench) -> None:
        first, second = await bench.device(), await bench.device()
        bench.service.remember_device(first.record)
        assert await works(bench, second.text)
        assert not await works(bench, first.text)

    run_bench(test)


def test_start__many_devices__all_are_known(run_bench: RunBench) -> None:
    """After a restart every device is there with its secret and its operator."""

    async def test(bench: IdentityBench) -> None:
        issued = await asyncio.gather(*(bench.device(k, f"op_{k % 3}") for k in range(1, 301)))
        await bench.restart()
        for device_no, one in enumerate(issued, 1):
            principal = bench.service.find_device(device_no)
            assert principal is not None
            assert principal.operator_id == f"op_{device_no % 3}"
            await bench.device_token(one.text, device_no)
        assert bench.service.find_device(301) is None

    run_bench(test)
