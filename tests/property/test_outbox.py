"""Whatever order changes, attempts, answers, crashes and hands come in, pushes keep their promises.

The steps run one after the other on a real database, as they do in the engine. What each does is
compared with a ledger that knows nothing but the promises.
"""

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import apsw
import pytest
from hypothesis import Phase as Step
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from tellus.delivery import rules
from tellus.delivery.model import Attempt, Outcome, PushState
from tellus.delivery.steps import PushEnded, PushInFlight, PushOutdated
from tellus.kernel.clock import ManualClock
from tellus.legacy import store, store_outbox
from tellus.legacy.model import Peer, Push, PushOperation
from tellus.legacy.model_outbox import OwedPush, PushFilter
from tellus.legacy.outbox_steps import STEPS
from tellus.storage.database import Tx
from tellus.storage.migrate import load_migrations
from tellus.storage.postgres_connection import Address, connect
from tellus.storage.postgres_tx import Connection, PostgresTx
from tellus.storage.sqlite_schema import migrate
from tellus.storage.sqlite_tx import SQLiteTx
from tests.databases import POSTGRES, database_url
from tests.property.outbox_mutants import MUTANTS

PEER = "cl_1"
LINES = [(operation, key) for operation in PushOperation for key in ("a", "b", "c")]
INTERVALS_MS = [60_000 * minutes for minutes in (1, 5, 60, 180, 1_440)]
LEASE_MS = 15_000
OUTCOMES = [Outcome.ACCEPTED, Outcome.REJECTED, Outcome.TIMEOUT, Outcome.BAD_STATUS]
LIMITS = settings(max_examples=100, stateful_step_count=40, deadline=None)
QUICK = settings(
    LIMITS, max_examples=3_000, database=None, phases=[Step.generate], report_multiple_bugs=False
)


@dataclass
class Entry:
    """A push as the ledger has it; ``due_ms`` is the end of the lease while there is one.

    ``ended_by`` counts the reservations there had been when its end was noted.
    """

    push_id: str
    line: tuple[PushOperation, str]
    number: int
    due_ms: int
    lease: str | None = None
    attempts: int = 0
    end: PushState | None = None
    ended_by: int = 0


@dataclass
class Flight:
    """A push that somebody has reserved, and what came of it so far."""

    push: OwedPush
    entry: Entry
    lease: str
    until_ms: int
    reserved_by: int
    attempt: Attempt | None = field(default=None)


def _begin_sqlite() -> Callable[[], Tx]:
    made = apsw.Connection(":memory:")
    migrate(made, load_migrations(), ManualClock())
    schema = made.serialize("main")

    def begin() -> Tx:
        connection = apsw.Connection(":memory:")
        connection.deserialize("main", schema)
        return SQLiteTx(connection)

    return begin


def _begin_postgres(connection: Connection) -> Callable[[], Tx]:
    tx = PostgresTx(connection)
    tx.execute("BEGIN")

    def begin() -> Tx:
        tx.execute("ROLLBACK")
        tx.execute("BEGIN")
        return tx

    return begin


@pytest.fixture
def machine(database_kind: str, tmp_path: Path) -> Iterator[type["OutboxMachine"]]:
    """The machine, over each database in turn."""
    if database_kind == POSTGRES:
        with closing(connect(Address(database_url(tmp_path)))) as connection:
            OutboxMachine.begin = staticmethod(_begin_postgres(connection))
            yield OutboxMachine
    else:
        OutboxMachine.begin = staticmethod(_begin_sqlite())
        yield OutboxMachine


class OutboxMachine(RuleBasedStateMachine):
    """One peer, three orders and three charge points, whoever sends, and the clock."""

    begin: ClassVar[Callable[[], Tx]]

    def __init__(self) -> None:
        super().__init__()
        self.tx = OutboxMachine.begin()
        self.now_ms = ManualClock().now_ms()
        store.append_peer(self.tx, Peer(peer_id=PEER, operator_id="op_1", name="Peer"))
        self.entries: list[Entry] = []
        self.flights: list[Flight] = []
        self.heard: dict[tuple[PushOperation, str], int] = {}
        self.leases = 0

    # ------------------------------------------------------------------ what the ledger says

    def newest(self, line: tuple[PushOperation, str]) -> Entry:
        return [entry for entry in self.entries if entry.line == line][-1]

    def is_sent(self, entry: Entry) -> bool:
        """Tell whether somebody holds a lease on it that has not run out."""
        return entry.end is None and entry.lease is not None and entry.due_ms > self.now_ms

    def ready(self) -> list[Entry]:
        """What may go now, the longest due first."""
        busy = {entry.line for entry in self.entries if self.is_sent(entry)}
        return sorted(
            (
                entry
                for entry in self.entries
                if entry.end is None
                and entry is self.newest(entry.line)
                and entry.due_ms <= self.now_ms
                and entry.line not in busy
            ),
            key=lambda entry: (entry.due_ms, entry.number),
        )

    # ------------------------------------------------------------------ what happens

    @rule(line=st.sampled_from(LINES))
    def append(self, line: tuple[PushOperation, str]) -> None:
        for older in self.entries:
            if older.line == line and older.end is None and not self.is_sent(older):
                older.end, older.lease = PushState.SUPERSEDED, None
        number = len(self.entries)
        push = Push(PEER, line[0], line[1], f'{{"n":{number}}}', self.now_ms)
        push_id = store_outbox.append_push(self.tx, push)
        self.entries.append(Entry(push_id, line, number, self.now_ms))

    @rule()
    def append_everywhere(self) -> None:
        for line in LINES:
            self.append(line)

    @rule(room=st.integers(1, 6))
    def reserve(self, room: int) -> None:
        sent = sum(self.is_sent(entry) for entry in self.entries)
        due = bool(store_outbox.list_receivers_due(self.tx, self.now_ms))
        expected = self.ready()
        assert due or not expected, "nobody would have looked"
        self.leases += 1
        lease = f"lse_{self.leases}"
        reserved = STEPS.reserve(self.tx, PEER, room, lease, self.now_ms)
        assert [push.push_id for push in reserved] == [
            entry.push_id for entry in expected[: min(room, max(0, 4 - sent))]
        ]
        for push, entry in zip(reserved, expected, strict=False):
            assert push.attempts == entry.attempts
            entry.lease, entry.due_ms = lease, self.now_ms + LEASE_MS
            self.flights.append(Flight(push, entry, lease, entry.due_ms, self.leases))
        for entry in self.entries:
            if entry.end is None and entry is not self.newest(entry.line):
                found = store_outbox.find_push(self.tx, entry.push_id)
                if found is not None and found.state is PushState.SUPERSEDED:
                    assert not self.is_sent(entry)
                    entry.end = PushState.SUPERSEDED

    @rule(which=st.integers(0, 5), outcome=st.sampled_from(OUTCOMES))
    def send(self, which: int, outcome: Outcome) -> None:
        """An attempt is made while its lease lasts; the peer hears it, whatever it answers."""
        leased = [one for one in self.flights if one.until_ms > self.now_ms]
        flights = [one for one in leased if one.attempt is None]
        if flights:
            self.make_attempt(flights[which % len(flights)], outcome)

    def make_attempt(self, flight: Flight, outcome: Outcome) -> None:
        # What was reserved anew before an end was noted, later than a lease lasts, is on its way:
        # the peer hears it once more, and perhaps behind a younger one.
        is_known = flight.entry.end is not None
        ended = is_known and flight.entry.ended_by < flight.reserved_by
        assert not ended, "sent again after its end was noted"
        line, number = flight.entry.line, flight.entry.number
        heard = self.heard.get(line, -1)
        assert is_known or heard <= number, "an older state after a newer one"
        self.heard[line] = max(heard, number)
        flight.attempt = Attempt(self.now_ms, outcome)

    @rule(which=st.integers(0, 5))
    def note(self, which: int) -> None:
        """How it went is noted, possibly long after."""
        flights = [one for one in self.flights if one.attempt is not None]
        if flights:
            self.note_attempt(flights[which % len(flights)])

    def note_attempt(self, flight: Flight) -> None:
        self.flights.remove(flight)
        attempt, entry = flight.attempt, flight.entry
        assert attempt is not None
        STEPS.note_attempt(self.tx, flight.push.push_no, flight.lease, attempt, self.now_ms)
        if entry.end is not None:
            return
        verdicts = {
            Outcome.ACCEPTED: PushState.ACCEPTED,
            Outcome.REJECTED: PushState.REJECTED,
        }
        if attempt.outcome in verdicts:
            entry.end = verdicts[attempt.outcome]
        elif entry.lease != flight.lease:
            return
        elif entry is not self.newest(entry.line):
            entry.end = PushState.SUPERSEDED
        elif entry.attempts == len(INTERVALS_MS):
            entry.end = PushState.GIVEN_UP
        else:
            entry.due_ms = attempt.begun_ms + INTERVALS_MS[entry.attempts]
        entry.attempts += 1
        entry.lease = None
        entry.ended_by = self.leases

    @rule(outcome=st.sampled_from(OUTCOMES), lost_s=st.sampled_from([0, 1, 20]))
    def serve(self, outcome: Outcome, lost_s: int) -> None:
        """One look of the engine, all in one; or so slow that another takes over meanwhile."""
        self.reserve(4)
        flights = [one for one in self.flights if one.lease == f"lse_{self.leases}"]
        for flight in flights:
            self.make_attempt(flight, outcome)
        self.now_ms += 1_000 * lost_s
        if lost_s:
            self.reserve(4)
        for flight in flights:
            self.note_attempt(flight)

    @rule(line=st.sampled_from(LINES), failures=st.integers(1, 6))
    def fail_for_long(self, line: tuple[PushOperation, str], failures: int) -> None:
        """A peer is down for days: attempts follow as soon as each is due."""
        for _ in range(failures):
            entry = self.newest(line) if line in {one.line for one in self.entries} else None
            if entry is None or entry.end is not None:
                return
            self.now_ms = max(self.now_ms, entry.due_ms)
            self.serve(Outcome.TIMEOUT, 1)

    @rule(alone=st.booleans())
    def crash(self, *, alone: bool) -> None:
        """All processes end; one that has the store to itself takes up at once what was sent."""
        self.flights = []
        if alone:
            store_outbox.release_leases(self.tx, self.now_ms)
            for entry in self.entries:
                if entry.end is None and entry.lease is not None:
                    entry.lease, entry.due_ms = None, self.now_ms

    @rule(seconds=st.sampled_from([1, 5, 15, 60, 300, 3_600, 10_800, 86_400]))
    def wait(self, seconds: int) -> None:
        self.now_ms += 1_000 * seconds

    @rule(which=st.integers(0, 9))
    def retry(self, which: int) -> None:
        if which >= len(self.entries):
            return
        entry = self.entries[-1 - which]
        may = not (
            self.is_sent(entry)
            or entry.end is PushState.ACCEPTED
            or entry is not self.newest(entry.line)
        )
        try:
            STEPS.drive_again(self.tx, entry.push_id, self.now_ms)
        except (PushInFlight, PushEnded, PushOutdated):
            assert not may
            return
        assert may
        if entry.end is not None:
            entry.end, entry.attempts = None, 0
        entry.due_ms, entry.lease = self.now_ms, None

    @rule(which=st.integers(0, 9))
    def cancel(self, which: int) -> None:
        if which >= len(self.entries):
            return
        entry = self.entries[-1 - which]
        may = entry.end is None and not self.is_sent(entry)
        try:
            STEPS.cancel(self.tx, entry.push_id, self.now_ms)
        except (PushInFlight, PushEnded):
            assert not may
            return
        assert may
        entry.end, entry.lease = PushState.CANCELLED, None

    # ------------------------------------------------------------------ what always holds

    @invariant()
    def the_store_says_what_the_ledger_says(self) -> None:
        _, held = store_outbox.list_pushes(self.tx, PushFilter(), 0, 10_000)
        pushes = {push.push_id: push for push in held}
        for entry in self.entries:
            found = pushes.get(entry.push_id)
            assert found is not None, "a push is lost"
            assert found.state is (entry.end or PushState.WAITING)
            assert found.attempts == entry.attempts
            assert found.due_ms == (None if entry.end else entry.due_ms)
            assert found.is_in_flight(self.now_ms) is self.is_sent(entry)

    @invariant()
    def what_is_newest_is_not_superseded(self) -> None:
        for line in {entry.line for entry in self.entries}:
            assert self.newest(line).end is not PushState.SUPERSEDED


def test_outbox__any_history__keeps_the_promises(
    database_kind: str, machine: type[OutboxMachine]
) -> None:
    """No push lost, none sent after Accept, the exact schedule, never an older after a newer."""
    run_state_machine_as_test(machine, settings=LIMITS)


@pytest.mark.parametrize(("name", "mutant"), MUTANTS)
def test_outbox__broken_rule__is_found(
    monkeypatch: pytest.MonkeyPatch, name: str, mutant: Any
) -> None:
    """The machine is no decoration: each seeded mistake is caught by it."""
    monkeypatch.setattr(rules, name, mutant)
    OutboxMachine.begin = staticmethod(_begin_sqlite())
    with pytest.raises((AssertionError, KeyError, ExceptionGroup)):
        run_state_machine_as_test(OutboxMachine, settings=QUICK)
