"""The checker itself: sound data pass, and each way of corrupting them is caught."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest

from tellus.simulator.messages import Kind
from tests.invariants import Order, check_all, count_by_invariant
from tests.unit.simulator.builders import HOUR_MS, START_MS, bodies, build_twin, command, facts_of

Data = dict[str, Any]
ORDERS = {"tx": Order(duration_s=600, target_soc=None, charge_power_kw=9.0)}


@cache
def recorded(model: str) -> Data:
    """Return an hour of one charger: visits of its own, then one remote session."""
    twin = build_twin(model, "busy", 4)
    twin.advance(START_MS + HOUR_MS // 2)
    while twin.connectors[0].visit is None or twin.connectors[0].stage != "available":
        twin.advance(twin.due_ms)
    start = command(
        "start_charging", connector_id=1, duration=600, charge_power=9.0, transaction_id="tx"
    )
    twin.execute(start, 1, START_MS)
    twin.advance(START_MS + 2 * HOUR_MS)
    twin.shut_down()
    messages = twin.take()
    return {
        "telemetry": bodies(messages, Kind.TELEMETRY),
        "events": bodies(messages, Kind.EVENT),
        "records": bodies(messages, Kind.RECORD),
    }


def _violations(model: str, data: Data) -> dict[int, int]:
    found = check_all({"SN-1": facts_of(model)}, **data, orders=ORDERS)
    return count_by_invariant(found)


def charging(data: Data) -> list[Data]:
    """Return the samples in the middle of the first long session."""
    first = max(data["records"], key=lambda one: one["energy"])
    return [
        one for one in data["telemetry"]
        if one["connector_id"] == first["connector_id"] and one["power"] > 1.0
        and first["start_time"] < one["timestamp"] < first["end_time"]
    ]  # fmt: skip


def _idle(data: Data) -> Data:
    return next(one for one in data["telemetry"] if one["state"] == "idle")


def _longest(data: Data) -> Data:
    return max(data["records"], key=lambda one: one["energy"])


def _remote(data: Data) -> Data:
    return next(one for one in data["records"] if one.get("transaction_id") == "tx")


def _event(data: Data, kind: str) -> Data:
    return next(one for one in data["events"] if one["event_type"] == kind)


def _inflate_record(data: Data) -> None:
    record = _longest(data)
    record["energy"] = round(1.2 * record["energy"], 4)
    record["meter_end"] = record["meter_start"] + record["energy"]
    record["avg_power"] *= 1.2
    record["max_power"] *= 1.2


def _inflate_power(data: Data) -> None:
    for sample in charging(data):
        sample["power"] *= 1.2


def _drift_reading(data: Data) -> None:
    _longest(data)["meter_end"] += 0.001


def _overlap_readings(data: Data) -> None:
    record = data["records"][-1]
    record["meter_start"] -= 50.0
    record["meter_end"] -= 50.0


def _wrong_average(data: Data) -> None:
    _longest(data)["avg_power"] *= 0.5


def _average_above_peak(data: Data) -> None:
    _longest(data)["max_power"] *= 0.5


def _counter_falls(data: Data) -> None:
    charging(data)[5]["energy_delivered"] = 0.0


def _counter_carried_over(data: Data) -> None:
    for sample in charging(data):
        sample["energy_delivered"] += 40.0


def _counter_when_idle(data: Data) -> None:
    _idle(data)["energy_delivered"] = 3.0


def _charge_falls(data: Data) -> None:
    charging(data)[5]["soc"] -= 5


def _charge_out_of_range(data: Data) -> None:
    charging(data)[5]["soc"] = 101


def _power_when_idle(data: Data) -> None:
    _idle(data)["power"] = 0.4


def _power_backwards(data: Data) -> None:
    charging(data)[5]["power"] *= -1


def _above_rating(data: Data) -> None:
    sample = charging(data)[5]
    sample["power"] = 400.0


def _above_order(data: Data) -> None:
    _remote(data)["max_power"] = 12.0


def _phase_missing(data: Data) -> None:
    for sample in charging(data):
        sample["phase_details"]["phase_a"]["current"] = 0.0


def _phases_unbalanced(data: Data) -> None:
    for sample in charging(data):
        phases = sample["phase_details"]
        phases["phase_a"]["current"] *= 1.06
        phases["phase_b"]["current"] *= 0.94


def _current_summed(data: Data) -> None:
    for sample in charging(data):
        sample["current"] *= 3


def _product_wrong(data: Data) -> None:
    charging(data)[5]["voltage"] *= 1.05


def _other_voltage_class(data: Data) -> None:
    sample = charging(data)[5]
    sample["voltage"] *= 2.0
    sample["current"] /= 2.0


def _no_record(data: Data) -> None:
    data["records"].remove(_longest(data))


def _two_records(data: Data) -> None:
    data["records"].append(copy.deepcopy(_longest(data)))


def _no_plug_in(data: Data) -> None:
    data["events"].remove(_event(data, "plug_in"))


def _stop_lost(data: Data) -> None:
    data["events"].remove(_event(data, "stop"))


def _frame_after_stop(data: Data) -> None:
    frame = copy.deepcopy(charging(data)[-1])
    frame["timestamp"] = _longest(data)["end_time"]
    data["telemetry"].append(frame)


def _record_ends_late(data: Data) -> None:
    record = _longest(data)
    record["end_time"] = record["end_time"].replace(".", ".9")[:23] + "Z"


def _too_long(data: Data) -> None:
    ORDERS_ONLY["tx"].duration_s = 590


def _too_far(data: Data) -> None:
    _remote(data)["vehicle_info"]["soc_end"] = 99
    ORDERS_ONLY["tx"].target_soc = 80


def _told(data: Data) -> list[Data]:
    """Return the component health of the connector of the longest session."""
    connector_id = _longest(data)["connector_id"]
    return [
        one["component_health"] for one in data["telemetry"]
        if one["connector_id"] == connector_id and "component_health" in one
    ]  # fmt: skip


def _cycle_missed(data: Data) -> None:
    _told(data)[-1]["contactor_cycles"] -= 1


def _cycles_too_many(data: Data) -> None:
    _told(data)[-1]["contactor_cycles"] += 1


def _too_hot(data: Data) -> None:
    charging(data)[5]["temperature"] = 95.0


def _jumps(data: Data) -> None:
    charging(data)[5]["temperature"] += 8.0


ORDERS_ONLY: dict[str, Order] = {}
BOTH = ("TP-AC22", "TP-DC180")
MUTANTS: list[tuple[int, Callable[[Data], None], tuple[str, ...]]] = [
    (1, _inflate_record, BOTH),
    (1, _inflate_power, BOTH),
    (2, _drift_reading, BOTH),
    (2, _overlap_readings, BOTH),
    (2, _wrong_average, BOTH),
    (2, _average_above_peak, BOTH),
    (3, _counter_falls, BOTH),
    (3, _counter_carried_over, BOTH),
    (3, _counter_when_idle, BOTH),
    (4, _charge_falls, BOTH),
    (4, _charge_out_of_range, BOTH),
    (5, _power_when_idle, BOTH),
    (5, _power_backwards, BOTH),
    (6, _above_rating, BOTH),
    (6, _above_order, BOTH),
    (7, _phase_missing, ("TP-AC22",)),
    (7, _phases_unbalanced, ("TP-AC22",)),
    (7, _current_summed, ("TP-AC22",)),
    (8, _product_wrong, ("TP-DC180",)),
    (8, _other_voltage_class, ("TP-DC180",)),
    (9, _cycle_missed, BOTH),
    (9, _cycles_too_many, BOTH),
    (10, _no_record, BOTH),
    (10, _two_records, BOTH),
    (10, _no_plug_in, BOTH),
    (10, _stop_lost, BOTH),
    (10, _frame_after_stop, BOTH),
    (10, _record_ends_late, BOTH),
    (11, _too_long, BOTH),
    (11, _too_far, BOTH),
    (13, _too_hot, BOTH),
    (13, _jumps, BOTH),
]
CASES = [(number, mutate, model) for number, mutate, models in MUTANTS for model in models]


@pytest.mark.parametrize("model", BOTH)
def test_checker__sound_data__finds_nothing(model: str) -> None:
    """What the twins report passes, or the mutants below would prove nothing."""
    assert _violations(model, copy.deepcopy(recorded(model))) == {}


@pytest.mark.parametrize(
    ("number", "mutate", "model"), CASES, ids=[f"{n}-{m.__name__}-{k}" for n, m, k in CASES]
)
def test_checker__one_corruption__is_caught_by_its_invariant(
    number: int, mutate: Callable[[Data], None], model: str
) -> None:
    """Each way of corrupting sound data breaks the invariant it was made for."""
    data = copy.deepcopy(recorded(model))
    ORDERS_ONLY.clear()
    ORDERS_ONLY.update(copy.deepcopy(ORDERS))
    mutate(data)
    found = check_all({"SN-1": facts_of(model)}, **data, orders=ORDERS_ONLY)
    assert number in count_by_invariant(found)


def test_mutants__all_invariants_of_the_checker__have_one() -> None:
    """No invariant is without a mutant."""
    assert {number for number, _, _ in MUTANTS} == {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13}
