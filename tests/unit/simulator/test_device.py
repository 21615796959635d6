from __future__ import annotations

from itertools import pairwise

import pytest

from tellus.simulator.device import ChargerTwin
from tellus.simulator.messages import Kind
from tellus.simulator.metering import Registers
from tellus.simulator.stages import HANDSHAKING, Stage, handshake_after
from tests.unit.simulator.builders import HOUR_MS, START_MS, bodies, build_twin, command


def walk_to(twin: ChargerTwin, stage: Stage, connector: int = 0) -> None:
    """Advance a twin event by event until a connector reaches a stage."""
    while twin.connectors[connector].stage is not stage:
        twin.advance(twin.due_ms)


def test_handshake__ac_and_dc__take_their_own_steps() -> None:
    """DC goes through SLAC, setup, cable check and precharge; AC only closes its contactor."""
    for kind, expected in (
        ("ac", [Stage.CONTACTOR]),
        ("dc", [Stage.SLAC, Stage.SESSION_SETUP, Stage.CABLE_CHECK, Stage.PRECHARGE]),
    ):
        stage, seen = Stage.PLUGGED, []
        while (step := handshake_after(kind, stage)) is not None:
            stage = step[0]
            seen.append(stage)
        assert seen == expected
        assert set(seen) <= HANDSHAKING


@pytest.mark.parametrize("model", ["TP-AC22", "TP-DC60", "TP-DC360-V2G"])
def test_visit__from_plug_in_to_plug_out__reports_every_step_once_and_in_time(model: str) -> None:
    """A visit says plug_in, auth_ok, start, stop and plug_out, within the spans of the figures."""
    twin = build_twin(model, "busy")
    twin.advance(START_MS + HOUR_MS)
    events = [one for one in bodies(twin.take(), Kind.EVENT) if one["connector_id"] == 1]
    kinds = [one["event_type"] for one in events]
    assert kinds[:5] == ["plug_in", "auth_ok", "start", "stop", "plug_out"]
    times = [one["timestamp"] for one in events]
    assert times == sorted(times)
    assert events[0]["data"] == {"vehicle_connected": True}
    assert events[4]["data"] == {"vehicle_connected": False}
    assert events[3]["data"]["meter_end"] >= events[2]["data"]["meter_start"]


def test_telemetry__in_a_session_and_idle__keeps_the_published_cadence() -> None:
    """Every 5 s in a session, three frames 5 s apart after a stop, every 60 s when idle."""
    twin = build_twin("TP-AC22", "sandbox")
    twin.advance(START_MS + 3 * HOUR_MS)
    messages = twin.take()
    frames = [one for one in messages if one.kind is Kind.TELEMETRY]
    shown = bodies(messages, Kind.TELEMETRY)
    gaps = [
        (before["state"], after["state"], (two.time_ms - one.time_ms) / 1000, after)
        for (one, two), (before, after) in zip(pairwise(frames), pairwise(shown), strict=True)
    ]
    assert {gap for one, two, gap, _ in gaps if one == two == "charging"} == {5.0}
    quiet = {
        gap for one, two, gap, after in gaps if one == two == "idle" and "detail_state" not in after
    }
    assert max(quiet) == 60.0
    events = [one for one in messages if one.kind is Kind.EVENT]
    leaving = [
        one.time_ms
        for one, after in pairwise(events)
        if one.ref == "stop" and after.time_ms - one.time_ms > 10_000
    ]
    assert leaving
    for stop_ms in leaving:
        times = [one.time_ms - stop_ms for one in frames if 0 <= one.time_ms - stop_ms <= 10_000]
        assert times == [0, 5_000, 10_000]


def test_record__at_the_end_of_a_session__agrees_with_readings_and_vehicle() -> None:
    """A record carries readings, energy, powers, cost, reason, and what the vehicle told."""
    twin = build_twin("TP-DC180", "busy")
    twin.advance(START_MS + HOUR_MS)
    records = bodies(twin.take(), Kind.RECORD)
    assert len({one["record_id"] for one in records}) == len(records) > 3
    for record in records:
        assert record["energy"] == pytest.approx(record["meter_end"] - record["meter_start"])
        assert record["cost"] == pytest.approx(0.59 * record["energy"], abs=0.006)
        assert record["stop_reason"] in {"user_request", "ev_full"}
        assert record["currency"] == "EUR"
        assert len(record["vehicle_info"]["vin"]) == 17
        assert record["vehicle_info"]["soc_end"] >= record["vehicle_info"]["soc_start"]


def test_cabinet__two_fast_vehicles__share_the_rating() -> None:
    """Two connectors of one cabinet never draw more than its rating together."""
    for seed in range(5):
        twin = build_twin("TP-DC60", "load", seed)
        peak_kw = 0.0
        while twin.time_ms < START_MS + HOUR_MS // 2:
            twin.advance(twin.time_ms + 1000)
            peak_kw = max(peak_kw, sum(one.power.flow.power_kw for one in twin.connectors))
        assert 58.0 < peak_kw <= 60.0 * 1.0001


def test_ramp__at_the_start_of_dc__rises_by_twenty_kilowatt_a_second() -> None:
    """DC power grows by at most 20 kW a second and ends in a fall of at most 100."""
    twin = build_twin("TP-DC360", "load", 3)
    walk_to(twin, Stage.CHARGING)
    before_kw = 0.0
    for _ in range(60):
        twin.advance(twin.time_ms + 1000)
        power_kw = twin.connectors[0].power.flow.power_kw
        assert power_kw - before_kw <= 20.0 + 1e-6
        before_kw = power_kw
    assert before_kw > 40.0


def test_ac_full__constant_voltage__ends_by_itself_with_ev_full() -> None:
    """An AC vehicle tapers above 97 %, draws nothing for a while, then ends with ev_full."""
    twin = build_twin("TP-AC22", "quiet", 5)
    twin.execute(command("start_charging", connector_id=1), 1, START_MS)
    twin.connectors[0].visit = twin.connectors[0].visit._replace(
        soc_pct=96.0, depart_ms=START_MS + 20 * HOUR_MS
    )
    walk_to(twin, Stage.FULL)
    full_ms = twin.time_ms
    walk_to(twin, Stage.FINISHING)
    messages = twin.take()
    assert 10_000 <= twin.time_ms - full_ms <= 60_000
    record = bodies(messages, Kind.RECORD)[0]
    assert record["stop_reason"] == "ev_full"
    assert twin.connectors[0].power.battery.soc_pct > 99.5
    last = [one for one in bodies(messages, Kind.TELEMETRY) if one["state"] == "charging"][-1]
    assert last["power"] == 0.0


def test_contactor__per_energised_session__counts_one_cycle() -> None:
    """Contactor cycles grow by exactly one per session."""
    twin = build_twin("TP-DC180", "busy")
    before = sum(one.contactor.cycles for one in twin.connectors)
    twin.advance(START_MS + HOUR_MS)
    starts = [one for one in bodies(twin.take(), Kind.EVENT) if one["event_type"] == "start"]
    assert sum(one.contactor.cycles for one in twin.connectors) - before == len(starts) > 0


def test_registers__given_to_a_new_twin__carry_on() -> None:
    """A charger that comes back carries its readings on."""
    registers = {1: Registers(1234.5, 0.25), 2: Registers(99.0, 0.0)}
    twin = build_twin("TP-DC180", registers=registers)
    assert twin.registers == registers


def test_idle_charger__for_a_week__costs_only_its_frames() -> None:
    """An idle connector is never stepped: nothing happens between its frames."""
    twin = build_twin("TP-DC180", "quiet")
    turns = 0
    while twin.due_ms < START_MS + 24 * HOUR_MS:
        twin.advance(twin.due_ms)
        turns += 1
    frames = len(twin.take())
    assert frames == turns == 2 * 24 * 60


def test_single_phase_car__three_phase_charger__uses_one_phase() -> None:
    """A single-phase car loads phase a alone."""
    for seed in range(60):
        twin = build_twin("TP-AC22", "load", seed)
        walk_to(twin, Stage.CHARGING)
        twin.advance(twin.time_ms + 5000)
        phases = twin.connectors[0].visit.vehicle.phases
        frame = bodies(twin.take(), Kind.TELEMETRY)[-1]["phase_details"]
        assert sum(one["current"] > 0 for one in frame.values()) == phases


def test_depot__without_local_authorisation__waits_for_a_remote_start() -> None:
    """Where drivers cannot authorise themselves, a plugged vehicle waits for the operator."""
    twin = build_twin("TP-AC22", "depot", 2)
    walk_to(twin, Stage.PLUGGED)
    twin.advance(twin.time_ms + 60_000)
    assert twin.connectors[0].stage is Stage.PLUGGED
    twin.execute(command("start_charging", connector_id=1), 1, twin.time_ms)
    twin.advance(twin.time_ms + 10_000)
    assert twin.connectors[0].stage is Stage.CHARGING
