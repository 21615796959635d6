"""Operator tokens: who gets one, how many, and what failures cost."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from tellus.identity.service import BadCredentials
from tellus.kernel.errors import ApiError, PermissionDenied, TooManyRequests
from tests.unit.identity.conftest import ADDRESS, IdentityBench

RunBench = Callable[[Callable[[IdentityBench], Awaitable[None]]], None]


def test_issue_operator_token__wrong_id_or_secret__gets_one_answer(run_bench: RunBench) -> None:
    """An unknown id and a wrong secret are refused in the same words."""

    async def test(bench: IdentityBench) -> None:
        first, second = await bench.client(), await bench.client()
        answers = set()
        for client_id, secret in (
            (first.client.client_id, "wrong"),
            (first.client.client_id, second.text),
            ("cli_unknown", first.text),
            ("", ""),
            ("\ud800", "\ud800"),
        ):
            with pytest.raises(BadCredentials) as caught:
                await bench.service.issue_operator_token(client_id, secret, ADDRESS)
            answers.add((caught.value.code, caught.value.message, str(caught.value.details)))
        assert len(answers) == 1

    run_bench(test)


def test_issue_operator_token__address_not_admitted__is_2003(run_bench: RunBench) -> None:
    """A client with networks gets tokens inside them only, and only its own credentials tell."""

    async def test(bench: IdentityBench) -> None:
        issued = await bench.client(allowed_networks=("203.0.113.0/24",))
        client_id = issued.client.client_id
        await bench.service.issue_operator_token(client_id, issued.text, "::ffff:203.0.113.9")
        for address in ("198.51.100.1", "2001:db8::1", "no address"):
            with pytest.raises(PermissionDenied) as caught:
                await bench.service.issue_operator_token(client_id, issued.text, address)
            assert caught.value.code == 2003
        with pytest.raises(BadCredentials):
            await bench.service.issue_operator_token(client_id, "wrong", "198.51.100.1")

    run_bench(test)


def test_issue_operator_token__eleventh_in_a_minute__waits_for_the_first_to_age(
    run_bench: RunBench,
) -> None:
    """A client gets ten tokens in any minute; attempts that failed or were refused cost none."""

    async def test(bench: IdentityBench) -> None:
        issued = await bench.client()
        for _ in range(10):
            with pytest.raises(BadCredentials):
                await bench.service.issue_operator_token(
                    issued.client.client_id, "wrong", "198.51.100.9"
                )
            await bench.client_token(issued)
            bench.clock.advance(1)
        for _ in range(3):
            with pytest.raises(TooManyRequests) as caught:
                await bench.client_token(issued)
            assert caught.value.retry_after_s == 50
        bench.clock.advance(50)
        await bench.client_token(issued)
        with pytest.raises(TooManyRequests):
            await bench.client_token(issued)
        await bench.client_token(await bench.client(limits={"token": 1}))

    run_bench(test)


def test_failed_attempts__from_one_address__never_lock_out_another(run_bench: RunBench) -> None:
    """Ten failures for an id shut its guesser out, good secret included, and nobody elsewhere."""

    async def test(bench: IdentityBench) -> None:
        issued = await bench.client()
        client_id = issued.client.client_id
        for _ in range(10):
            with pytest.raises(BadCredentials):
                await bench.service.issue_operator_token(client_id, "guess", "127.0.0.1")
        for secret in ("guess", issued.text):
            with pytest.raises(TooManyRequests) as caught:
                await bench.service.issue_operator_token(client_id, secret, "127.0.0.1")
            assert caught.value.retry_after_s == 60
        await bench.service.issue_operator_token(client_id, issued.text, ADDRESS)
        bench.clock.advance(60)
        await bench.service.issue_operator_token(client_id, issued.text, "127.0.0.1")

    run_bench(test)


def test_failed_attempts__many_ids_from_one_address__stop_at_sixty(run_bench: RunBench) -> None:
    """Guessing across ids is limited by address, IPv6 counted by its network."""

    async def test(bench: IdentityBench) -> None:
        for number in range(60):
            with pytest.raises(BadCredentials):
                await bench.service.issue_device_token(
                    f"dvc_{number}", "guess", f"2001:db8::{number:x}"
                )
        with pytest.raises(TooManyRequests):
            await bench.service.issue_device_token("dvc_60", "guess", "2001:db8::ffff")
        with pytest.raises(BadCredentials):
            await bench.service.issue_device_token("dvc_60", "guess", "2001:db8:1::1")

    run_bench(test)


def test_failed_attempts__all_at_once__no_more_are_tried_than_allowed(run_bench: RunBench) -> None:
    """A hundred guesses in flight at the same time are judged like a hundred in a row."""

    async def test(bench: IdentityBench) -> None:
        issued = await bench.client()
        guesses = (
            bench.service.issue_operator_token(issued.client.client_id, f"guess {k}", ADDRESS)
            for k in range(100)
        )
        answers = await asyncio.gather(*guesses, return_exceptions=True)
        codes = [answer.code for answer in answers if isinstance(answer, ApiError)]
        assert codes.count(2001) == 10
        assert codes.count(5001) == 90

    run_bench(test)
