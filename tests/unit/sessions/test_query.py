"""Operators find exactly their records, in one order, page by page or by cursor."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from tellus.kernel.errors import InvalidParameter, NotFound
from tellus.kernel.units import to_text
from tests.unit.sessions.conftest import RecordBench

Run = Callable[[Callable[[RecordBench], Awaitable[None]]], None]


async def fill(bench: RecordBench, count: int = 25) -> list[str]:
    """Store ``count`` records, five to an instant, in a jumbled order; return ids as listed."""
    items = [bench.record(f"r{k:02d}", at_s=-60.0 * (k // 5)) for k in range(count)]
    jumbled = [items[k * 7 % count] for k in range(count)]
    answers = await bench.upload_batch(jumbled)
    assert {answer.outcome for answer in answers} == {"stored"}
    return [str(item["record_id"]) for item in items]


def test_query__pages__hold_each_record_once_newest_first(run_bench: Run) -> None:
    """All pages together are the whole list in order; the true total is on each."""

    async def check(bench: RecordBench) -> None:
        expected = await fill(bench)
        seen = []
        for number in range(1, 5):
            page = await bench.query(page=number, size=7)
            assert (page.total, page.page, page.size) == (25, number, 7)
            seen += [item["record_id"] for item in page.items]
        assert seen == expected

    run_bench(check)


def test_query__past_the_end__is_empty_with_the_true_total(run_bench: Run) -> None:
    """A page too far is no error."""

    async def check(bench: RecordBench) -> None:
        await fill(bench)
        page = await bench.query(page=10_000_000, size=100)
        assert (page.total, page.items) == (25, [])

    run_bench(check)


def test_query__cursor__reads_everything_and_ends(run_bench: Run) -> None:
    """Following ``next_cursor`` visits each record once, new arrivals or not; the end has none."""

    async def check(bench: RecordBench) -> None:
        expected = await fill(bench)
        seen: list[str] = []
        parameters: dict[str, object] = {"size": 4}
        while True:
            page = await bench.query(**parameters)
            seen += [item["record_id"] for item in page.items]
            if not isinstance(page.next_cursor, str):
                break
            parameters["cursor"] = page.next_cursor
            await bench.upload(bench.record(f"later{len(seen)}", at_s=60.0))
        assert seen == expected

    run_bench(check)


@pytest.mark.parametrize("cursor", ["x", "bnVsbA", "WzEsMiwzXQ", "W10"])
def test_query__cursor_of_another_list__is_refused(run_bench: Run, cursor: str) -> None:
    """What is no cursor of this list is 1001, never a wrong page."""

    async def check(bench: RecordBench) -> None:
        with pytest.raises(InvalidParameter):
            await bench.query(cursor=cursor)

    run_bench(check)


def test_query__time_range__is_half_open_on_the_start(run_bench: Run) -> None:
    """A record that starts at ``end_time`` is out, one at ``start_time`` is in."""

    async def check(bench: RecordBench) -> None:
        await fill(bench)
        now_ms = bench.clock.now_ms()
        page = await bench.query(
            start_time=to_text(now_ms - 120_000), end_time=to_text(now_ms), size=100
        )
        assert page.total == 10
        assert {item["start_time"] for item in page.items} == {
            to_text(now_ms - 60_000),
            to_text(now_ms - 120_000),
        }
        with pytest.raises(InvalidParameter):
            await bench.query(start_time=to_text(now_ms), end_time=to_text(now_ms - 1))

    run_bench(check)


def test_query__filters__narrow_together(run_bench: Run) -> None:
    """Device, connector and site each leave exactly their records."""

    async def check(bench: RecordBench) -> None:
        bench.add_device(2, site_id="site_2")
        await bench.add_site("site_2")
        await bench.upload(bench.record("a"))
        await bench.upload(bench.record("b", connector_id=2))
        await bench.upload(bench.record("c", connector_id=2), device_no=2)

        async def found(**parameters: object) -> set[str]:
            page = await bench.query(**parameters)
            assert page.total == len(page.items)
            return {item["record_id"] for item in page.items}

        assert await found() == {"a", "b", "c"}
        assert await found(device_id="dvc_1") == {"a", "b"}
        assert await found(connector_id=2) == {"b", "c"}
        assert await found(device_id="dvc_1", connector_id=2) == {"b"}
        assert await found(site_id="site_2") == {"c"}
        assert await found(site_id="site_2", device_id="dvc_1") == set()

    run_bench(check)


def test_query__other_operators__see_nothing_of_it(run_bench: Run) -> None:
    """Foreign records are not listed; a foreign device or site answers as an absent one."""

    async def check(bench: RecordBench) -> None:
        await bench.upload(bench.record())
        assert (await bench.query("op_2")).total == 0
        await bench.add_site("site_1")
        failures = []
        for wanted in (
            {"device_id": "dvc_1"},
            {"device_id": "dvc_absent"},
            {"site_id": "site_1"},
            {"site_id": "site_absent"},
        ):
            with pytest.raises(NotFound) as caught:
                await bench.query("op_2", **wanted)
            failures.append((caught.value.message, caught.value.details))
        assert failures == failures[:1] * 4

    run_bench(check)


def test_query__device_that_moved_on__still_yields_its_former_owners_records(
    run_bench: Run,
) -> None:
    """Records stay with the operator they were made for, also when asked for by device."""

    async def check(bench: RecordBench) -> None:
        device = bench.add_device()
        await bench.upload(bench.record())
        bench.directory.move(device, "op_2", "site_2")
        assert (await bench.query(device_id="dvc_1")).total == 1
        assert (await bench.query("op_2", device_id="dvc_1")).total == 0

    run_bench(check)


def test_query__while_uploads_run__never_shows_half_a_batch(run_bench: Run) -> None:
    """A batch is visible whole or not at all."""

    async def check(bench: RecordBench) -> None:
        batches = [[bench.record(f"{n}-{k}") for k in range(50)] for n in range(6)]
        uploads = asyncio.gather(*(bench.upload_batch(batch) for batch in batches))
        totals = []
        while not uploads.done():
            totals.append((await bench.query()).total)
        await uploads
        assert {total % 50 for total in totals} == {0}
        assert (await bench.query()).total == 300

    run_bench(check)
