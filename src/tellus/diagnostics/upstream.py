"""Looks whether faults have one cause upstream of the chargers, and folds them into it.

Faults that may come from upstream are held for a while before an alert is told, so that those of
one outage are there when it is judged. Then there is one alert that lists the devices, and none of
each of them. When it is over, what is still lost gets an alert of its own.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from tellus.alerts.model import AlertSeverity, Cleared, Finding
from tellus.diagnostics.desk import HELD, device_of
from tellus.diagnostics.model import FIRMWARE, GRID, RELEASED, SITE_NETWORK, Condition
from tellus.diagnostics.rules_upstream import (
    LEAST_IN_AREA,
    OUTAGE_INTERVAL_MS,
    STORM_INTERVAL_MS,
    Loss,
    Place,
    grid,
    site_network,
)
from tellus.fleet.directory import Device, Directory
from tellus.kernel.units import to_text

_INTERVALS: Final = {"F-0301": OUTAGE_INTERVAL_MS, "F-0302": STORM_INTERVAL_MS}
_NAMED: Final = 10
_SYNC_LOST: Final = "F-0701"
_WORDS: Final = {
    "F-0301": "fell silent within 90 seconds of each other",
    "F-0302": "reconnect again and again at the same time",
}

_encode = msgspec.json.Encoder().encode
_members = msgspec.json.Decoder(dict[str, Any]).decode


class Site(NamedTuple):
    """Where a site is (degrees)."""

    lat: float | None
    lng: float | None


class Changes(NamedTuple):
    """What changes together: conditions as they are to be, by what they were, and what follows."""

    conditions: list[tuple[Condition | None, Condition]]
    findings: list[Finding]
    cleared: list[Cleared]


class Upstream:
    """Judges all present conditions together; it changes nothing by itself."""

    def __init__(self, directory: Directory, hold_ms: int, area_km: float) -> None:
        self._directory = directory
        self._hold_ms = hold_ms
        self._area_km = area_km

    def judge(
        self, present: Sequence[Condition], sites: dict[str, Site], now_ms: int
    ) -> list[Changes]:
        """Return what follows from all that is the case now, of each larger matter apart."""
        changes: list[Changes] = []
        larger = {
            (one.operator_id, one.matter): one
            for one in present
            if one.is_larger and one.code != FIRMWARE
        }
        single = [one for one in present if one.code in HELD and device_of(self._directory, one)]
        self._judge_sites(single, larger, changes, now_ms)
        self._judge_areas(single, larger, sites, changes, now_ms)
        self._end(single, larger, changes, now_ms)
        return changes

    def _judge_sites(
        self,
        single: Sequence[Condition],
        larger: dict[tuple[str, str], Condition],
        changes: list[Changes],
        now_ms: int,
    ) -> None:
        places: dict[tuple[str, str, str], list[Condition]] = {}
        for one in single:
            if one.code in _INTERVALS and (one.told_ms is None or one.folded):
                places.setdefault((one.operator_id, one.site_id, one.code), []).append(one)
        for (operator_id, site_id, code), found in sorted(places.items()):
            matter = f"{SITE_NETWORK}:{site_id}"
            held = larger.get((operator_id, matter))
            fresh = [one for one in found if not one.folded]
            if not fresh:
                continue
            if held is not None:
                self._fold(held, fresh, matter, changes, now_ms)
                continue
            losses = [Loss(one.device_no, one.last_ms) for one in fresh]
            there = self._count_there(site_id, {one.device_no for one in fresh})
            together = {loss.device_no for loss in site_network(losses, there, _INTERVALS[code])}
            group = [one for one in fresh if one.device_no in together]
            if group and self._is_ripe(group, now_ms):
                self._fold(None, group, matter, changes, now_ms)

    def _judge_areas(
        self,
        single: Sequence[Condition],
        larger: dict[tuple[str, str], Condition],
        sites: dict[str, Site],
        changes: list[Changes],
        now_ms: int,
    ) -> None:
        by_operator: dict[str, list[Condition]] = {}
        for one in single:
            if one.code == _SYNC_LOST and (one.told_ms is None or one.folded):
                by_operator.setdefault(one.operator_id, []).append(one)
        for operator_id, found in by_operator.items():
            places = [
                Place(
                    one.device_no, one.last_ms, one.site_id, *sites.get(one.site_id, (None, None))
                )
                for one in found
            ]
            for group in grid(places, self._area_km):
                numbers = {place.device_no for place in group}
                members = [one for one in found if one.device_no in numbers]
                fresh = [one for one in members if not one.folded]
                matter = next(
                    (one.folded for one in members if one.folded), f"{GRID}:{group[0].site_id}"
                )
                held = larger.get((operator_id, matter))
                if fresh and (held is not None or self._is_ripe(fresh, now_ms)):
                    self._fold(held, fresh, matter, changes, now_ms)

    def _end(
        self,
        single: Sequence[Condition],
        larger: dict[tuple[str, str], Condition],
        changes: list[Changes],
        now_ms: int,
    ) -> None:
        """End what is over: less than half of its devices are still lost."""
        grown = {after.matter for change in changes for _, after in change.conditions}
        folded: dict[tuple[str, str], list[Condition]] = {}
        for one in single:
            if one.folded:
                folded.setdefault((one.operator_id, one.folded), []).append(one)
        for whose, held in larger.items():
            if held.matter in grown:
                continue
            left = folded.get(whose, [])
            devices = {one.device_no for one in left}
            lost = len(_members(held.content)["devices"])
            if len(devices) >= LEAST_IN_AREA and 2 * len(devices) >= lost:
                continue
            ended = Cleared(operator_id=held.operator_id, key=held.matter, at_ms=now_ms)
            change = Changes([(held, held._replace(cleared_ms=now_ms))], [], [ended])
            # Held anew, and then told one by one: they may just be slower in coming back.
            change.conditions.extend(
                (one, one._replace(folded=RELEASED, seen_ms=now_ms)) for one in left
            )
            changes.append(change)

    def _fold(
        self,
        held: Condition | None,
        fresh: Sequence[Condition],
        matter: str,
        changes: list[Changes],
        now_ms: int,
    ) -> None:
        """Fold conditions into a larger one, which begins with them or grows by them."""
        content = _members(held.content) if held is not None else {"devices": []}
        known = {entry["device_id"] for entry in content["devices"]}
        devices = [(one, device_of(self._directory, one)) for one in fresh]
        content["devices"] += [
            _entry(one, device)
            for one, device in devices
            if device is not None and device.device_id not in known
        ]
        content["codes"] = sorted({entry["code"] for entry in content["devices"]})
        first = min(fresh, key=lambda one: one.last_ms)
        after = Condition(
            first.operator_id,
            matter,
            matter.partition(":")[0],
            0,
            0,
            held.site_id if held is not None else first.site_id,
            matter.partition(":")[0],
            held.since_ms if held is not None else first.last_ms,
            max(one.last_ms for one in fresh),
            now_ms,
            now_ms,
            None,
            None,
            _encode(content).decode(),
        )
        folded = [(one, one._replace(folded=matter)) for one in fresh]
        finding = _finding(after, content, fresh[0].code)
        changes.append(Changes([(held, after), *folded], [finding], []))

    def _is_ripe(self, group: Iterable[Condition], now_ms: int) -> bool:
        return min(one.seen_ms for one in group) <= now_ms - self._hold_ms

    def _count_there(self, site_id: str, lost: set[int]) -> int:
        """Count the devices of a site that were there: online, or lost just now."""
        devices = self._directory.of_site(site_id)
        return sum(device.online or device.device_no in lost for device in devices)


def _entry(one: Condition, device: Device) -> dict[str, Any]:
    return {
        "device_id": device.device_id,
        "sn": device.sn,
        "site_id": one.site_id,
        "code": one.code,
        "at": to_text(one.last_ms),
    }


def _finding(held: Condition, content: dict[str, Any], code: str) -> Finding:
    count = len(content["devices"])
    names = ", ".join(entry["sn"] for entry in content["devices"][:_NAMED])
    more = f" and {count - _NAMED} more" if count > _NAMED else ""
    if held.code == SITE_NETWORK:
        title = "Site network"
        text = (
            f"{count} chargers of the site {_WORDS[code]}: {names}{more}. The cause lies upstream"
            " of them: look at the site's router, its uplink and its power before any charger."
        )
    else:
        title = "Grid disturbance"
        text = (
            f"{count} V2G chargers of the area lost grid sync within minutes: {names}{more}. Look"
            " at the grid's voltage and frequency there before any inverter."
        )
    return Finding(
        key=held.matter,
        operator_id=held.operator_id,
        site_id=held.site_id if held.code == SITE_NETWORK else None,
        code=held.code,
        severity=AlertSeverity.HIGH,
        title=title,
        text=text,
        found_by=held.code,
        at_ms=held.last_ms,
        evidence=content,
    )
