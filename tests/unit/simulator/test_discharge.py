from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tellus.simulator.device import ChargerTwin
from tellus.simulator.messages import Kind
from tellus.simulator.stages import HANDSHAKE, Stage
from tests.invariants import check_all
from tests.unit.simulator.builders import HOUR_MS, START_MS, bodies, build_twin, command, facts_of

MODEL = "TP-DC180-V2G"


def discharged(seed: int = 1, soc_pct: float | None = None, **params: object) -> ChargerTwin:
    """Return a charger that has taken a discharge order; the vehicle comes within seconds."""
    twin = build_twin(MODEL, "quiet", seed)
    order = {"connector_id": 1, "discharge_power": 20.0, **params}
    twin.execute(command("discharge", **order), 1, START_MS)
    if soc_pct is not None:
        connector = twin.connectors[0]
        connector.visit = connector.visit._replace(soc_pct=soc_pct)
    return twin


def statuses(twin: ChargerTwin) -> list[str]:
    """Return the statuses reported, in order."""
    return [one["status"] for one in bodies(twin.outbox, Kind.COMMAND_STATUS)]


def shown(twin: ChargerTwin) -> list[dict]:
    """Return the frames of connector 1."""
    return [one for one in bodies(twin.outbox, Kind.TELEMETRY) if one["connector_id"] == 1]


def test_discharge__on_v2g_hardware__synchronises_then_gives_energy_back() -> None:
    """Unsynced, syncing for 2 to 10 s, synced: then power is negative and the counter falls."""
    twin = discharged(duration=600, min_soc=30)
    twin.advance(START_MS + HOUR_MS)
    assert statuses(twin) == ["accepted", "completed"]
    frames = shown(twin)
    health = [one["component_health"] for one in frames if "component_health" in one]
    inverter = [one["inverter_sync_status"] for one in health]
    assert set(inverter) >= {"unsynced", "synced"}
    flowing = [one for one in frames if one["state"] == "discharging"]
    assert flowing[5]["power"] == pytest.approx(-20.0, abs=0.01)
    assert all(one["power"] <= 0.0 and one["current"] <= 0.0 for one in flowing)
    assert all(b["energy_delivered"] <= a["energy_delivered"] for a, b in pairwise(flowing))
    assert health[-1]["bidirectional_inverter_cycles"] == 1
    record = bodies(twin.outbox, Kind.RECORD)[0]
    assert record["energy"] == pytest.approx(-20.0 / 6.0, rel=0.02)
    assert record["cost"] < 0
    assert record["avg_power"] < 0
    assert record["max_power"] == pytest.approx(-20.0, abs=0.01)
    assert record["stop_reason"] == "time_limit"
    assert twin.connectors[0].power.meter.registers.export_kwh == pytest.approx(
        -record["energy"], abs=1e-4
    )


def test_discharge__handshake__negotiates_and_syncs_within_its_spans() -> None:
    """The inverter needs 2 to 10 s, and is shown as syncing meanwhile."""
    spans = dict(HANDSHAKE["discharge"])
    assert spans[Stage.SYNCING] == (2.0, 10.0)
    twin = discharged()
    while twin.connectors[0].stage is not Stage.SYNCING:
        twin.advance(twin.due_ms)
    began_ms = twin.time_ms
    twin.connectors[0].show(began_ms)
    twin.settle()
    twin.advance(began_ms + 1)
    last = shown(twin)[-1]
    assert (last["state"], last["detail_state"]) == ("idle", "preparing")
    assert last["component_health"]["inverter_sync_status"] == "syncing"
    while twin.connectors[0].stage is Stage.SYNCING:
        twin.advance(twin.due_ms)
    assert 2_000 <= twin.time_ms - began_ms <= 10_000


@pytest.mark.parametrize(("min_soc", "soc_pct"), [(None, 19.9), (None, 20.0), (60, 55.0)])
def test_discharge__vehicle_too_empty__fails_with_the_reason_and_no_power(
    min_soc: int | None, soc_pct: float
) -> None:
    """At or below the larger of min_soc and 20 % the order is accepted, then fails; none flows."""
    params = {} if min_soc is None else {"min_soc": min_soc}
    twin = discharged(soc_pct=soc_pct, **params)
    twin.advance(START_MS + HOUR_MS)
    assert statuses(twin) == ["accepted", "failed"]
    details = bodies(twin.outbox, Kind.COMMAND_STATUS)[-1]["details"]
    assert details["reason"] == "soc_too_low"
    assert details["min_soc"] == (min_soc or 20)
    assert all(one["power"] == 0.0 for one in shown(twin))
    alarm = next(one for one in bodies(twin.outbox, Kind.EVENT) if one["event_type"] == "fault")
    assert alarm["data"]["fault_code"] in {702, "F-0702"}
    assert bodies(twin.outbox, Kind.RECORD) == []


def test_discharge__min_soc_reached__stops_there() -> None:
    """The session ends when the charge that must stay is reached, not a step below it."""
    twin = discharged(soc_pct=52.0, min_soc=50, discharge_power=150.0)
    twin.advance(START_MS + HOUR_MS)
    record = bodies(twin.outbox, Kind.RECORD)[0]
    assert record["stop_reason"] == "target_soc"
    assert record["vehicle_info"]["soc_end"] == 50
    assert twin.connectors[0].power.is_occupied is False


@pytest.mark.parametrize(
    ("model", "params", "word"),
    [
        ("TP-DC180", {"discharge_power": 10.0}, "unsupported_hardware"),
        ("TP-AC22", {"discharge_power": 10.0}, "unsupported_hardware"),
        (MODEL, {}, "discharge_power is missing"),
        (MODEL, {"discharge_power": 0.5}, "below"),
        (MODEL, {"discharge_power": -5}, "positive"),
        (MODEL, {"discharge_power": 5, "min_soc": 101}, "min_soc"),
    ],
)
def test_discharge__that_cannot_be_done__is_rejected(model: str, params: dict, word: str) -> None:
    """Other hardware, and orders outside the limits, are refused in words."""
    twin = build_twin(model, "quiet")
    twin.execute(command("discharge", connector_id=1, **params), 1, START_MS)
    report = bodies(twin.outbox, Kind.COMMAND_STATUS)
    assert [one["status"] for one in report] == ["rejected"]
    assert word in report[0]["message"]


def test_discharge__stopped_remotely__completes_both_commands() -> None:
    """A remote stop ends a discharge like a charge."""
    twin = discharged()
    twin.advance(START_MS + 180_000)
    assert twin.connectors[0].stage is Stage.DISCHARGING
    twin.execute(command("stop_charging", "cmd_2", connector_id=1), 1, START_MS)
    twin.advance(START_MS + 190_000)
    ended = [one["command_id"] for one in bodies(twin.outbox, Kind.COMMAND_STATUS)
             if one["status"] == "completed"]  # fmt: skip
    assert ended == ["cmd_1", "cmd_2"]


def charging_v2g() -> ChargerTwin:
    """Return a bidirectional charger in the middle of a charge that a remote start began."""
    twin = build_twin(MODEL, "quiet")
    twin.execute(command("start_charging", "cmd_s", connector_id=1), 1, START_MS)
    connector = twin.connectors[0]
    connector.visit = connector.visit._replace(soc_pct=60.0)
    twin.advance(START_MS + 180_000)
    assert connector.stage is Stage.CHARGING
    twin.take()
    return twin


def said_of(twin: ChargerTwin, command_id: str) -> list[str]:
    """Return the statuses reported for a command, in order."""
    found = bodies(twin.outbox, Kind.COMMAND_STATUS)
    return [one["status"] for one in found if one["command_id"] == command_id]


def test_discharge__while_charging__ends_the_charge_and_turns_round() -> None:
    """The charge ends with its record; then the vehicle negotiates, synchronises and gives back."""
    twin = charging_v2g()
    order = command("discharge", connector_id=1, discharge_power=20.0, duration=300)
    twin.execute(order, 1, twin.time_ms)
    twin.advance(twin.time_ms + 180_000)
    assert twin.connectors[0].power.flow.power_kw == pytest.approx(-20.0, abs=0.01)
    assert said_of(twin, "cmd_s") == ["completed"]
    twin.advance(twin.time_ms + HOUR_MS)
    assert said_of(twin, "cmd_1") == ["accepted", "completed"]
    assert [one["energy"] > 0 for one in bodies(twin.outbox, Kind.RECORD)] == [True, False]


@pytest.mark.parametrize("way", ["stop_charging", "power_cut", "reboot"])
def test_discharge__that_waits_for_the_charge_to_end__is_given_up_by_what_comes_between(
    way: str,
) -> None:
    """A stop or a restart before the turn fails the discharge; nothing flows out afterwards."""
    twin = charging_v2g()
    twin.execute(command("discharge", connector_id=1, discharge_power=20.0), 1, twin.time_ms)
    assert twin.connectors[0].stage is Stage.STOPPING
    if way == "power_cut":
        twin.power_state.cut_power(twin.time_ms)
        twin.settle()
    elif way == "reboot":
        twin.power_state.go_down(twin.time_ms, 90.0)
        twin.settle()
    else:
        twin.execute(command(way, "cmd_2", connector_id=1), 1, twin.time_ms)
    twin.advance(twin.time_ms + HOUR_MS // 2)
    assert said_of(twin, "cmd_1") == ["accepted", "failed"]
    assert said_of(twin, "cmd_s") == ["completed"]
    assert all(one["power"] >= 0.0 for one in shown(twin))


def test_discharge__a_second_one_before_the_turn__is_rejected() -> None:
    """One order at a time waits for the end of a charge."""
    twin = charging_v2g()
    for number in (1, 2):
        order = command("discharge", f"cmd_{number}", connector_id=1, discharge_power=20.0)
        twin.execute(order, 1, twin.time_ms)
    assert said_of(twin, "cmd_2") == ["rejected"]


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    power_kw=st.floats(1.0, 250.0),
    soc_pct=st.floats(0.0, 100.0),
    min_soc=st.integers(0, 100),
    duration=st.integers(30, 1800),
)
def test_discharge_physics__any_order__is_sound(
    seed: int, power_kw: float, soc_pct: float, min_soc: int, duration: int
) -> None:
    """Any discharge keeps the meters, limits, floor, states and order that invariants ask for."""
    twin = discharged(seed, soc_pct, discharge_power=power_kw, min_soc=min_soc, duration=duration)
    lowest_pct, before = soc_pct, twin.registers[1]
    while twin.time_ms < START_MS + 3 * HOUR_MS // 4:
        twin.advance(min(twin.due_ms, twin.time_ms + 1000))
        flow, occupied = twin.connectors[0].power.flow, twin.connectors[0].power.is_occupied
        assert -1.001 * min(power_kw, 180.0) <= flow.power_kw <= 0.0
        if occupied:
            lowest_pct = min(lowest_pct, twin.connectors[0].power.battery.soc_pct)
    floor_pct = max(20.0, min_soc)
    assert lowest_pct >= min(soc_pct, floor_pct) - 1.0
    after = twin.registers[1]
    assert after.import_kwh == before.import_kwh
    records = bodies(twin.outbox, Kind.RECORD)
    assert after.export_kwh - before.export_kwh == pytest.approx(
        -sum(one["energy"] for one in records), abs=2e-4
    )
    assert bool(records) == (soc_pct > floor_pct)
    found = check_all(
        {"SN-1": facts_of(MODEL)},
        bodies(twin.outbox, Kind.TELEMETRY),
        bodies(twin.outbox, Kind.EVENT),
        records,
    )
    assert found == [], json.dumps(records)
