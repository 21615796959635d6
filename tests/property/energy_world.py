"""Facts as chargers and networks make them, well or badly, to try the fold of energy with."""

from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

from tellus.energy.model import Boundary, BoundaryKind, Facts, Point, RecordSpan
from tellus.energy.rules_fold import Before, fold
from tests.unit.energy.builders import MIDNIGHT_MS

LIMITS_MW = st.sampled_from([None, 13_200_000, 180_000_000])
_GAPS_MS = st.sampled_from([0, 1, 997, 5_000, 10_000, 15_000, 15_001, 59_999, 60_000, 400_000])
_POWERS_MW = st.sampled_from([0, 3_000_000, 7_000_000, 11_000_000, -4_000_000, 500_000_000])
_STEPS_NKWH = st.sampled_from([0, 1, 20_000_003, 97_222_222, 1_000_000_000, 30_000_000_000])
_HABITS = ("charge", "charge", "charge", "count down", "magnitude", "stuck", "unknown", "wild")
_HAPPENINGS = ("idle", "reset", "dip", "start", "stop", "plug", "silence")
_ENERGIES_NKWH = st.sampled_from([0, 1, 10**9, 42 * 10**8, -(10**9), 7_777_777_777])
_SOCS = st.sampled_from([None, None, 20, 21, 40, 41, 80])


@st.composite
def facts_of_a_connector(draw: Any, most: int = 6) -> Facts:
    """Draw stretches of steady behaviour, what comes between them, and records across them."""
    time_ms = MIDNIGHT_MS + draw(st.integers(0, 120_000))
    counter = draw(st.sampled_from([0, 0, 5_000_000_000]))
    points: list[Point] = []
    boundaries: list[Boundary] = []
    for _ in range(draw(st.integers(1, most))):
        time_ms += draw(_GAPS_MS)
        happening = draw(st.sampled_from(_HAPPENINGS))
        if happening in {"start", "stop", "plug"}:
            boundaries.append(Boundary(time_ms, BoundaryKind[happening.upper()]))
        if happening in {"start", "reset"} and draw(st.booleans()):
            counter = 0
        if happening == "idle":
            # A counter that counts down goes on doing so.
            step_nkwh = -10_000_000 if counter < 0 else 10_000_000
            counter = draw(st.sampled_from([counter, 0, counter + step_nkwh]))
            points.append(Point(time_ms, len(points), counter, 0, 0, True, None))
        if happening == "dip" and counter:
            points.append(Point(time_ms, len(points), counter // 2, 0, 1, False, None))
        time_ms, counter = _draw_stretch(draw, points, time_ms, counter)
    known = [held.time_ms for held in points] + [held.time_ms for held in boundaries]
    return Facts(points, boundaries, draw(records_of_a_connector(known)))


def _draw_stretch(draw: Any, points: list[Point], time_ms: int, counter: int) -> tuple[int, int]:
    habit = draw(st.sampled_from(_HABITS))
    gap_ms, step_nkwh = draw(_GAPS_MS), draw(_STEPS_NKWH)
    power_mw, soc_pct = draw(_POWERS_MW), draw(_SOCS)
    heading = {"count down": -1, "magnitude": -1, "unknown": 0}.get(habit, 1)
    if habit == "stuck":
        step_nkwh = 0
    for _ in range(draw(st.integers(0, 24))):
        time_ms += gap_ms
        counter += -step_nkwh if habit == "count down" else step_nkwh
        shown = counter
        if habit == "wild":
            power_mw, soc_pct = draw(_POWERS_MW), draw(_SOCS)
            shown += draw(st.sampled_from([0, 0, 0, 10**12, -(10**9)]))
            heading = draw(st.sampled_from([1, 1, -1, 0]))
        points.append(Point(time_ms, len(points), shown, power_mw, heading, False, soc_pct))
    return time_ms, counter


@st.composite
def records_of_a_connector(draw: Any, known_ms: Sequence[int] = ()) -> list[RecordSpan]:
    """Draw records; their ends are often instants at which something else happens."""
    times = st.integers(MIDNIGHT_MS, MIDNIGHT_MS + 3_600_000)
    if known_ms:
        times = st.sampled_from(known_ms) | st.integers(min(known_ms), max(known_ms) + 60_000)
    records = []
    for number in range(draw(st.integers(0, 3))):
        start_ms, end_ms = sorted((draw(times), draw(times)))
        if draw(st.integers(0, 7)) == 0:
            end_ms = start_ms
        records.append(RecordSpan(start_ms, end_ms, f"r-{number}", draw(_ENERGIES_NKWH)))
    return records


def cuts_of(facts: Facts) -> st.SearchStrategy[list[int]]:
    """Return what draws instants at which to cut, often those at which something happens."""
    known = [held.time_ms for held in (*facts.points, *facts.boundaries)]
    known += [end_ms for held in facts.records for end_ms in (held.start_ms, held.end_ms)]
    known.append(MIDNIGHT_MS)
    exactly = st.sampled_from(known)
    anywhere = st.integers(min(known), max(known) + 1)
    return st.lists(exactly | exactly.map(lambda time_ms: time_ms + 1) | anywhere, max_size=5)


def fold_in_pieces(facts: Facts, limit_mw: int | None, cuts_ms: list[int]) -> Any:
    """Fold piece by piece: all sessions that were closed on the way, the open ones, the doubts."""
    closed, doubts = [], []
    before, from_ms, folded = None, None, None
    for until_ms in [*sorted(cuts_ms), None]:
        piece = Facts(
            [held for held in facts.points if _is_in(held.time_ms, from_ms, until_ms)],
            [held for held in facts.boundaries if _is_in(held.time_ms, from_ms, until_ms)],
            [held for held in facts.records if _meets(held, from_ms, until_ms)],
        )
        folded = fold(piece, limit_mw, before, until_ms)
        doubts += folded.doubts
        still_open = [held for held in folded.sessions if held.end_ms is None]
        closed += [held for held in folded.sessions if held.end_ms is not None]
        before, from_ms = Before(still_open, folded.carry), until_ms
    sessions = sorted(
        [*closed, *still_open], key=lambda held: (held.start_ms, held.record_id or "")
    )
    return sessions, doubts, folded.carry


def _is_in(time_ms: int, from_ms: int | None, until_ms: int | None) -> bool:
    return (from_ms is None or time_ms >= from_ms) and (until_ms is None or time_ms < until_ms)


def _meets(record: RecordSpan, from_ms: int | None, until_ms: int | None) -> bool:
    is_over = from_ms is not None and record.end_ms < from_ms
    return not is_over and (until_ms is None or record.start_ms < until_ms)
