"""What is folded anew around a mark: from where on, up to where, and what comes of it.

A window begins and ends where nothing can reach across: at an event that parts sessions, at an idle
sample (from which the counter counts from 0), or where there is silence for a month. It holds whole
records and whole stored sessions.
"""

import enum
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from tellus.energy import store_folded
from tellus.energy.facts import LONGEST_MS, Source, part_silences
from tellus.energy.folding import make_change
from tellus.energy.model import (
    Boundary,
    BoundaryKind,
    Doubt,
    Facts,
    Folded,
    Point,
    RecordSpan,
    Session,
)
from tellus.energy.model_rows import Change, StoredSession
from tellus.energy.rules_fold import Before, fold
from tellus.kernel.units import DAY_MS, HOUR_MS

PIECE_MS: Final = DAY_MS
"""How much of a long window is folded at once."""

_FIRST_STEP_MS: Final = HOUR_MS
_LAST_STEP_MS: Final = DAY_MS


class Edge(enum.Enum):
    """Why nothing reaches across an instant, and so which of its samples are on which side.

    After an event that starts all samples of its instant come later; with another one they come
    before. With an idle sample they come before, and the counter counts from there. After silence
    there is nothing at that instant to be divided; an open end is no edge at all.
    """

    START = 0
    END = 1
    IDLE = 2
    SILENCE = 3
    OPEN = 4


class Window(NamedTuple):
    """From one instant and edge to another, whose own facts count only as far as they belong."""

    from_ms: int
    begins: Edge
    to_ms: int
    ends: Edge


class Refolded(NamedTuple):
    """What a window changes, and up to where it was folded.

    It is open if that is as far as facts are known. Then it may be pending: a lone sample with a
    direction is no session yet, but what comes next may make it one.
    """

    change: Change
    to_ms: int
    is_open: bool
    is_pending: bool


def fold_window(
    source: Source, window: Window, before: Sequence[StoredSession], limit_mw: int | None
) -> Refolded:
    """Fold a window anew, in which ``before`` are the stored sessions. Nothing is written."""
    folded, samples, is_pending = _fold_window(source, window, limit_mw)
    change = make_change(source.connector, source.home, before, folded, window.to_ms, samples)
    span, judged = (window.from_ms, window.to_ms), _judged(window)
    doubts = [doubt for doubt in change.doubts if judged[0] <= doubt.time_ms < judged[1]]
    change = change._replace(span=span, judged=judged, doubts=doubts)
    is_open = window.ends is Edge.OPEN
    return Refolded(change, window.to_ms, is_open, is_open and is_pending)


def find_window(
    source: Source, span: tuple[int, int], until_ms: int
) -> tuple[Window, list[StoredSession]]:
    """Return the window around ``span``, both ends included, and the stored sessions in it.

    It reaches no further than ``until_ms``; every fact before that is in the snapshot that
    ``source`` reads.
    """
    from_ms, to_ms = span[0], min(span[1] + 1, until_ms)
    while True:
        from_ms, to_ms, records = _widen(source, from_ms, to_ms, until_ms)
        shut = {end_ms for record in records for end_ms in (record.start_ms, record.end_ms)}
        begin_ms, begins = _find_begin(source, from_ms, shut)
        end_ms, ends = _find_end(source, to_ms, until_ms, shut)
        rows = store_folded.list_between(source.tx, source.connector, begin_ms, end_ms)
        inside = [
            row
            for row in rows
            if row.start_ms < end_ms and (row.start_ms >= begin_ms or _end_of(row) > begin_ms)
        ]
        first_ms = min((row.start_ms for row in inside), default=begin_ms)
        last_ms = max((_end_of(row) for row in inside), default=end_ms)
        reached = source.records(begin_ms, end_ms)
        first_ms = min([first_ms, *(one.start_ms for one in reached if one.end_ms > begin_ms)])
        last_ms = max([last_ms, *(one.end_ms for one in reached if one.start_ms < end_ms)])
        last_ms = min(last_ms, until_ms)
        if first_ms >= begin_ms and last_ms <= end_ms:
            return Window(begin_ms, begins, end_ms, ends), inside
        from_ms, to_ms = min(from_ms, first_ms), max(to_ms, last_ms)


def _widen(
    source: Source, from_ms: int, to_ms: int, until_ms: int
) -> tuple[int, int, list[RecordSpan]]:
    """Return the span with all of the records that it meets, and those that only touch it."""
    while True:
        records = source.records(from_ms - LONGEST_MS, to_ms + LONGEST_MS)
        first_ms, last_ms = _chain(records, from_ms, to_ms, until_ms)
        if (first_ms, last_ms) == (from_ms, to_ms):
            return from_ms, to_ms, records
        from_ms, to_ms = first_ms, last_ms


def _chain(
    records: Sequence[RecordSpan], from_ms: int, to_ms: int, until_ms: int
) -> tuple[int, int]:
    """Return the span with all records that it meets, and all that these meet in turn.

    Each is looked at a few times in all: there may be very many, each from the end of the last.
    """
    by_start = sorted(records)
    by_end = sorted(records, key=lambda one: -one.end_ms)
    while True:
        first_ms, last_ms = from_ms, to_ms
        for record in by_start:
            if record.start_ms > last_ms:
                break
            if record.end_ms >= first_ms:
                last_ms = min(max(last_ms, record.end_ms + 1), until_ms)
        for record in by_end:
            if record.end_ms < first_ms:
                break
            if record.start_ms <= last_ms:
                first_ms = min(first_ms, record.start_ms)
        if (first_ms, last_ms) == (from_ms, to_ms):
            return first_ms, last_ms
        from_ms, to_ms = first_ms, last_ms


def _end_of(row: StoredSession) -> int:
    return row.last_ms if row.end_ms is None else row.end_ms


# ------------------------------------------------------------------------------- the edges


def _find_begin(source: Source, from_ms: int, shut: set[int]) -> tuple[int, Edge]:
    """Return the last edge before ``from_ms``, none of those in ``shut``."""
    to_ms, step_ms, earliest_ms = from_ms, _FIRST_STEP_MS, from_ms
    while True:
        points = source.points(to_ms - step_ms, to_ms)
        edges = _edges(points, source.boundaries(to_ms - step_ms, to_ms), shut)
        silent_ms = _last_silence(points, earliest_ms)
        if edges and (silent_ms is None or edges[-1][0] >= silent_ms):
            return edges[-1]
        if silent_ms is not None:
            return silent_ms, Edge.SILENCE
        if points:
            earliest_ms = points[0].time_ms
        to_ms -= step_ms
        step_ms = min(2 * step_ms, _LAST_STEP_MS)
        newest_ms = source.find_before(to_ms)
        if newest_ms is None:
            return min(earliest_ms, from_ms), Edge.SILENCE
        to_ms = min(to_ms, newest_ms + 1)


def _find_end(source: Source, to_ms: int, until_ms: int, shut: set[int]) -> tuple[int, Edge]:
    """Return the first edge at ``to_ms`` or later, none of those in ``shut``."""
    step_ms = _FIRST_STEP_MS
    latest_ms = to_ms
    while to_ms < until_ms:
        end_ms = min(to_ms + step_ms, until_ms)
        points = source.points(to_ms, end_ms)
        edges = _edges(points, source.boundaries(to_ms, end_ms), shut)
        if edges:
            return edges[0]
        if points:
            latest_ms = points[-1].time_ms
        to_ms = end_ms
        step_ms = min(2 * step_ms, _LAST_STEP_MS)
        next_ms = source.find_after(to_ms, until_ms)
        if next_ms is None:
            break
        if next_ms - latest_ms > LONGEST_MS + HOUR_MS:
            return next_ms, Edge.SILENCE
        to_ms = max(to_ms, next_ms)
    return until_ms, Edge.OPEN


def _edges(
    points: Sequence[Point], boundaries: Sequence[Boundary], shut: set[int]
) -> list[tuple[int, Edge]]:
    """Return the instants that nothing reaches across, in order."""
    found = {point.time_ms: Edge.IDLE for point in points if point.is_idle}
    for at in sorted(boundaries):
        found[at.time_ms] = Edge.START if at.kind is BoundaryKind.START else Edge.END
    return [(time_ms, found[time_ms]) for time_ms in sorted(found) if time_ms not in shut]


def _last_silence(points: Sequence[Point], before_ms: int) -> int | None:
    """Return when (ms) the last silence of a month ended; a sample comes at ``before_ms``."""
    for point in reversed(points):
        if before_ms - point.time_ms > LONGEST_MS:
            return before_ms
        before_ms = point.time_ms
    return None


# ------------------------------------------------------------------------------- the fold


def _fold_window(source: Source, window: Window, limit_mw: int | None) -> tuple[Folded, int, bool]:
    """Fold a window piece by piece; return also how many samples it holds, and if it is pending."""
    sessions: list[Session] = []
    doubts: list[Doubt] = []
    before: Before | None = None
    records = source.records(window.from_ms, window.to_ms)
    samples, last_ms, is_pending = 0, None, False
    from_ms = window.from_ms
    stop_ms = window.to_ms if window.ends is Edge.OPEN else window.to_ms + 1
    while True:
        to_ms = _end_piece(source, from_ms, stop_ms, records)
        facts, last_ms = _read_piece(source, window, (from_ms, to_ms), last_ms)
        # What an earlier piece has settled is over, and would count once more.
        met = [record for record in records if record.end_ms >= from_ms]
        folded = fold(facts._replace(records=met), limit_mw, before, to_ms)
        sessions += [session for session in folded.sessions if session.end_ms is not None]
        doubts += folded.doubts
        opened = [session for session in folded.sessions if session.end_ms is None]
        samples += len(facts.points)
        is_pending = not opened and _is_pending(facts, earlier=is_pending)
        if to_ms >= stop_ms:
            return Folded(sessions + opened, doubts, folded.carry), samples, is_pending
        before = Before(opened, folded.carry)
        from_ms = to_ms


def _end_piece(source: Source, from_ms: int, stop_ms: int, records: Iterable[RecordSpan]) -> int:
    """Return where a piece ends: a day after its first sample, but within no record."""
    if stop_ms - from_ms <= PIECE_MS:
        return stop_ms
    first_ms = source.find_after(from_ms, stop_ms)
    if first_ms is None:
        return stop_ms
    to_ms = first_ms + PIECE_MS
    for record in sorted(records):
        if record.start_ms < to_ms <= record.end_ms:
            to_ms = record.end_ms + 1
    return min(to_ms, stop_ms)


def _read_piece(
    source: Source, window: Window, piece: tuple[int, int], last_ms: int | None
) -> tuple[Facts, int | None]:
    """Return the facts of a piece that belong to the window, and the last sample's time."""
    points = source.points(*piece)
    boundaries = source.boundaries(*piece)
    begin_ms, end_ms = window.from_ms, window.to_ms
    if window.begins is Edge.END:
        points = [point for point in points if point.time_ms != begin_ms]
    elif window.begins is Edge.IDLE:
        points = [point for point in points if point.time_ms != begin_ms or point.is_idle]
    if window.ends is not Edge.OPEN:
        # Whatever parts there, it only ends here; what it begins is told by what follows.
        boundaries = [at for at in boundaries if at.time_ms != end_ms]
        if window.ends is not Edge.IDLE and piece[1] > end_ms:
            parted_ms = end_ms - 1 if window.ends is Edge.SILENCE else end_ms
            boundaries.append(Boundary(parted_ms, BoundaryKind.PLUG))
        if window.ends in (Edge.START, Edge.SILENCE):
            points = [point for point in points if point.time_ms != end_ms]
    boundaries += part_silences(last_ms, points)
    if points:
        last_ms = points[-1].time_ms
    return Facts(points, sorted(boundaries), []), last_ms


def _judged(window: Window) -> tuple[int, int]:
    """Return the span, its end excluded, whose samples belong to the window with what they follow.

    The idle sample that it begins with is judged by what came before.
    """
    from_ms, to_ms = window.from_ms, window.to_ms
    if window.begins in (Edge.IDLE, Edge.END):
        from_ms += 1
    if window.ends in (Edge.IDLE, Edge.END):
        to_ms += 1
    return from_ms, to_ms


def _is_pending(facts: Facts, *, earlier: bool) -> bool:
    """Tell whether samples with a direction came after all that parts sessions."""
    parted = [at.time_ms for at in facts.boundaries]
    parted += [point.time_ms for point in facts.points if point.is_idle]
    if not parted:
        return earlier or any(point.heading for point in facts.points)
    return any(point.heading and point.time_ms >= max(parted) for point in facts.points)
