"""What two administrators do to one device at once ends in memory as it ends in the store."""

import asyncio
from typing import Any

import pytest

from tellus.kernel.errors import NotFound


def test_change_device__deleted_at_the_same_time__stays_deleted(run_bench: Any) -> None:
    """A change that comes behind a deletion is refused and brings nothing back into memory."""

    async def check(bench: Any) -> None:
        device = await bench.device()
        other_site = await bench.site(await bench.operator())
        deleted, changed = await asyncio.gather(
            bench.admin("delete_device", device_id=device.device_id),
            bench.admin("change_device", {"site_id": other_site}, device_id=device.device_id),
            return_exceptions=True,
        )
        assert not isinstance(deleted, Exception)
        assert isinstance(changed, NotFound)
        assert bench.directory.by_id(device.device_id) is None
        assert bench.directory.of_site(other_site) == []

    run_bench(check)


def test_delete_device__twice_at_once__is_one_deletion(run_bench: Any) -> None:
    """Of two deletions at the same time one finds nothing left to delete."""

    async def check(bench: Any) -> None:
        device = await bench.device()
        outcomes = await asyncio.gather(
            *(bench.admin("delete_device", device_id=device.device_id) for _ in range(2)),
            return_exceptions=True,
        )
        assert [isinstance(outcome, NotFound) for outcome in outcomes] == [False, True]
        assert (await bench.audited()).count("device.deleted") == 1

    run_bench(check)


@pytest.mark.parametrize("last", ["home", "elsewhere"])
def test_change_device__moved_twice_at_once__principal_and_place_agree(
    run_bench: Any, last: str
) -> None:
    """After two moves at the same time the credentials belong to the operator of the last one."""

    async def check(bench: Any) -> None:
        device = await bench.device()
        home = device.site_id
        first = await bench.site(await bench.operator("First"))
        end = home if last == "home" else await bench.site(await bench.operator("Last"))
        await asyncio.gather(
            *(
                bench.admin("change_device", {"site_id": site}, device_id=device.device_id)
                for site in (first, end)
            )
        )
        assert device.site_id == end
        assert device.principal.operator_id == device.operator_id

    run_bench(check)
