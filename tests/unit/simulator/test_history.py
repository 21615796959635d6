from __future__ import annotations

import time
from itertools import pairwise

from tellus.simulator.device import ChargerTwin
from tellus.simulator.figures import default_figures
from tellus.simulator.history import Period, device_history, fleet_history
from tellus.simulator.messages import Kind
from tellus.simulator.roster import build_roster
from tests.invariants import check_all
from tests.unit.simulator.builders import HOUR_MS, START_MS, bodies, facts_of

DAY_MS = 24 * HOUR_MS
WEEK = Period(START_MS - 7 * DAY_MS, START_MS)


def test_history__a_week_of_a_fleet__keeps_the_invariants_and_the_period() -> None:
    """A computed past breaks no invariant, and nothing of it lies outside its period."""
    for history in fleet_history(build_roster(8, 3), WEEK, 3):
        sn = history.spec.sn
        violations = check_all(
            {sn: facts_of(history.spec.model)},
            bodies(history.messages, Kind.TELEMETRY, sn),
            bodies(history.messages, Kind.EVENT, sn),
            bodies(history.messages, Kind.RECORD, sn),
        )
        assert violations == []
        assert all(WEEK.from_ms <= one.time_ms < WEEK.to_ms for one in history.messages)


def test_history__computed_twice__is_the_same() -> None:
    """The same arguments give the same history, byte by byte."""
    spec = build_roster(2, 5)[1]
    assert device_history(spec, WEEK, 5) == device_history(spec, WEEK, 5)


def test_history__records__explain_the_meters() -> None:
    """What the meters moved is what the records sold, and sessions do not overlap."""
    spec = build_roster(2, 5)[1]
    history = device_history(spec, WEEK, 5)
    fresh = ChargerTwin(spec, default_figures().scenario("public"), 5, WEEK.from_ms).registers
    for connector_id, last in history.registers.items():
        records = [
            one for one in bodies(history.of(Kind.RECORD), Kind.RECORD)
            if one["connector_id"] == connector_id
        ]  # fmt: skip
        assert len(records) > 10
        sold_kwh = sum(one["energy"] for one in records)
        moved_kwh = last.import_kwh - fresh[connector_id].import_kwh
        assert abs(moved_kwh - sold_kwh) < 1e-4 * len(records)
        for before, after in pairwise(records):
            assert before["end_time"] <= after["start_time"]


def test_history__live_charger_after_it__carries_the_meters_on() -> None:
    """The live charger begins with the readings at which its history ends."""
    spec = build_roster(2, 5)[1]
    history = device_history(spec, WEEK, 5)
    twin = ChargerTwin(history.live_spec(), default_figures().scenario("busy"), 5, START_MS)
    assert twin.registers == history.registers
    twin.advance(START_MS + HOUR_MS)
    first = bodies(twin.take(), Kind.RECORD)[0]
    last = [
        one for one in bodies(history.messages, Kind.RECORD)
        if one["connector_id"] == first["connector_id"]
    ][-1]  # fmt: skip
    assert first["meter_start"] >= last["meter_end"]


def test_history__thirty_days_of_the_sandbox__take_a_few_seconds_of_processor_time() -> None:
    """A month of 41 connectors is computed fast enough to wait for."""
    began_s = time.process_time()
    month = Period(START_MS - 30 * DAY_MS, START_MS)
    records = sum(
        len(history.of(Kind.RECORD)) for history in fleet_history(build_roster(24, 42), month, 42)
    )
    print(f"{records} records in {time.process_time() - began_s:.2f} s of processor time")
    assert records > 2000
