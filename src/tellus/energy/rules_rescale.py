"""How a record settles sessions whose samples are gone (rule U7)."""

from msgspec.structs import replace

from tellus.energy.model import Basis, MinuteEnergies, RecordSpan, Session
from tellus.energy.rules_bins import MINUTE_MS, Bins, Grid, merged
from tellus.energy.rules_settle import Spans, cover, settle


def rescale(sessions: list[Session], record: RecordSpan, bin_ms: int = MINUTE_MS) -> list[Session]:
    """Settle stored sessions by a record that came when their samples were gone.

    ``sessions`` are those of the connector that meet the record's span, in order of start;
    ``minutes`` hold bins of ``bin_ms`` each (60,000, or 900,000 for quarter-hours, keyed by
    time // ``bin_ms``), and so they do in the answer. What they moved inside the span becomes one
    session that sums to the record's energy exactly, their time counting as covered; what lies
    outside stays as sessions of its own. Sessions settled by another record are left as they are.
    The sessions returned replace those given.
    """
    kept: list[Session] = []
    inside: list[Session] = []
    covered: Spans = []
    for session in sessions:
        if not _belongs(session, record):
            kept.append(session)
            continue
        before, part, after = _cut(session, record, bin_ms)
        inside.append(part)
        if session.record_id is None:
            kept.extend(piece for piece in (before, after) if piece.minutes)
        cover(covered, part.start_ms, _end_of(part))
    charge, discharge = settle(
        _summed(inside, 0, bin_ms), _summed(inside, 1, bin_ms), covered, record, Grid(bin_ms)
    )
    kept.append(_settled(record, inside, merged(charge, discharge, bin_ms)))
    return sorted(kept, key=lambda session: (session.start_ms, session.record_id or ""))


def _belongs(session: Session, record: RecordSpan) -> bool:
    if session.record_id is not None:
        return session.record_id == record.record_id
    return session.start_ms <= record.end_ms and _end_of(session) >= record.start_ms


def _end_of(session: Session) -> int:
    return session.last_ms if session.end_ms is None else session.end_ms


def _cut(session: Session, record: RecordSpan, bin_ms: int) -> tuple[Session, Session, Session]:
    """Cut a session at both ends of a record; a bin that lies across is split linearly."""
    start_ms, end_ms = session.start_ms, _end_of(session)
    first_ms, last_ms = max(start_ms, record.start_ms), min(end_ms, record.end_ms)
    before: MinuteEnergies = {}
    inside: MinuteEnergies = {}
    after: MinuteEnergies = {}
    for number, (charge, discharge) in session.minutes.items():
        from_ms = max(number * bin_ms, start_ms)
        to_ms = min((number + 1) * bin_ms, end_ms)
        early = [_upto(nkwh, from_ms, to_ms, first_ms) for nkwh in (charge, discharge)]
        late = [_beyond(nkwh, from_ms, to_ms, last_ms) for nkwh in (charge, discharge)]
        before[number] = (early[0], early[1])
        inside[number] = (charge - early[0] - late[0], discharge - early[1] - late[1])
        after[number] = (late[0], late[1])
    return (
        replace(
            session, end_ms=first_ms, last_ms=first_ms, samples=0, minutes=_without_empty(before)
        ),
        replace(session, start_ms=first_ms, end_ms=last_ms, minutes=inside),
        replace(session, start_ms=last_ms, samples=0, minutes=_without_empty(after)),
    )


def _upto(nkwh: int, from_ms: int, to_ms: int, cut_ms: int) -> int:
    if cut_ms <= from_ms:
        return 0
    return nkwh * (cut_ms - from_ms) // (to_ms - from_ms) if cut_ms < to_ms else nkwh


def _beyond(nkwh: int, from_ms: int, to_ms: int, cut_ms: int) -> int:
    return 0 if cut_ms >= to_ms else nkwh - _upto(nkwh, from_ms, to_ms, cut_ms)


def _without_empty(minutes: MinuteEnergies) -> MinuteEnergies:
    return {number: energies for number, energies in minutes.items() if any(energies)}


def _summed(sessions: list[Session], side: int, bin_ms: int) -> Bins:
    bins: Bins = {}
    for session in sessions:
        for number, energies in session.minutes.items():
            bins[number * bin_ms] = bins.get(number * bin_ms, 0) + energies[side]
    return bins


def _settled(record: RecordSpan, inside: list[Session], minutes: MinuteEnergies) -> Session:
    """Make the record's session; what the record does not say of the battery the samples do."""
    soc_start_pct, soc_end_pct = record.soc_start_pct, record.soc_end_pct
    if soc_start_pct is None and inside:
        soc_start_pct = inside[0].soc_start_pct
    if soc_end_pct is None and inside:
        soc_end_pct = inside[-1].soc_end_pct
    return Session(
        start_ms=record.start_ms,
        end_ms=record.end_ms,
        last_ms=record.end_ms,
        record_id=record.record_id,
        basis=Basis.RECORD,
        minutes=minutes,
        samples=sum(session.samples for session in inside),
        soc_start_pct=soc_start_pct,
        soc_end_pct=soc_end_pct,
    )
