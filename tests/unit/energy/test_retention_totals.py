"""Totals outlive what they were made of: retention, restart and recompute change no byte."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tellus.audit.model import PLATFORM
from tellus.energy import gone, operator_api, store_sums
from tellus.energy.model_rows import MINUTE, QUARTER
from tellus.energy.queries import EnergyQueries
from tellus.energy.retention import ShapeTier, has_fine_sessions, keep_fine, keep_unfolded
from tellus.energy.shapes import unpack_shape
from tellus.fleet.catalogue import Catalogue
from tellus.fleet.directory import Directory
from tellus.fleet.model import EventType
from tellus.kernel.call import NOTHING, Audience, Call, Principal
from tellus.kernel.clock import ManualClock
from tellus.kernel.decoding import convert_query
from tellus.kernel.units import DAY_MS, HOUR_MS, MINUTE_MS
from tellus.telemetry.retention import Retention
from tellus.telemetry.retention_minutes import MinutesTier
from tellus.telemetry.retention_raw import RawTier
from tests.databases import POSTGRES, SQLITE, Choice, postgres_server
from tests.unit.energy.folder_world import NOON_MS, OPERATOR, SITE, FolderWorld

Run = Callable[[Callable[[FolderWorld], Awaitable[None]]], None]

DAY_BEFORE_MS = NOON_MS - NOON_MS % DAY_MS - DAY_MS
"""2025-03-14T00:00:00Z"""

FIRST_MS = DAY_BEFORE_MS + 9 * HOUR_MS + 7 * MINUTE_MS
SECOND_MS = DAY_BEFORE_MS + 14 * HOUR_MS + 20 * MINUTE_MS
THIRD_MS = DAY_BEFORE_MS + 18 * HOUR_MS + 50 * MINUTE_MS


class AgingClock(ManualClock):
    """Moved by months, while the writer judges its own pace by the machine's clock."""

    def monotonic_s(self) -> float:
        """Return the machine's own."""
        return time.monotonic()


@pytest.fixture(params=[SQLITE, POSTGRES])
def run(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a coroutine function over a world; on each database."""
    if request.param == POSTGRES:
        postgres_server()
    monkeypatch.setattr(Choice, "kind", request.param)
    return partial(_run_aging, tmp_path / "tellus.db")


@pytest.fixture
def run_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a coroutine function over a world on SQLite."""
    monkeypatch.setattr(Choice, "kind", SQLITE)
    return partial(_run_aging, tmp_path / "tellus.db")


def _run_aging(path: Path, test: Callable[[FolderWorld], Awaitable[None]]) -> None:
    async def whole() -> None:
        world = FolderWorld(path, AgingClock(NOON_MS))
        await world.start()
        try:
            await test(world)
        finally:
            await world.database.stop()

    asyncio.run(whole())


async def _live(world: FolderWorld) -> None:
    """A day of two connectors: a session with its record, one without, and one that discharges."""
    await world.add_device(1, connectors=2)
    await world.report(EventType.START, FIRST_MS + 1_000)
    first_end_ms = FIRST_MS + 97 * MINUTE_MS
    await world.send(*world.charge(FIRST_MS, first_end_ms, 7.3, 20_000))
    await world.record(FIRST_MS, first_end_ms, 11.9, "r-first")
    await world.send(*world.charge(SECOND_MS, SECOND_MS + 45 * MINUTE_MS, 11.0, 20_000))
    fed = [
        world.sample(THIRD_MS + k * 20_000, k * 4 / 180, -4.0, "discharging", connector_id=2)
        for k in range(1, 180)
    ]
    idle = [
        world.sample(at_ms, 0.0, 0.0, "idle", connector_id=2)
        for at_ms in (THIRD_MS, THIRD_MS + HOUR_MS)
    ]
    await world.send(*fed, *idle)
    await world.fold()


async def _age(world: FolderWorld, days: int) -> dict[str, int]:
    """Let days pass and a round be made; return the rows that it dropped, by tier."""
    world.clock.advance(days * 86_400)
    await world.telemetry.compact()
    await world.fold()
    database = world.database
    tiers = (
        RawTier(database, world.telemetry.packing, 30, keep_unfolded),
        ShapeTier(database, 90),
        MinutesTier(database, 90, keep_fine, has_fine_sessions),
    )
    retention = Retention(database, world.clock, tiers)
    world.clock.advance(HOUR_MS / 1_000)
    await retention.turn()
    done = await retention.find_round()
    assert done is not None
    return {name: rows for name, rows in done.dropped.items() if rows}


async def _answers(world: FolderWorld) -> list[bytes]:
    """What the API answers to queries by hours, days and months, whole and grouped."""
    queries = EnergyQueries(
        world.energy, Catalogue({}), world.telemetry.index.explorer, Directory()
    )
    principal = Principal(Audience.OPERATOR, "cl_1", OPERATOR)
    given = [
        ("hour", "2025-03-14T00:00:00Z", "2025-03-15T00:00:00Z", {}),
        ("hour", "2025-03-14T09:00:00Z", "2025-03-14T20:00:00Z", {"group_by": "site"}),
        ("hour", "2025-03-13T18:30:00Z", "2025-03-14T18:30:00Z", {"timezone": "Asia/Kolkata"}),
        ("day", "2025-03-13T00:00:00Z", "2025-03-16T00:00:00Z", {}),
        ("month", "2025-03-01T00:00:00Z", "2025-04-01T00:00:00Z", {"group_by": "operator"}),
        ("day", "2025-03-14T00:00:00Z", "2025-03-15T00:00:00Z", {"site_ids": SITE}),
    ]
    answers = []
    for granularity, start_time, end_time, more in given:
        asked = {"granularity": granularity, "start_time": start_time, "end_time": end_time} | more
        query = convert_query(asked, operator_api.EnergyQuery)
        call: Call[Any, Any] = Call(principal, NOTHING, query, NOON_MS + DAY_MS * 400)
        answers.append(bytes(await operator_api.get_aggregated_energy(queries, call)))
    return answers


async def _recompute(world: FolderWorld) -> None:
    await world.energy.recompute(PLATFORM)
    await world.fold()
    await world.settled()


async def _hours(world: FolderWorld) -> dict[int, tuple[int, int]]:
    """Energy in and out of the site by hour of the day, nano-kWh."""
    found, _, _ = await world.database.read(store_sums.read_all)
    return {
        (hour.hour_ms - DAY_BEFORE_MS) // HOUR_MS: (
            sum(hour.charge_nkwh), sum(hour.discharge_nkwh),
        )
        for hour in found.values()
        if hour.scope_id == SITE
    }  # fmt: skip


def test_totals__after_each_tier_a_restart_and_a_recompute__are_the_same_bytes(run: Run) -> None:
    """Samples go, then their means and minutes; the answers by whole hours stay as they were."""

    async def check(world: FolderWorld) -> None:
        await _live(world)
        answers = await _answers(world)
        assert b'"charge_energy":20.15' in answers[0]
        rows = await world.rows()
        assert len(rows) == 3

        dropped = await _age(world, 31)
        assert dropped["raw_samples"] >= 6
        assert await _answers(world) == answers
        await _recompute(world)
        assert await _answers(world) == answers
        assert await world.rows() == rows

        dropped = await _age(world, 60)
        assert dropped["session_minutes"] == 3
        assert dropped["minute_means"] >= 6
        assert {row.resolution for row in await world.rows()} == {QUARTER}
        assert await _answers(world) == answers
        await world.restart()
        assert await _answers(world) == answers
        await _recompute(world)
        assert await _answers(world) == answers
        assert {row.resolution for row in await world.rows()} == {QUARTER}

    run(check)


def test_totals__never_folded__keep_their_samples(run_own: Run) -> None:
    """What waits to be folded is not dropped, however old; once it was, it is."""

    async def check(world: FolderWorld) -> None:
        await _live(world)
        old = world.charge(SECOND_MS + HOUR_MS, SECOND_MS + 2 * HOUR_MS, 5.0, 60_000)
        await world.send(*old)
        await world.telemetry.compact()
        world.clock.advance(32 * 86_400)
        tier = RawTier(world.database, world.telemetry.packing, 30, keep_unfolded)
        kept = await tier.step(world.clock.now_ms(), 100)
        await world.fold()
        tier.begin()
        step = await tier.step(world.clock.now_ms(), 100)
        assert kept.rows < step.rows + kept.rows
        assert step.rows > 0
        hours = await _hours(world)
        assert hours[15][0] + hours[16][0] > 5_000_000_000

    run_own(check)


@pytest.mark.parametrize(
    ("days", "resolution"), [((31,), MINUTE), ((31, 60), QUARTER)], ids=["means", "quarters"]
)
def test_record__after_the_samples_are_gone__scales_the_stored_shape(
    run: Run, days: tuple[int, ...], resolution: str
) -> None:
    """The session sums to the late record exactly, in proportion to its shape; others stay."""

    async def check(world: FolderWorld) -> None:
        await _live(world)
        for some in days:
            await _age(world, some)
        before = await _hours(world)
        first, second, third = await world.rows()
        end_ms = SECOND_MS + 45 * MINUTE_MS
        await world.record(SECOND_MS, end_ms, 16.5, "r-late")
        await world.fold()
        after = await _hours(world)
        assert after[14][0] + after[15][0] == 16_500_000_000
        ratio = 16.5e9 / (before[14][0] + before[15][0])
        for hour in (14, 15):
            assert after[hour][0] == pytest.approx(before[hour][0] * ratio, rel=1e-6)
        untouched = {hour: energy for hour, energy in before.items() if hour not in (14, 15)}
        assert {hour: after[hour] for hour in untouched} == untouched
        rows = await world.rows()
        assert [rows[0], rows[2]] == [first, third]
        assert (rows[1].session_id, rows[1].record_id) == (second.session_id, "r-late")
        assert (rows[1].resolution, rows[1].basis) == (resolution, "record")
        assert sum(energy for energy, _ in unpack_shape(rows[1].shape).values()) == 16_500_000_000
        answers = await _answers(world)
        await _recompute(world)
        assert await _answers(world) == answers

    run(check)


def test_samples__late_for_an_hour_that_is_gone__change_no_total(run_own: Run) -> None:
    """What was billed stays: such samples are kept and averaged, and counted nowhere."""

    async def check(world: FolderWorld) -> None:
        await _live(world)
        await _age(world, 31)
        answers = await _answers(world)
        await world.send(world.sample(SECOND_MS + 10 * MINUTE_MS + 1, 40.0, 11.0))
        await world.fold()
        assert await _answers(world) == answers

    run_own(check)


def test_totals__folded_again_although_samples_are_gone__would_be_seen_to_change(
    run_own: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: a folder that does not know that samples are gone loses energy."""
    monkeypatch.setattr(gone, "_is_whole", lambda _source, _window, _before: True)
    monkeypatch.setattr(gone, "_shorten", lambda _source, span: span)

    async def check(world: FolderWorld) -> None:
        await _live(world)
        answers = await _answers(world)
        await _age(world, 31)
        await _recompute(world)
        assert await _answers(world) != answers

    run_own(check)
