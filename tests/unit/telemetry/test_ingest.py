"""Samples go in once, move the current state forward only, and are told as stored or not."""

from collections.abc import Awaitable, Callable

from tests.unit.telemetry.conftest import TelemetryBench

Run = Callable[[Callable[[TelemetryBench], Awaitable[None]]], None]


def test_ingest__one_sample__is_stored_shown_and_told(run_bench: Run) -> None:
    """A stored sample is in the history, in the current state, and wakes the stream."""

    async def check(bench: TelemetryBench) -> None:
        device = bench.add_device()
        sample = bench.sample(soc_pct=55)
        await bench.service.ingest(sample)
        assert device.connectors[1].reading == sample.reading
        assert bench.changed == [1]
        assert [past.reading for past in await bench.history()] == [sample.reading]

    run_bench(check)


def test_ingest__identical_repeat__changes_nothing(run_bench: Run) -> None:
    """The same sample again has no second row and wakes nobody."""

    async def check(bench: TelemetryBench) -> None:
        bench.add_device()
        sample = bench.sample()
        await bench.service.ingest(sample)
        bench.clock.advance(400)
        await bench.service.ingest(sample._replace(received_ms=bench.clock.now_ms()))
        assert bench.changed == [1]
        assert len(await bench.history()) == 1
        assert (bench.service.kind.stored, bench.service.kind.duplicates) == (1, 1)

    run_bench(check)


def test_ingest__two_frames_of_one_instant__are_both_kept(run_bench: Run) -> None:
    """Different content of one instant is two samples; which one is current depends on neither."""

    async def check(bench: TelemetryBench) -> None:
        device = bench.add_device()
        frames = [bench.sample(power_kw=1.0), bench.sample(power_kw=2.0)]
        for frame in frames:
            await bench.service.ingest(frame)
        shown = device.connectors[1].reading
        assert len(await bench.history()) == 2
        bench.add_device(2)
        for frame in reversed(frames):
            await bench.service.ingest(frame._replace(device_no=2))
        assert bench.directory.by_no(2).connectors[1].reading == shown

    run_bench(check)


def test_ingest__late_sample__is_history_and_never_current(run_bench: Run) -> None:
    """Back-filled data does not rewind the current state and is not streamed."""

    async def check(bench: TelemetryBench) -> None:
        device = bench.add_device()
        now = bench.sample(power_kw=7.0)
        await bench.service.ingest(now)
        await bench.service.ingest(bench.sample(-7200, power_kw=9.0))
        assert device.connectors[1].reading == now.reading
        assert bench.changed == [1]
        assert len(await bench.history()) == 2

    run_bench(check)


def test_ingest__clock_ahead__is_kept_and_never_current(run_bench: Run) -> None:
    """A sample more than five minutes ahead is stored as suspect; at five minutes it is trusted."""

    async def check(bench: TelemetryBench) -> None:
        device = bench.add_device()
        await bench.service.ingest(bench.sample(301))
        assert device.connectors[1].reading is None
        await bench.service.ingest(bench.sample(300))
        assert device.connectors[1].reading is not None
        assert [past.clock_suspect for past in await bench.history()] == [False, True]

    run_bench(check)


def test_ingest_many__repeats_inside_and_outside__each_is_told(run_bench: Run) -> None:
    """Of a batch each sample is told as stored or known, also those packed long ago."""

    async def check(bench: TelemetryBench) -> None:
        bench.add_device()
        old, new = bench.sample(-7200), bench.sample(-10)
        assert await bench.service.ingest_many([old]) == [True]
        assert await bench.service.compact() == 1
        assert await bench.service.ingest_many([old, new, new]) == [False, True, False]
        assert len(await bench.history()) == 2

    run_bench(check)


def test_ingest__unknown_connector__comes_into_being(run_bench: Run) -> None:
    """The first sample of a connector makes it."""

    async def check(bench: TelemetryBench) -> None:
        device = bench.add_device()
        await bench.service.ingest(bench.sample(connector_id=2))
        assert sorted(device.connectors) == [1, 2]
        rows = await bench.database.read(
            lambda tx: tx.rows("SELECT device_no, connector_id FROM connectors")
        )
        assert rows == [(1, 2)]

    run_bench(check)


def test_ingest__packed_between_look_and_write__is_still_a_repeat(run_bench: Run) -> None:
    """A sample that leaves the log for its pack while its repeat waits is not stored again."""

    async def check(bench: TelemetryBench) -> None:
        bench.add_device()
        old = bench.sample(-7200)
        await bench.service.ingest(old)
        upload = await bench.service._prepare((old,))
        assert upload.packed == frozenset()
        assert await bench.service.compact() == 1
        told = await bench.database.submit(bench.service.kind, upload._replace(told=True))
        assert told == [False]
        assert (await bench.service._prepare((old,))).packed == {old[:4]}

    run_bench(check)


def test_apply__many_late_hours__unpacks_nothing_on_the_writer(run_bench: Run) -> None:
    """What readers have looked up is not looked up again where everybody waits."""

    async def check(bench: TelemetryBench) -> None:
        bench.add_device()
        late = [bench.sample(-3600 * hour) for hour in range(2, 40)]
        await bench.service.ingest_many(late)
        await bench.service.compact()
        upload = await bench.service._prepare(tuple(late))
        assert upload.packed == {sample[:4] for sample in late}
        index = bench.service.index
        assert await bench.database.write(lambda tx: index.list_unsure(tx, [upload])) == {}
        assert await bench.service.ingest_many(late) == [False] * len(late)

    run_bench(check)
