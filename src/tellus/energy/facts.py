"""Facts as the fold wants them: whole numbers, and only what can be believed by its clock.

What is left out: samples, events and records of clocks that run ahead; records that end before they
start, last longer than a month, for whoever fills such a span by the minute answers nobody, or tell
of more energy than any session moves.
"""

import zlib
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import Final

import msgspec

from tellus.energy import store_facts
from tellus.energy.model import (
    MOST_SESSION_NKWH,
    MW_PER_KW,
    NKWH_PER_KWH,
    Boundary,
    BoundaryKind,
    Point,
    RecordSpan,
)
from tellus.energy.model_rows import Connector, Home
from tellus.fleet.catalogue import Catalogue
from tellus.fleet.model import ConnectorState, EventType
from tellus.kernel.units import CLOCK_TOLERANCE_MS, DAY_MS, HOUR_MS
from tellus.sessions.model import Flag
from tellus.storage.database import Row, Tx
from tellus.telemetry.model import PastSample
from tellus.telemetry.packing import PackedHour
from tellus.telemetry.recent import ReadSpan

LONGEST_MS: Final = 31 * DAY_MS
"""Longest record, and longest silence within a session, that is believed."""

LIMIT_RATIO: Final = 1.2
"""By how much a connector's rating may be exceeded before a sample is not believed (rule U3)."""

UNKNOWN_RATED_KW: Final = 10_000.0
"""Taken for the rating of a connector where nobody knows it: more than any charger has."""

_IDLE, _CHARGING, _DISCHARGING = (
    ConnectorState.IDLE.value,
    ConnectorState.CHARGING.value,
    ConnectorState.DISCHARGING.value,
)
_HEADINGS: Final = {_CHARGING: 1, _DISCHARGING: -1}
_KINDS: Final = {
    EventType.START.value: BoundaryKind.START,
    EventType.STOP.value: BoundaryKind.STOP,
    EventType.PLUG_IN.value: BoundaryKind.PLUG,
    EventType.PLUG_OUT.value: BoundaryKind.PLUG,
}
_BEFORE_ALL_MS: Final = -(2**62)
_LEFT_OUT: Final = frozenset(
    {Flag.CLOCK_SUSPECT.value, Flag.ENERGY_IMPLAUSIBLE.value, Flag.NEGATIVE_DURATION.value}
)


_Logged = tuple[int, int, Point | None]
"""A sample of the log: its time (ms), its digest, and its point if its clock can be believed."""


class _Lean(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """The first fields of a stored reading; the rest is not decoded."""

    state: str
    voltage_v: float
    current_a: float
    power_kw: float
    energy_kwh: float
    soc_pct: int | None = None
    temperature_c: float | None = None
    detail_state: str | None = None


_decode = msgspec.msgpack.Decoder(_Lean).decode
_decode_hour = msgspec.msgpack.Decoder(PackedHour).decode


def to_point(row: Row) -> Point | None:
    """Return the point of a row of the log, None where its clock runs ahead."""
    time_ms, _, _, digest, received_ms, content = row
    if time_ms > received_ms + CLOCK_TOLERANCE_MS:
        return None
    reading = _decode(content)
    power_kw, state = reading.power_kw, reading.state
    return Point(
        time_ms,
        digest,
        round(reading.energy_kwh * NKWH_PER_KWH),
        round(power_kw * MW_PER_KW),
        1 if power_kw > 0 else -1 if power_kw < 0 else _HEADINGS.get(state, 0),
        state == _IDLE and reading.detail_state is None,
        reading.soc_pct,
    )


def _of_sample(sample: PastSample) -> Point:
    reading = sample.reading
    power_kw, state = reading.power_kw, reading.state
    return Point(
        sample.time_ms,
        sample.digest,
        round(reading.energy_kwh * NKWH_PER_KWH),
        round(power_kw * MW_PER_KW),
        1 if power_kw > 0 else -1 if power_kw < 0 else _HEADINGS.get(state, 0),
        state == _IDLE and reading.detail_state is None,
        reading.soc_pct,
    )


def _of_pack(hour_ms: int, content: bytes) -> list[Point]:
    """Return the points of a packed hour."""
    hour = _decode_hour(zlib.decompress(content))
    columns = hour.columns
    return [
        Point(
            hour_ms + offset_ms,
            digest,
            round(energy_kwh * NKWH_PER_KWH),
            round(power_kw * MW_PER_KW),
            1 if power_kw > 0 else -1 if power_kw < 0 else _HEADINGS.get(state, 0),
            state == _IDLE and detail is None,
            soc_pct,
        )
        for offset_ms, digest, delay_ms, state, power_kw, energy_kwh, soc_pct, detail in zip(
            hour.times_ms,
            hour.digests,
            hour.delays_ms,
            columns.states,
            columns.powers_kw,
            columns.energies_kwh,
            columns.socs_pct,
            columns.detail_states,
            strict=True,
        )
        if delay_ms >= -CLOCK_TOLERANCE_MS
    ]


def to_boundary(time_ms: int, event_type: str) -> Boundary:
    """Return what an event of one of the four kinds parts."""
    return Boundary(time_ms, _KINDS[event_type])


def parts_sessions(event_type: str) -> bool:
    """Tell whether events of this kind part sessions."""
    return event_type in _KINDS


def is_believed(start_ms: int, end_ms: int, flags: Iterable[str]) -> bool:
    """Tell whether a charging record counts."""
    return end_ms - start_ms <= LONGEST_MS and _LEFT_OUT.isdisjoint(flags)


def to_record(row: Row) -> RecordSpan | None:
    """Return what a charging record says of energy, None where it does not count."""
    start_ms, end_ms, record_id, energy_kwh, meter_start, meter_end, soc_start, soc_end, flags = row
    if not is_believed(start_ms, end_ms, flags.split()):
        return None
    if meter_start is not None and meter_end is not None:
        energy_kwh = meter_end - meter_start
    energy_nkwh = round(energy_kwh * NKWH_PER_KWH)
    if abs(energy_nkwh) > MOST_SESSION_NKWH:
        return None  # it came before such records were flagged
    return RecordSpan(start_ms, end_ms, record_id, energy_nkwh, soc_start, soc_end)


def limit_mw(home: Home, connector_id: int, catalogue: Catalogue) -> int:
    """Return the power (mW) over which nothing is believed of a connector."""
    rated_kw = home.rated_kw.get(connector_id) or home.device_rated_kw
    if rated_kw is None:
        model = catalogue.find(home.model)
        rated_kw = UNKNOWN_RATED_KW if model is None else model.rated_power_kw
    return round(rated_kw * LIMIT_RATIO * MW_PER_KW)


def part_silences(last_ms: int | None, points: Sequence[Point]) -> list[Boundary]:
    """Return a boundary before each sample that came after more than a month of silence.

    ``points`` are in order of time; ``last_ms`` is the last sample before them, if there was one.
    """
    boundaries = []
    for point in points:
        if last_ms is not None and point.time_ms - last_ms > LONGEST_MS:
            boundaries.append(Boundary(point.time_ms - 1, BoundaryKind.PLUG))
        last_ms = point.time_ms
    return boundaries


class _Log:
    """A connector's part of the log as one snapshot holds it; what was read is not read again."""

    def __init__(self, tx: Tx, read: ReadSpan) -> None:
        self._tx = tx
        self._read = read
        self._from_ms = self._to_ms = 0
        self._held: list[_Logged] = []

    def between(self, from_ms: int, to_ms: int) -> list[_Logged]:
        """Return the samples in ``[from_ms, to_ms)`` in order of time and digest."""
        if from_ms >= to_ms:
            return []
        if to_ms < self._from_ms or from_ms > self._to_ms:
            self._held = self._fetch(from_ms, to_ms)
            self._from_ms, self._to_ms = from_ms, to_ms
        if from_ms < self._from_ms:
            self._held = self._fetch(from_ms, self._from_ms) + self._held
            self._from_ms = from_ms
        if to_ms > self._to_ms:
            self._held += self._fetch(self._to_ms, to_ms)
            self._to_ms = to_ms
        held = self._held
        return held[bisect_left(held, (from_ms,)) : bisect_left(held, (to_ms,))]

    def _fetch(self, from_ms: int, to_ms: int) -> list[_Logged]:
        samples = self._read(self._tx, from_ms, to_ms)
        return sorted(
            (one.time_ms, one.digest, None if one.clock_suspect else _of_sample(one))
            for one in samples
        )


class Source:
    """The facts of one connector as one snapshot holds them."""

    def __init__(self, tx: Tx, connector: Connector, home: Home, read_log: ReadSpan) -> None:
        self.tx = tx
        self.connector = connector
        self.home = home
        self._log = _Log(tx, read_log)
        self._hours: dict[int, list[Point]] = {}

    def points(self, from_ms: int, to_ms: int) -> list[Point]:
        """Return the points in ``[from_ms, to_ms)`` in order of time and digest, each once."""
        found: dict[tuple[int, int], Point] = {}
        for point in self._packed(from_ms, to_ms):
            if from_ms <= point.time_ms < to_ms:
                found[point.time_ms, point.digest] = point
        for time_ms, digest, logged in self._log.between(from_ms, to_ms):
            if logged is not None:
                found[time_ms, digest] = logged
        return [found[key] for key in sorted(found)]

    def _packed(self, from_ms: int, to_ms: int) -> Iterator[Point]:
        """Yield the points of the packed hours that meet a span; hours are opened once."""
        first_ms = from_ms - from_ms % HOUR_MS
        known = self._hours
        rows = store_facts.list_packed_hours(self.tx, self.connector, first_ms, to_ms)
        missing = [hour_ms for hour_ms in rows if hour_ms not in known]
        if missing:
            for hour_ms, content in store_facts.list_packs_of(
                self.tx, self.connector, missing[0], missing[-1] + 1
            ):
                if hour_ms not in known:
                    known[hour_ms] = _of_pack(hour_ms, content)
        return chain.from_iterable(known[hour_ms] for hour_ms in rows)

    def boundaries(self, from_ms: int, to_ms: int) -> list[Boundary]:
        """Return the events in ``[from_ms, to_ms)`` that part sessions, and changes of place."""
        rows = store_facts.list_boundaries_of(self.tx, self.connector, from_ms, to_ms)
        moves = [place.until_ms for place in self.home.past if from_ms <= place.until_ms < to_ms]
        found = [to_boundary(time_ms, kind) for time_ms, kind in rows]
        return sorted(found + [Boundary(time_ms, BoundaryKind.PLUG) for time_ms in moves])

    def records(self, from_ms: int, to_ms: int) -> list[RecordSpan]:
        """Return the records that count and meet ``[from_ms, to_ms]``."""
        rows = store_facts.list_records_of(self.tx, self.connector, from_ms, to_ms)
        return sorted(record for row in rows if (record := to_record(row)) is not None)

    def find_before(self, time_ms: int) -> int | None:
        """Return a time (ms) before ``time_ms`` after which, up to it, there are no facts."""
        packed_ms = store_facts.find_pack_before(self.tx, self.connector, time_ms)
        times_ms = [
            store_facts.find_boundary_before(self.tx, self.connector, time_ms),
            None if packed_ms is None else min(packed_ms + HOUR_MS, time_ms) - 1,
            *(place.until_ms for place in self.home.past if place.until_ms < time_ms),
            *(one[0] for one in self._log.between(_BEFORE_ALL_MS, time_ms)[-1:]),
        ]
        return max((one for one in times_ms if one is not None), default=None)

    def find_first(self, from_ms: int, to_ms: int) -> int | None:
        """Return a time (ms) in the span before which it has neither facts nor records."""
        times_ms = [
            self.find_after(from_ms, to_ms),
            store_facts.find_record_after(self.tx, self.connector, from_ms),
        ]
        return min((one for one in times_ms if one is not None and one < to_ms), default=None)

    def find_after(self, time_ms: int, to_ms: int) -> int | None:
        """Return a time (ms) in ``[time_ms, to_ms)`` before which there are no facts from there."""
        hour_ms = time_ms - time_ms % HOUR_MS
        packed_ms = store_facts.find_pack_after(self.tx, self.connector, hour_ms)
        times_ms = [
            store_facts.find_boundary_after(self.tx, self.connector, time_ms),
            None if packed_ms is None else max(packed_ms, time_ms),
            *(place.until_ms for place in self.home.past if place.until_ms >= time_ms),
            *(one[0] for one in self._log.between(time_ms, to_ms)[:1]),
        ]
        return min((one for one in times_ms if one is not None and one < to_ms), default=None)


Explore = Callable[[Connector], ReadSpan]
"""Returns what reads a connector's part of the log; to be asked before the snapshot begins."""
