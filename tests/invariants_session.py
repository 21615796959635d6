"""Invariants of sessions: energy and readings, counters, charge, order, ordered ends."""

from __future__ import annotations

import math

from tests.invariants_evidence import Evidence, Item, Violation, parse_s, seconds

_CLOSE_S = 60.0
_READING_KWH = 1e-4


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
        if now_s - before_s > _CLOSE_S or sample is samples[-1]:
            # Between samples far apart, or before the ramp down, it may have stood at its peak.
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
        found.extend(_check_powers(record, name))
        if record["meter_start"] < last_end_kwh - 1e-6:
            found.append(Violation(2, f"{name}: begins below the reading before it"))
        last_end_kwh = record["meter_end"]
    return found


def _check_powers(record: Item, name: str) -> list[Violation]:
    found = []
    average_kw, peak_kw = record["avg_power"], record["max_power"]
    hours = (parse_s(record["end_time"]) - parse_s(record["start_time"])) / 3600.0
    if hours <= 0.0:
        return found
    if abs(average_kw * hours - record["energy"]) > 0.001 * hours + _READING_KWH:
        found.append(Violation(2, f"{name}: average power x time is not the energy"))
    # Over a second or less the resolution of the readings is itself a large power.
    if abs(average_kw) > 1.01 * abs(peak_kw) + 0.05 + _READING_KWH / hours:
        found.append(Violation(2, f"{name}: average above maximum"))
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
        elif sample["state"] == "discharging":
            # Without a session before it the counter stood at 0, and from there it only falls.
            highest_kwh = 0.0 if before is None else before["energy_delivered"]
            if counter_kwh > highest_kwh + 1e-6:
                found.append(Violation(3, f"{when}: the counter rose while discharging"))
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
            if (moved < -1 and way == "charging") or (moved > 1 and way == "discharging"):
                found.append(Violation(4, f"{evidence.name}: charge moved {moved} while {way}"))
        before = sample
    for record in evidence.records:
        info = record.get("vehicle_info") or {}
        if "soc_end" in info and record["energy"] > 0 and info["soc_end"] < info["soc_start"] - 1:
            found.append(Violation(4, f"{evidence.name}: {record['record_id']} lost charge"))
    return found


def check_order(evidence: Evidence) -> list[Violation]:
    """10: plug_in < start <= first charging sample < stop <= plug_out, one record a session."""
    walk = _Walk(evidence)
    for event in evidence.events:
        walk.take(event)
    found = walk.found
    if len(evidence.records) != walk.starts:
        counts = f"{walk.starts} starts, {len(evidence.records)} records"
        found.append(Violation(10, f"{evidence.name}: {counts}"))
    found.extend(_check_frames_in_sessions(evidence, walk.sessions, walk.start))
    return found


class _Walk:
    """Follows the events of one connector and notes what is out of order."""

    def __init__(self, evidence: Evidence) -> None:
        self.found: list[Violation] = []
        self.sessions: list[tuple[float, float]] = []
        self.start: Item | None = None
        self.starts = 0
        self._name = evidence.name
        self._records = {one["start_time"]: one for one in evidence.records}
        self._is_plugged = False

    def take(self, event: Item) -> None:
        """Go one event further."""
        step = {
            "plug_in": self._plug,
            "plug_out": self._plug,
            "start": self._start,
            "stop": self._stop,
        }.get(event["event_type"])
        if step is not None:
            step(event)

    def _note(self, event: Item, text: str) -> None:
        self.found.append(Violation(10, f"{self._name} at {event['timestamp']}: {text}"))

    def _plug(self, event: Item) -> None:
        is_in = event["event_type"] == "plug_in"
        if is_in == self._is_plugged:
            self._note(event, "plugged twice the same way")
        if self.start is not None:
            self._note(event, "plugged while charging")
        self._is_plugged = is_in

    def _start(self, event: Item) -> None:
        self.starts += 1
        if not self._is_plugged or self.start is not None:
            self._note(event, "start out of order")
        if event["timestamp"] not in self._records:
            self._note(event, "the session has no record")
        self.start = event

    def _stop(self, event: Item) -> None:
        start, self.start = self.start, None
        if start is None:
            self._note(event, "stop without a start")
            return
        self.sessions.append((seconds(start), seconds(event)))
        record = self._records.get(start["timestamp"])
        if record is not None and parse_s(record["end_time"]) != seconds(event):
            self._note(event, "the record ends at another time")


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
        order = evidence.order_of(record)
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


def check_cycles(evidence: Evidence) -> list[Violation]:
    """9: a contactor counts each session once, and starts anew only from 0, after a reset."""
    found = []
    starts_s = [seconds(one) for one in evidence.events if one["event_type"] == "start"]
    before: tuple[float, int] | None = None
    for sample in evidence.samples:
        cycles = (sample.get("component_health") or {}).get("contactor_cycles")
        if cycles is None:
            continue
        at_s = seconds(sample)
        if before is not None:
            begin_s, counted = before
            fewest = sum(begin_s < one < at_s for one in starts_s)
            most = sum(begin_s <= one <= at_s for one in starts_s)
            is_reset = cycles <= most and cycles < counted
            if not (is_reset or fewest <= cycles - counted <= most):
                text = f"{counted} cycles became {cycles} with {most} starts"
                found.append(Violation(9, f"{evidence.name} at {sample['timestamp']}: {text}"))
        before = at_s, cycles
    return found
