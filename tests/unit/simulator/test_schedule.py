from __future__ import annotations

from datetime import UTC, date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tellus.simulator.agenda import NEVER_MS
from tellus.simulator.device import ChargerTwin
from tellus.simulator.messages import Kind
from tellus.simulator.schedule import BadPlan, Plan, read_plan, wall_ms
from tests.unit.simulator.builders import HOUR_MS, START_MS, bodies, build_twin, command

BERLIN = ZoneInfo("Europe/Berlin")
SLOT = {"start": "22:00", "end": "08:00", "action": "charge"}


def at(text: str) -> int:
    """Return an ISO time as epoch milliseconds."""
    return round(1000 * datetime.fromisoformat(text).timestamp())


def request(*slots: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return a schedule as the API carries it."""
    return {
        "schedule_id": "sch_1", "enabled": True, "type": "daily",
        "time_slots": list(slots) or [SLOT], "timezone": "Europe/Berlin", **more,
    }  # fmt: skip


def plan_of(*slots: dict[str, Any], now: str = "2025-03-13T10:00:00Z", **more: Any) -> Plan:
    """Return the plan of a request that arrives at ``now``."""
    _, plan = read_plan(request(*slots, **more), at(now), "UTC")
    assert plan is not None
    return plan


def span(plan: Plan, now: str) -> tuple[str, str] | None:
    """Return the window at a time, in UTC."""
    window = plan.window_at(at(now))
    if window is None:
        return None
    start, end = (
        datetime.fromtimestamp(edge / 1000, UTC).strftime("%dT%H:%M") for edge in window[:2]
    )
    return start, end


@pytest.mark.parametrize(
    ("wall", "expected"),
    [
        ((2025, 3, 30, 1, 59), "2025-03-30T00:59:00Z"),
        ((2025, 3, 30, 2, 0), "2025-03-30T01:00:00Z"),
        ((2025, 3, 30, 2, 59), "2025-03-30T01:00:00Z"),
        ((2025, 3, 30, 3, 0), "2025-03-30T01:00:00Z"),
        ((2025, 10, 26, 2, 30), "2025-10-26T00:30:00Z"),
        ((2025, 10, 26, 3, 0), "2025-10-26T02:00:00Z"),
    ],
)
def test_wall_clock__when_clocks_change__moves_over_the_gap_and_takes_the_first(
    wall: tuple[int, ...], expected: str
) -> None:
    """A skipped time is the end of the gap; a repeated one its first occurrence."""
    assert wall_ms(date(*wall[:3]), time(*wall[3:]), BERLIN) == at(expected)


def test_slot__over_midnight__belongs_to_the_day_it_starts() -> None:
    """A Friday slot 22:00-08:00 runs into Saturday, and does not run from Thursday."""
    plan = plan_of({**SLOT, "day_of_week": ["fri"]}, type="weekly")
    assert span(plan, "2025-03-14T00:00:00Z") is None
    assert span(plan, "2025-03-14T21:30:00Z") == ("14T21:00", "15T07:00")
    assert span(plan, "2025-03-15T06:59:59Z") == ("14T21:00", "15T07:00")
    assert span(plan, "2025-03-15T07:00:00Z") is None
    assert plan.next_change_ms(at("2025-03-13T10:00:00Z")) == at("2025-03-14T21:00:00Z")


def test_slot__on_the_days_of_the_change__keeps_its_wall_clock_meaning() -> None:
    """The night is an hour shorter or longer; a slot in the skipped hour vanishes, one runs once.

    In the repeated hour the slot runs at the first occurrence only.
    """
    night = plan_of()
    assert span(night, "2025-03-30T00:00:00Z") == ("29T21:00", "30T06:00")
    assert span(night, "2025-10-26T00:00:00Z") == ("25T20:00", "26T07:00")
    small = plan_of({"start": "02:10", "end": "02:50", "action": "charge"})
    assert span(small, "2025-03-30T01:20:00Z") is None
    assert span(small, "2025-03-30T00:20:00Z") is None
    assert span(small, "2025-10-26T00:20:00Z") == ("26T00:10", "26T00:50")
    assert span(small, "2025-10-26T01:20:00Z") is None


def test_once__from_an_effective_time__runs_its_first_window_alone() -> None:
    """A plan of type once runs each slot once: the first that is not over at effective_from."""
    plan = plan_of(type="once", effective_from="2025-03-14T08:00:00Z")
    assert span(plan, "2025-03-13T22:00:00Z") is None
    assert span(plan, "2025-03-14T22:00:00Z") == ("14T21:00", "15T07:00")
    assert span(plan, "2025-03-15T22:00:00Z") is None
    assert plan.next_change_ms(at("2025-03-15T08:00:00Z")) == NEVER_MS
    under_way = plan_of(type="once", effective_from="2025-03-14T00:00:00Z")
    assert span(under_way, "2025-03-14T06:00:00Z") == ("14T00:00", "14T07:00")
    assert span(under_way, "2025-03-14T22:00:00Z") is None


def test_once__slots_of_different_days__each_runs_on_its_first_such_day() -> None:
    """Each slot of a plan for once is on its own first day, whatever the order they came in."""
    plan = plan_of(
        {"start": "10:00", "end": "11:00", "action": "charge", "day_of_week": ["wed", "mon"]},
        {"start": "22:00", "end": "08:00", "action": "charge", "day_of_week": ["fri"]},
        type="once",
    )
    assert span(plan, "2025-03-14T21:30:00Z") == ("14T21:00", "15T07:00")
    assert span(plan, "2025-03-17T09:30:00Z") == ("17T09:00", "17T10:00")
    assert plan.next_change_ms(at("2025-03-17T10:00:00Z")) == NEVER_MS


def test_plan__that_begins_in_a_month__is_not_forgotten_until_then() -> None:
    """However far ahead a plan begins, the charger knows when it has to look at it again."""
    plan = plan_of(effective_from="2025-06-01T00:00:00Z")
    assert plan.next_change_ms(at("2025-03-13T10:00:00Z")) == at("2025-06-01T00:00:00Z")


@pytest.mark.parametrize("kind", ["once", "daily"])
@pytest.mark.parametrize("begin", ["0001-01-01T00:00:00Z", "9999-12-30T00:00:00Z"])
def test_plan__at_the_edge_of_time__does_no_harm(begin: str, kind: str) -> None:
    """Dates that calendars can hardly say are stored, and looked at without a mistake."""
    twin = build_twin("TP-DC180", "quiet")
    order = command("set_schedule", connector_id=1, **request(type=kind, effective_from=begin))
    twin.execute(order, 1, START_MS)
    assert [one["status"] for one in bodies(twin.outbox, Kind.COMMAND_STATUS)] == [
        "accepted", "completed",
    ]  # fmt: skip
    due_ms = plan_of(type=kind, effective_from=begin).next_change_ms(START_MS)
    assert (due_ms < NEVER_MS) == (begin < "2025" and kind == "daily")


def test_effective_span__cuts_the_windows() -> None:
    """Outside effective_from and effective_until nothing runs."""
    plan = plan_of(effective_from="2025-03-14T22:00:00Z", effective_until="2025-03-15T23:00:00Z")
    assert span(plan, "2025-03-14T21:30:00Z") is None
    assert span(plan, "2025-03-14T22:30:00Z") == ("14T22:00", "15T07:00")
    assert span(plan, "2025-03-15T22:30:00Z") == ("15T21:00", "15T23:00")
    assert span(plan, "2025-03-16T22:30:00Z") is None


@pytest.mark.parametrize(
    "more",
    [
        {"timezone": "Mars/Olympus"},
        {"type": "hourly"},
        {"time_slots": []},
        {"time_slots": [{"start": "25:00", "end": "08:00"}]},
        {"time_slots": [{"start": "08:00", "end": "08:00"}]},
        {"time_slots": [{**SLOT, "day_of_week": ["noday"]}]},
        {"time_slots": [{**SLOT, "power_limit": -1}]},
        {"type": "weekly"},
        {"effective_from": "soon"},
        {"schedule_id": 7},
    ],
)
def test_plan__that_cannot_run__is_refused(more: dict[str, Any]) -> None:
    """What cannot be executed is refused with a reason, and so is the command."""
    with pytest.raises(BadPlan):
        read_plan(request(**more), START_MS, "UTC")
    twin = build_twin("TP-DC180", "quiet")
    twin.execute(command("set_schedule", connector_id=1, **request(**more)), 1, START_MS)
    assert [one["status"] for one in bodies(twin.outbox, Kind.COMMAND_STATUS)] == ["rejected"]


def parked(model: str, *slots: dict[str, Any], timezone: str = "UTC", **more: Any) -> ChargerTwin:
    """Return a charger with a vehicle that stays for 20 h, and a stored schedule."""
    twin = build_twin(model, "depot", 3)
    connector = twin.connectors[0]
    visit = connector.visits.visit_at(START_MS + 1000)
    connector.expect(visit._replace(soc_pct=50.0, depart_ms=START_MS + 20 * HOUR_MS))
    twin.advance(START_MS + 5000)
    plan = request(*slots, timezone=timezone, **more)
    twin.execute(command("set_schedule", connector_id=1, **plan), 1, twin.time_ms)
    return twin


def flows(twin: ChargerTwin, hours: float) -> float:
    """Return the power at so many hours after the start, which is 10:00 UTC."""
    twin.advance(START_MS + round(hours * HOUR_MS))
    return twin.connectors[0].power.flow.power_kw


def test_charger__with_a_schedule__charges_alone_within_the_slot_and_its_limit() -> None:
    """Nobody starts it: at the slot's local time it charges, under its limit, and then stops."""
    slot = {"start": "12:00", "end": "12:30", "action": "charge", "power_limit": 7.0}
    twin = parked("TP-DC180", slot, timezone="Europe/Berlin")
    statuses = [one["status"] for one in bodies(twin.outbox, Kind.COMMAND_STATUS)]
    assert statuses == ["accepted", "completed"]
    assert flows(twin, 0.98) == 0.0
    assert flows(twin, 1.1) == pytest.approx(7.0, rel=0.01)
    assert flows(twin, 1.51) == 0.0
    record = bodies(twin.outbox, Kind.RECORD)[0]
    assert record["end_time"].startswith("2025-03-13T11:30:00")
    assert record["stop_reason"] == "time_limit"


def test_charger__idle_slot__pauses_a_charge_that_runs() -> None:
    """An idle slot is a pause: the session goes on after it."""
    charge = {"start": "10:30", "end": "11:00", "action": "charge", "power_limit": 5.0}
    twin = build_twin("TP-DC180", "quiet")
    twin.execute(command("start_charging", connector_id=1), 1, START_MS)
    connector = twin.connectors[0]
    connector.visit = connector.visit._replace(soc_pct=5.0)
    idle = {"start": "10:05", "end": "10:10", "action": "idle"}
    plan = request(idle, charge, timezone="UTC")
    twin.execute(command("set_schedule", "cmd_2", connector_id=1, **plan), 1, START_MS)
    assert flows(twin, 0.08) > 5.0
    assert flows(twin, 0.1) == 0.0
    assert flows(twin, 0.2) > 5.0


def test_charger__discharge_slot__gives_energy_back_and_refuses_without_hardware() -> None:
    """A V2G charger discharges in its slot; another refuses the plan."""
    slot = {"start": "11:00", "end": "11:10", "action": "discharge", "power_limit": 6.0}
    twin = parked("TP-DC180-V2G", slot)
    assert flows(twin, 1.1) == pytest.approx(-6.0, rel=0.01)
    assert flows(twin, 1.2) == 0.0
    assert bodies(twin.outbox, Kind.RECORD)[0]["energy"] < -0.5
    other = parked("TP-DC180", slot)
    assert [one["status"] for one in bodies(other.outbox, Kind.COMMAND_STATUS)] == ["rejected"]


def test_charger__charging_when_a_discharge_slot_begins__turns_round() -> None:
    """A charge is ended first; then the same vehicle discharges."""
    charge = {"start": "10:10", "end": "11:00", "action": "charge", "power_limit": 6.0}
    back = {"start": "11:00", "end": "11:20", "action": "discharge", "power_limit": 6.0}
    twin = parked("TP-DC180-V2G", charge, back)
    assert flows(twin, 0.9) > 5.0
    assert flows(twin, 1.2) == pytest.approx(-6.0, rel=0.01)
    assert flows(twin, 2.0) == 0.0
    assert [one["energy"] > 0 for one in bodies(twin.outbox, Kind.RECORD)] == [True, False]


def test_schedule__after_a_reboot__is_still_there() -> None:
    """A reboot in the slot costs its 90 s; then the plan goes on."""
    twin = parked("TP-DC180", {"start": "11:00", "end": "12:00", "action": "charge"})
    assert flows(twin, 1.1) > 5.0
    twin.execute(command("reboot", "cmd_r"), 1, twin.time_ms)
    assert flows(twin, 1.11) == 0.0
    assert flows(twin, 1.3) > 5.0
    assert flows(twin, 2.01) == 0.0


def test_schedule__disabled__is_removed() -> None:
    """The same schedule id with enabled false removes the plan."""
    twin = parked("TP-DC180", {"start": "11:00", "end": "12:00", "action": "charge"})
    off = request(enabled=False)
    twin.execute(command("set_schedule", "cmd_2", connector_id=1, **off), 1, twin.time_ms)
    details = bodies(twin.outbox, Kind.COMMAND_STATUS)[-1]["details"]
    assert details == {"schedule_id": "sch_1", "stored": False}
    assert flows(twin, 1.5) == 0.0
    assert bodies(twin.outbox, Kind.RECORD) == []


@pytest.mark.parametrize("target_soc", [0, 50])
def test_schedule__vehicle_that_has_its_target_already__is_not_started(target_soc: int) -> None:
    """At or above the target there is nothing to start for."""
    twin = parked("TP-DC180", target_soc=target_soc)
    assert flows(twin, 12.5) == 0.0
    assert bodies(twin.outbox, Kind.RECORD) == []


def test_schedule__charger_offline__runs_and_is_told_of_afterwards() -> None:
    """Without any connection the slot begins and ends on time; its record is kept for later."""
    twin = parked("TP-DC180", {"start": "11:00", "end": "11:30", "action": "charge"})
    twin.power_state.drop_link(twin.time_ms, None)
    twin.take()
    assert flows(twin, 0.9) == 0.0
    assert flows(twin, 1.1) > 5.0
    assert flows(twin, 1.6) == 0.0
    assert twin.power_state.is_dark
    record = bodies(twin.outbox, Kind.RECORD)[0]
    assert record["end_time"].startswith("2025-03-13T11:30:00")


@pytest.mark.parametrize("hours", [1.0028, 1.2])
def test_schedule__disabled_in_its_slot__ends_what_it_began(hours: float) -> None:
    """A plan that holds no longer leaves no session behind, nor one that is about to begin."""
    twin = parked("TP-DC180", {"start": "11:00", "end": "12:00", "action": "charge"})
    flows(twin, hours)
    assert twin.connectors[0].is_busy
    off = request(enabled=False)
    twin.execute(command("set_schedule", "cmd_2", connector_id=1, **off), 1, twin.time_ms)
    assert flows(twin, hours + 0.01) == 0.0
    assert not twin.connectors[0].is_busy
    again = request({"start": "11:00", "end": "12:00", "action": "charge"}, timezone="UTC")
    twin.execute(command("set_schedule", "cmd_3", connector_id=1, **again), 1, twin.time_ms)
    assert flows(twin, hours + 0.1) > 5.0


def test_schedule__disabled_beside_a_session_of_another_order__leaves_it_alone() -> None:
    """A plan takes away only what it began."""
    twin = parked("TP-DC180", {"start": "18:00", "end": "19:00", "action": "charge"})
    twin.execute(command("start_charging", "cmd_s", connector_id=1), 1, twin.time_ms)
    assert flows(twin, 0.1) > 5.0
    off = request(enabled=False)
    twin.execute(command("set_schedule", "cmd_2", connector_id=1, **off), 1, twin.time_ms)
    assert flows(twin, 0.12) > 5.0
