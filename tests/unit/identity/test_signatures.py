"""Signing clients over a real store: their secrets, and one effect per signature."""

import asyncio
import hashlib
import hmac
from collections.abc import Awaitable, Callable

import pytest
from msgspec.structs import replace

from tellus.audit.model import PLATFORM
from tellus.identity.model import ClientSettings, IssuedClientSecret, SigningPolicy
from tellus.identity.signatures import ANSWER_KEPT_S, OutcomeUnknown
from tellus.identity.signing import RotationNeeded, SignatureRefused, SignedRequest
from tellus.kernel.call import Audience, Principal
from tellus.kernel.errors import ApiError, Conflict, InternalError, NotFound, Unavailable
from tests.unit.identity.conftest import IdentityBench

RunBench = Callable[[Callable[[IdentityBench], Awaitable[None]]], None]
Change = Callable[[ClientSettings], ClientSettings]

SIGNATURE = bytes(range(32))


def setting(policy: SigningPolicy) -> Change:
    """A change of the signing policy alone."""
    return lambda settings: replace(settings, signing=policy)


def signed(secret: str) -> SignedRequest:
    """A request under a good signature of ``secret``."""
    parts = (b"POST", b"/v1/operator/x", b"2026-01-31T09:30:00Z", b"{}")
    digest = hmac.new(secret.encode(), b"".join(parts), hashlib.sha256).hexdigest()
    return SignedRequest(*parts, digest.encode())


async def principal_of(bench: IdentityBench, issued: IssuedClientSecret) -> Principal:
    """The principal that a client's token stands for."""
    bench.clock.advance(61)
    text = await bench.client_token(issued)
    return bench.service.authenticate(text, Audience.OPERATOR)


def signs(bench: IdentityBench, principal: Principal, secret: str) -> bool:
    """Whether a signature of that secret is taken."""
    try:
        bench.service.verify_signature(principal, signed(secret))
    except SignatureRefused:
        return False
    return True


class Effects:
    """Something that acts, and counts how often."""

    def __init__(self, failure: BaseException | None = None) -> None:
        self.count = 0
        self.failure = failure
        self.begun = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()

    async def act(self) -> bytes:
        self.count += 1
        self.begun.set()
        await self.gate.wait()
        if self.failure is not None:
            raise self.failure
        return b"answer %d" % self.count


def test_verify__client_made_to_sign__its_secret_signs_also_after_a_restart(
    run_bench: RunBench,
) -> None:
    """The copy is on disk, encrypted: the database holds no secret in the clear."""

    async def test(bench: IdentityBench) -> None:
        issued = await bench.client(signing=SigningPolicy.REQUIRED)
        for _ in range(2):
            principal = await principal_of(bench, issued)
            assert principal.signing == "required"
            assert signs(bench, principal, issued.text)
            assert not signs(bench, principal, issued.text + "x")
            await bench.restart()
        rows = repr(await bench.rows("SELECT * FROM client_secrets"))
        assert issued.text not in rows
        assert issued.text[3:] not in rows

    run_bench(test)


def test_update_client__signing_switched_on__needs_a_rotation_first(run_bench: RunBench) -> None:
    """Without a copy the setting is refused; a rotation that sets it makes one."""

    async def test(bench: IdentityBench) -> None:
        issued = await bench.client()
        client_id = issued.client.client_id
        for policy in (SigningPolicy.OPTIONAL, SigningPolicy.REQUIRED):
            with pytest.raises(RotationNeeded) as caught:
                await bench.service.update_client(client_id, setting(policy), PLATFORM)
            assert caught.value.details == {"field": "signing"}
        await bench.service.rotate_client_secret(client_id, PLATFORM)
        with pytest.raises(RotationNeeded):  # a rotation alone keeps no copy either
            await bench.service.update_client(client_id, setting(SigningPolicy.OPTIONAL), PLATFORM)
        fresh = await bench.service.rotate_client_secret(
            client_id, PLATFORM, policy=SigningPolicy.OPTIONAL
        )
        principal = await principal_of(bench, fresh)
        assert principal.signing == "optional"
        assert signs(bench, principal, fresh.text)
        assert not signs(bench, principal, issued.text)
        await bench.service.update_client(client_id, setting(SigningPolicy.REQUIRED), PLATFORM)
        assert principal.signing == "required"
        await bench.service.update_client(client_id, setting(SigningPolicy.OFF), PLATFORM)
        assert not signs(bench, principal, fresh.text)
        kept = "SELECT COUNT(*) FROM client_secrets WHERE sealed IS NOT NULL"
        assert await bench.rows(kept) == [(0,)]
        with pytest.raises(RotationNeeded):
            await bench.service.update_client(client_id, setting(SigningPolicy.REQUIRED), PLATFORM)

    run_bench(test)


def test_verify__during_a_swap__both_secrets_sign_until_one_ends(run_bench: RunBench) -> None:
    """Old and new sign through the overlap; what retires or is revoked signs no more."""

    async def test(bench: IdentityBench) -> None:
        old = await bench.client(signing=SigningPolicy.REQUIRED)
        principal = await principal_of(bench, old)
        client_id = old.client.client_id
        new = await bench.service.rotate_client_secret(client_id, PLATFORM, 60)
        assert signs(bench, principal, old.text)
        assert signs(bench, principal, new.text)
        bench.clock.advance(60)
        assert not signs(bench, principal, old.text)
        assert signs(bench, principal, new.text)
        await bench.service.revoke_client_secret(client_id, new.secret_id, PLATFORM)
        assert not signs(bench, principal, new.text)

    run_bench(test)


def test_answer_once__repeated__answers_as_before_without_acting(run_bench: RunBench) -> None:
    """One effect per signature and client, also after a restart; another client has its own."""

    async def test(bench: IdentityBench) -> None:
        first = await principal_of(bench, await bench.client(signing=SigningPolicy.OPTIONAL))
        second = await principal_of(bench, await bench.client(signing=SigningPolicy.OPTIONAL))
        effects = Effects()
        for _ in range(2):
            for _ in range(2):
                body = await bench.service.answer_once(first, SIGNATURE, effects.act)
                assert (body, effects.count) == (b"answer 1", 1)
            await bench.restart()
        assert await bench.service.answer_once(second, SIGNATURE, effects.act) == b"answer 2"

    run_bench(test)


def test_answer_once__twins_at_once__act_once_and_all_get_the_answer(run_bench: RunBench) -> None:
    """Who repeats while the first is under way waits for it; a caller who leaves ends nothing."""

    async def test(bench: IdentityBench) -> None:
        principal = await principal_of(bench, await bench.client(signing=SigningPolicy.REQUIRED))
        effects = Effects()
        effects.gate.clear()
        calls = [
            asyncio.create_task(bench.service.answer_once(principal, SIGNATURE, effects.act))
            for _ in range(5)
        ]
        await effects.begun.wait()
        calls[0].cancel()
        effects.gate.set()
        answers = await asyncio.gather(*calls, return_exceptions=True)
        assert isinstance(answers[0], asyncio.CancelledError)
        assert answers[1:] == [b"answer 1"] * 4
        assert effects.count == 1
        assert await bench.service.answer_once(principal, SIGNATURE, effects.act) == b"answer 1"

    run_bench(test)


@pytest.mark.parametrize("failure", [NotFound(), Conflict("Busy")])
def test_answer_once__refused__is_judged_anew(run_bench: RunBench, failure: ApiError) -> None:
    """A refusal had no effect: the repeat is free to succeed."""

    async def test(bench: IdentityBench) -> None:
        principal = await principal_of(bench, await bench.client(signing=SigningPolicy.REQUIRED))
        effects = Effects(failure)
        with pytest.raises(type(failure)):
            await bench.service.answer_once(principal, SIGNATURE, effects.act)
        effects.failure = None
        assert await bench.service.answer_once(principal, SIGNATURE, effects.act) == b"answer 2"

    run_bench(test)


@pytest.mark.parametrize("failure", [Unavailable("Store"), InternalError(), ValueError("bug")])
def test_answer_once__outcome_not_known__never_acts_again(
    run_bench: RunBench, failure: Exception
) -> None:
    """What may have acted is not repeated; the caller learns that nobody knows."""

    async def test(bench: IdentityBench) -> None:
        principal = await principal_of(bench, await bench.client(signing=SigningPolicy.REQUIRED))
        effects = Effects(failure)
        with pytest.raises(type(failure)):
            await bench.service.answer_once(principal, SIGNATURE, effects.act)
        effects.failure = None
        for _ in range(2):
            with pytest.raises(OutcomeUnknown):
                await bench.service.answer_once(principal, SIGNATURE, effects.act)
            await bench.restart()
        assert effects.count == 1

    run_bench(test)


def test_answer_once__process_gone_between_effect_and_answer__never_acts_again(
    run_bench: RunBench,
) -> None:
    """What a crash leaves behind is the reservation: the next life refuses the repeat."""

    async def test(bench: IdentityBench) -> None:
        principal = await principal_of(bench, await bench.client(signing=SigningPolicy.REQUIRED))
        effects = Effects()
        effects.gate.clear()
        call = asyncio.create_task(bench.service.answer_once(principal, SIGNATURE, effects.act))
        await effects.begun.wait()
        await bench.restart()  # the life after, while the first never gets to store its answer
        with pytest.raises(OutcomeUnknown):
            await bench.service.answer_once(principal, SIGNATURE, effects.act)
        assert effects.count == 1
        effects.gate.set()
        await call

    run_bench(test)


def test_answer_once__twin_on_another_node__acts_once_and_both_get_the_answer(
    run_bench: RunBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A repeat that another node gets meanwhile waits for the first too, and acts no more."""

    async def test(bench: IdentityBench) -> None:
        monkeypatch.setattr(bench.database, "is_shared", True)
        principal = await principal_of(bench, await bench.client(signing=SigningPolicy.REQUIRED))
        other = bench.fresh_service()
        effects = Effects()
        effects.gate.clear()
        first = asyncio.create_task(bench.service.answer_once(principal, SIGNATURE, effects.act))
        await effects.begun.wait()
        twin = asyncio.create_task(other.answer_once(principal, SIGNATURE, effects.act))
        await asyncio.sleep(0.2)  # it has found the reservation
        assert not twin.done()
        effects.gate.set()
        assert await asyncio.gather(first, twin) == [b"answer 1"] * 2
        assert effects.count == 1

    run_bench(test)


def test_prune__answers_grown_old__go_when_their_signature_is_over(run_bench: RunBench) -> None:
    """An answer outlives the 600 s of its signature, and then takes no more space."""

    async def test(bench: IdentityBench) -> None:
        principal = await principal_of(bench, await bench.client(signing=SigningPolicy.REQUIRED))
        effects = Effects()
        await bench.service.answer_once(principal, SIGNATURE, effects.act)
        assert ANSWER_KEPT_S > 600
        for advance_s, left in ((600, 1), (ANSWER_KEPT_S - 600, 1), (0.001, 0)):
            bench.clock.advance(advance_s)
            await bench.service.prune_signed_answers()
            assert await bench.rows("SELECT COUNT(*) FROM signed_answers") == [(left,)]

    run_bench(test)
