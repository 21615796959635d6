"""Physical invariants, checked on what the API returns. Knows nothing of any simulator.

Input are plain lists of dicts as uploaded or as answered: telemetry (``timestamp``, ``power`` …),
events (``event_type`` …) and charging records (``start_time``, ``meter_end`` …). Each carries the
device in ``device`` (or ``device_id`` or ``sn``). The checker takes the connectors apart, walks
each in time order and returns every violation with the number of the invariant it breaks:

1 energy is the integral of power · 2 energy is the difference of the readings, readings never
overlap · 3 counters grow and begin at 0 · 4 charge follows the direction of power · 5 power
fits the state · 6 power stays below rating and limit · 7 AC phases add up and are balanced ·
8 DC power is voltage times current, in one voltage class · 9 contactors count sessions · 10 a
visit has its order and exactly one record · 11 ordered ends are kept · 12 plans run by local time ·
13 temperatures stay in bounds and move slowly
"""

from __future__ import annotations

from collections import Counter

from tests.invariants_control import check_caps, check_floors, check_plans
from tests.invariants_evidence import (
    Cap,
    Controls,
    DeviceFacts,
    Item,
    Order,
    PlanFacts,
    SlotFacts,
    Violation,
    gather,
)
from tests.invariants_physics import (
    check_dc,
    check_heat,
    check_limits,
    check_phases,
    check_states,
)
from tests.invariants_session import (
    check_charge,
    check_counters,
    check_cycles,
    check_energy,
    check_order,
    check_orders,
    check_readings,
)

__all__ = [
    "Cap",
    "Controls",
    "DeviceFacts",
    "Order",
    "PlanFacts",
    "SlotFacts",
    "Violation",
    "check_all",
    "count_by_invariant",
]

CHECKS = (
    check_energy,
    check_readings,
    check_counters,
    check_charge,
    check_states,
    check_limits,
    check_caps,
    check_phases,
    check_dc,
    check_cycles,
    check_order,
    check_orders,
    check_floors,
    check_plans,
    check_heat,
)


def check_all(
    devices: dict[str, DeviceFacts],
    telemetry: list[Item],
    events: list[Item],
    records: list[Item],
    orders: dict[str, Order] | None = None,
    controls: Controls | None = None,
) -> list[Violation]:
    """Return every violation found, none for a sound fleet."""
    found: list[Violation] = []
    imposed = controls or Controls()
    for evidence in gather(devices, telemetry, events, records, orders or {}, imposed):
        for check in CHECKS:
            found.extend(check(evidence))
    seen: set[str] = set()
    for record in records:
        if record["record_id"] in seen:
            found.append(Violation(10, f"record id {record['record_id']} is used twice"))
        seen.add(record["record_id"])
    return found


def count_by_invariant(violations: list[Violation]) -> dict[int, int]:
    """Return how often each invariant was broken."""
    return dict(Counter(violation.invariant for violation in violations))
