"""Repeats of what was packed are known as repeats, and long ranges are read a page at a time."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tellus.kernel.call import NOTHING, Audience, Call, Principal
from tellus.kernel.units import HOUR_MS, MINUTE_MS
from tellus.telemetry.operator_api import TelemetryQuery, list_device_telemetry
from tests.unit.telemetry.conftest import TelemetryBench

Run = Callable[[Callable[[TelemetryBench], Awaitable[None]]], None]


@pytest.mark.parametrize("back_s", [0.0, -7200.0])
def test_ingest__repeat_of_a_sample_packed_meanwhile__is_a_duplicate(
    run_bench: Run, back_s: float
) -> None:
    """A repeat that was received before its first copy was packed is no new sample.

    It may have waited in the queue, or the clock may have been put back since.
    """

    async def check(bench: TelemetryBench) -> None:
        bench.add_device()
        received_ms = bench.clock.now_ms() + 1
        sample = bench.sample(received_ms=received_ms)
        assert await bench.service.ingest_many([sample]) == [True]
        bench.clock.advance(40 * MINUTE_MS / 1000)
        assert await bench.service.compact() == 1
        bench.clock.jump_wall(back_s)
        assert await bench.service.ingest_many([sample]) == [False]
        left = await bench.database.read(lambda tx: tx.row("SELECT count(*) FROM samples"))
        assert left == (0,)

    run_bench(check)


@pytest.mark.parametrize("size", [1, 7, 100])
def test_list_device_telemetry__small_pages_of_a_long_range__join_whole(
    run_bench: Run, size: int
) -> None:
    """Pages of any size, of packed hours and the recent log, join without loss or repeat."""

    async def check(bench: TelemetryBench) -> None:
        bench.add_device()
        start_ms = bench.clock.now_ms()
        wanted = [bench.sample(-600 * step, power_kw=float(step % 2)) for step in range(60)]
        wanted += [bench.sample(-600 * step, power_kw=9.0) for step in range(0, 60, 10)]
        await bench.service.ingest_many(wanted)
        await bench.service.compact()
        principal = Principal(Audience.OPERATOR, "cli_1", "op_1")
        found: list[str] = []
        cursor: str | None = ""
        while cursor is not None:
            query = TelemetryQuery(**_bounds(start_ms), size=size, **_after(cursor))
            call = Call(principal, NOTHING, query, start_ms, {"device_id": "dvc_1"})
            page = await list_device_telemetry(bench.service, call)
            assert len(page.items) <= size
            found += [f"{item.timestamp} {item.power}" for item in page.items]
            cursor = page.next_cursor or None
        assert len(found) == len(set(found)) == len(wanted)
        assert [line.split()[0] for line in found] == sorted(line.split()[0] for line in found)

    run_bench(check)


def test_history__enough_in_the_first_hour__opens_no_further_one(run_bench: Run) -> None:
    """A page of a long range is answered from as many packed hours as it needs."""

    async def check(bench: TelemetryBench) -> None:
        bench.add_device()
        await bench.service.ingest_many([bench.sample(-600 * step) for step in range(60)])
        await bench.service.compact()
        now_ms = bench.clock.now_ms()
        part, reached_ms = await bench.service.history(
            "dvc_1", "op_1", 1, now_ms - 10 * HOUR_MS, now_ms + 1, enough=3
        )
        assert 3 < len(part) <= 12
        assert reached_ms < now_ms - 7 * HOUR_MS

    run_bench(check)


def _bounds(now_ms: int) -> dict[str, Any]:
    now = datetime.fromtimestamp(now_ms / 1000, UTC)
    return {"start_time": now - timedelta(hours=12), "end_time": now + timedelta(seconds=1)}


def _after(cursor: str) -> dict[str, Any]:
    return {"cursor": cursor} if cursor else {}
