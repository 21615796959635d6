"""From a fold to what changes in the store: which stored sessions go on, and what moves in sums."""

from bisect import bisect_left, bisect_right
from collections.abc import Container, Iterator, Sequence
from hashlib import blake2b
from itertools import accumulate
from typing import Final

from msgspec.structs import replace

from tellus.energy.model import MOST_SESSION_NKWH, Basis, Folded, MinuteEnergies, Session
from tellus.energy.model_rows import MINUTE, Change, Connector, Home, StoredSession
from tellus.energy.rules_fold import Before
from tellus.energy.shapes import (
    add_difference,
    find_peak,
    minutes_of,
    pack_shape,
    to_minutes,
    unpack_shape,
)

_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"
_LENGTH: Final = 20


def identify(home: Home, connector_id: int, session: Session, taken: Container[str] = ()) -> str:
    """Return the identifier of a session that is seen for the first time; none of those ``taken``.

    The same facts give the same one, so that a session has it before it is stored. Nobody can
    guess it who does not know the device's, which is as long.
    """
    told = f"{home.device_id}/{connector_id}/{session.start_ms}/{session.record_id or ''}"
    while True:
        number = int.from_bytes(blake2b(told.encode(), digest_size=13).digest(), "big")
        found = "ses_" + "".join(_ALPHABET[(number >> 5 * k) & 31] for k in range(_LENGTH))
        if found not in taken:
            return found
        told += "/"


def go_on_from(opened: Sequence[StoredSession]) -> Before | None:
    """Return where the fold of a connector's open sessions stopped."""
    if not opened:
        return None
    carry = next((row.carry for row in opened if row.carry is not None), None)
    return Before([restore(row) for row in opened], carry)


def restore(row: StoredSession) -> Session:
    """Return a stored session as it was folded; its bins are as fine as its shape."""
    return Session(
        start_ms=row.start_ms,
        end_ms=row.end_ms,
        last_ms=row.last_ms,
        record_id=row.record_id,
        basis=Basis(row.basis),
        minutes=unpack_shape(row.shape),
        samples=row.samples,
        soc_start_pct=row.soc_start_pct,
        soc_end_pct=row.soc_end_pct,
    )


def make_change(
    connector: Connector,
    home: Home,
    before: Sequence[StoredSession],
    folded: Folded,
    until_ms: int,
    samples: int,
    resolution: str = MINUTE,
) -> Change:
    """Return what a fold changes: ``folded.sessions`` take the place of ``before``.

    ``until_ms`` is up to where facts were folded, ``samples`` how many. The bins of the sessions
    are as long as ``resolution`` says.
    """
    matches = _match(before, folded.sessions)
    taken = {row.session_id for row in matches.values()}
    after: list[StoredSession] = []
    moved: dict[str, MinuteEnergies] = {}
    carry = folded.carry
    for position, one in enumerate(folded.sessions):
        session = _within_reason(one)
        held = matches.get(position)
        if held is None:
            number, session_id = 0, identify(home, connector[1], session, taken)
        else:
            number, session_id = held.session_no, held.session_id
        taken.add(session_id)
        going_on = None
        if session.end_ms is None:
            going_on, carry = carry, None
        key = (number, session_id, *connector)
        row = _to_row(key, home, session, until_ms, going_on, resolution)
        if held is not None and replace(row, folded_to_ms=held.folded_to_ms) == held:
            row = held if session.end_ms is not None else row
        after.append(row)
        _note_moved(moved, row, _fine(session, resolution), held)
    kept = {row.session_no for row in matches.values()}
    for row in before:
        if row.session_no not in kept:
            for scope_id in scopes_of(row):
                add_difference(moved.setdefault(scope_id, {}), {}, minutes_of(row))
    return Change(connector, list(before), after, list(folded.doubts), moved, samples)


def _within_reason(session: Session) -> Session:
    """Return a session without its energy if that is more than any moves."""
    moved = sum(charge + discharge for charge, discharge in session.minutes.values())
    return session if moved <= MOST_SESSION_NKWH else replace(session, minutes={})


def _match(
    before: Sequence[StoredSession], sessions: Sequence[Session]
) -> dict[int, StoredSession]:
    """Return by position among ``sessions`` the stored one that it goes on from.

    That of the same record, else the one it shares the most time with; each goes on once.
    """
    by_record: dict[str | None, StoredSession]
    by_record = {row.record_id: row for row in before if row.record_id is not None}
    matches: dict[int, StoredSession] = {}
    for position, session in enumerate(sessions):
        held = by_record.get(session.record_id)
        if held is not None and _shared_ms(held, session) >= 0:
            matches[position] = by_record.pop(session.record_id)
    gone = {row.session_no for row in matches.values()}
    rows = [row for row in before if row.session_no not in gone]
    by_number = {row.session_no: row for row in rows}
    for _, _, number, position in sorted(_pair(rows, sessions), reverse=True):
        if -position not in matches and -number in by_number:
            matches[-position] = by_number.pop(-number)
    return matches


def _pair(
    before: Sequence[StoredSession], sessions: Sequence[Session]
) -> Iterator[tuple[int, int, int, int]]:
    """Yield shared time, and negated start, number and position, of all that meet."""
    rows = sorted(before, key=lambda row: row.start_ms)
    starts_ms = [row.start_ms for row in rows]
    upto_ms = list(accumulate(map(_end_of, rows), max))
    for position, session in enumerate(sessions):
        # Those behind ``last`` start too late, and all before ``first`` have ended.
        last = bisect_right(starts_ms, _end_of(session))
        first = bisect_left(upto_ms, session.start_ms, 0, last)
        for row in rows[first:last]:
            shared_ms = _shared_ms(row, session)
            if shared_ms >= 0:
                yield shared_ms, -row.start_ms, -row.session_no, -position


def _shared_ms(row: StoredSession, session: Session) -> int:
    """Return how long both last together, negative where they do not meet."""
    return min(_end_of(row), _end_of(session)) - max(row.start_ms, session.start_ms)


def _end_of(one: StoredSession | Session) -> int:
    """Return until when (ms) a session lasts, as far as is known."""
    return one.last_ms if one.end_ms is None else max(one.end_ms, one.last_ms)


def scopes_of(row: StoredSession) -> set[str]:
    """Return the scopes whose sums a session is in."""
    return {row.site_id, row.operator_id}


def is_altered(change: Change) -> bool:
    """Tell whether a change changes anything."""
    return change.before != change.after or bool(change.doubts) or change.span is not None


def _fine(session: Session, resolution: str) -> MinuteEnergies:
    """Return a session's energy by the minute, whatever its bins are."""
    return session.minutes if resolution == MINUTE else to_minutes(session.minutes)


def _note_moved(
    moved: dict[str, MinuteEnergies],
    row: StoredSession,
    minutes: MinuteEnergies,
    held: StoredSession | None,
) -> None:
    earlier = {} if held is None else minutes_of(held)
    scopes = scopes_of(row)
    if held is not None and scopes_of(held) != scopes:
        for scope_id in scopes_of(held):
            add_difference(moved.setdefault(scope_id, {}), {}, earlier)
        earlier = {}
    for scope_id in scopes:
        add_difference(moved.setdefault(scope_id, {}), minutes, earlier)


def _to_row(
    key: tuple[int, str, int, int],
    home: Home,
    session: Session,
    until_ms: int,
    carry: bytes | None,
    resolution: str,
) -> StoredSession:
    """Return the row of a session, given its number and identifier, its device and connector."""
    shape = pack_shape(session.minutes)
    charge = discharge = 0
    for energies in session.minutes.values():
        charge += energies[0]
        discharge += energies[1]
    return StoredSession(
        *key,
        home.device_id,
        *home.place_at(session.start_ms),
        session.start_ms,
        session.end_ms,
        session.last_ms,
        session.record_id,
        charge,
        discharge,
        find_peak(_fine(session, resolution)),
        session.soc_start_pct,
        session.soc_end_pct,
        session.samples,
        session.basis.value,
        resolution,
        until_ms,
        shape,
        carry,
    )
