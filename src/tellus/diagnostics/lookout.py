"""Looks at samples once they are durable, for what needs a second look: heat, and voltage alone.

It runs on every node for its own samples, on the event loop, for a fraction of a microsecond each.
What it notes goes to the inbox every few seconds: once a minute of a connector, for such a state
lasts. What a node notes and does not come to write, it or another notes again with the next sample.
"""

from collections.abc import Sequence
from typing import Final

from tellus.diagnostics import store_inbox
from tellus.diagnostics.intake import places
from tellus.diagnostics.model import ItemKind
from tellus.diagnostics.rules_f_0101 import NO_CURRENT_A, SESSION_STATES
from tellus.diagnostics.thresholds import Thresholds
from tellus.fleet.directory import Directory
from tellus.kernel.clock import Clock
from tellus.kernel.units import MINUTE_MS
from tellus.storage.database import Database
from tellus.telemetry.model import Sample

_AGAIN_MS: Final = MINUTE_MS
_MOST_NOTED: Final = 20_000

Place = tuple[int, int]


class Lookout:
    """Notes candidate places of this node's samples until they are written."""

    def __init__(
        self, database: Database, directory: Directory, clock: Clock, thresholds: Thresholds
    ) -> None:
        self._database = database
        self._directory = directory
        self._clock = clock
        self._thresholds = thresholds
        self._hot_c = thresholds.lowest_heat_c
        self._residual_v = thresholds.of_model("").residual_voltage_v
        self._hot: dict[Place, tuple[float, int]] = {}
        self._live: set[Place] = set()
        self._noted: dict[tuple[str, Place], int] = {}

    def on_samples(self, samples: Sequence[Sample]) -> None:
        """Note what is remarkable; nearly nothing is, and this is all that the rest costs."""
        hot_c, residual_v = self._hot_c, self._residual_v
        for sample in samples:
            reading = sample[6]
            temperature_c = reading.temperature_c
            if temperature_c is not None and temperature_c > hot_c:
                self._note_hot(sample, temperature_c)
            if (
                reading.voltage_v > residual_v
                and -NO_CURRENT_A < reading.current_a < NO_CURRENT_A
                and reading.state not in SESSION_STATES
            ):
                self._live.add((sample[1], sample[2]))

    async def flush(self) -> int:
        """Write what was noted to the inbox; return how much that was.

        Raises:
            ApiError: the store cannot take it now; it is noted still.
        """
        if not self._hot and not self._live:
            return 0
        now_ms = self._clock.now_ms()
        hot, self._hot = self._hot, {}
        live, self._live = self._live, set()
        items = [
            item
            for place, found in hot.items()
            if self._is_due(ItemKind.HEAT, place, now_ms)
            for item in places(ItemKind.HEAT, [place], now_ms, found)
        ]
        fresh = [place for place in live if self._is_due(ItemKind.FRAME, place, now_ms)]
        items += places(ItemKind.FRAME, fresh, now_ms)
        if not items:
            return 0
        try:
            await self._database.write(store_inbox.put_items, items)
        except BaseException:
            self._hot = hot | self._hot
            self._live |= live
            raise
        for item in items:
            self._noted[item.kind, (item.device_no, item.connector_id)] = now_ms
        if len(self._noted) > _MOST_NOTED:
            self._noted = {
                key: at_ms for key, at_ms in self._noted.items() if at_ms > now_ms - _AGAIN_MS
            }
        return len(items)

    def _is_due(self, kind: ItemKind, place: Place, now_ms: int) -> bool:
        return self._noted.get((kind, place), 0) <= now_ms - _AGAIN_MS

    def _note_hot(self, sample: Sample, temperature_c: float) -> None:
        """Note a sample over the threshold of its own model."""
        device = self._directory.by_no(sample.device_no)
        if device is None or temperature_c <= self._thresholds.of(device).connector_c:
            return
        if sample.clock_suspect:
            return
        place = (sample.device_no, sample.connector_id)
        held = self._hot.get(place)
        if held is None or temperature_c > held[0]:
            self._hot[place] = (temperature_c, sample.time_ms)
