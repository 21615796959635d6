"""Invariants of samples: power and state, limits, phases, direct current, heat."""

from __future__ import annotations

import math

from tests.invariants_evidence import Evidence, Item, Violation, seconds


def check_states(evidence: Evidence) -> list[Violation]:
    """5: no power when idle, none backwards when charging."""
    return [
        Violation(5, f"{evidence.name}: {one['power']} kW {one['state']} at {one['timestamp']}")
        for one in evidence.samples
        if not _fits_state(one["power"], one["state"])
    ]


def _fits_state(power_kw: float, state: str) -> bool:
    if state == "charging":
        return power_kw >= 0
    if state == "discharging":
        return power_kw <= 0
    return abs(power_kw) < 0.05


def check_limits(evidence: Evidence) -> list[Violation]:
    """6: power stays within 1 % of the rating, and of an ordered limit."""
    found = [
        Violation(6, f"{evidence.name}: {one['power']} kW is above the rating")
        for one in evidence.samples
        if abs(one["power"]) > 1.01 * evidence.facts.rated_kw
    ]
    for record in evidence.records:
        order = evidence.order_of(record)
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


def check_heat(evidence: Evidence) -> list[Violation]:
    """13: temperatures lie between ambient and steady state and move with their time constant."""
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
