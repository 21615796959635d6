"""Packing loses nothing, doubles nothing, and is invisible to whoever reads."""

from collections.abc import Awaitable, Callable

from hypothesis import given
from hypothesis import strategies as st

from tellus.fleet.model import Reading
from tellus.kernel.units import HOUR_MS
from tellus.telemetry.model import PastSample
from tellus.telemetry.packing import pack, unpack, unpack_keys
from tellus.telemetry.recent_own import OwnLog
from tests.unit.telemetry.conftest import TelemetryBench

Run = Callable[[Callable[[TelemetryBench], Awaitable[None]]], None]

numbers = st.floats(-1e6, 1e6)
readings = st.builds(
    Reading,
    st.sampled_from(["idle", "charging", "discharging", "fault"]),
    numbers,
    numbers,
    numbers,
    numbers,
    st.none() | st.integers(0, 100),
    st.none() | numbers,
    st.none() | st.text(max_size=8),
    st.none() | st.tuples(st.none() | st.tuples(numbers, numbers), st.tuples(numbers, numbers)),
)
past_samples = st.builds(
    PastSample,
    st.integers(0, HOUR_MS - 1).map(lambda offset_ms: 10 * HOUR_MS + offset_ms),
    st.integers(-(2**63), 2**63 - 1),
    st.integers(0, 20 * HOUR_MS),
    readings,
)


@given(st.lists(past_samples, max_size=20))
def test_pack__any_samples__come_back_as_they_were(samples: list[PastSample]) -> None:
    """What is packed is what is unpacked."""
    content = pack(10 * HOUR_MS, samples)
    assert unpack(10 * HOUR_MS, content) == samples
    keys = {(sample.time_ms, sample.digest) for sample in samples}
    assert unpack_keys(10 * HOUR_MS, content) == keys


def test_compact__aged_and_recent__history_is_unchanged(run_bench: Run) -> None:
    """Reading before and after packing gives the same samples; only aged ones leave the log."""

    async def check(bench: TelemetryBench) -> None:
        bench.add_device()
        bench.add_device(2)
        for at_s in range(-7000, 0, 50):
            await bench.service.ingest_many(
                [bench.sample(at_s, power_kw=float(at_s)), bench.sample(at_s, 2)]
            )
        before = await bench.history()
        moved = await bench.service.compact()
        assert await bench.history() == before
        left = await bench.database.read(lambda tx: tx.row("SELECT count(*) FROM samples"))
        assert left is not None
        assert moved + left[0] == 2 * len(before)
        assert 2 * 900 / 50 <= left[0] <= 2 * 1800 / 50
        if isinstance(bench.service.index, OwnLog):
            assert len(bench.service.index) == left[0]

    run_bench(check)


def test_compact__late_sample_for_a_packed_hour__is_merged(run_bench: Run) -> None:
    """A sample that comes after its hour was packed joins it; a repeat of a packed one does not."""

    async def check(bench: TelemetryBench) -> None:
        bench.add_device()
        first, second = bench.sample(-7200), bench.sample(-7100)
        await bench.service.ingest(first)
        await bench.service.compact()
        await bench.service.ingest(first)
        await bench.service.ingest(second)
        assert await bench.service.compact() == 1
        times_ms = [past.time_ms for past in await bench.history()]
        assert times_ms == [first.time_ms, second.time_ms]
        assert bench.service.kind.duplicates == 1

    run_bench(check)


def test_start__after_a_restart__the_log_is_read_by_key_again(run_own_bench: Run) -> None:
    """The index of the log is read back from the log."""

    async def check(bench: TelemetryBench) -> None:
        bench.add_device()
        await bench.service.ingest_many([bench.sample(-at_s) for at_s in range(40)])
        before = await bench.history()
        bench.service.index.__init__()  # type: ignore[misc]
        assert await bench.history() == []
        await bench.service.start()
        assert await bench.history() == before

    run_own_bench(check)


def test_history__more_than_a_day__is_read_in_parts(run_bench: Run) -> None:
    """A long range comes back in parts that join without loss or repeat."""

    async def check(bench: TelemetryBench) -> None:
        bench.add_device()
        await bench.service.ingest_many([bench.sample(-3600 * hour) for hour in range(60)])
        await bench.service.compact()
        now_ms = bench.clock.now_ms()
        position_ms = now_ms - 61 * HOUR_MS
        times_ms: list[int] = []
        parts = 0
        while position_ms < now_ms + 1:
            part, position_ms = await bench.service.history(
                "dvc_1", "op_1", 1, position_ms, now_ms + 1
            )
            times_ms += [sample.time_ms for sample in part]
            parts += 1
        assert times_ms == [now_ms - HOUR_MS * hour for hour in range(59, -1, -1)]
        assert parts == 3

    run_bench(check)
