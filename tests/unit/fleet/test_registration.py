import asyncio
from typing import Any

import pytest

from tellus.fleet.registration import RegistrationRefused
from tellus.fleet.rules import Claim, Mode, decide_claim
from tellus.identity.service import BadCredentials
from tellus.kernel.errors import Conflict, NotFound, TooManyRequests

ALLOWLIST = Mode.ALLOWLIST


def test_register__open_mode_and_unknown__lands_with_the_built_in_operator(run_bench: Any) -> None:
    """In open mode a charger nobody expected gets an id, a secret and the default site."""

    async def test(bench: Any) -> None:
        registered = await bench.register("SN1")
        device = bench.directory.by_id(registered["device_id"])
        assert registered["device_secret"].startswith("sk_")
        assert registered["expires_in"] == 365 * 86_400
        assert (device.operator_id, device.site_id) == bench.built_in
        assert sorted(device.connectors) == [1, 2]

    run_bench(test)


def test_register__allowlist_and_unknown__is_refused_like_every_other_refusal(
    run_bench: Any,
) -> None:
    """Unknown, wrong proof, outside the window and taken all give the same answer."""

    async def test(bench: Any) -> None:
        site_id = await bench.site(await bench.operator())
        late = await bench.provision("SN-late", site_id=site_id, claim_window_s=10)
        taken = await bench.provision("SN-taken", site_id=site_id)
        await bench.token(await bench.register("SN-taken", taken["enrolment_token"]))
        await bench.provision("SN-other", site_id=site_id)
        bench.clock.advance(10)
        answers = set()
        for sn, proof in (
            ("SN-unknown", "enr_guess"),
            ("SN-late", late["enrolment_token"]),
            ("SN-taken", taken["enrolment_token"]),
            ("SN-other", taken["enrolment_token"]),
            ("SN-other", ""),
        ):
            with pytest.raises(RegistrationRefused) as refusal:
                await bench.register(sn, proof)
            answers.add((refusal.value.code, refusal.value.message, str(refusal.value.details)))
        assert len(answers) == 1
        assert answers.pop()[0] == 4001
        refused = bench.registration.refused
        assert [refused[claim] for claim in Claim][2:] == [1, 1, 2, 1]

    run_bench(test, ALLOWLIST)


@pytest.mark.parametrize("mode", list(Mode))
def test_register__provisioned_with_its_token__lands_on_its_site(
    run_bench: Any, mode: Mode
) -> None:
    """A provisioned charger belongs to the site that expected it, in every mode."""

    async def test(bench: Any) -> None:
        token = await bench.provision("SN1", connectors=3, rated_power_kw=150.0, v2g=True)
        registered = await bench.register("SN1", token["enrolment_token"], model="Unheard-Of")
        device = bench.directory.by_id(registered["device_id"])
        assert (device.operator_id, device.site_id) == (token["operator_id"], token["site_id"])
        assert sorted(device.connectors) == [1, 2, 3]
        assert (device.rated_power_kw, device.v2g) == (150.0, True)

    run_bench(test, mode)


@pytest.mark.parametrize("said", ["TP-DC180", "Unheard-Of"])
def test_register__provisioned_as_another_model__has_that_model_s_figures(
    run_bench: Any, said: str
) -> None:
    """What a site expects goes before what a charger calls itself."""

    async def test(bench: Any) -> None:
        token = await bench.provision("SN1", model="TP-DC180-V2G")
        registered = await bench.register("SN1", token["enrolment_token"], model=said)
        device = bench.directory.by_id(registered["device_id"])
        assert device.model == said
        assert (device.rated_power_kw, device.v2g) == (180.0, True)
        assert sorted(device.connectors) == [1, 2]

    run_bench(test)


def test_register__provisioned_in_open_mode_without_token__lands_on_its_site(
    run_bench: Any,
) -> None:
    """Open mode does not demand the token, but a wrong one is refused."""

    async def test(bench: Any) -> None:
        token = await bench.provision("SN1")
        with pytest.raises(RegistrationRefused):
            await bench.register("SN1", "enr_wrong")
        registered = await bench.register("SN1")
        assert bench.directory.by_id(registered["device_id"]).site_id == token["site_id"]

    run_bench(test)


@pytest.mark.parametrize("mode", list(Mode))
def test_register__repeated_while_pending__same_id_and_fresh_secret(
    run_bench: Any, mode: Mode
) -> None:
    """A lost answer heals: the same charger asks again, is the same device, and gets in."""

    async def test(bench: Any) -> None:
        token = (await bench.provision("SN1"))["enrolment_token"] if mode is ALLOWLIST else ""
        lost = await bench.register("SN1", token)
        again = await bench.register("SN1", token)
        assert again["device_id"] == lost["device_id"]
        assert again["device_secret"] != lost["device_secret"]
        await bench.token(again)
        with pytest.raises(BadCredentials):
            await bench.token(lost)

    run_bench(test, mode)


def test_register__repeated_with_another_proof__is_refused(run_bench: Any) -> None:
    """Who registered first with a proof is not displaced by somebody without it."""

    async def test(bench: Any) -> None:
        await bench.register("SN1", "my own proof")
        with pytest.raises(RegistrationRefused):
            await bench.register("SN1", "another")
        with pytest.raises(RegistrationRefused):
            await bench.register("SN1")
        await bench.register("SN1", "my own proof")

    run_bench(test)


def test_register__once_active__is_refused_and_audited(run_bench: Any) -> None:
    """The first use of the secret ends the pending state; a later register is a conflict."""

    async def test(bench: Any) -> None:
        registered = await bench.register("SN1")
        assert not bench.directory.by_id(registered["device_id"]).active
        await bench.token(registered)
        assert bench.directory.by_id(registered["device_id"]).active
        with pytest.raises(RegistrationRefused):
            await bench.register("SN1")
        assert (await bench.audited())[-3:] == [
            "device.registered",
            "device.activated",
            "device.registration_refused",
        ]
        await bench.token(registered)

    run_bench(test)


def test_register__many_at_once__make_one_device(run_bench: Any) -> None:
    """Racing registrations of one charger give one device, and the newest secret works."""

    async def test(bench: Any) -> None:
        answers = await asyncio.gather(*(bench.register("SN1") for _ in range(5)))
        assert len({answer["device_id"] for answer in answers}) == 1
        works = 0
        for answer in answers:
            try:
                await bench.token(answer)
                works += 1
            except BadCredentials:
                pass
        assert works == 1
        assert await bench.rows("SELECT COUNT(*) FROM devices") == [(1,)]

    run_bench(test)


def test_register__sixth_in_an_hour__says_when_to_come_back(run_bench: Any) -> None:
    """A serial number may be tried five times in any hour, whatever the outcome."""

    async def test(bench: Any) -> None:
        for _ in range(5):
            await bench.register("SN1")
            bench.clock.advance(60)
        with pytest.raises(TooManyRequests) as refusal:
            await bench.register("SN1")
        assert refusal.value.retry_after_s == 3300
        await bench.register("SN2")
        bench.clock.advance(3300)
        await bench.register("SN1")

    run_bench(test)


def test_register__after_restart__memory_and_pending_state_are_as_before(run_bench: Any) -> None:
    """A restart between register and its repeat changes nothing."""

    async def test(bench: Any) -> None:
        before = await bench.register("SN1", mac="00:1A:2B:3C:4D:5E")
        await bench.start()
        device = bench.directory.by_id(before["device_id"])
        assert (device.sn, device.model, device.mac) == ("SN1", "TP-DC180", "00:1A:2B:3C:4D:5E")
        assert sorted(device.connectors) == [1, 2]
        again = await bench.register("SN1")
        assert again["device_id"] == before["device_id"]
        await bench.token(again)
        await bench.start()
        assert bench.directory.by_id(before["device_id"]).active
        assert bench.directory.by_id(before["device_id"]).principal is not None

    run_bench(test)


def test_reclaim__window_open__the_same_device_gets_a_new_secret(run_bench: Any) -> None:
    """An administrator lets an active charger register again, with a new token, once."""

    async def test(bench: Any) -> None:
        token = (await bench.provision("SN1"))["enrolment_token"]
        first = await bench.register("SN1", token)
        await bench.token(first)
        opened = await bench.admin("reclaim_device", {}, device_id=first["device_id"])
        with pytest.raises(RegistrationRefused):
            await bench.register("SN1", token)
        again = await bench.register("SN1", opened["enrolment_token"])
        assert again["device_id"] == first["device_id"]
        await bench.token(first)
        await bench.token(again)
        with pytest.raises(RegistrationRefused):
            await bench.register("SN1", opened["enrolment_token"])
        bench.clock.advance(86_400)
        with pytest.raises(BadCredentials):
            await bench.token(first)

    run_bench(test, ALLOWLIST)


def test_reclaim__window_over__is_refused(run_bench: Any) -> None:
    """The window closes by itself."""

    async def test(bench: Any) -> None:
        device = await bench.device("SN1")
        opened = await bench.admin("reclaim_device", {"window_s": 60}, device_id=device.device_id)
        bench.clock.advance(60)
        with pytest.raises(RegistrationRefused):
            await bench.register("SN1", opened["enrolment_token"])

    run_bench(test)


def test_provision__again__the_earlier_token_is_void(run_bench: Any) -> None:
    """Provisioning a serial number anew makes the token that leaked worthless."""

    async def test(bench: Any) -> None:
        site_id = await bench.site(await bench.operator())
        leaked = await bench.provision("SN1", site_id=site_id)
        fresh = await bench.provision("SN1", site_id=site_id)
        with pytest.raises(RegistrationRefused):
            await bench.register("SN1", leaked["enrolment_token"])
        await bench.register("SN1", fresh["enrolment_token"])

    run_bench(test, ALLOWLIST)


def test_provision__registered_already__is_a_conflict(run_bench: Any) -> None:
    """What is a device is not provisioned again, and the refusal says which device it is."""

    async def test(bench: Any) -> None:
        device = await bench.device("SN1")
        with pytest.raises(Conflict) as refusal:
            await bench.provision("SN1")
        assert refusal.value.details == {"device_id": device.device_id}

    run_bench(test)


def test_withdraw__then_register__is_refused(run_bench: Any) -> None:
    """A withdrawn serial number is unknown again."""

    async def test(bench: Any) -> None:
        token = (await bench.provision("SN1"))["enrolment_token"]
        await bench.admin("withdraw_provisioning", sn="SN1")
        with pytest.raises(RegistrationRefused):
            await bench.register("SN1", token)
        with pytest.raises(NotFound):
            await bench.admin("withdraw_provisioning", sn="SN1")

    run_bench(test, ALLOWLIST)


def test_delete_device__then_register__makes_another_device(run_bench: Any) -> None:
    """A deleted device's credentials are dead, and its serial number starts anew."""

    async def test(bench: Any) -> None:
        first = await bench.register("SN1")
        await bench.token(first)
        await bench.admin("delete_device", device_id=first["device_id"])
        with pytest.raises(BadCredentials):
            await bench.token(first)
        second = await bench.register("SN1")
        assert second["device_id"] != first["device_id"]
        await bench.start()
        assert [device.device_id for device in bench.directory] == [second["device_id"]]

    run_bench(test)


def test_decide_claim__allowlist_without_provisioning__is_unknown_whatever_is_shown() -> None:
    """No proof makes up for a serial number that nobody expects."""
    for proof in (b"", b"x"):
        claim = decide_claim(ALLOWLIST, None, None, proved=False, proof=proof, now_ms=0)
        assert claim is Claim.UNKNOWN
