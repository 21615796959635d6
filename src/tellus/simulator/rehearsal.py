"""A fleet in virtual time, without sockets: what a platform would hear of it, and when.

For tests of detection and the like: hours of many chargers in seconds, the same for the same seed.
"""

from __future__ import annotations

from collections.abc import Iterator
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

from tellus.simulator.device import ChargerSpec, ChargerTwin
from tellus.simulator.figures import default_figures
from tellus.simulator.stages import LIVE_CADENCE, Cadence

if TYPE_CHECKING:
    from tellus.simulator.messages import Message

_TURN_MS = 10_000
_HEARTBEAT_MS = 30_000


class Heard(NamedTuple):
    """One message as it arrives: ``message.time_ms`` is when it was said."""

    arrived_ms: int
    sn: str
    message: Message


class Beat(NamedTuple):
    """One heartbeat; ``is_reconnect`` where the charger has just come back with a new token."""

    arrived_ms: int
    sn: str
    fault_code: int | str
    config_profile_id: str
    running_config_hash: str
    is_reconnect: bool


class Rehearsal:
    """Chargers from ``start_ms`` on; ``twins`` by serial number can be told anything meanwhile."""

    def __init__(
        self,
        specs: list[ChargerSpec],
        seed: int,
        start_ms: int,
        scenario: str = "public",
        *,
        cadence: Cadence = LIVE_CADENCE,
        step_ms: int = 1_000,
    ) -> None:
        figures = default_figures()
        self.time_ms = start_ms
        self.twins = {
            spec.sn: ChargerTwin(
                spec,
                figures.scenario(spec.scenario or scenario),
                seed,
                start_ms,
                cadence=cadence,
                step_ms=step_ms,
            )
            for spec in specs
        }
        self._was_dark = dict.fromkeys(self.twins, True)
        self._beat_due_ms = dict.fromkeys(self.twins, start_ms)
        self._kept: dict[str, list[Message]] = {sn: [] for sn in self.twins}

    def run(self, until_ms: int) -> Iterator[Heard | Beat]:
        """Yield what is heard until ``until_ms``, in order of arrival."""
        while self.time_ms < until_ms:
            end_ms = min(until_ms, self.time_ms + _TURN_MS)
            heard: list[Heard | Beat] = []
            for sn, twin in self.twins.items():
                heard += self._turn(sn, twin, end_ms)
            self.time_ms = end_ms
            heard.sort(key=attrgetter("arrived_ms"))
            yield from heard

    def _turn(self, sn: str, twin: ChargerTwin, end_ms: int) -> list[Heard | Beat]:
        heard: list[Heard | Beat] = []
        while twin.due_ms <= end_ms:
            twin.advance(twin.due_ms)
            heard += self._listen(sn, twin, twin.time_ms)
        twin.advance(end_ms)
        return heard + self._listen(sn, twin, end_ms)

    def _listen(self, sn: str, twin: ChargerTwin, now_ms: int) -> list[Heard | Beat]:
        said, is_dark = twin.take(), twin.power_state.is_dark
        was_dark, self._was_dark[sn] = self._was_dark[sn], is_dark
        if is_dark:
            self._kept[sn] += said
            return []
        heard: list[Heard | Beat] = []
        needs_beat = twin.power_state.needs_heartbeat or now_ms >= self._beat_due_ms[sn]
        if was_dark or needs_beat:
            twin.power_state.needs_heartbeat = False
            self._beat_due_ms[sn] = now_ms + _HEARTBEAT_MS
            profile = twin.profile
            heard.append(
                Beat(now_ms, sn, twin.fault_code, profile.profile_id, profile.config_hash, was_dark)
            )
        if was_dark:
            said, self._kept[sn] = self._kept[sn] + said, []
        heard += [Heard(max(now_ms, one.time_ms), sn, one) for one in said]
        return heard
