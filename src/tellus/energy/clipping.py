"""What a connector moved between two instants that are no whole minutes, told from its facts."""

from collections.abc import Mapping
from typing import NamedTuple

import structlog

from tellus.energy import store_places
from tellus.energy.aside import FAULTS
from tellus.energy.facts import Source, limit_mw, part_silences
from tellus.energy.model import Boundary, BoundaryKind, Facts
from tellus.energy.model_rows import Connector
from tellus.energy.rules_clip import energy_between
from tellus.energy.windows import Edge, Window, find_window
from tellus.fleet.catalogue import Catalogue
from tellus.kernel.units import CLOCK_TOLERANCE_MS, MINUTE_MS
from tellus.storage.database import Tx
from tellus.telemetry.recent import ReadSpan

log = structlog.get_logger(__name__)

Energy = tuple[int, int]
"""Energy in and out, nano-kWh."""

Part = tuple[int, int]
"""``[from, to)`` (ms) within one clock minute."""


class Clipped(NamedTuple):
    """What was moved in a part of a clock minute, and in all of that minute."""

    part: Energy
    minute: Energy


class FactClipper:
    """Folds the sessions that run at an instant, in one snapshot.

    ``logs`` reads their parts of the recent log, looked up before the snapshot began.
    """

    def __init__(
        self, tx: Tx, catalogue: Catalogue, logs: Mapping[Connector, ReadSpan], now_ms: int
    ) -> None:
        self._tx = tx
        self._catalogue = catalogue
        self._logs = logs
        self._until_ms = now_ms + CLOCK_TOLERANCE_MS + MINUTE_MS

    def clip(self, connector: Connector, part: Part) -> Clipped | None:
        """Return what a connector moved in part of a clock minute, and in the minute.

        None where nobody knows: its log was not looked up, or its facts cannot be folded.
        """
        read_log = self._logs.get(connector)
        home = store_places.read_homes(self._tx, [connector[0]]).get(connector[0])
        if read_log is None or home is None:
            return None
        source = Source(self._tx, connector, home, read_log)
        begin_ms = part[0] - part[0] % MINUTE_MS
        minute = begin_ms, begin_ms + MINUTE_MS
        limit = limit_mw(home, connector[1], self._catalogue)
        try:
            window, _ = find_window(source, (begin_ms, minute[1] - 1), self._until_ms)
            facts = _read_facts(source, window)
            told = energy_between(facts, limit, *part), energy_between(facts, limit, *minute)
        except FAULTS:
            log.exception("energy.cannot_clip", device_no=connector[0])
            return None
        return Clipped(*told)


def _read_facts(source: Source, window: Window) -> Facts:
    """Return the facts of a window; those of its ends only as far as they belong to it."""
    stop_ms = window.to_ms if window.ends is Edge.OPEN else window.to_ms + 1
    points = source.points(window.from_ms, stop_ms)
    boundaries = source.boundaries(window.from_ms, stop_ms)
    if window.begins is Edge.END:
        points = [point for point in points if point.time_ms != window.from_ms]
    elif window.begins is Edge.IDLE:
        points = [point for point in points if point.time_ms != window.from_ms or point.is_idle]
    if window.ends is not Edge.OPEN:
        boundaries = [at for at in boundaries if at.time_ms != window.to_ms]
        if window.ends is not Edge.IDLE:
            boundaries.append(Boundary(window.to_ms, BoundaryKind.PLUG))
        if window.ends in (Edge.START, Edge.SILENCE):
            points = [point for point in points if point.time_ms != window.to_ms]
    boundaries += part_silences(None, points)
    return Facts(points, sorted(boundaries), source.records(window.from_ms, window.to_ms))
