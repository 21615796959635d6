"""Very many records on one connector cost no more than a look at each."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tellus.energy import folding, store_facts
from tellus.kernel.units import DAY_MS, MINUTE_MS
from tests.unit.energy.folder_world import NOON_MS, FolderWorld, run_world

RECORDS = 300


@pytest.mark.parametrize("step_ms", [MINUTE_MS, 0])
def test_settle__record_after_many_that_meet__looks_at_each_a_few_times(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step_ms: int
) -> None:
    """Records that follow one another without a gap, or all overlap, are chained in few steps."""
    asked: Counter[str] = Counter()

    def count(module: Any, name: str) -> None:
        genuine = getattr(module, name)

        def counted(*args: Any) -> Any:
            asked[name] += 1
            return genuine(*args)

        monkeypatch.setattr(module, name, counted)

    async def test(world: FolderWorld) -> None:
        await world.add_device()
        begin_ms = NOON_MS - DAY_MS
        for number in range(RECORDS):
            from_ms = begin_ms + number * step_ms
            await world.record(from_ms, from_ms + MINUTE_MS, 0.1, f"r{number}")
        assert await world.total_kwh() == pytest.approx((RECORDS * 0.1, 0.0))
        count(store_facts, "list_records_of")
        count(folding, "_shared_ms")
        last_ms = begin_ms + RECORDS * step_ms
        await world.record(last_ms, last_ms + MINUTE_MS, 0.1, "last")
        assert await world.total_kwh() == pytest.approx((RECORDS * 0.1 + 0.1, 0.0))

    run_world(tmp_path / "tellus.db", test)
    assert 0 < asked["list_records_of"] < 20
    assert 0 < asked["_shared_ms"] < 4 * RECORDS
