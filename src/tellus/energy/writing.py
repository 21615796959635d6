"""Writing what folds change: sessions, doubts and sums together, and only on what they were."""

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import structlog
from msgspec.structs import replace

from tellus.energy import store_folded, store_marks, store_progress
from tellus.energy.live import group_open
from tellus.energy.model import MinuteEnergies
from tellus.energy.model_rows import Change, Connector, Mark, StoredSession
from tellus.energy.sums import add_moved, apply_moved, scope_key
from tellus.kernel.ids import new_id
from tellus.storage.database import Tx

log = structlog.get_logger(__name__)


class Written(NamedTuple):
    """Which connectors' changes did not hold any more, and how long the writer was held (s)."""

    refused: set[Connector]
    held_s: float


class Refold(NamedTuple):
    """What a mark's fold changes, and what then becomes of the mark.

    It is lifted, or where ``left_ms`` is given goes on from there. ``open_ms`` is up to where facts
    were known, if the fold went as far as that.
    """

    mark: Mark
    change: Change
    left_ms: int | None
    open_ms: int | None = None


def write_live(
    tx: Tx,
    changes: Sequence[Change],
    marks: Iterable[Connector],
    span: tuple[int, int],
    now_ms: int,
) -> Written:
    """Write what a round changes in ``span``, its end excluded; mark whom it did not fold.

    A change whose sessions were changed by another is refused, and its connector marked.
    """
    begun_s = time.perf_counter()
    _lock(tx, changes)
    opened = group_open(store_folded.list_open(tx, [change.connector for change in changes]))
    good = [
        change
        for change in changes
        if opened.get(change.connector) == change.before and not _collides(tx, change)
    ]
    _store(tx, good)
    refused = {change.connector for change in changes} - {change.connector for change in good}
    spans = [(*connector, span[0], span[1] - 1) for connector in {*marks, *refused}]
    if spans:
        store_marks.put_marks(tx, spans, now_ms)
    return Written(refused, time.perf_counter() - begun_s)


def write_refolds(tx: Tx, refolds: Sequence[Refold]) -> Written:
    """Write what marks' folds change, and lift or shorten the marks.

    A change is refused if its mark is gone, or the sessions it replaces are not as they were: then
    somebody else has folded the same.
    """
    begun_s = time.perf_counter()
    _lock(tx, [refold.change for refold in refolds], store_progress.PROGRESS)
    round_to_ms = store_progress.find_round_to(tx)
    marks = store_marks.find_marks(tx, [refold.mark.connector for refold in refolds])
    good = [refold for refold in refolds if _holds(tx, refold, marks)]
    _store(tx, [refold.change for refold in good])
    for refold in good:
        left_ms = refold.left_ms
        if refold.open_ms is not None and refold.open_ms < round_to_ms:
            # A round is under way and may have passed by this connector with later facts already.
            left_ms = refold.open_ms
        if left_ms is None:
            store_marks.lift_mark(tx, refold.mark)
        else:
            store_marks.shorten_mark(tx, refold.mark, left_ms)
    refused = {refold.mark.connector for refold in refolds}
    refused -= {refold.mark.connector for refold in good}
    return Written(refused, time.perf_counter() - begun_s)


def _lock(tx: Tx, changes: Iterable[Change], *more: str) -> None:
    names = set(more)
    for change in changes:
        device_no, connector_id = change.connector
        names.add(f"energy:{device_no}:{connector_id}")
        names.update(map(scope_key, change.moved))
    tx.lock(*names)


def _holds(tx: Tx, refold: Refold, marks: Mapping[Connector, Mark]) -> bool:
    mark, change = refold.mark, refold.change
    held = marks.get(mark.connector)
    if held is None or held.first_ms != mark.first_ms:
        return False
    if change.span is None:
        return True
    rows = store_folded.list_between(tx, change.connector, *change.span)
    before = {row.session_no: row for row in change.before}
    same = [row for row in rows if before.get(row.session_no) == row]
    others = [row for row in rows if before.get(row.session_no) != row]
    return same == change.before and all(_is_beside(row, change.span) for row in others)


def _is_beside(row: StoredSession, span: tuple[int, int]) -> bool:
    """Tell whether a session only touches a span."""
    end_ms = row.last_ms if row.end_ms is None else row.end_ms
    return row.start_ms >= span[1] or (row.start_ms < span[0] and end_ms <= span[0])


def _collides(tx: Tx, change: Change) -> bool:
    """Tell whether a session that begins is stored already: another node folded the same."""
    starts_ms = [row.start_ms for row in change.after if not row.session_no]
    if not starts_ms:
        return False
    rows = store_folded.list_between(tx, change.connector, min(starts_ms), 2**62)
    known = {row.session_no for row in change.before}
    return any(row.start_ms >= min(starts_ms) and row.session_no not in known for row in rows)


def _add_to_sums(tx: Tx, changes: Sequence[Change]) -> Sequence[Change]:
    """Add what changes to the sums; return the changes for which there was room, mostly all."""
    moved: dict[str, MinuteEnergies] = {}
    for change in changes:
        add_moved(moved, change.moved)
    try:
        apply_moved(tx, moved)
    except OverflowError:
        pass
    else:
        return changes
    fitting = []
    for change in changes:
        try:
            apply_moved(tx, change.moved)
        except OverflowError:
            # Facts beyond all reason: the connector keeps what it has, and holds up nobody.
            log.warning("energy.beyond_sums", device_no=change.connector[0])
        else:
            fitting.append(change)
    return fitting


def _store(tx: Tx, changes: Sequence[Change]) -> None:
    gone: list[int] = []
    put: list[StoredSession] = []
    doubts = []
    for change in _add_to_sums(tx, changes):
        before = {row.session_no: row for row in change.before}
        kept = {row.session_no for row in change.after}
        gone += [number for number in before if number not in kept]
        put += [row for row in change.after if before.get(row.session_no) != row]
        if change.judged is not None:
            store_folded.delete_doubts(tx, change.connector, *change.judged)
        doubts += [(change.connector, doubt) for doubt in change.doubts]
    if gone:
        store_folded.delete_sessions(tx, gone)
    if put:
        store_folded.put_sessions(tx, _with_own_names(tx, put))
    if doubts:
        store_folded.append_doubts(tx, doubts)


def _with_own_names(tx: Tx, rows: list[StoredSession]) -> list[StoredSession]:
    """Return the rows, new ones under other identifiers where theirs are taken."""
    new = [row.session_id for row in rows if not row.session_no]
    taken = store_folded.list_taken(tx, new) if new else set()
    if not taken:
        return rows
    return [
        replace(row, session_id=new_id("ses"))
        if not row.session_no and row.session_id in taken
        else row
        for row in rows
    ]
