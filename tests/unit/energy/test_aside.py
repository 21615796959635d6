"""One connector whose facts cannot be folded holds up nobody: not the folder, and no query."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tellus.energy import live, refolding, store_marks, tail, writing
from tellus.kernel.units import HOUR_MS, MINUTE_MS, SECOND_MS
from tellus.storage.database import Tx
from tests.unit.energy.folder_world import NOON_MS, SITE, FolderWorld, run_world

BAD = 2


def _unless_bad(work: Callable[..., Any], find: Callable[..., int]) -> Callable[..., Any]:
    """Return ``work``, which fails for the bad device."""

    def broken(*args: Any) -> Any:
        if find(*args) == BAD:
            raise ValueError("seeded")
        return work(*args)

    return broken


def _break_folds(patch: pytest.MonkeyPatch) -> None:
    for module in (refolding, tail):
        broken = _unless_bad(module.refold, lambda source, *_: source.connector[0])
        patch.setattr(module, "refold", broken)
    for module in (live, tail):
        broken = _unless_bad(module.advance, lambda connector, *_: connector[0])
        patch.setattr(module, "advance", broken)


def _break_writes(patch: pytest.MonkeyPatch) -> None:
    genuine = writing._store

    def store(tx: Tx, changes: Any) -> None:
        if any(change.connector[0] == BAD and change.after for change in changes):
            raise ValueError("seeded")
        genuine(tx, changes)

    patch.setattr(writing, "_store", store)


async def _send_late(world: FolderWorld) -> None:
    for device_no in (1, BAD):
        late = world.charge(NOON_MS - 2 * HOUR_MS, NOON_MS - HOUR_MS, device_no=device_no)
        await world.send(*late)


@pytest.mark.parametrize("broken", [_break_folds, _break_writes])
def test_settle__connector_that_cannot_be_folded__is_left_out_until_it_can(
    tmp_path: Path, broken: Callable[[pytest.MonkeyPatch], None]
) -> None:
    """Queries answer for all others; the connector keeps its mark, and counts once it is mended."""

    async def test(world: FolderWorld) -> None:
        await world.add_device(1)
        await world.add_device(BAD)
        with pytest.MonkeyPatch.context() as patch:
            broken(patch)
            await _send_late(world)
            assert await world.total_kwh() == pytest.approx((6.0, 0.0))
            await world.fold()
            assert await world.total_kwh() == pytest.approx((6.0, 0.0))
            assert await world.database.read(store_marks.list_marked) == {(BAD, 1)}
            assert world.energy.folds_failed == 1, "it is not tried again and again"
        world.clock.advance(11 * 60)
        await world.fold()
        assert await world.total_kwh() == pytest.approx((12.0, 0.0))

    run_world(tmp_path / "tellus.db", test)


@pytest.mark.parametrize("broken", [_break_folds, _break_writes])
def test_round__connector_that_cannot_be_folded__holds_up_no_other(
    tmp_path: Path, broken: Callable[[pytest.MonkeyPatch], None]
) -> None:
    """Sessions under way on other connectors go on, and what the bad one said is not lost."""

    async def test(world: FolderWorld) -> None:
        await world.add_device(1)
        await world.add_device(BAD)

        async def charge(until: int) -> None:
            now_ms = world.clock.now_ms()
            energy_kwh = (now_ms - NOON_MS) / MINUTE_MS * 0.1
            for device_no in (1, BAD):
                await world.send(world.sample(now_ms, energy_kwh, device_no=device_no))
            await world.fold(after_s=until)

        await charge(60)
        await charge(60)
        with pytest.MonkeyPatch.context() as patch:
            broken(patch)
            await charge(60)
            await charge(60)
            assert world.energy.folder.folded_to_ms == world.clock.now_ms() - 51 * SECOND_MS
        world.clock.advance(11 * 60)
        await world.fold()
        both, _ = await world.total_kwh()
        assert both == pytest.approx(2 * 3 * 66 / 60 * 0.1)

    run_world(tmp_path / "tellus.db", test)


def test_round__row_of_the_log_that_cannot_be_read__holds_up_no_other(tmp_path: Path) -> None:
    """A sample whose stored content is broken costs its connector alone."""

    async def test(world: FolderWorld) -> None:
        await world.add_device(1)
        await world.add_device(BAD)
        for device_no in (1, BAD):
            await world.send(
                world.sample(NOON_MS, 0.0, 0.0, "idle", device_no=device_no),
                world.sample(NOON_MS + MINUTE_MS, 0.1, device_no=device_no),
            )
        await world.database.write(_spoil)
        assert await world.total_kwh() == pytest.approx((0.1, 0.0))
        await world.fold(after_s=180)
        assert await world.total_kwh(SITE) == pytest.approx((0.1, 0.0))
        assert world.energy.folder.folded_to_ms is not None
        assert world.energy.folder.folded_to_ms > NOON_MS + MINUTE_MS
        assert await world.database.read(store_marks.list_marked) == {(BAD, 1)}

    run_world(tmp_path / "tellus.db", test)


def _spoil(tx: Tx) -> None:
    tx.execute("UPDATE samples SET content = $1 WHERE device_no = $2", b"\xc1", BAD)


def test_read_settled__round_between_settling_and_reading__misses_nothing(tmp_path: Path) -> None:
    """A round that marks a session's beginning and moves on just then hides none of it."""

    async def test(world: FolderWorld) -> None:
        await world.add_device()
        await world.fold()
        now_ms = world.clock.now_ms()
        await world.send(
            world.sample(now_ms, 0.0, 0.0, "idle"), world.sample(now_ms + 10 * SECOND_MS, 0.1)
        )
        world.clock.advance(60)
        folder = world.energy.folder
        settle = folder.settle

        async def settle_then_round(operator_id: str) -> int:
            settled_to_ms = await settle(operator_id)
            await folder.round()
            return settled_to_ms

        folder.settle = settle_then_round  # type: ignore[method-assign]
        assert await world.total_kwh() == pytest.approx((0.1, 0.0))

    run_world(tmp_path / "tellus.db", test)
