"""The sandbox's world: three sites and 24 chargers with 41 connectors, the same for the same seed.

Places are real, addresses and everything else are made up.
"""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import msgspec

from tellus.simulator.device import ChargerSpec
from tellus.simulator.stories import Story, StoryCharger, all_stories, enact

HISTORY_DAYS: Final = 30
_DAY_MS: Final = 86_400_000
HEAD_START_S: Final = 75.0
"""How long before now the present begins: time for those who are there to start charging."""
_HEAD_START_MS: Final = round(1000 * HEAD_START_S)
_PLAN_FILE: Final = "sandbox.json"
_ALWAYS_FREE: Final = "quiet"


@dataclass(frozen=True, slots=True)
class DemoSite:
    """A site: what the platform is told of it, its chargers by model, who came in the past."""

    name: str
    address: str
    lat: float
    lng: float
    timezone: str
    power_capacity_kw: float
    scenario: str
    models: tuple[tuple[str, int], ...]

    @property
    def body(self) -> dict[str, Any]:
        """Return the site as the API takes it."""
        return {
            "name": self.name,
            "address": self.address,
            "location": {"lat": self.lat, "lng": self.lng},
            "timezone": self.timezone,
            "power_capacity": self.power_capacity_kw,
        }


SITES: Final = (
    DemoSite(
        name="Lyon Confluence",
        address="Quai du Confluent 14, 69002 Lyon, France",
        lat=45.7406,
        lng=4.8170,
        timezone="Europe/Paris",
        power_capacity_kw=630.0,
        scenario="public",
        models=(("TP-AC22", 4), ("TP-DC60", 4)),
    ),
    DemoSite(
        name="Utrecht Papendorp Depot",
        address="Papendorpseweg 250, 3528 Utrecht, Netherlands",
        lat=52.0649,
        lng=5.0879,
        timezone="Europe/Amsterdam",
        power_capacity_kw=900.0,
        scenario="campus",
        models=(("TP-AC22", 2), ("TP-DC60", 1), ("TP-DC180-V2G", 3), ("TP-DC360-V2G", 1)),
    ),
    DemoSite(
        name="Hamburg Billbrook Hub",
        address="Billbrookdeich 310, 22113 Hamburg, Germany",
        lat=53.5302,
        lng=10.0934,
        timezone="Europe/Berlin",
        power_capacity_kw=1600.0,
        scenario="public",
        models=(("TP-AC22", 1), ("TP-DC60", 5), ("TP-DC180", 2), ("TP-DC360-V2G", 1)),
    ),
)


@dataclass(frozen=True, slots=True)
class DemoCharger:
    """A charger of the sandbox: its past self, how it lives now, and its part in a story."""

    site: DemoSite
    past: ChargerSpec
    scenario: str | None
    part: StoryCharger | None = None

    @property
    def sn(self) -> str:
        """Return the serial number."""
        return self.past.sn

    def enacted(self, present_ms: int, *, is_past: bool = False) -> ChargerSpec:
        """Return it with what its part in a story plants in it, as of the sandbox's present."""
        if self.part is None:
            return self.past
        return enact(self.past, self.part, present_ms, is_past=is_past)


def _find_parts() -> dict[tuple[str, str, int], StoryCharger]:
    """Return the parts of all stories by site, model and number."""
    return {
        (SITES[part.site - 1].name, part.model, part.number): part
        for story in all_stories()
        for part in story.chargers
    }


def tell_stories(seed: int) -> list[tuple[Story, dict[str, list[str]]]]:
    """Return the stories, each with the serial numbers of its chargers by role."""
    parts = {id(one.part): one.sn for one in build_chargers(seed) if one.part is not None}
    told = []
    for story in all_stories():
        cast: dict[str, list[str]] = {"truth": [], "decoy": []}
        for part in story.chargers:
            cast[part.role].append(parts[id(part)])
        told.append((story, cast))
    return told


def build_chargers(seed: int) -> list[DemoCharger]:
    """Return all chargers; the first is never visited, so that it is free for a remote start."""
    chargers: list[DemoCharger] = []
    parts = _find_parts()
    for site in SITES:
        for model, count in site.models:
            for number in range(1, count + 1):
                past = ChargerSpec(
                    sn=f"TPS{seed:04d}-{len(chargers) + 1:05d}",
                    model=model,
                    scenario=site.scenario,
                    timezone=site.timezone,
                    site=site.name,
                )
                part = parts.get((site.name, model, number))
                scenario = None if chargers else _ALWAYS_FREE
                chargers.append(DemoCharger(site, past, scenario, part))
    return chargers


class Plan(msgspec.Struct):
    """What makes a sandbox the one it is; kept in its folder, which it also marks as a sandbox.

    ``lived_until_ms`` is when its chargers last stopped in good order; None while they live.
    ``contactor_cycles`` are what they counted until then, by serial number and connector id.
    """

    seed: int
    from_ms: int
    to_ms: int
    history_done: bool = False
    lived_until_ms: int | None = None
    contactor_cycles: dict[str, dict[int, int]] = {}

    @classmethod
    def fresh(cls, seed: int) -> Self:
        """Return a plan whose history ends where the present begins, a little before now."""
        to_ms = int(1000 * time.time()) - _HEAD_START_MS
        return cls(seed, to_ms - HISTORY_DAYS * _DAY_MS, to_ms, lived_until_ms=to_ms)

    def head_start_s(self, now_s: float) -> float:
        """Return how far before now its chargers may begin: never within an earlier life."""
        if self.lived_until_ms is None:
            return 0.0
        return min(HEAD_START_S, max(0.0, now_s - self.lived_until_ms / 1000))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Return the plan of a sandbox's folder.

        Raises:
            FileNotFoundError: the folder is no sandbox's.
            msgspec.DecodeError: the file is damaged.
        """
        return msgspec.json.decode((folder / _PLAN_FILE).read_bytes(), type=cls)

    def save(self, folder: Path) -> None:
        """Write the plan, whole or not at all."""
        path = folder / _PLAN_FILE
        unfinished = path.with_suffix(".new")
        unfinished.write_bytes(msgspec.json.encode(self))
        unfinished.replace(path)

    @staticmethod
    def marks(folder: Path) -> bool:
        """Tell whether the folder is a sandbox's."""
        return (folder / _PLAN_FILE).exists()
