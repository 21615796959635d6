"""Queries over a large fleet leave the event loop free for everybody else in between."""

import asyncio
from typing import Any


def test_summarise__a_small_site__lets_others_run_all_the_same(run_bench: Any) -> None:
    """A page of a hundred small sites is never counted in one piece."""

    async def check(bench: Any) -> None:
        site_id = (await bench.device()).site_id
        site = (await bench.queries.get_site(site_id, None, bench.clock.now_ms())).site
        others_ran = asyncio.Event()
        asyncio.get_running_loop().call_soon(others_ran.set)
        summary = await bench.queries.summarise(site, bench.clock.now_ms())
        assert summary.counts["idle"] == 2
        assert others_ran.is_set()

    run_bench(check)
