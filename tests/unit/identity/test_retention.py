"""Vehicles are forgotten once nothing was heard of them for long enough."""

from collections.abc import Awaitable, Callable

from tellus.identity.retention import VehicleTier
from tellus.kernel.units import DAY_MS
from tests.unit.identity.conftest import IdentityBench

RunBench = Callable[[Callable[[IdentityBench], Awaitable[None]]], None]

VIN, OTHER_VIN = "WVWZZZ1JZXW000001", "WVWZZZ1JZXW000002"


def test_vehicle__not_heard_of_for_90_days__is_unreadable(run_bench: RunBench) -> None:
    """Its key is dropped and forgotten; the other vehicle, heard of since, stays readable."""

    async def test(bench: IdentityBench) -> None:
        vault = bench.service.vault
        tier = VehicleTier(bench.database, vault, 90)
        old = await bench.database.write(vault.seal, "op_1", VIN, 0)
        await bench.database.write(vault.seal, "op_1", OTHER_VIN, 0)
        young = await bench.database.write(vault.seal, "op_1", OTHER_VIN, 2 * DAY_MS)
        now_ms = 91 * DAY_MS
        planned = await bench.database.read(tier.plan, now_ms)
        assert (planned.rows, planned.oldest_ms) == (1, 0)
        step = await tier.step(now_ms, 10)
        assert (step.rows, step.more) == (1, False)
        assert await bench.database.read(vault.open, *old) is None
        assert await bench.database.read(vault.open, *young) == OTHER_VIN
        assert await bench.database.read(vault.find_subject, "op_1", VIN) is None
        assert await bench.database.read(tier.find_oldest) == 2 * DAY_MS

    run_bench(test)


def test_vehicle__heard_of_in_an_older_record__does_not_age_back(run_bench: RunBench) -> None:
    """Age counts from the newest arrival, whatever order they were noted in."""

    async def test(bench: IdentityBench) -> None:
        vault = bench.service.vault
        await bench.database.write(vault.seal, "op_1", VIN, 50 * DAY_MS)
        await bench.database.write(vault.seal, "op_1", VIN, DAY_MS)
        step = await VehicleTier(bench.database, vault, 90).step(100 * DAY_MS, 10)
        assert step.rows == 0

    run_bench(test)


def test_vehicles__more_than_fit_a_step__go_in_several(run_bench: RunBench) -> None:
    """A step takes as many as it may, the longest unheard of first, and says that there is more."""

    async def test(bench: IdentityBench) -> None:
        vault = bench.service.vault
        tier = VehicleTier(bench.database, vault, 1)
        for k in range(5):
            await bench.database.write(vault.seal, "op_1", f"{VIN[:-1]}{k}", k)
        steps = [await tier.step(10 * DAY_MS, 2) for _ in range(3)]
        assert [(step.rows, step.more) for step in steps] == [(2, True), (2, True), (1, False)]

    run_bench(test)


def test_key__read_while_it_is_erased__is_not_remembered(run_bench: RunBench) -> None:
    """A reader that fetched a key before the erasure does not bring it back to memory."""

    async def test(bench: IdentityBench) -> None:
        vault = bench.service.vault
        subject_id, sealed = await bench.database.write(vault.seal, "op_1", VIN, 0)
        vault.forget_all()

        def open_late(tx: object) -> str | None:
            # The snapshot is as before the erasure, memory already as after it.
            vault.forget(subject_id)
            return vault.open(tx, subject_id, sealed)  # type: ignore[arg-type]

        assert await bench.database.read(open_late) is None

    run_bench(test)
