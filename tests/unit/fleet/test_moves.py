"""Who is told of a device that changes hands, and what that costs when it cannot be written."""

from typing import Any

import pytest

from tellus.fleet.administration import DeviceMoved
from tellus.kernel.errors import Unavailable


def test_move__told_inside_its_transaction__fails_with_what_cannot_be_written(
    run_bench: Any,
) -> None:
    """A reaction that fails undoes the move: neither store nor memory knows of it."""

    async def check(bench: Any) -> None:
        device = await bench.device()
        home, owner = device.site_id, device.operator_id
        elsewhere = await bench.site(await bench.operator())

        def refuse(tx: Any, moved: DeviceMoved) -> None:
            assert moved.operator_id != owner
            assert tx.row("SELECT operator_id FROM devices")[0] == moved.operator_id
            raise Unavailable("the disk is full")

        told: list[DeviceMoved] = []
        bench.devices.react(in_tx=refuse, after_commit=told.append)
        with pytest.raises(Unavailable):
            await bench.admin("change_device", {"site_id": elsewhere}, device_id=device.device_id)
        assert (device.site_id, device.operator_id, told) == (home, owner, [])
        sql = "SELECT site_id, operator_id FROM devices"
        row = await bench.database.read(lambda tx: tx.row(sql))
        assert tuple(row) == (home, owner)

    run_bench(check)


def test_move__done__is_told_once_memory_knows_of_it(run_bench: Any) -> None:
    """After the commit whoever reacts finds the device with its new operator; else nothing is told.

    A change of figures, or of the site within an operator, is no move.
    """

    async def check(bench: Any) -> None:
        device = await bench.device()
        told: list[tuple[str, str]] = []
        bench.devices.react(
            in_tx=lambda _, moved: told.append(("stored", moved.operator_id)),
            after_commit=lambda _: told.append(("known", device.operator_id)),
        )
        path = {"device_id": device.device_id}
        await bench.admin("change_device", {"rated_power_kw": 50.0}, **path)
        sibling = await bench.site(device.operator_id)
        await bench.admin("change_device", {"site_id": sibling}, **path)
        assert told == []
        heir = await bench.operator()
        await bench.admin("change_device", {"site_id": await bench.site(heir)}, **path)
        assert told == [("stored", heir), ("known", heir)]

    run_bench(check)
