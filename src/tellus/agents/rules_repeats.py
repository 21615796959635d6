"""The Repeat-Fault Hunter: faults that come back, more often than elsewhere in the fleet.

What comes within an hour of the last is the same episode. A fault that a device has again and again
is set against how often the other devices have it: by the tail of a Poisson distribution with their
mean rate, as if one more device had had it once, so that a rare fault of a small fleet is not sure
at once. What most devices have is not one device's matter.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Final, NamedTuple

from tellus.agents.model import FaultFact, Unit
from tellus.agents.rules_robust import poisson_tail
from tellus.kernel.units import DAY_MS, HOUR_MS

WINDOW_MS: Final = 30 * DAY_MS
"""How far back the agent looks."""

EPISODE_MS: Final = HOUR_MS
FEWEST_EPISODES: Final = 3
LEAST_SURE: Final = 1e-3
"""The chance below which recurrence is not taken for bad luck."""

FEWEST_DEVICES: Final = 3
"""Devices that make it a matter of their firmware, if none of another version has it as often."""

FEWEST_SITES: Final = 2
FIRMWARE_RATIO: Final = 5.0


class Rhythm(NamedTuple):
    """How many episodes within how long (ms) are too many of a certain fault."""

    episodes: int
    within_ms: int


RHYTHMS: Final[Mapping[str, Rhythm]] = MappingProxyType(
    {"F-0411": Rhythm(2, DAY_MS), "F-0421": Rhythm(3, 7 * DAY_MS)}
)
"""What the dictionary and the runbooks call too often, whatever other devices do."""


class Recurrence(NamedTuple):
    """A fault that comes back.

    ``scope`` is ``component`` (one connector of a device whose others are well), ``device``, or
    ``firmware``. ``expected`` is how many episodes the other devices had on average, ``chance`` how
    probable that many are by it. ``returned_ms`` is when it came back after it was resolved.
    """

    scope: str
    code: str
    unit: Unit
    connector_id: int
    episodes: Sequence[int]
    expected: float
    chance: float
    devices: Sequence[int]
    returned_ms: int | None = None


def part_episodes(times_ms: Iterable[int]) -> list[int]:
    """Return the first time of each episode, in order."""
    episodes: list[int] = []
    last_ms = None
    for time_ms in sorted(times_ms):
        if last_ms is None or time_ms - last_ms > EPISODE_MS:
            episodes.append(time_ms)
        last_ms = time_ms
    return episodes


def find_recurrences(
    units: Sequence[Unit],
    faults: Iterable[FaultFact],
    resolved_ms: Mapping[tuple[int, str], int] = MappingProxyType({}),
) -> list[Recurrence]:
    """Return what comes back among the units of one operator, surest first.

    ``resolved_ms`` tells by device and code when an alert of it was last resolved by a person.
    """
    by_no = {unit.device_no: unit for unit in units}
    times: dict[str, dict[int, list[FaultFact]]] = defaultdict(lambda: defaultdict(list))
    for fault in faults:
        if fault.device_no in by_no:
            times[fault.code][fault.device_no].append(fault)
    found: list[Recurrence] = []
    for code, by_device in sorted(times.items()):
        episodes = {no: _episodes(facts) for no, facts in by_device.items()}
        blamed = _of_firmware(code, units, episodes)
        found += blamed
        excused = {no for one in blamed for no in one.devices}
        whole = sum(map(len, episodes.values())), len(units)
        for no, facts in by_device.items():
            if no not in excused:
                one = _of_device(code, by_no[no], facts, episodes[no], whole, resolved_ms)
                found += [] if one is None else [one]
    return sorted(found, key=lambda one: (one.chance, one.code, one.unit.device_id))


def _episodes(facts: Iterable[FaultFact]) -> list[int]:
    return part_episodes(fact.time_ms for fact in facts)


def _of_device(
    code: str,
    unit: Unit,
    facts: Sequence[FaultFact],
    own: Sequence[int],
    whole: tuple[int, int],
    resolved_ms: Mapping[tuple[int, str], int],
) -> Recurrence | None:
    """Return what comes back at a device; ``whole`` is all episodes of the fleet, and its size."""
    total, fleet = whole
    expected = (total - len(own) + 1) / max(fleet, 2)
    chance = poisson_tail(len(own), expected)
    too_often = _breaks_rhythm(code, own)
    if len(own) < FEWEST_EPISODES and not too_often:
        return None
    if chance > LEAST_SURE and not too_often:
        return None
    connectors = {fact.connector_id for fact in facts}
    single = len(connectors) == 1 and connectors != {0}
    mended_ms = resolved_ms.get((unit.device_no, code))
    returned_ms = None if mended_ms is None else next((t for t in own if t > mended_ms), None)
    return Recurrence(
        "component" if single else "device",
        code,
        unit,
        next(iter(connectors)) if single else 0,
        own,
        expected,
        chance,
        (unit.device_no,),
        returned_ms,
    )


def _breaks_rhythm(code: str, episodes: Sequence[int]) -> bool:
    """Tell whether so many episodes lie so close together that it is too often by itself."""
    rhythm = RHYTHMS.get(code)
    if rhythm is None:
        return False
    reach = rhythm.episodes - 1
    pairs = zip(episodes, episodes[reach:], strict=False)
    return any(last - first <= rhythm.within_ms for first, last in pairs)


def _of_firmware(
    code: str, units: Sequence[Unit], episodes: Mapping[int, Sequence[int]]
) -> list[Recurrence]:
    """Return versions on which several devices have the fault, far more often than on others."""
    found = []
    versions = sorted({unit.firmware_version for unit in units if unit.device_no in episodes})
    for version in versions:
        on_it = [unit for unit in units if unit.firmware_version == version]
        off_it = [unit for unit in units if unit.firmware_version != version]
        struck = [unit for unit in on_it if unit.device_no in episodes]
        sites = {unit.site_id for unit in struck}
        if len(struck) < FEWEST_DEVICES or len(sites) < FEWEST_SITES or not off_it:
            continue
        # Devices are counted, not episodes: one bad device makes no bad firmware.
        elsewhere = sum(unit.device_no in episodes for unit in off_it)
        expected = len(on_it) * (elsewhere + 1) / (len(off_it) + 1)
        chance = poisson_tail(len(struck), expected)
        if chance > LEAST_SURE or len(struck) < FIRMWARE_RATIO * expected:
            continue
        own = sorted(time_ms for unit in struck for time_ms in episodes[unit.device_no])
        devices = tuple(unit.device_no for unit in struck)
        found.append(Recurrence("firmware", code, struck[0], 0, own, expected, chance, devices))
    return found
