"""What energy still needs of samples, and sessions that become coarser once all is old."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tellus.energy.model import MinuteEnergies
from tellus.energy.model_rows import MINUTE, QUARTER
from tellus.energy.retention import (
    ShapeTier,
    has_fine_sessions,
    is_unfolded,
    keep_fine,
    keep_unfolded,
)
from tellus.energy.shapes import pack_shape, unpack_shape
from tellus.energy.store_marks import put_marks
from tellus.kernel.clock import ManualClock
from tellus.kernel.units import DAY_MS, HOUR_MS, MINUTE_MS
from tellus.storage.database import Database, Tx
from tellus.storage.instance import note_instance_value
from tellus.telemetry import store, store_minutes
from tellus.telemetry.store_minutes import StoredMinutes
from tests.databases import POSTGRES, SQLITE, Choice, open_database, postgres_server

Run = Callable[[Callable[[Database], Awaitable[None]]], None]

NOW_MS = 1_742_031_000_000
HOUR = NOW_MS // HOUR_MS * HOUR_MS - 100 * DAY_MS
MINUTES: MinuteEnergies = {
    HOUR // MINUTE_MS + k: (1_000 + k, 7 if k == 20 else 0) for k in range(40)
}


@pytest.fixture(params=[SQLITE, POSTGRES])
def run_store(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Run:
    """Run a coroutine function over an empty store; on each database."""
    if request.param == POSTGRES:
        postgres_server()
    monkeypatch.setattr(Choice, "kind", request.param)

    def run(test: Callable[[Database], Awaitable[None]]) -> None:
        async def whole() -> None:
            async with open_database(tmp_path / "tellus.db", ManualClock()) as database:
                await test(database)

        asyncio.run(whole())

    return run


def _put_session(tx: Tx, connector_id: int, end_ms: int | None = HOUR + 40 * MINUTE_MS) -> None:
    names = (
        "session_id, device_no, connector_id, device_id, operator_id, site_id, start_ms, end_ms,"
        " last_ms, record_id, charge_nkwh, discharge_nkwh, peak_nkwh, samples, basis, resolution,"
        " folded_to_ms, shape"
    )
    values = (
        f"ses_{connector_id}", 1, connector_id, "dvc_1", "op_1", "site_1", HOUR, end_ms,
        HOUR + 40 * MINUTE_MS, f"rec_{connector_id}", 40_780, 7, 1_039, 40, "counter", MINUTE,
        HOUR + HOUR_MS, pack_shape(MINUTES),
    )  # fmt: skip
    tx.insert_many(f"INSERT INTO energy_sessions ({names})", [values])


def _put_means(tx: Tx, connector_id: int, received_ms: int) -> None:
    row = StoredMinutes((1, connector_id, HOUR), received_ms, 1, b"x")
    store_minutes.upsert_minutes(tx, [row])


async def _resolutions(database: Database) -> dict[int, str]:
    rows = await database.read(
        lambda tx: tx.rows("SELECT connector_id, resolution FROM energy_sessions")
    )
    return {row[0]: row[1] for row in rows}


def test_samples__not_folded_or_marked__are_kept(run_store: Run) -> None:
    """Before anything is folded all is kept; later what is younger, or to be folded anew."""

    async def check(database: Database) -> None:
        old, open_, other = (1, 1, HOUR), (1, 2, HOUR + HOUR_MS), (2, 1, HOUR)
        hours = [old, open_, other]
        assert await database.read(keep_unfolded, hours) == set(hours)
        folded_to = str(HOUR + HOUR_MS + 1)
        await database.write(note_instance_value, "energy_folded_to_ms", folded_to)
        assert await database.read(keep_unfolded, hours) == {open_}
        await database.write(put_marks, [(2, 1, NOW_MS, NOW_MS)], NOW_MS)
        assert await database.read(keep_unfolded, hours) == {open_, other}
        assert await database.read(is_unfolded, 2, HOUR)
        assert not await database.read(is_unfolded, 1, HOUR)
        assert await database.read(is_unfolded, 1, NOW_MS)

    run_store(check)


def test_means__of_a_session_known_by_the_minute__are_kept(run_store: Run) -> None:
    """The hours that such a session meets are needed, the hour after it and others are not."""

    async def check(database: Database) -> None:
        await database.write(_put_session, 1)
        met, after, other = (1, 1, HOUR), (1, 1, HOUR + HOUR_MS), (1, 2, HOUR)
        assert await database.read(keep_fine, [met, after, other]) == {met}
        assert await database.read(has_fine_sessions, HOUR, HOUR + DAY_MS)
        assert not await database.read(has_fine_sessions, HOUR + HOUR_MS, HOUR + DAY_MS)

    run_store(check)


def test_sessions__once_all_of_them_is_old__are_known_by_the_quarter_hour(run_store: Run) -> None:
    """Coarser shapes sum to the same; what has young means, raw samples or no end stays fine."""

    async def check(database: Database) -> None:
        def fill(tx: Tx) -> None:
            for connector_id in (1, 2, 3, 4):
                _put_session(tx, connector_id)
            _put_session(tx, 5, None)
            _put_means(tx, 1, HOUR)
            _put_means(tx, 2, NOW_MS)
            store.upsert_pack(tx, 1, 3, HOUR, 1, b"x")
            _put_record(tx, 4, NOW_MS)

        await database.write(fill)
        tier = ShapeTier(database, 90)
        step = await tier.step(NOW_MS, 100)
        assert (step.rows, step.more) == (1, False)
        assert await _resolutions(database) == {
            1: QUARTER, 2: MINUTE, 3: MINUTE, 4: MINUTE, 5: MINUTE,
        }  # fmt: skip
        ((shape,),) = await database.read(
            lambda tx: tx.rows("SELECT shape FROM energy_sessions WHERE connector_id = 1")
        )
        first = HOUR // (15 * MINUTE_MS)
        quarters = unpack_shape(bytes(shape))
        assert sorted(quarters) == [first, first + 1, first + 2]
        assert quarters[first] == (sum(1_000 + k for k in range(15)), 0)
        assert quarters[first + 1] == (sum(1_000 + k for k in range(15, 30)), 7)

    run_store(check)


def _put_record(tx: Tx, connector_id: int, received_ms: int) -> None:
    tx.insert_many(
        "INSERT INTO charging_records (device_no, record_id, operator_id, site_id, device_id,"
        " connector_id, start_ms, end_ms, energy_kwh, max_power_kw, flags, fingerprint,"
        " received_ms)",
        [(1, f"rec_{connector_id}", "op_1", "site_1", "dvc_1", connector_id, HOUR,
          HOUR + HOUR_MS, 1.0, 1.0, "", b"x", received_ms)],
    )  # fmt: skip


def test_sessions__more_than_fit_a_step__are_all_looked_at(run_store: Run) -> None:
    """Steps go on where the last one ended, also past sessions that must stay as they are."""

    async def check(database: Database) -> None:
        def fill(tx: Tx) -> None:
            for connector_id in range(1, 8):
                _put_session(tx, connector_id)
                _put_means(tx, connector_id, NOW_MS if connector_id < 4 else HOUR)

        await database.write(fill)
        tier = ShapeTier(database, 90)
        steps = [await tier.step(NOW_MS, 2) for _ in range(4)]
        assert sum(step.rows for step in steps) == 4
        assert [step.more for step in steps] == [True, True, True, False]

    run_store(check)
