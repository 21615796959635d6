"""Sessions as telemetry finds them: their span, and their hours once nothing finer is left."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tellus.consent.model import Service
from tellus.energy.model import Basis, MinuteEnergies
from tellus.energy.model_rows import MINUTE, QUARTER, StoredSession
from tellus.energy.model_sessions import SessionView
from tellus.energy.sessions import Started
from tellus.energy.shapes import pack_shape
from tellus.energy.spans import SessionSpans
from tellus.energy.store_folded import put_sessions
from tellus.kernel.clock import ManualClock
from tellus.kernel.errors import NotFound
from tellus.kernel.units import HOUR_MS, MINUTE_MS
from tellus.storage.sqlite import SQLiteDatabase
from tellus.telemetry.model_tiers import HourEnergy, SessionSpan

START_MS = 1_742_030_100_000  # a quarter past an hour
HOUR = START_MS // HOUR_MS * HOUR_MS
QUARTERS: MinuteEnergies = {
    HOUR // (15 * MINUTE_MS) + k: (k * 10**9, 5 * 10**8 if k == 5 else 0) for k in range(1, 7)
}
HOURS = (HourEnergy(HOUR, 6.0, 0.0), HourEnergy(HOUR + HOUR_MS, 15.0, 0.5))


def stored(**changes: object) -> StoredSession:
    """A session of an hour and a half that is known by the quarter-hour."""
    values = {
        "session_no": 0, "session_id": "ses_1", "device_no": 1, "connector_id": 2,
        "device_id": "dvc_1", "operator_id": "op_1", "site_id": "site_1", "start_ms": START_MS,
        "end_ms": START_MS + 90 * MINUTE_MS, "last_ms": START_MS + 90 * MINUTE_MS,
        "record_id": "rec-1", "charge_nkwh": 21 * 10**9, "discharge_nkwh": 5 * 10**8,
        "peak_nkwh": 10**9, "soc_start_pct": None, "soc_end_pct": None, "samples": 1080,
        "basis": "record", "resolution": QUARTER, "folded_to_ms": START_MS + 2 * HOUR_MS,
        "shape": pack_shape(QUARTERS), "carry": None,
    }  # fmt: skip
    return StoredSession(**(values | changes))


class Sessions:
    """Finds the one session that is stored."""

    def __init__(self, database: SQLiteDatabase, row: StoredSession) -> None:
        self.database = database
        self.row = row
        self.settled: list[str] = []

    async def read_settled(self, operator_id: str, work: Any, *args: Any) -> Any:
        self.settled.append(operator_id)
        return await self.database.read(work, *args)

    async def get(self, session_id: str, operator_id: str) -> Started:
        row = self.row
        if (session_id, operator_id) != (row.session_id, row.operator_id):
            raise NotFound
        view = SessionView(
            row.session_id, 1, row.device_no, row.connector_id, row.device_id, row.site_id,
            row.start_ms, row.end_ms, row.last_ms, row.record_id, row.charge_nkwh,
            row.discharge_nkwh, row.peak_nkwh, None, None, row.samples, Basis(row.basis),
            row.resolution,
        )  # fmt: skip
        return Started(view, None)

    def check(self, device_no: int, operator_id: str, service: Service) -> None:
        assert (device_no, operator_id) == (self.row.device_no, self.row.operator_id)
        assert service is Service.DIAGNOSTICS


class Records:
    """Knows the record of the session, which the charger cut a minute shorter."""

    async def find_span(
        self, device_id: str, record_id: str, operator_id: str
    ) -> tuple[int, int, int, int] | None:
        if (device_id, record_id, operator_id) != ("dvc_1", "rec-1", "op_1"):
            return None
        return 1, 2, START_MS, START_MS + 89 * MINUTE_MS


def run(folder: Path, row: StoredSession, test: Callable[[SessionSpans], Awaitable[None]]) -> None:
    """Run a coroutine function over a store with one session."""

    async def whole() -> None:
        async with SQLiteDatabase.open(folder / "tellus.db", clock=ManualClock()) as database:
            await database.write(put_sessions, [row])
            sessions = Sessions(database, row)
            await test(SessionSpans(database, Records(), sessions))  # type: ignore[arg-type]

    asyncio.run(whole())


def test_spans__session_past_the_minutes__has_its_hours(tmp_path: Path) -> None:
    """Quarter-hours add up to clock hours, in and out apart, by session and by record."""

    async def check(spans: SessionSpans) -> None:
        end_ms = START_MS + 90 * MINUTE_MS
        assert await spans.find_session("ses_1", "op_1") == SessionSpan(
            "dvc_1", 2, START_MS, end_ms, "ses_1", "rec-1", HOURS
        )
        assert await spans.find_record("dvc_1", "rec-1", "op_1") == SessionSpan(
            "dvc_1", 2, START_MS, end_ms - MINUTE_MS, "ses_1", "rec-1", HOURS
        )

    run(tmp_path, stored(), check)


@pytest.mark.parametrize("changes", [{"samples": 0}, {"resolution": MINUTE}])
def test_spans__known_finer_or_by_its_record_alone__has_none(
    tmp_path: Path, changes: dict[str, object]
) -> None:
    """What a record was spread over is no measurement; what is known finer is told finer."""

    async def check(spans: SessionSpans) -> None:
        for found in (
            await spans.find_session("ses_1", "op_1"),
            await spans.find_record("dvc_1", "rec-1", "op_1"),
        ):
            assert found is not None
            assert found.hours == ()

    run(tmp_path, stored(**changes), check)


def test_spans__of_others_or_absent__are_none(tmp_path: Path) -> None:
    """Neither a session nor a record of another operator is found."""

    async def check(spans: SessionSpans) -> None:
        assert await spans.find_session("ses_1", "op_2") is None
        assert await spans.find_session("ses_2", "op_1") is None
        assert await spans.find_record("dvc_1", "rec-1", "op_2") is None
        assert await spans.find_record("dvc_1", "rec-2", "op_1") is None

    run(tmp_path, stored(), check)


def test_spans__record_without_a_session__is_found_all_the_same(tmp_path: Path) -> None:
    """A record that is not folded, such as one with a doubtful clock, has its span."""

    async def check(spans: SessionSpans) -> None:
        found = await spans.find_record("dvc_1", "rec-1", "op_1")
        assert found == SessionSpan("dvc_1", 2, START_MS, START_MS + 89 * MINUTE_MS, None, "rec-1")

    run(tmp_path, stored(record_id=None), check)
