"""Register tells nothing by how long it takes."""

from typing import Any

import pytest

from tellus.fleet.registration import RegistrationRefused
from tellus.fleet.rules import Mode


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
