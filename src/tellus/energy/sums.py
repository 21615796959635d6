"""The sums of scopes: what sessions change in hours, minutes and days, added to what is stored.

Whole numbers throughout: what was added can be taken away again, and nothing is left of it.
"""

from array import array
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from tellus.energy import store_folded, store_sums
from tellus.energy.model import MinuteEnergies
from tellus.energy.model_sums import DaySums, HourSums, MinuteSums, Quarters
from tellus.energy.shapes import MINUTES_PER_QUARTER, add_difference, minutes_of
from tellus.energy.store_sums import ScopeTime
from tellus.kernel.units import DAY_MS, HOUR_MS
from tellus.storage.database import Tx

MOST_NKWH = 2**57
"""The largest sum that is kept, 144 GWh: sums of sums have room beside it in 64 bits."""

_MINUTES_PER_HOUR = 60
_QUARTERS = range(4)
_NO_QUARTERS: Quarters = (0, 0, 0, 0)
_NO_MINUTES = array("q", bytes(8 * _MINUTES_PER_HOUR))


class Moved(NamedTuple):
    """What changes in one hour of a scope: charge and discharge by quarter, net by minute."""

    charge: list[int]
    discharge: list[int]
    net: dict[int, int]


def scope_key(scope_id: str) -> str:
    """Return the name under which a scope's sums are locked (see ``Tx.lock``)."""
    return f"energy_sums:{scope_id}"


def add_moved(total: dict[str, MinuteEnergies], more: Mapping[str, MinuteEnergies]) -> None:
    """Add to ``total`` what changes in the minutes of scopes."""
    for scope_id, minutes in more.items():
        held = total.setdefault(scope_id, {})
        for minute, (charge, discharge) in minutes.items():
            sum_ = held.get(minute, (0, 0))
            held[minute] = (sum_[0] + charge, sum_[1] + discharge)


def apply_moved(tx: Tx, moved: Mapping[str, MinuteEnergies]) -> None:
    """Add what changes in the minutes of scopes to the sums; peaks follow.

    Whoever calls this holds the locks of the scopes (``scope_key``).

    Raises:
        OverflowError: a sum would be larger than any that is kept; nothing is written then.
    """
    by_hour = _gather(moved)
    if not by_hour:
        return
    keys = sorted(by_hour)
    hours = store_sums.find_hours(tx, keys)
    minutes = store_sums.find_minutes(tx, keys)
    put: list[HourSums] = []
    put_minutes: list[MinuteSums] = []
    gone: list[ScopeTime] = []
    days: dict[ScopeTime, tuple[int, int]] = {}
    for key in keys:
        change = by_hour[key]
        hour = hours.get(key) or HourSums(*key, _NO_QUARTERS, _NO_QUARTERS, _NO_QUARTERS)
        net = array("q", minutes.get(key, _NO_MINUTES))
        for minute, energy in change.net.items():
            net[minute] += energy
        after = _move_hour(hour, change, net)
        _require_room(*after.charge_nkwh, *after.discharge_nkwh, *after.peak_nkwh)
        if any(after.charge_nkwh) or any(after.discharge_nkwh) or any(net):
            put.append(after)
            put_minutes.append(MinuteSums(*key, net))
        else:
            gone.append(key)
        day = (key[0], key[1] // DAY_MS * DAY_MS)
        held = days.get(day, (0, 0))
        days[day] = (held[0] + sum(change.charge), held[1] + sum(change.discharge))
    held_days = _find_days(tx, days)
    store_sums.put_hours(tx, put)
    store_sums.put_minutes(tx, put_minutes)
    if gone:
        store_sums.delete_hours(tx, gone)
    _move_days(tx, days, held_days)


def _gather(moved: Mapping[str, MinuteEnergies]) -> dict[ScopeTime, Moved]:
    """Return by scope and hour what changes; hours in which nothing does are left out."""
    by_hour: dict[ScopeTime, Moved] = {}
    for scope_id, minutes in moved.items():
        for minute, (charge, discharge) in minutes.items():
            if not charge and not discharge:
                continue
            hour, within = divmod(minute, _MINUTES_PER_HOUR)
            key = (scope_id, hour * HOUR_MS)
            change = by_hour.get(key)
            if change is None:
                change = by_hour[key] = Moved([0] * 4, [0] * 4, {})
            quarter = within // MINUTES_PER_QUARTER
            change.charge[quarter] += charge
            change.discharge[quarter] += discharge
            change.net[within] = charge - discharge
    return by_hour


def _move_hour(hour: HourSums, change: Moved, net: "array[int]") -> HourSums:
    charge = [hour.charge_nkwh[k] + change.charge[k] for k in _QUARTERS]
    discharge = [hour.discharge_nkwh[k] + change.discharge[k] for k in _QUARTERS]
    peak = list(hour.peak_nkwh)
    for quarter in {minute // MINUTES_PER_QUARTER for minute in change.net}:
        first = quarter * MINUTES_PER_QUARTER
        part = net[first : first + MINUTES_PER_QUARTER]
        peak[quarter] = max(*part, -min(part))
    return HourSums(hour.scope_id, hour.hour_ms, _four(charge), _four(discharge), _four(peak))


def _four(values: list[int]) -> Quarters:
    return values[0], values[1], values[2], values[3]


def _require_room(*sums: int) -> None:
    if max(sums) > MOST_NKWH:
        raise OverflowError("A sum of energies is larger than any that is kept")


def _find_days(tx: Tx, changes: Mapping[ScopeTime, tuple[int, int]]) -> dict[ScopeTime, DaySums]:
    held = store_sums.find_days(tx, sorted(changes))
    for key, (charge, discharge) in changes.items():
        day = held.get(key)
        _require_room(
            charge + (day.charge_nkwh if day else 0), discharge + (day.discharge_nkwh if day else 0)
        )
    return held


def _move_days(
    tx: Tx,
    changes: Mapping[ScopeTime, tuple[int, int]],
    held: Mapping[ScopeTime, DaySums],
) -> None:
    put: list[DaySums] = []
    gone: list[ScopeTime] = []
    for key in sorted(changes):
        day = held.get(key) or DaySums(*key, 0, 0, 0)
        charge, discharge = changes[key]
        peak = store_sums.find_day_peaks(tx, key[0], key[1], key[1] + DAY_MS)
        after = DaySums(*key, day.charge_nkwh + charge, day.discharge_nkwh + discharge, peak)
        if any(after[2:]):
            put.append(after)
        else:
            gone.append(key)
    store_sums.put_days(tx, put)
    if gone:
        store_sums.delete_days(tx, gone)


class SumsDiffer(AssertionError):
    """The stored sums are not those of the stored sessions."""


def check_sums(tx: Tx) -> int:
    """Compare all sums with the sessions they are made of; return how many hours hold any.

    Minutes and peaks of hours that hold sessions by the quarter-hour are not compared: their
    minutes are known in the sums alone.

    Raises:
        SumsDiffer: they do not agree; the message says where.
    """
    moved: dict[str, MinuteEnergies] = {}
    coarse: set[ScopeTime] = set()
    for session in store_folded.list_all(tx):
        minutes = minutes_of(session)
        for scope_id in {session.site_id, session.operator_id}:
            add_difference(moved.setdefault(scope_id, {}), minutes, {})
            if session.resolution != "minute":
                coarse.update((scope_id, minute // 60 * HOUR_MS) for minute in minutes)
    wanted = _gather(moved)
    hours, nets, days = store_sums.read_all(tx)
    _require(sorted(hours), sorted(wanted), "hours")
    _require(sorted(nets), sorted(wanted), "hours with minutes")
    for key, change in wanted.items():
        hour, net = hours[key], nets[key]
        _require(list(hour.charge_nkwh), change.charge, f"charge of {key}")
        _require(list(hour.discharge_nkwh), change.discharge, f"discharge of {key}")
        if key not in coarse:
            minutes_wanted = [change.net.get(k, 0) for k in range(_MINUTES_PER_HOUR)]
            _require(list(net), minutes_wanted, f"minutes of {key}")
        blank = HourSums(*key, _NO_QUARTERS, _NO_QUARTERS, _NO_QUARTERS)
        every = Moved([0] * 4, [0] * 4, dict(enumerate(net)))
        _require(hour.peak_nkwh, _move_hour(blank, every, net).peak_nkwh, f"peaks of {key}")
    _require(days, _days_of(hours.values()), "days")
    return len(wanted)


def _days_of(hours: Iterable[HourSums]) -> dict[ScopeTime, DaySums]:
    days: dict[ScopeTime, DaySums] = {}
    for hour in hours:
        key = (hour.scope_id, hour.hour_ms // DAY_MS * DAY_MS)
        held = days.get(key) or DaySums(*key, 0, 0, 0)
        days[key] = DaySums(
            *key,
            held.charge_nkwh + sum(hour.charge_nkwh),
            held.discharge_nkwh + sum(hour.discharge_nkwh),
            max((held.peak_nkwh, *hour.peak_nkwh)),
        )
    return days


def _require(found: object, wanted: object, what: str) -> None:
    if found != wanted:
        raise SumsDiffer(f"{what}: {found} stored, {wanted} by the sessions")
