"""Invariants of control: limits are kept, floors hold, plans run by the clock on the wall."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from tests.invariants_evidence import Evidence, PlanFacts, SlotFacts, Violation, seconds

_SETTLED_S = 10.0
_HANDSHAKE_S = 120.0
_FLOOR_PCT = 20


def check_caps(evidence: Evidence) -> list[Violation]:
    """6: ten seconds after a limit began the power is below it, until it ends."""
    found = []
    for cap in evidence.caps:
        for sample in evidence.within(cap.from_s + _SETTLED_S, cap.until_s):
            if abs(sample["power"]) > 1.01 * cap.limit_kw + 0.05 and seconds(sample) < cap.until_s:
                when = f"{evidence.name} at {sample['timestamp']}"
                found.append(Violation(6, f"{when}: {sample['power']} kW over {cap.limit_kw}"))
    return found


def check_floors(evidence: Evidence) -> list[Violation]:
    """11: no discharge takes a vehicle below 20 %, nor below what was ordered to stay."""
    found = []
    for record in evidence.records:
        soc_end = (record.get("vehicle_info") or {}).get("soc_end")
        if record["energy"] >= 0 or soc_end is None:
            continue
        order = evidence.order_of(record)
        floor = max(_FLOOR_PCT, (order.min_soc or 0) if order is not None else 0)
        if soc_end < floor - 1:
            text = f"{evidence.name}: {record['record_id']} left {soc_end} % of {floor} %"
            found.append(Violation(11, text))
    return found


def check_plans(evidence: Evidence) -> list[Violation]:
    """12: power flows in the slots of a plan, its way and within its limit, and never outside."""
    plan = evidence.plan
    if plan is None:
        return []
    found = []
    ran = could_run = False
    for sample in evidence.samples:
        power_kw = sample["power"]
        slot = _slot_at(plan, seconds(sample))
        if abs(power_kw) > 0.05 and not _fits(slot, power_kw):
            action = "no slot" if slot is None else slot.action
            when = f"{evidence.name} at {sample['timestamp']}"
            found.append(Violation(12, f"{when}: {power_kw} kW in {action}"))
        if slot is not None and slot.action != "idle":
            ran = ran or abs(power_kw) > 0.05
            since = _slot_at(plan, seconds(sample) - _HANDSHAKE_S)
            could_run = could_run or since == slot
    if could_run and not ran:
        found.append(Violation(12, f"{evidence.name}: the plan never ran"))
    return found


def _fits(slot: SlotFacts | None, power_kw: float) -> bool:
    if slot is None or slot.action == "idle":
        return False
    is_right_way = (power_kw > 0) == (slot.action == "charge")
    return is_right_way and (slot.limit_kw is None or abs(power_kw) <= 1.01 * slot.limit_kw + 0.05)


def _slot_at(plan: PlanFacts, now_s: float) -> SlotFacts | None:
    zone = ZoneInfo(plan.zone)
    local = datetime.fromtimestamp(now_s, UTC).astimezone(zone)
    for slot in plan.slots:
        for day, start, end in _spans(slot, local.date()):
            if slot.weekdays is not None and day.weekday() not in slot.weekdays:
                continue
            if start <= local.replace(tzinfo=None, fold=0) < end and not _is_second(local, end):
                return slot
    return None


def _spans(slot: SlotFacts, today: date) -> Iterator[tuple[date, datetime, datetime]]:
    for day in (today - timedelta(days=1), today):
        start = datetime.combine(day, time.fromisoformat(slot.start))
        end = datetime.combine(day, time.fromisoformat(slot.end))
        yield day, start, end if end > start else end + timedelta(days=1)


def _is_second(local: datetime, end: datetime) -> bool:
    """Return whether the hour repeats itself and the slot ended in its first run."""
    first, second = (end.replace(tzinfo=local.tzinfo, fold=fold).utcoffset() for fold in (0, 1))
    return local.fold == 1 and first != second
