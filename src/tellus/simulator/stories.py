"""Stories with a known truth, to try detection and runbooks on: data in ``stories.toml``."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Literal

import msgspec

from tellus.simulator.plants import INJECT, Plant

if TYPE_CHECKING:
    from tellus.simulator.device import ChargerSpec

_DAY_MS = 86_400_000


class _Told(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Refuses a misspelt word instead of ignoring it."""


class StoryPlant(_Told, frozen=True):
    """A ``Plant`` whose time is told from the present: days before it, or seconds after a start."""

    value: str | None = None
    variant: str | None = None
    strength: float | None = None
    connector_id: int = 1
    action: str = INJECT
    days_before: float | None = None
    after_start_s: float = 0.0

    def at(self, present_ms: int) -> Plant:
        """Return it with its time."""
        at_ms = None
        if self.days_before is not None:
            at_ms = present_ms - round(_DAY_MS * self.days_before)
        return Plant(
            self.value, self.variant, self.strength, self.connector_id, self.action, at_ms,
            self.after_start_s,
        )  # fmt: skip


class StoryCharger(_Told, frozen=True):
    """One charger of a story: the ``number``-th of its model at a site, both counted from 1.

    ``attended`` faults are reset after a while by somebody; ``profile`` names what it is assigned.
    """

    role: Literal["truth", "decoy"]
    site: int
    model: str
    number: int
    firmware_version: str | None = None
    contactor_cycles: int | None = None
    gives_back_every_s: float | None = None
    attended: bool = False
    profile: str = ""
    plants: tuple[StoryPlant, ...] = ()


class Story(_Told, frozen=True):
    """What is true, what only looks like it, and at which chargers."""

    slug: str
    title: str
    truth: str
    decoy: str
    chargers: tuple[StoryCharger, ...]


class _Book(_Told, frozen=True):
    stories: tuple[Story, ...]


@cache
def all_stories() -> tuple[Story, ...]:
    """Read and check the stories shipped with the package."""
    text = resources.files(__package__).joinpath("stories.toml").read_bytes()
    return msgspec.toml.decode(text, type=_Book).stories


def enact(
    spec: ChargerSpec, part: StoryCharger, present_ms: int, *, is_past: bool = False
) -> ChargerSpec:
    """Return a charger with its part in a story; its past knows only what happened then."""
    plants = tuple(
        one.at(present_ms) for one in part.plants if not is_past or one.days_before is not None
    )
    gives_s = None if is_past else part.gives_back_every_s
    cycles = part.contactor_cycles
    return replace(
        spec,
        firmware_version=part.firmware_version or spec.firmware_version,
        plants=(*spec.plants, *plants),
        gives_back_every_s=gives_s,
        is_attended=part.attended,
        contactor_cycles={} if cycles is None else dict.fromkeys((1, 2), cycles),
    )
