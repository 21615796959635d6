"""What is left of a session is told as fine as it is, and never finer."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from tellus.kernel.call import NOTHING, Audience, Call, Principal
from tellus.kernel.units import HOUR_MS, MINUTE_MS, to_text
from tellus.storage.database import Tx
from tellus.telemetry import store_minutes
from tellus.telemetry.meter_values import MeterValueService
from tellus.telemetry.minutes import pack_minutes
from tellus.telemetry.model_minutes import MinuteMean
from tellus.telemetry.model_tiers import HourEnergy, Resolution, SessionSpan
from tellus.telemetry.operator_api_session import (
    SessionTelemetryPage,
    SessionTelemetryQuery,
    list_session_telemetry,
)
from tests.unit.telemetry.conftest import OPERATOR, TelemetryBench

Run = Callable[[Callable[[TelemetryBench], Awaitable[None]]], None]


class OneSession:
    """Knows one session."""

    def __init__(self, span: SessionSpan) -> None:
        self.span = span

    async def find_session(self, session_id: str, operator_id: str) -> SessionSpan | None:
        return self.span if (session_id, operator_id) == ("ses_1", OPERATOR) else None

    async def find_record(self, device_id: str, record_id: str, operator_id: str) -> None:
        return None


def first_hour(bench: TelemetryBench) -> int:
    """A whole hour, two days ago."""
    now_ms = bench.clock.now_ms()
    return now_ms - now_ms % HOUR_MS - 48 * HOUR_MS


async def read(
    bench: TelemetryBench, span: SessionSpan, size: int = 1000, owned_since_ms: int = 0
) -> list[SessionTelemetryPage]:
    """All pages of a session."""
    device = bench.directory.by_no(1) or bench.add_device()
    device.owned_since_ms = owned_since_ms
    values = MeterValueService(bench.database, bench.service, bench.directory, OneSession(span))
    caller = Principal(Audience.OPERATOR, "cl_1", OPERATOR)
    path = {"device_id": "dvc_1", "record_id": "ses_1"}
    pages: list[SessionTelemetryPage] = []
    more: dict[str, Any] = {}
    while True:
        query = SessionTelemetryQuery(size=size, **more)
        call = Call(caller, NOTHING, query, bench.clock.now_ms(), path)
        pages.append(await list_session_telemetry(values, call))
        following = pages[-1].next_cursor
        if not isinstance(following, str):
            return pages
        more = {"cursor": following}


async def send(bench: TelemetryBench, times_ms: Sequence[int]) -> None:
    """Store samples of those times."""
    now_ms = bench.clock.now_ms()
    samples = [bench.sample((time - now_ms) / 1000, power_kw=10.0) for time in times_ms]
    await bench.service.ingest_many(samples)


async def keep_minutes(bench: TelemetryBench, hour_ms: int, minutes: Sequence[int]) -> None:
    """Have means of minutes stand for an hour, as retention leaves them: four samples each."""
    means = [
        MinuteMean(hour_ms + n * MINUTE_MS, 4, hour_ms + n * MINUTE_MS + 45_000, "charging",
                   400.0, 50.0, 20.0, 1.0 + n, 40 + n)
        for n in minutes
    ]  # fmt: skip

    def write(tx: Tx) -> None:
        row = store_minutes.StoredMinutes(
            (1, 1, hour_ms), hour_ms + HOUR_MS, 4 * len(means), pack_minutes(hour_ms, means)
        )
        store_minutes.upsert_minutes(tx, [row])

    await bench.database.write(write)


def told(pages: list[SessionTelemetryPage]) -> list[tuple[str, str]]:
    """Resolution and time of all items."""
    return [(page.resolution.value, item.timestamp) for page in pages for item in page.items]


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_session__partly_past_the_raw_tier__is_minutes_then_samples(
    run_bench: Run, size: int
) -> None:
    """Each page is of one resolution; hours with means tell those, later ones their samples."""

    async def check(bench: TelemetryBench) -> None:
        bench.add_device()
        hour_ms = first_hour(bench)
        await keep_minutes(bench, hour_ms, range(50, 60))
        await keep_minutes(bench, hour_ms + HOUR_MS, range(60))
        raw_ms = [hour_ms + 2 * HOUR_MS + n * 5_000 for n in range(12)]
        await send(bench, raw_ms)
        start_ms = hour_ms + 55 * MINUTE_MS + 30_000
        span = SessionSpan("dvc_1", 1, start_ms, raw_ms[9], "ses_1")
        pages = await read(bench, span, size)
        expected = [("minute", to_text(hour_ms + n * MINUTE_MS)) for n in range(55, 120)]
        expected += [("raw", to_text(time_ms)) for time_ms in raw_ms[:10]]
        assert told(pages) == expected
        assert all(len(page.items) <= size for page in pages)
        mean = pages[0].items[0]
        assert (mean.power, mean.energy_delivered, mean.soc, mean.samples) == (20.0, 56.0, 95, 4)

    run_bench(check)


def test_session__late_samples_of_an_hour_with_means__are_averaged_in(run_bench: Run) -> None:
    """What came late counts in its minute, by the number of samples, and adds none beside."""

    async def check(bench: TelemetryBench) -> None:
        bench.add_device()
        hour_ms = first_hour(bench)
        await keep_minutes(bench, hour_ms, [0, 1])
        await send(bench, [hour_ms + 50_000, hour_ms + 5 * MINUTE_MS])
        span = SessionSpan("dvc_1", 1, hour_ms, hour_ms + 10 * MINUTE_MS, "ses_1")
        (page,) = await read(bench, span)
        assert [(one.timestamp, one.samples, one.power) for one in page.items] == [
            (to_text(hour_ms), 5, 18.0),
            (to_text(hour_ms + MINUTE_MS), 4, 20.0),
            (to_text(hour_ms + 5 * MINUTE_MS), 1, 10.0),
        ]

    run_bench(check)


def test_session__past_the_minute_tier__is_energies_of_hours(run_bench: Run) -> None:
    """Once samples and minutes are gone the hours of its shape are what is told."""

    async def check(bench: TelemetryBench) -> None:
        bench.add_device()
        hour_ms = first_hour(bench)
        hours = tuple(HourEnergy(hour_ms + n * HOUR_MS, 5.0 + n, 0.5) for n in range(5))
        span = SessionSpan("dvc_1", 1, hour_ms + 1, hour_ms + 5 * HOUR_MS, "ses_1", None, hours)
        for size in (1, 2, 1000):
            pages = await read(bench, span, size)
            assert told(pages) == [("hour", to_text(one.hour_ms)) for one in hours]
            items = [item for page in pages for item in page.items]
            assert [one.charge_energy for one in items] == [5.0, 6.0, 7.0, 8.0, 9.0]
            assert {one.discharge_energy for one in items} == {0.5}
            assert not any(isinstance(one.power, float) for one in items)

    run_bench(check)


def test_session__nothing_left_or_sent__is_none(run_bench: Run) -> None:
    """No resolution is claimed and no point is made up."""

    async def check(bench: TelemetryBench) -> None:
        bench.add_device()
        hour_ms = first_hour(bench)
        span = SessionSpan("dvc_1", 1, hour_ms, hour_ms + HOUR_MS, "ses_1")
        (page,) = await read(bench, span)
        assert (page.resolution, page.items) == (Resolution.NONE, [])

    run_bench(check)


def test_session__still_running__goes_up_to_now(run_bench: Run) -> None:
    """A session without an end shows what came last, and no end."""

    async def check(bench: TelemetryBench) -> None:
        bench.add_device()
        now_ms = bench.clock.now_ms()
        await send(bench, [now_ms - 20_000, now_ms - 10_000, now_ms])
        span = SessionSpan("dvc_1", 1, now_ms - 15_000, None, "ses_1")
        (page,) = await read(bench, span)
        assert told([page]) == [("raw", to_text(now_ms - 10_000)), ("raw", to_text(now_ms))]
        assert not isinstance(page.end_time, str)

    run_bench(check)


def test_session__means_from_before_the_device_was_the_operators__are_not_shown(
    run_bench: Run,
) -> None:
    """What an earlier operator's charger did stays with that operator."""

    async def check(bench: TelemetryBench) -> None:
        bench.add_device()
        hour_ms = first_hour(bench)
        await keep_minutes(bench, hour_ms, range(10))
        span = SessionSpan("dvc_1", 1, hour_ms, hour_ms + 10 * MINUTE_MS, "ses_1")
        pages = await read(bench, span, owned_since_ms=hour_ms + 4 * MINUTE_MS)
        assert told(pages) == [("minute", to_text(hour_ms + n * MINUTE_MS)) for n in range(4, 10)]

    run_bench(check)
