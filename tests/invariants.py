"""Physical invariants, checked on what the API returns. Knows nothing of any simulator.

Input are plain lists of dicts as uploaded or as answered: telemetry (``timestamp``, ``power`` …),
events (``event_type`` …) and charging records (``start_time``, ``meter_end`` …). Each carries the
device in ``device`` (or ``device_id`` or ``sn``). The checker takes the connectors apart, walks
each in time order and returns every violation with the number of the invariant it breaks:

1 energy is the integral of power · 2 energy is the difference of the readings, readings never
overlap · 3 counters grow and begin at 0 · 4 charge follows the direction of power · 5 power
fits the state · 6 power stays below rating and limit · 7 AC phases add up and are balanced ·
8 DC power is voltage times current, in one voltage class · 10 a visit has its order and exactly
one record · 11 ordered ends are kept · 13 temperatures stay in bounds and move slowly
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

Item = dict[str, Any]
_CLOSE_S = 60.0


class Violation(NamedTuple):
    """One broken invariant, by its number, and what was seen."""

    invariant: int
    text: str


@dataclass(frozen=True)
class DeviceFacts:
    """What a reviewer knows of a device from its type plate and its site."""

    kind: str
    rated_kw: float
    coldest_c: float = -20.0
    warmest_c: float = 40.0

    @property
    def rise_k(self) -> float:
        """Return the steady rise of a healthy contact at rated current."""
        return 30.0 if self.kind == "ac" else 40.0

    @property
    def tau_s(self) -> float:
        """Return the time constant of the contact."""
        return 1200.0 if self.kind == "ac" else 480.0


@dataclass
class Order:
    """What a remote start asked for, found again by its transaction id."""

    duration_s: int | None = None
    target_soc: int | None = None
    charge_power_kw: float | None = None


@dataclass
class Evidence:
    """Everything known of one connector, in time order."""

    facts: DeviceFacts
    name: str
    samples: list[Item] = field(default_factory=list)
    events: list[Item] = field(default_factory=list)
    records: list[Item] = field(default_factory=list)
    orders: dict[str, Order] = field(default_factory=dict)

    def within(self, start_s: float, end_s: float) -> list[Item]:
        """Return the samples from ``start_s`` up to and including ``end_s``."""
        return [one for one in self.samples if start_s <= seconds(one) <= end_s]


def parse_s(text: str) -> float:
    """Return a timestamp as epoch seconds; no zone means UTC."""
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def seconds(item: Item) -> float:
    """Return the time of a sample or event."""
    return parse_s(item["timestamp"])


def check_all(
    devices: dict[str, DeviceFacts],
    telemetry: list[Item],
    events: list[Item],
    records: list[Item],
    orders: dict[str, Order] | None = None,
) -> list[Violation]:
    """Return every violation found, none for a sound fleet."""
    found: list[Violation] = []
    for evidence in gather(devices, telemetry, events, records, orders or {}):
        for check in CHECKS:
            found.extend(check(evidence))
    seen: set[str] = set()
    for record in records:
        if record["record_id"] in seen:
            found.append(Violation(10, f"record id {record['record_id']} is used twice"))
        seen.add(record["record_id"])
    return found


def gather(
    devices: dict[str, DeviceFacts],
    telemetry: list[Item],
    events: list[Item],
    records: list[Item],
    orders: dict[str, Order],
) -> list[Evidence]:
    """Sort everything by device and connector, and by time within."""
    connectors: dict[tuple[str, int], Evidence] = {}

    def place(item: Item) -> Evidence:
        device = item.get("device") or item.get("device_id") or item["sn"]
        key = (device, item["connector_id"])
        if key not in connectors:
            name = f"{device}/{item['connector_id']}"
            connectors[key] = Evidence(devices[device], name, orders=orders)
        return connectors[key]

    for item in telemetry:
        place(item).samples.append(item)
    for item in events:
        place(item).events.append(item)
    for item in records:
        place(item).records.append(item)
    for evidence in connectors.values():
        evidence.samples.sort(key=seconds)
        evidence.events.sort(key=seconds)
        evidence.records.sort(key=lambda one: parse_s(one["start_time"]))
    return list(connectors.values())


def _integral_kwh(
    samples: list[Item], start_s: float, end_s: float, peak_kw: float
) -> tuple[float, float]:
    """Return the energy of the samples by trapezoids, and how wrong that may be."""
    energy_kwh = slack_kwh = 0.0
    before_s = start_s
    before_kw = 0.0
    for sample in samples:
        now_s, power_kw = seconds(sample), sample["power"]
        hours = (now_s - before_s) / 3600.0
        mean_kw = (power_kw + before_kw) / 2.0
        energy_kwh += mean_kw * hours
        wrong_kw = abs(power_kw - before_kw)
        if now_s - before_s > _CLOSE_S:
            # Between samples far apart the power may have stood at its peak.
            wrong_kw = max(wrong_kw, 2.0 * abs(peak_kw - mean_kw))
        slack_kwh += wrong_kw * hours
        before_s, before_kw = now_s, power_kw
    tail_h = max(0.0, end_s - before_s) / 3600.0
    # After the last sample there may have been anything between nothing and the peak.
    return energy_kwh + peak_kw / 2.0 * tail_h, slack_kwh + abs(peak_kw) * tail_h


def check_energy(evidence: Evidence) -> list[Violation]:
    """1: the record's energy is the integral of the power."""
    found = []
    for record in evidence.records:
        start_s, end_s = parse_s(record["start_time"]), parse_s(record["end_time"])
        samples = [
            one for one in evidence.within(start_s, end_s)
            if one["state"] in {"charging", "discharging"}
        ]  # fmt: skip
        if not samples:
            continue
        energy_kwh, slack_kwh = _integral_kwh(samples, start_s, end_s, record["max_power"])
        allowed_kwh = 0.02 * abs(energy_kwh) + slack_kwh / 2.0 + 0.002
        if abs(energy_kwh - record["energy"]) > allowed_kwh:
            found.append(
                Violation(
                    1,
                    f"{evidence.name}: {record['record_id']} has {record['energy']} kWh, its "
                    f"samples {energy_kwh:.4f}",
                )
            )
    return found


def check_readings(evidence: Evidence) -> list[Violation]:
    """2: energy = difference of readings = average power x time; readings do not overlap."""
    found = []
    last_end_kwh = -math.inf
    for record in evidence.records:
        name = f"{evidence.name}: {record['record_id']}"
        difference_kwh = record["meter_end"] - record["meter_start"]
        if abs(difference_kwh - record["energy"]) > 1e-6:
            found.append(Violation(2, f"{name}: energy is not the difference of the readings"))
        hours = (parse_s(record["end_time"]) - parse_s(record["start_time"])) / 3600.0
        if hours > 0 and abs(record["avg_power"] * hours - record["energy"]) > 0.001 * hours + 1e-4:
            found.append(Violation(2, f"{name}: average power x time is not the energy"))
        if abs(record["avg_power"]) > abs(record["max_power"]) * 1.01 + 0.05 + 1e-4 / max(hours, 1e-4):
            found.append(Violation(2, f"{name}: average above maximum"))
        if record["meter_start"] < last_end_kwh - 1e-6:
            found.append(Violation(2, f"{name}: begins below the reading before it"))
        last_end_kwh = record["meter_end"]
    return found


def check_counters(evidence: Evidence) -> list[Violation]:
    """3: the session counter begins at 0, grows while charging, is 0 without a session."""
    found = []
    before: Item | None = None
    for sample in evidence.samples:
        counter_kwh = sample["energy_delivered"]
        when = f"{evidence.name} at {sample['timestamp']}"
        if sample["state"] == "idle":
            if counter_kwh != 0:
                found.append(Violation(3, f"{when}: counter {counter_kwh} without a session"))
        elif sample["state"] == "charging":
            if before is None or before["state"] != "charging":
                started_s = _last_start_s(evidence, seconds(sample))
                gap_s = 3600.0 if started_s is None else seconds(sample) - started_s
                most_kwh = 1.05 * evidence.facts.rated_kw * gap_s / 3600.0 + 0.001
                if not 0.0 <= counter_kwh <= most_kwh:
                    found.append(Violation(3, f"{when}: the session begins at {counter_kwh} kWh"))
            elif counter_kwh < before["energy_delivered"] - 1e-6:
                found.append(Violation(3, f"{when}: the counter fell while charging"))
        before = sample
    return found


def _last_start_s(evidence: Evidence, before_s: float) -> float | None:
    starts = [
        seconds(one)
        for one in evidence.events
        if one["event_type"] == "start" and seconds(one) <= before_s
    ]
    return starts[-1] if starts else None


def check_charge(evidence: Evidence) -> list[Violation]:
    """4: charge does not fall while power flows in nor rise while it flows out; 0 to 100."""
    found = []
    before: Item | None = None
    for sample in evidence.samples:
        soc = sample.get("soc")
        if soc is not None and (not 0 <= soc <= 100 or soc != int(soc)):
            found.append(Violation(4, f"{evidence.name}: charge {soc} at {sample['timestamp']}"))
        both = before is not None and before["state"] == sample["state"] != "idle"
        if before is not None and both and soc is not None and "soc" in before:
            moved = soc - before["soc"]
            way = "charging" if sample["state"] == "charging" else "discharging"
            if moved < -1 and way == "charging" or moved > 1 and way == "discharging":
                found.append(Violation(4, f"{evidence.name}: charge moved {moved} while {way}"))
        before = sample
    for record in evidence.records:
        info = record.get("vehicle_info") or {}
        if "soc_end" in info and record["energy"] > 0 and info["soc_end"] < info["soc_start"] - 1:
            found.append(Violation(4, f"{evidence.name}: {record['record_id']} lost charge"))
    return found


def check_states(evidence: Evidence) -> list[Violation]:
    """5: no power when idle, none backwards when charging."""
    found = []
    for sample in evidence.samples:
        power_kw, state = sample["power"], sample["state"]
        fits = {
            "charging": power_kw >= 0,
            "discharging": power_kw <= 0,
        }.get(state, abs(power_kw) < 0.05)
        if not fits:
            found.append(
                Violation(5, f"{evidence.name}: {power_kw} kW {state} at {sample['timestamp']}")
            )
    return found


def check_limits(evidence: Evidence) -> list[Violation]:
    """6: power stays within 1 % of the rating, and of an ordered limit."""
    found = []
    for sample in evidence.samples:
        if abs(sample["power"]) > 1.01 * evidence.facts.rated_kw:
            found.append(Violation(6, f"{evidence.name}: {sample['power']} kW is above the rating"))
    for record in evidence.records:
        order = evidence.orders.get(record.get("transaction_id", ""))
        limit_kw = None if order is None else order.charge_power_kw
        if limit_kw is not None and record["max_power"] > 1.01 * limit_kw:
            found.append(Violation(6, f"{evidence.name}: {record['max_power']} above {limit_kw}"))
    return found


def power_factor(current_a: float) -> float:
    """Return the power factor of an on-board charger, as measured at 2.2, 6.5 and 16 A."""
    return 1.0 - 0.32 * math.exp(-(max(current_a, 2.2) - 2.2) / 1.3)


def check_phases(evidence: Evidence) -> list[Violation]:
    """7: AC phases add up to the power and are balanced within 5 %."""
    if evidence.facts.kind != "ac":
        return []
    found = []
    for sample in evidence.samples:
        phases = list((sample.get("phase_details") or {}).values())
        if not phases:
            continue
        when = f"{evidence.name} at {sample['timestamp']}"
        total_kw = sum(
            one["voltage"] * one["current"] * power_factor(one["current"]) for one in phases
        )
        if abs(sample["power"] - total_kw / 1000.0) > 0.02 * abs(sample["power"]) + 0.05:
            found.append(Violation(7, f"{when}: phases give {total_kw / 1000:.3f} kW"))
        active = [one["current"] for one in phases if one["current"] > 0.0]
        if active and abs(sample["current"] - sum(active) / len(active)) > 0.02:
            found.append(Violation(7, f"{when}: current is not the mean of the active phases"))
        if len(active) == 3 and max(active) > 2.0 and max(active) > 1.05 * min(active):
            found.append(Violation(7, f"{when}: phases are out of balance"))
    return found


def check_dc(evidence: Evidence) -> list[Violation]:
    """8: DC power = voltage x current, and a battery keeps to its voltage class."""
    if evidence.facts.kind != "dc":
        return []
    found = []
    class_v: float | None = None
    for sample in evidence.samples:
        when = f"{evidence.name} at {sample['timestamp']}"
        product_kw = sample["voltage"] * sample["current"] / 1000.0
        if abs(sample["power"] - product_kw) > 0.005 * abs(sample["power"]) + 0.05:
            found.append(Violation(8, f"{when}: {sample['power']} kW, but U x I {product_kw:.3f}"))
        if sample["power"] == 0.0:
            class_v = None
            continue
        if not 250.0 <= sample["voltage"] <= 1000.0:
            found.append(Violation(8, f"{when}: {sample['voltage']} V is no vehicle's voltage"))
        if class_v is not None and not 0.8 < sample["voltage"] / class_v < 1.25:
            found.append(Violation(8, f"{when}: voltage jumps from {class_v} V"))
        class_v = sample["voltage"]
    return found


_ORDER = {"plug_in": 0, "auth_ok": 1, "start": 2, "stop": 3, "plug_out": 4}


def check_order(evidence: Evidence) -> list[Violation]:
    """10: plug_in < start <= first charging sample < stop <= plug_out, one record a session."""
    found = []
    records = {one["start_time"]: one for one in evidence.records}
    sessions: list[tuple[float, float]] = []
    plugged = False
    start: Item | None = None
    starts = 0
    for event in evidence.events:
        kind = event["event_type"]
        when = f"{evidence.name} at {event['timestamp']}"
        if kind == "plug_in" and plugged or kind == "plug_out" and not plugged:
            found.append(Violation(10, f"{when}: {kind} out of order"))
        elif kind == "start":
            starts += 1
            if not plugged or start is not None:
                found.append(Violation(10, f"{when}: start out of order"))
            if event["timestamp"] not in records:
                found.append(Violation(10, f"{when}: the session has no record"))
            start = event
        elif kind == "stop":
            if start is None:
                found.append(Violation(10, f"{when}: stop without a start"))
            else:
                sessions.append((seconds(start), seconds(event)))
                record = records.get(start["timestamp"])
                if record is not None and parse_s(record["end_time"]) != seconds(event):
                    found.append(Violation(10, f"{when}: the record ends at another time"))
            start = None
        if kind == "plug_out" and start is not None:
            found.append(Violation(10, f"{when}: plugged out while charging"))
        plugged = kind != "plug_out" if kind in {"plug_in", "plug_out"} else plugged
    if len(evidence.records) != starts:
        found.append(
            Violation(10, f"{evidence.name}: {starts} starts, {len(evidence.records)} records")
        )
    found.extend(_check_frames_in_sessions(evidence, sessions, start))
    return found


def _check_frames_in_sessions(
    evidence: Evidence, sessions: list[tuple[float, float]], running: Item | None
) -> list[Violation]:
    if running is not None:
        sessions = [*sessions, (seconds(running), math.inf)]
    found = []
    for sample in evidence.samples:
        if sample["state"] not in {"charging", "discharging"}:
            continue
        now_s = seconds(sample)
        if not any(start_s <= now_s < stop_s for start_s, stop_s in sessions):
            found.append(
                Violation(10, f"{evidence.name}: charging outside a session, {sample['timestamp']}")
            )
    return found


def check_orders(evidence: Evidence) -> list[Violation]:
    """11: a duration ends the session within 1 s, a target charge within a step."""
    found = []
    for record in evidence.records:
        order = evidence.orders.get(record.get("transaction_id", ""))
        if order is None:
            continue
        name = f"{evidence.name}: {record['record_id']}"
        lasted_s = parse_s(record["end_time"]) - parse_s(record["start_time"])
        ended_by = record.get("stop_reason")
        if order.duration_s is not None:
            off_s = lasted_s - order.duration_s
            if off_s > 1.0 or (ended_by == "time_limit" and off_s < -1.0):
                found.append(Violation(11, f"{name}: {lasted_s} s instead of {order.duration_s}"))
        soc_end = (record.get("vehicle_info") or {}).get("soc_end")
        if order.target_soc is not None and soc_end is not None:
            begun = record["vehicle_info"]["soc_start"]
            too_far = soc_end > max(order.target_soc, begun) + 1
            too_short = ended_by == "target_soc" and soc_end < order.target_soc
            if too_far or too_short:
                found.append(Violation(11, f"{name}: ended at {soc_end} for {order.target_soc}"))
    return found


def check_heat(evidence: Evidence) -> list[Violation]:
    """13: temperatures lie between ambient and the steady state, and move with their time constant."""
    facts = evidence.facts
    found = []
    before: Item | None = None
    for sample in evidence.samples:
        if "temperature" not in sample:
            continue
        value_c = sample["temperature"]
        when = f"{evidence.name} at {sample['timestamp']}"
        if not facts.coldest_c - 0.1 <= value_c <= facts.warmest_c + facts.rise_k + 0.1:
            found.append(Violation(13, f"{when}: {value_c} °C is out of bounds"))
        if before is not None:
            span_k = facts.warmest_c - facts.coldest_c + facts.rise_k
            gap_s = seconds(sample) - seconds(before)
            most_k = span_k * (1.0 - math.exp(-gap_s / facts.tau_s)) + 0.2
            if abs(value_c - before["temperature"]) > most_k:
                found.append(Violation(13, f"{when}: jumped from {before['temperature']} °C"))
        before = sample
    return found


CHECKS = (
    check_energy,
    check_readings,
    check_counters,
    check_charge,
    check_states,
    check_limits,
    check_phases,
    check_dc,
    check_order,
    check_orders,
    check_heat,
)


def count_by_invariant(violations: list[Violation]) -> dict[int, int]:
    """Return how often each invariant was broken."""
    counts: dict[int, int] = defaultdict(int)
    for violation in violations:
        counts[violation.invariant] += 1
    return dict(counts)
