"""What lies upstream of the chargers: a site's network, the grid of an area.

Several chargers that are lost at once have one cause, and it is not in them. Lost at once is within
an interval; several of a site are three, or all where there are two, and a quarter of those there.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from tellus.kernel.units import MINUTE_MS, SECOND_MS

OUTAGE_INTERVAL_MS: Final = 90 * SECOND_MS
"""Chargers of one outage fall silent within a heartbeat's interval of each other, and some more."""

STORM_INTERVAL_MS: Final = 10 * MINUTE_MS
GRID_INTERVAL_MS: Final = 3 * MINUTE_MS
LEAST_AT_SITE: Final = 3
LEAST_SHARE: Final = 0.25
LEAST_IN_AREA: Final = 2
_EARTH_KM: Final = 6371.0
_KM_PER_DEGREE: Final = 111.1  # of latitude, and a little more: nobody near is left out by it


class Loss(NamedTuple):
    """A device that was lost, or whose fault began, at ``at_ms``."""

    device_no: int
    at_ms: int


class Place(NamedTuple):
    """A device with the coordinates (degrees) of its site, None where they are not known."""

    device_no: int
    at_ms: int
    site_id: str
    lat: float | None
    lng: float | None


def find_together(losses: Sequence[Loss], interval_ms: int) -> list[Loss]:
    """Return the largest set of devices, each once, that were lost within an interval."""
    ordered = sorted(losses, key=lambda loss: (loss.at_ms, loss.device_no))
    window: dict[int, int] = {}
    best, begin = (0, 0, 0), 0
    for end, loss in enumerate(ordered):
        window[loss.device_no] = window.get(loss.device_no, 0) + 1
        while ordered[begin].at_ms < loss.at_ms - interval_ms:
            left = ordered[begin].device_no
            window[left] -= 1
            if not window[left]:
                del window[left]
            begin += 1
        if len(window) > best[0]:
            best = (len(window), begin, end + 1)
    _, begin, end = best
    together: dict[int, Loss] = {}
    for loss in ordered[begin:end]:
        together.setdefault(loss.device_no, loss)
    return list(together.values())


def is_site_wide(lost: int, devices: int) -> bool:
    """Tell whether so many lost devices of a site's ``devices`` are the site, not the devices."""
    if lost >= LEAST_AT_SITE:
        return lost >= LEAST_SHARE * devices
    return lost == devices == LEAST_AT_SITE - 1


def site_network(losses: Sequence[Loss], devices: int, interval_ms: int) -> list[Loss]:
    """Return which devices of a site were lost to its network; none where it is not that."""
    together = find_together(losses, interval_ms)
    return together if is_site_wide(len(together), devices) else []


def grid(places: Sequence[Place], area_km: float) -> list[list[Place]]:
    """Return groups of devices of an area that lost sync within minutes of each other.

    Each lies within ``area_km`` of the group's first; without coordinates an area is a site.
    """
    ordered = sorted(places, key=lambda place: (place.at_ms, place.device_no))
    groups = []
    taken: set[int] = set()
    for begin, first in enumerate(ordered):
        if begin in taken:
            continue
        near = [
            number
            for number in _within(ordered, begin, first.at_ms + GRID_INTERVAL_MS)
            if number not in taken and _is_near(first, ordered[number], area_km)
        ]
        group = list({ordered[n].device_no: ordered[n] for n in reversed(near)}.values())[::-1]
        if len(group) >= LEAST_IN_AREA:
            groups.append(group)
            taken.update(near)
    return groups


def _within(ordered: Sequence[Place], begin: int, until_ms: int) -> Iterator[int]:
    """Yield the numbers of the places from one on that were lost up to an instant (ms)."""
    for number in range(begin, len(ordered)):
        if ordered[number].at_ms > until_ms:
            return
        yield number


def distance_km(first: tuple[float, float], second: tuple[float, float]) -> float:
    """Return the distance along the earth between two (latitude, longitude) in degrees."""
    lat, lng, other_lat, other_lng = map(math.radians, (*first, *second))
    half = (
        math.sin((other_lat - lat) / 2) ** 2
        + math.cos(lat) * math.cos(other_lat) * math.sin((other_lng - lng) / 2) ** 2
    )
    return 2 * _EARTH_KM * math.asin(math.sqrt(min(1.0, half)))


def _is_near(first: Place, other: Place, area_km: float) -> bool:
    if first.site_id == other.site_id:
        return True
    if first.lat is None or first.lng is None or other.lat is None or other.lng is None:
        return False
    if abs(first.lat - other.lat) * _KM_PER_DEGREE > area_km:
        return False
    return distance_km((first.lat, first.lng), (other.lat, other.lng)) <= area_km
