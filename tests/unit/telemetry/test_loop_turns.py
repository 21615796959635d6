"""Upkeep of a large fleet leaves the event loop free for everybody else in between."""

import asyncio
from collections.abc import Awaitable, Callable

from tests.unit.telemetry.conftest import TelemetryBench

Run = Callable[[Callable[[TelemetryBench], Awaitable[None]]], None]

CONNECTORS = 1_000
LARGEST_SLICE = 100


def test_compact__many_connectors_and_nothing_aged__lets_others_run_in_between(
    run_own_bench: Run,
) -> None:
    """Looking through the log's index for what has aged never takes the loop in one piece."""

    async def check(bench: TelemetryBench) -> None:
        now_ms = bench.clock.now_ms()
        for device_no in range(CONNECTORS):
            bench.service.index.note_time(device_no, 1, now_ms)
        turns = 0

        async def count_turns() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        counting = asyncio.create_task(count_turns())
        assert await bench.service.compact() == 0
        counting.cancel()
        assert turns >= CONNECTORS // LARGEST_SLICE

    run_own_bench(check)
