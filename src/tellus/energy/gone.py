"""Folding again where samples are gone: what is stored stays, and only a late record changes it.

Where means of minutes have taken the place of samples, or a session is known by the quarter-hour,
facts no longer tell all that was folded from them. So such a window is left as it is stored, byte
for byte; a record that came since scales what it meets (rule U7).
"""

from collections.abc import Sequence
from typing import Final

from msgspec.structs import replace

from tellus.energy import store_retention
from tellus.energy.facts import Source
from tellus.energy.folding import make_change, restore
from tellus.energy.model import Folded, RecordSpan, Session
from tellus.energy.model_rows import MINUTE, QUARTER, Change, StoredSession
from tellus.energy.rules_rescale import rescale
from tellus.energy.shapes import BIN_MS, to_quarters
from tellus.energy.windows import Edge, Refolded, Window, find_window, fold_window
from tellus.kernel.units import HOUR_MS

_HOURS_AT_ONCE: Final = 100


def refold(source: Source, span: tuple[int, int], until_ms: int, limit_mw: int | None) -> Refolded:
    """Fold a connector anew around ``span`` as far as its samples are there (see ``windows``).

    Nothing is written. It may stop before the end of ``span``: where samples are gone, or are there
    again; the answer tells where.
    """
    span = _shorten(source, span)
    window, before = find_window(source, span, until_ms)
    if _is_whole(source, window, before):
        return fold_window(source, window, before, limit_mw)
    change = _settle(source, window, before)
    return Refolded(change, window.to_ms, window.ends is Edge.OPEN, is_pending=False)


def _shorten(source: Source, span: tuple[int, int]) -> tuple[int, int]:
    """Return the part of ``span``, from its beginning, of which samples are gone or are not."""
    from_ms, to_ms = span
    hour_ms = from_ms - from_ms % HOUR_MS
    gone = store_retention.list_gone_hours(
        source.tx, source.connector, hour_ms, to_ms + 1, _HOURS_AT_ONCE
    )
    if not gone:
        return span
    if gone[0] > hour_ms:
        return from_ms, gone[0] - 1
    for one_ms in gone:
        if one_ms != hour_ms:
            break
        hour_ms += HOUR_MS
    return from_ms, min(to_ms, hour_ms - 1)


def _is_whole(source: Source, window: Window, before: Sequence[StoredSession]) -> bool:
    """Tell whether all that a window was folded from is still there."""
    if any(row.resolution == QUARTER for row in before):
        return False
    hour_ms = window.from_ms - window.from_ms % HOUR_MS
    gone = store_retention.list_gone_hours(source.tx, source.connector, hour_ms, window.to_ms, 1)
    return not gone


def _settle(source: Source, window: Window, before: list[StoredSession]) -> Change:
    """Return what records that came since change in a window; all else stays."""
    span = (window.from_ms, window.to_ms)
    doubts = store_retention.list_doubts(source.tx, source.connector, *span)
    known = {row.record_id for row in before}
    late = [
        record
        for record in source.records(*span)
        if record.record_id not in known and _is_within(record, window)
    ]
    met = [row for row in before if any(_meets(row, record) for record in late)]
    resolution = QUARTER if any(row.resolution == QUARTER for row in met) else MINUTE
    sessions = [_restore(row, resolution) for row in met]
    for record in late:
        sessions = rescale(sessions, record, BIN_MS[resolution])
    # What a record leaves over after its end goes on no more: how it would is known no longer.
    ended = [replace(one, end_ms=one.last_ms) if one.end_ms is None else one for one in sessions]
    change = make_change(
        source.connector, source.home, met, Folded(ended, [], None), window.to_ms, 0, resolution
    )
    after = sorted(
        [*(row for row in before if row not in met), *change.after],
        key=lambda row: (row.start_ms, row.session_no),
    )
    return change._replace(before=before, after=after, doubts=doubts, span=span)


def _is_within(record: RecordSpan, window: Window) -> bool:
    """Tell whether a record belongs to a window, and does not only touch it."""
    return (
        record.start_ms < window.to_ms and max(record.end_ms, record.start_ms + 1) > window.from_ms
    )


def _meets(row: StoredSession, record: RecordSpan) -> bool:
    end_ms = row.last_ms if row.end_ms is None else row.end_ms
    return row.record_id is None and row.start_ms <= record.end_ms and end_ms >= record.start_ms


def _restore(row: StoredSession, resolution: str) -> Session:
    """Return a stored session with bins of a resolution, that of the row or a coarser one."""
    session = restore(row)
    if row.resolution == resolution:
        return session
    return replace(session, minutes=to_quarters(session.minutes))
