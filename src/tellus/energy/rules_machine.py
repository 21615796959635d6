"""The machine that the fold runs: takes samples and marks in order, keeps what is open."""

from bisect import bisect_left, bisect_right
from itertools import islice
from operator import lt

import msgspec

from tellus.energy.model import Boundary, Doubt, Facts, Folded, Point, RecordSpan, Session
from tellus.energy.rules_account import Account
from tellus.energy.rules_bins import Bins, Grid
from tellus.energy.rules_run import RUN_LENGTH, Columns, add_run, columns_of
from tellus.energy.rules_segment import Segment
from tellus.energy.rules_spans import Mark, Rank, order_marks, owned_times


class Carry(msgspec.Struct, array_like=True):
    """What a later fold needs: the open stretch, its account, and the records not yet over."""

    until_ms: int
    segment: Segment | None
    account: Account | None
    accounts: list[Account]


class Machine:
    """Folds facts on a grid of bins; ``until_ms`` as for ``fold``."""

    def __init__(self, limit_mw: int | None, grid: Grid, until_ms: int | None = None) -> None:
        """Start without anything open."""
        self._limit_mw = limit_mw
        self._grid = grid
        self._until_ms = until_ms
        self._from_ms: int | None = None
        self._segment: Segment | None = None
        self._account: Account | None = None
        self._owner: Account | None = None
        self._by_record: dict[str, Account] = {}
        self._closed: list[tuple[Account, int | None]] = []
        self._doubts: list[Doubt] = []

    def go_on(self, sessions: list[Session], carry: bytes) -> None:
        """Go on from the carry of an earlier fold, with its sessions that have no end."""
        state = msgspec.msgpack.decode(carry, type=Carry)
        self._from_ms = state.until_ms
        self._segment, self._account = state.segment, state.account
        for account in state.accounts:
            if account.record is not None:
                self._by_record[account.record.record_id] = account
        if state.account is not None:
            for session in sessions:
                if session.record_id is None:
                    self._account = state.account.with_energy(session.minutes)

    def run(self, facts: Facts) -> None:
        """Take facts, in any order."""
        self._know_records(facts.records)
        points = in_order(facts.points)
        columns = columns_of(points)
        done = 0
        for mark in self._marks(facts.boundaries):
            find = bisect_right if mark.is_after else bisect_left
            upto = find(columns.times_ms, mark.time_ms, done)
            self._take(points, columns, done, upto)
            self._apply(mark)
            done = upto
        self._take(points, columns, done, len(points))
        latest_ms = [*columns.times_ms[-1:], *(at.time_ms for at in facts.boundaries)]
        if self._until_ms is not None:
            self._from_ms = self._until_ms
        elif latest_ms:
            self._from_ms = max(latest_ms) + 1

    def outcome(self) -> Folded:
        """Return what there is now."""
        sessions = [account.session(self._grid, end_ms) for account, end_ms in self._all()]
        sessions.sort(key=lambda session: (session.start_ms, session.record_id or ""))
        return Folded(sessions, self._doubts, self._carry())

    def bins(self) -> list[tuple[Bins, Bins]]:
        """Return energy in and out by bins of each session."""
        return [account.bins(self._grid) for account, _ in self._all()]

    def _know_records(self, records: list[RecordSpan]) -> None:
        for record in sorted(records, key=lambda span: (span.start_ms, span.record_id)):
            is_past = self._from_ms is not None and record.start_ms < self._from_ms
            if not is_past and record.record_id not in self._by_record:
                self._by_record[record.record_id] = Account(record=record)

    def _marks(self, boundaries: list[Boundary]) -> list[Mark]:
        accounts = self._by_record.values()
        owned = owned_times([held.record for held in accounts if held.record is not None])
        from_ms, until_ms = self._from_ms, self._until_ms
        if from_ms is not None:
            for span in owned:
                if span.open_ms < from_ms <= span.close_ms:
                    self._owner = self._by_record[span.record_id]
                    if self._segment is not None:
                        self._account = self._owner
        return [
            mark
            for mark in order_marks(owned, boundaries)
            if (from_ms is None or mark.time_ms >= from_ms)
            and (until_ms is None or mark.time_ms < until_ms)
        ]

    def _apply(self, mark: Mark) -> None:
        time_ms = mark.time_ms
        self._end(time_ms, mark.rank)
        if mark.rank is Rank.START:
            self._segment = Segment(is_from_zero=True, base_ms=time_ms)
            self._account = self._owner or Account(
                is_started=True, start_ms=time_ms, last_ms=time_ms
            )
        elif mark.rank is Rank.CLOSE:
            self._owner = None
        elif mark.rank is not Rank.END:
            self._owner = self._by_record[mark.record_id]

    def _end(self, time_ms: int, rank: Rank) -> None:
        """Close what is open; what moved nothing and gives way to a record was only its herald."""
        account, self._segment, self._account = self._account, None, None
        if account is None or account.record is not None or not account.is_session:
            return
        if rank is not Rank.OPEN or account.has_energy:
            self._closed.append((account, time_ms))

    def _take(self, points: list[Point], columns: Columns, start: int, stop: int) -> None:
        idle = columns.idle
        first = bisect_left(idle, start)
        for at in idle[first : bisect_left(idle, stop, first)]:
            self._add(points, columns, start, at)
            self._add_idle(points[at])
            start = at + 1
        self._add(points, columns, start, stop)

    def _add(self, points: list[Point], columns: Columns, start: int, stop: int) -> None:
        """Add samples that are not idle, in whole runs where nothing happens in them."""
        if start == stop:
            return
        if self._segment is None or self._account is None:
            self._segment, self._account = Segment(), self._owner or Account()
        segment, account, grid, limit_mw = (
            self._segment,
            self._account,
            self._grid,
            self._limit_mw,
        )
        while start < stop:
            upto = min(stop, start + RUN_LENGTH)
            if not add_run(segment, account, columns, (start, upto), grid, limit_mw):
                upto = upto if segment.is_under_way else start + 1
                for point in points[start:upto]:
                    reason = segment.add(point, account, grid, limit_mw)
                    if reason is not None:
                        self._doubts.append(Doubt(point.time_ms, point.digest, reason))
            start = upto

    def _add_idle(self, point: Point) -> None:
        """End the session; from here the counter counts from 0."""
        segment, account = self._segment or Segment(), self._account or self._owner or Account()
        reason = segment.end_idle(point, account, self._grid, self._limit_mw)
        if reason is not None:
            self._doubts.append(Doubt(point.time_ms, point.digest, reason))
        if account is self._account:
            self._end(point.time_ms, Rank.END)
        self._segment = Segment(is_from_zero=True, base_ms=point.time_ms)
        self._account = self._owner or Account()

    def _all(self) -> list[tuple[Account, int | None]]:
        """Return the accounts of all sessions, each with its end if it has one."""
        found = list(self._closed)
        account = self._account
        if account is not None and account.record is None and account.is_session:
            found.append((account, None))
        for account in self._by_record.values():
            if account.record is not None:
                end_ms, is_over = account.record.end_ms, self._is_over(account.record)
                if is_over or account.record.start_ms < (self._until_ms or 0):
                    found.append((account, end_ms if is_over else None))
        return found

    def _is_over(self, record: RecordSpan) -> bool:
        return self._until_ms is None or record.end_ms < self._until_ms

    def _carry(self) -> bytes | None:
        accounts = [
            account
            for account in self._by_record.values()
            if account.record is not None and not self._is_over(account.record)
        ]
        if self._from_ms is None or (self._segment is None and not accounts):
            return None
        account = self._account
        own = account if account is not None and account.record is None else None
        carry = Carry(self._from_ms, self._segment, own and own.without_energy(), accounts)
        try:
            return msgspec.msgpack.encode(carry)
        except OverflowError:
            return None  # energies beyond all reason: nothing is to go on from them


def in_order(points: list[Point]) -> list[Point]:
    """Return the samples in the order in which they are taken, each once.

    Of one instant the idle ones are last: what is sent together with the end belongs to what ends.
    """
    times_ms = [point[0] for point in points]
    if all(map(lt, times_ms, islice(times_ms, 1, None))):
        return points
    once = {(point.time_ms, point.is_idle, point.digest): point for point in points}
    return [once[key] for key in sorted(once)]
