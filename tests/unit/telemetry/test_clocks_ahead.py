"""A charger whose clock runs far ahead, or that repeats itself, cannot fill log and memory."""

from collections.abc import Awaitable, Callable

from tellus.telemetry.recent_own import OwnLog
from tests.unit.telemetry.conftest import TelemetryBench

Run = Callable[[Callable[[TelemetryBench], Awaitable[None]]], None]

YEAR_S = 365 * 86_400
QUARTER_HOUR_S = 900.0


async def count_log(bench: TelemetryBench) -> int:
    """How many samples the recent log holds."""
    row = await bench.database.read(lambda tx: tx.row("SELECT count(*) FROM samples"))
    assert row is not None
    return int(row[0])


def remembered(bench: TelemetryBench, otherwise: int) -> int:
    """How many instants memory holds, or ``otherwise`` where it holds none."""
    index = bench.service.index
    return len(index) if isinstance(index, OwnLog) else otherwise


def test_compact__samples_of_a_clock_years_ahead__leave_the_log_and_stay_readable(
    run_bench: Run,
) -> None:
    """What is dated years ahead is packed, read back, and known again when it is repeated."""

    async def check(bench: TelemetryBench) -> None:
        bench.add_device()
        ahead = [bench.sample(YEAR_S + step) for step in range(20)]
        near = bench.sample(400.0)  # suspect, and soon to be the present
        assert await bench.service.ingest_many([*ahead, near]) == [True] * 21
        before = await bench.history(2 * YEAR_S / 3600)
        assert await bench.service.compact() == 20
        assert await count_log(bench) == remembered(bench, 1) == 1
        assert await bench.service.ingest_many(ahead) == [False] * 20
        assert await count_log(bench) == 1
        assert await bench.history(2 * YEAR_S / 3600) == before
        assert all(past.clock_suspect for past in before)

    run_bench(check)


def test_compact__clock_an_hour_ahead__packs_it_once_in_a_quarter_hour(run_bench: Run) -> None:
    """A future hour is not written anew with every round."""

    async def check(bench: TelemetryBench) -> None:
        bench.add_device()
        await bench.service.ingest(bench.sample(3600.0))
        assert await bench.service.compact() == 1
        await bench.service.ingest(bench.sample(3605.0))
        assert await bench.service.compact() == 0
        bench.clock.advance(QUARTER_HOUR_S)
        assert await bench.service.compact() == 1
        bench.clock.advance(3 * 3600.0)
        assert await bench.service.compact() == 0
        assert len(await bench.history()) == 2

    run_bench(check)


def test_compact__a_sample_repeated_over_and_over__takes_the_room_of_one(run_bench: Run) -> None:
    """Repeats of one instant do not make the index of the log grow without end."""

    async def check(bench: TelemetryBench) -> None:
        bench.add_device()
        samples = [bench.sample(-step) for step in range(500)]
        for _ in range(5):
            await bench.service.ingest_many(samples)
        assert await bench.service.compact() == 0
        assert await count_log(bench) == remembered(bench, 500) == 500
        assert len(await bench.history()) == 500

    run_bench(check)
