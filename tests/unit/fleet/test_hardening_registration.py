"""Register tells nothing by how long it takes, and guessing keeps nobody else out."""

from typing import Any

import pytest

from tellus.fleet.registration import RegistrationRefused
from tellus.fleet.rules import Mode
from tellus.kernel.errors import TooManyRequests


@pytest.mark.parametrize("sn", ["SN-unknown", "SN-expected"])
def test_register__refused__writes_whether_or_not_the_serial_is_known(
    run_bench: Any, sn: str
) -> None:
    """Both kinds of refusal change a page: a commit without one needs no sync and is faster."""

    async def test(bench: Any) -> None:
        await bench.provision("SN-expected")
        before = bench.database.stats.wal_pages
        bench.clock.advance(1)
        with pytest.raises(RegistrationRefused):
            await bench.register(sn, "enr_guess")
        assert bench.database.stats.wal_pages > before

    run_bench(test, Mode.ALLOWLIST)


@pytest.mark.parametrize("guesses", [5, 20])
def test_register__others_guess__does_not_use_up_the_chargers_own_calls(
    run_bench: Any, guesses: int
) -> None:
    """After 5 wrong proofs guessing is stopped for an hour; the right proof goes through."""

    async def test(bench: Any) -> None:
        expected = await bench.provision("SN1")
        refusals = []
        for number in range(guesses):
            with pytest.raises((RegistrationRefused, TooManyRequests)) as refusal:
                await bench.register("SN1", f"enr_guess_{number}")
            refusals.append(refusal.type)
        assert refusals == [RegistrationRefused] * 5 + [TooManyRequests] * (guesses - 5)
        registered = await bench.register("SN1", expected["enrolment_token"])
        assert bench.directory.by_id(registered["device_id"]) is not None
        recorded = await bench.rows(
            "SELECT count(*) FROM audit_log WHERE action = 'device.registration_refused'"
        )
        assert recorded == [(5,)]

    run_bench(test, Mode.ALLOWLIST)


def test_register__one_wrong_proof_over_and_over__is_429_after_five(run_bench: Any) -> None:
    """A charger with an old token is told to wait, like everybody else."""

    async def test(bench: Any) -> None:
        await bench.provision("SN1")
        for expected in [RegistrationRefused] * 5 + [TooManyRequests] * 2:
            with pytest.raises(expected):
                await bench.register("SN1", "enr_old")

    run_bench(test, Mode.ALLOWLIST)
