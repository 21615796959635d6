"""What separates a connector's samples: events, and where records begin and end."""

import enum
from typing import NamedTuple

from tellus.energy.model import Boundary, BoundaryKind, RecordSpan


class Rank(enum.IntEnum):
    """What a mark does, in the order in which those of one instant are taken."""

    OPEN = 0
    CLOSE = 1
    OPEN_NEXT = 2
    END = 3
    START = 4


class Mark(NamedTuple):
    """Something that separates samples, before or after those of its own instant."""

    time_ms: int
    is_after: bool
    rank: Rank
    record_id: str = ""


class Owned(NamedTuple):
    """The time whose samples belong to a record: both ends included.

    It is opened before the samples of ``open_ms``, or after them where another record ends there.
    """

    open_ms: int
    is_next: bool
    close_ms: int
    record_id: str


def owned_times(records: list[RecordSpan]) -> list[Owned]:
    """Give each instant to the earliest record that contains it; some records may get none."""
    owned: list[Owned] = []
    for record in sorted(records, key=lambda span: (span.start_ms, span.record_id)):
        last_ms = owned[-1].close_ms if owned else None
        if last_ms is None or record.start_ms > last_ms:
            owned.append(Owned(record.start_ms, False, record.end_ms, record.record_id))
        elif record.end_ms > last_ms:
            owned.append(Owned(last_ms, True, record.end_ms, record.record_id))
    return owned


def order_marks(owned: list[Owned], boundaries: list[Boundary]) -> list[Mark]:
    """Put everything that separates into the one order that the fold takes it in.

    At one instant samples come after a start and what ends with it, and before any other end:
    the sample sent with a stop still belongs to what was stopped. The sample at a record's end
    belongs to the record, hence is before all else that happens at that instant.
    """
    marks: set[Mark] = set()
    for span in owned:
        rank = Rank.OPEN_NEXT if span.is_next else Rank.OPEN
        marks.add(Mark(span.open_ms, span.is_next, rank, span.record_id))
        marks.add(Mark(span.close_ms, True, Rank.CLOSE, span.record_id))
    closing = {span.close_ms for span in owned}
    starting = {at.time_ms for at in boundaries if at.kind is BoundaryKind.START} - closing
    for boundary in boundaries:
        rank = Rank.START if boundary.kind is BoundaryKind.START else Rank.END
        marks.add(Mark(boundary.time_ms, boundary.time_ms not in starting, rank))
    return sorted(marks)
