"""The Maintenance Dispatcher: what is to be done, where, and in which order.

Every reason has a weight; a device has that of its weightiest reason and a quarter of each further
one, a site that of its first device and a quarter of each further one, so that a visit that settles
several things goes before one that settles a single thing of the same weight. The same facts give
the same list.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from tellus.agents.model import Action, Concern, SiteWork, Task, Unit, WornPart
from tellus.health.model_view import NoForecast, Wear
from tellus.kernel.units import DAY_MS, to_text

_FURTHER: Final = 0.25
_ALERT: Final[Mapping[str, float]] = MappingProxyType(
    {"critical": 100.0, "high": 60.0, "medium": 25.0, "low": 10.0}
)
_CLEARED: Final = 0.3
_ACKNOWLEDGED: Final = 0.8
_SOON_DAYS, _LATER_DAYS = 30.0, 90.0
_SOON, _LATER = 40.0, 15.0
_ANOMALY, _REPEAT = 20.0, 30.0

_PARTS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "F-0101": ("contactor",),
        "F-0203": ("connector pins", "cable"),
        "F-0204": ("cooling fan", "temperature sensor"),
        "F-0411": ("power module", "CAN cable"),
        "F-0421": ("contactor", "auxiliary contact"),
        "F-0601": ("cooling fan",),
        "F-0701": ("bidirectional contactor", "inverter"),
        "F-0805": ("connector lock",),
        "contactor": ("contactor",),
        "contactor_wear": ("contactor",),
        "inverter": ("inverter",),
        "cooling_fan_rpm": ("cooling fan",),
        "temp_dc_outlet_c": ("connector pins", "cable"),
        "isolation_test_kohms": ("cable",),
    }
)
_WORN_CONTACTOR: Final = "contactor_wear"
_REMOTE: Final = frozenset(
    {"F-0301", "F-0302", "F-0512", "site_network", "grid", "stuck_preparing"}
)
_NOTHING_TO_DO: Final = frozenset({"F-0702"})


def weigh(concern: Concern) -> float:
    """Return the weight of a reason, 0 for what needs nobody at the charger."""
    if concern.code in _NOTHING_TO_DO:
        return 0.0
    if concern.kind == "alert":
        weight = _ALERT.get(concern.severity, 0.0)
        weight *= _CLEARED if concern.cleared else 1.0
        return weight * (_ACKNOWLEDGED if concern.acknowledged else 1.0)
    if concern.kind == "wear":
        days = concern.days_left
        if days is None or days > _LATER_DAYS:
            return 0.0
        return _SOON if days <= _SOON_DAYS else _LATER
    return _ANOMALY if concern.kind == "anomaly" else _REPEAT


def find_worn(place: tuple[int, int], component: str, wear: Wear, now_ms: int) -> WornPart | None:
    """Return a part of a place (device, connector) that may be worn within 90 days, else None.

    Counted is the earliest day of its forecast: who plans a visit wants to be there before.
    """
    name = component.replace("_", " ")
    if wear.reason is NoForecast.REACHED and wear.rated is not None:
        text = f"{name.capitalize()}: {wear.cycles} cycles, rated life {wear.rated.cycles} reached"
        return WornPart(*place, component, 0.0, text)
    if wear.forecast is None or wear.rated is None:
        return None
    days = max(0.0, (wear.forecast.earliest_ms - now_ms) / DAY_MS)
    if days > _LATER_DAYS:
        return None
    text = (
        f"{name.capitalize()}: {wear.cycles} of {wear.rated.cycles} cycles, worn by"
        f" {to_text(wear.forecast.earliest_ms)[:10]} at the earliest"
    )
    return WornPart(*place, component, round(days, 2), text)


def plan_work(units: Iterable[Unit], concerns: Mapping[int, Sequence[Concern]]) -> list[SiteWork]:
    """Return the work of one operator by site, both in order of rank.

    ``concerns`` are by device; those without weight are left out, and so are devices without any.
    """
    by_site: dict[str, list[tuple[Unit, Task]]] = defaultdict(list)
    for unit in units:
        task = _plan_device(unit, concerns.get(unit.device_no, ()))
        if task is not None:
            by_site[unit.site_id].append((unit, task))
    work = []
    for site_id, pairs in by_site.items():
        pairs.sort(key=lambda pair: (-pair[1].score, pair[0].device_id))
        tasks = [task for _, task in pairs]
        score = _add_up([task.score for task in tasks])
        work.append(SiteWork(site_id=site_id, score=score, tasks=tasks))
    return sorted(work, key=lambda one: (-one.score, one.site_id))


def _plan_device(unit: Unit, concerns: Sequence[Concern]) -> Task | None:
    weighed = [(weigh(one), one) for one in concerns]
    weighed = [pair for pair in weighed if pair[0] > 0]
    if any(one.kind == "wear" for _, one in weighed):
        # The alert of a worn contactor says no more than the forecast.
        weighed = [pair for pair in weighed if pair[1].code != _WORN_CONTACTOR]
    if not weighed:
        return None
    weighed.sort(key=lambda pair: (-pair[0], pair[1]))
    ranked = [concern for _, concern in weighed]
    parts = () if ranked[0].firmware_to_blame else _list_parts(ranked)
    return Task(
        device_no=unit.device_no,
        action=_choose_action(ranked),
        score=_add_up([weight for weight, _ in weighed]),
        reasons=[_describe(weight, one) for weight, one in weighed],
        parts=list(parts),
    )


def _choose_action(ranked: Sequence[Concern]) -> Action:
    """Return ``firmware``, ``remote`` or ``visit``: the least that settles all reasons."""
    pending = [one for one in ranked if not one.firmware_to_blame]
    if not pending:
        return "firmware"
    return "remote" if all(one.code in _REMOTE for one in pending) else "visit"


def _list_parts(ranked: Sequence[Concern]) -> tuple[str, ...]:
    wanted = (
        part for one in ranked if not one.firmware_to_blame for part in _PARTS.get(one.code, ())
    )
    return tuple(dict.fromkeys(wanted))


def _add_up(scores: Sequence[float]) -> float:
    """Return the first score and a quarter of each further one; ``scores`` fall."""
    return round(scores[0] + _FURTHER * sum(scores[1:]), 3)


def _describe(weight: float, concern: Concern) -> Mapping[str, Any]:
    reason: dict[str, Any] = {
        "kind": concern.kind,
        "code": concern.code,
        "text": concern.text,
        "ref": concern.ref,
        "weight": round(weight, 3),
    }
    if concern.days_left is not None:
        reason["days_left"] = round(concern.days_left, 1)
    return reason
