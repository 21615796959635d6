"""The checker of limits, floors and plans: sound data pass, each corruption is caught."""

from __future__ import annotations

import copy
from collections.abc import Callable
from datetime import datetime
from functools import cache
from typing import Any

import pytest

from tellus.simulator.device import ChargerSpec, ChargerTwin
from tellus.simulator.figures import default_figures
from tellus.simulator.messages import Kind
from tests.invariants import (
    Cap,
    Controls,
    Order,
    PlanFacts,
    SlotFacts,
    check_all,
    count_by_invariant,
)
from tests.unit.simulator.builders import HOUR_MS, START_MS, bodies, build_twin, command, facts_of

Data = dict[str, Any]
MODEL = "TP-DC180-V2G"
SLOTS = (
    SlotFacts("12:00", "12:20", "charge", 9.0),
    SlotFacts("12:40", "13:00", "discharge", 6.0),
    SlotFacts("13:00", "13:10", "idle"),
)
CONTROLS = Controls(
    caps={"SN-1/2": [Cap(START_MS / 1000 + 300, START_MS / 1000 + 900, 7.0)]},
    plans={"SN-1/1": PlanFacts("Europe/Berlin", SLOTS)},
)


def park(twin: ChargerTwin, index: int, soc_pct: float = 50.0) -> None:
    """Let a vehicle come that stays for 20 h."""
    connector = twin.connectors[index]
    visit = connector.visits.visit_at(twin.time_ms + 1000)
    connector.expect(visit._replace(soc_pct=soc_pct, depart_ms=twin.time_ms + 20 * HOUR_MS))


def schedule(twin: ChargerTwin, slots: tuple[SlotFacts, ...], zone: str) -> None:
    """Store a daily plan on connector 1."""
    items = [
        {"start": one.start, "end": one.end, "action": one.action}
        | ({} if one.limit_kw is None else {"power_limit": one.limit_kw})
        for one in slots
    ]
    plan = {"schedule_id": "s", "enabled": True, "type": "daily", "time_slots": items}
    order = command("set_schedule", "cmd_p", connector_id=1, timezone=zone, **plan)
    twin.execute(order, 1, twin.time_ms)


@cache
def recorded() -> tuple[Data, str]:
    """Return three hours of a depot charger: a plan on 1; a limit, then a discharge, on 2."""
    twin = build_twin(MODEL, "depot", 3)
    park(twin, 0)
    park(twin, 1)
    schedule(twin, SLOTS, "Europe/Berlin")
    twin.advance(START_MS + 5_000)
    twin.execute(command("start_charging", "cmd_s", connector_id=2), 1, twin.time_ms)
    twin.advance(START_MS + 300_000)
    until = "2025-03-13T10:15:00Z"
    limits = [{"control_id": "c", "power_limit_kw": 7.0, "until": until}]
    twin.execute(
        command("set_power_limit", "cmd_l", connector_id=2, limits=limits), 1, twin.time_ms
    )
    twin.advance(START_MS + 20 * 60_000)
    twin.execute(command("stop_charging", "cmd_e", connector_id=2), 1, twin.time_ms)
    twin.advance(twin.time_ms + 60_000)
    give = {"connector_id": 2, "discharge_power": 150.0, "min_soc": 45}
    twin.execute(command("discharge", "cmd_d", **give), 1, twin.time_ms)
    twin.advance(START_MS + 3 * HOUR_MS)
    twin.shut_down()
    messages = twin.take()
    records = bodies(messages, Kind.RECORD)
    given = next(one for one in records if one["connector_id"] == 2 and one["energy"] < 0)
    data = {
        "telemetry": bodies(messages, Kind.TELEMETRY),
        "events": bodies(messages, Kind.EVENT),
        "records": records,
    }
    return data, given["record_id"]


def violations(data: Data, controls: Controls = CONTROLS) -> dict[int, int]:
    """Return how often each invariant is broken."""
    orders = {recorded()[1]: Order(min_soc=45)}
    return count_by_invariant(
        check_all({"SN-1": facts_of(MODEL)}, **data, orders=orders, controls=controls)
    )


def sample_at(data: Data, connector_id: int, clock: str) -> Data:
    """Return the first sample of a connector from a time of that day on, in UTC."""
    wanted = f"2025-03-13T{clock}"
    return next(
        one for one in data["telemetry"]
        if one["connector_id"] == connector_id and one["timestamp"] >= wanted
    )  # fmt: skip


def _over_the_cap(data: Data) -> None:
    sample_at(data, 2, "10:10:00")["power"] = 7.5


def _slow_to_obey(data: Data) -> None:
    sample_at(data, 2, "10:05:11")["power"] = 20.0


def _below_the_floor(data: Data) -> None:
    record = next(one for one in data["records"] if one["record_id"] == recorded()[1])
    record["vehicle_info"]["soc_end"] = 43


def _below_twenty(data: Data) -> None:
    record = next(one for one in data["records"] if one["connector_id"] == 1 and one["energy"] < 0)
    record["vehicle_info"]["soc_end"] = 18


def _outside_the_slot(data: Data) -> None:
    sample_at(data, 1, "10:30:00")["power"] = 5.0


def _wrong_way(data: Data) -> None:
    sample_at(data, 1, "11:45:00")["power"] = 5.0


def _in_the_idle_slot(data: Data) -> None:
    sample_at(data, 1, "12:05:00")["power"] = 5.0


def _over_the_slots_limit(data: Data) -> None:
    sample_at(data, 1, "11:10:00")["power"] = 9.9


def _never_ran(data: Data) -> None:
    for sample in data["telemetry"]:
        if sample["connector_id"] == 1:
            sample["power"] = 0.0


def _counter_rises_backwards(data: Data) -> None:
    sample_at(data, 1, "11:45:00")["energy_delivered"] = 0.5


MUTANTS: list[tuple[int, Callable[[Data], None]]] = [
    (3, _counter_rises_backwards),
    (6, _over_the_cap),
    (6, _slow_to_obey),
    (11, _below_the_floor),
    (11, _below_twenty),
    (12, _outside_the_slot),
    (12, _wrong_way),
    (12, _in_the_idle_slot),
    (12, _over_the_slots_limit),
    (12, _never_ran),
]


def test_checker__sound_data_under_control__finds_nothing() -> None:
    """What the twin reports under a plan, a limit and a discharge breaks no invariant."""
    data = copy.deepcopy(recorded()[0])
    assert violations(data) == {}
    assert {one["energy"] > 0 for one in data["records"]} == {True, False}


@pytest.mark.parametrize(("number", "mutate"), MUTANTS, ids=[m.__name__ for _, m in MUTANTS])
def test_checker__one_corruption_of_control__is_caught(
    number: int, mutate: Callable[[Data], None]
) -> None:
    """Each way of disobeying breaks the invariant it was made for."""
    data = copy.deepcopy(recorded()[0])
    mutate(data)
    assert number in violations(data)


def test_checker__zone_taken_for_another__is_caught() -> None:
    """A charger that ran its plan by UTC, or by a zone an hour away, is found out."""
    data = copy.deepcopy(recorded()[0])
    for zone in ("UTC", "Europe/Moscow"):
        other = Controls(plans={"SN-1/1": PlanFacts(zone, SLOTS)})
        assert 12 in violations(data, other)


@pytest.mark.parametrize(
    ("begin", "slots"),
    [
        ("2025-03-29T20:00:00Z", (SlotFacts("22:00", "08:00", "charge", 4.0),)),
        ("2025-10-25T19:00:00Z", (SlotFacts("22:00", "08:00", "charge", 4.0),)),
        ("2025-10-25T22:00:00Z", (SlotFacts("02:10", "02:50", "charge", 4.0),)),
        (
            "2025-03-29T23:00:00Z",
            (SlotFacts("01:00", "01:30", "charge", 4.0), SlotFacts("02:10", "02:50", "charge")),
        ),
    ],
)
def test_charger__in_the_nights_of_the_change__runs_by_the_clock_on_the_wall(
    begin: str, slots: tuple[SlotFacts, ...]
) -> None:
    """Offline, with no help, a slot keeps its wall-clock meaning when the clocks change."""
    begin_ms = round(1000 * datetime.fromisoformat(begin).timestamp())
    depot = default_figures().scenario("depot")
    twin = ChargerTwin(ChargerSpec(sn="SN-1", model=MODEL), depot, 3, begin_ms)
    park(twin, 0, 10.0)
    schedule(twin, slots, "Europe/Berlin")
    twin.advance(twin.time_ms + 14 * HOUR_MS)
    telemetry = [one for one in bodies(twin.take(), Kind.TELEMETRY) if one["connector_id"] == 1]
    controls = Controls(plans={"SN-1/1": PlanFacts("Europe/Berlin", slots)})
    found = check_all({"SN-1": facts_of(MODEL)}, telemetry, [], [], controls=controls)
    assert [one for one in found if one.invariant == 12] == []
    assert any(one["power"] > 3.0 for one in telemetry)
