"""Meter values over packed hours and sessions: each once, in order, of several connectors."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

import pytest

from tellus.fleet.model import Reading
from tellus.kernel.call import NOTHING, Audience, Call, Principal
from tellus.kernel.errors import NotFound
from tellus.kernel.units import MINUTE_MS, to_text
from tellus.telemetry.meter_values import MeterValueService
from tellus.telemetry.model_measurands import Measurand
from tellus.telemetry.model_tiers import SessionSpan
from tellus.telemetry.operator_api_meter_values import (
    MeterValueItem,
    MeterValueQuery,
    list_meter_values,
    tabulate_meter_values,
)
from tellus.telemetry.rules_measurands import is_export, to_values
from tests.unit.telemetry.conftest import OPERATOR, TelemetryBench

Run = Callable[[Callable[[TelemetryBench], Awaitable[None]]], None]


class OneSession:
    """Knows one session."""

    def __init__(self, span: SessionSpan | None = None) -> None:
        self.span = span

    async def find_session(self, session_id: str, operator_id: str) -> SessionSpan | None:
        return self.span if (session_id, operator_id) == ("ses_1", OPERATOR) else None

    async def find_record(self, device_id: str, record_id: str, operator_id: str) -> None:
        return None


def ask(bench: TelemetryBench, span: SessionSpan | None = None, **query: Any) -> tuple[Any, Any]:
    """The service and a call of the device's operator."""
    values = MeterValueService(bench.database, bench.service, bench.directory, OneSession(span))
    caller = Principal(Audience.OPERATOR, "cl_1", OPERATOR)
    return values, Call(caller, NOTHING, MeterValueQuery(**query), bench.clock.now_ms())


async def walk(
    bench: TelemetryBench, span: SessionSpan | None = None, **query: Any
) -> list[MeterValueItem]:
    """All values of a query, page by page."""
    found: list[MeterValueItem] = []
    while True:
        page = await list_meter_values(*ask(bench, span, **query))
        found += page.items
        if not isinstance(page.next_cursor, str):
            return found
        query |= {"cursor": page.next_cursor}


async def fill(bench: TelemetryBench) -> list[int]:
    """Three hours of samples a minute apart of two connectors, the older ones packed."""
    bench.add_device(connectors=2)
    now_ms = bench.clock.now_ms()
    times = [now_ms - n * MINUTE_MS for n in range(180)]
    samples = [
        bench.sample((time - now_ms) / 1000, connector_id=number, power_kw=float(n))
        for n, time in enumerate(times)
        for number in (1, 2)
    ]
    await bench.service.ingest_many(samples)
    await bench.service.compact()
    return sorted(times)


@pytest.mark.parametrize("size", [37, 1000])
def test_meter_values__over_packed_hours__are_each_there_once(run_bench: Run, size: int) -> None:
    """Two connectors are merged by time whatever is packed and however pages fall."""

    async def check(bench: TelemetryBench) -> None:
        times = await fill(bench)
        since = to_text(times[0])
        found = await walk(bench, device_id="dvc_1", since=datetime.fromisoformat(since), size=size)
        assert [(one.timestamp, one.connector_id, one.measurand) for one in found] == [
            (to_text(time), number, kind)
            for time in times
            for number in (1, 2)
            for kind in (
                Measurand.VOLTAGE,
                Measurand.CURRENT_IMPORT,
                Measurand.POWER_IMPORT,
                Measurand.ENERGY_IMPORT,
            )
        ]

    run_bench(check)


def test_meter_values__table__has_the_rows_of_the_list(run_bench: Run) -> None:
    """The file holds the same values in the same order, some samples at a time."""

    async def check(bench: TelemetryBench) -> None:
        times = await fill(bench)
        query = {
            "device_id": "dvc_1",
            "since": datetime.fromisoformat(to_text(times[0])),
            "measurand": "Voltage",
        }
        listed = await walk(bench, size=1000, **query)
        table = await tabulate_meter_values(*ask(bench, **query))
        pages = [page async for page in table.pages]
        rows = [row for page in pages for item in page for row in table.to_rows(item)]
        assert [(to_text(row[0]), row[2]) for row in rows] == [
            (one.timestamp, one.connector_id) for one in listed
        ]
        assert len(rows) == 360
        assert max(map(len, pages)) <= 500
        assert all(len(row) == len(table.columns) for row in rows)

    run_bench(check)


def test_meter_values__of_a_session__are_those_of_its_connector_and_time(run_bench: Run) -> None:
    """A session says device, connector and range; since and until narrow it further."""

    async def check(bench: TelemetryBench) -> None:
        times = await fill(bench)
        span = SessionSpan("dvc_1", 2, times[10], times[20], "ses_1")
        found = await walk(bench, span, session_id="ses_1", measurand="Voltage")
        assert [one.timestamp for one in found] == [to_text(time) for time in times[10:21]]
        assert {one.connector_id for one in found} == {2}
        since, until = (datetime.fromisoformat(to_text(times[n])) for n in (15, 18))
        found = await walk(
            bench, span, session_id="ses_1", measurand="Voltage", since=since, until=until
        )
        assert [one.timestamp for one in found] == [to_text(time) for time in times[15:18]]
        running = SessionSpan("dvc_1", 1, times[170], None, "ses_1")
        found = await walk(bench, running, session_id="ses_1", measurand="Voltage")
        assert [one.timestamp for one in found] == [to_text(time) for time in times[170:]]

    run_bench(check)


@pytest.mark.parametrize("more", [{"device_id": "dvc_2"}, {"connector_id": 1}, {"session_id": "x"}])
def test_meter_values__session_that_was_elsewhere__is_not_found(
    run_bench: Run, more: dict[str, Any]
) -> None:
    """Device and connector beside a session have to be those of it."""

    async def check(bench: TelemetryBench) -> None:
        times = await fill(bench)
        span = SessionSpan("dvc_1", 2, times[10], times[20], "ses_1")
        with pytest.raises(NotFound):
            await walk(bench, span, **({"session_id": "ses_1"} | more))

    run_bench(check)


@pytest.mark.parametrize(
    ("power_kw", "state", "exports"),
    [
        (7.0, "charging", False),
        (7.0, "discharging", False),
        (-7.0, "discharging", True),
        (-0.1, "charging", True),
        (0.0, "discharging", True),
        (0.0, "charging", False),
        (0.0, "idle", False),
    ],
)
def test_is_export__power_and_state__power_goes_first(
    power_kw: float, state: str, *, exports: bool
) -> None:
    """The sign of the power decides, without power the state."""
    reading = Reading(state, 400.0, -5.0, power_kw, -2.0, phases=((230.0, -7.0), None, None))
    assert is_export(reading) is exports
    for value in to_values(reading):
        if "Import" in value.measurand or "Export" in value.measurand:
            assert ("Export" in value.measurand) is exports
            assert value.value >= 0 or not exports
