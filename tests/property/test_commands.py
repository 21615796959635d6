"""Whatever order operators, chargers, time and restarts come in, commands keep their promises.

The operations run one after the other on a real database, as they do on the writer. What the
store says after each is compared with a ledger of what was seen.
"""

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, ClassVar

import apsw
import pytest
from hypothesis import Phase as Step
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from tellus.commands import desk, rules, store
from tellus.commands.handing import Asking, hand_out
from tellus.commands.model import (
    DEVICE_LEVEL,
    DISCHARGE,
    FIRMWARE_UPGRADE,
    KINDS,
    LEASE_MS,
    SET_POWER_LIMIT,
    SET_SCHEDULE,
    START,
    STOP,
    Command,
    Delivery,
    Effect,
    Phase,
    Report,
    Signal,
)
from tellus.kernel.clock import ManualClock
from tellus.kernel.errors import TooManyRequests
from tellus.storage.database import Tx
from tellus.storage.migrate import load_migrations
from tellus.storage.postgres_connection import Address, connect
from tellus.storage.postgres_tx import Connection, PostgresTx
from tellus.storage.sqlite_schema import migrate
from tellus.storage.sqlite_tx import SQLiteTx
from tests.databases import POSTGRES, database_url
from tests.property.command_mutants import MUTANTS

DEVICE = 1
FOR_CONNECTORS = (START, STOP, DISCHARGE, SET_POWER_LIMIT, SET_SCHEDULE)
FOR_DEVICES = (FIRMWARE_UPGRADE, "reboot", "run_self_test", "fetch_logs")
TERMINAL = (Phase.COMPLETED, Phase.FAILED)
REPORTS = (Signal.ACCEPTED, Signal.REJECTED, Signal.COMPLETED, Signal.FAILED)
ALLOWED = {(before, after) for (before, _), after in rules.TRANSITIONS.items()} | {
    # Seen only from outside: given up unnoticed, then corrected by the report that found it out.
    (Phase.QUEUED, after)
    for (before, _), after in rules.TRANSITIONS.items()
    if before is Phase.LAPSED
}
LIMITS = settings(max_examples=250, stateful_step_count=40, deadline=None)
QUICK = settings(
    LIMITS, max_examples=3_000, database=None, phases=[Step.generate], report_multiple_bugs=False
)


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
def machine(database_kind: str, tmp_path: Path) -> Iterator[type["CommandMachine"]]:
    """The machine, over each database in turn."""
    if database_kind == POSTGRES:
        with closing(connect(Address(database_url(tmp_path)))) as connection:
            CommandMachine.begin = staticmethod(_begin_postgres(connection))
            yield CommandMachine
    else:
        CommandMachine.begin = staticmethod(_begin_sqlite())
        yield CommandMachine


class CommandMachine(RuleBasedStateMachine):
    """One device with two connectors, its operator and its clock."""

    issued = Bundle("issued")
    begin: ClassVar[Callable[[], Tx]]
    """Return a transaction on an empty store, which is undone when the next one begins."""

    def __init__(self) -> None:
        super().__init__()
        self.tx = CommandMachine.begin()
        self.now_ms = ManualClock().now_ms()
        self.seen: dict[str, Command] = {}
        self.leases_ms: dict[str, list[int]] = {}
        self.order: list[str] = []
        self.ends: dict[str, Command] = {}
        self.reported = ""
        self.change: desk.Change | None = None

    def run(self, operation: desk.Operation) -> Any:
        """Run one operation as the desk does."""
        self.reported = ""
        self.change = operation(self.tx)
        return self.change.answer

    @rule(
        target=issued,
        name=st.sampled_from(FOR_CONNECTORS),
        connector_id=st.integers(1, 2),
        schedule_id=st.sampled_from(["night", "noon"]),
    )
    def issue(self, name: str, connector_id: int, schedule_id: str) -> Any:
        params = f'{{"schedule_id": "{schedule_id}"}}' if name == SET_SCHEDULE else "{}"
        return self.issue_to(name, connector_id, params)

    @rule(target=issued, name=st.sampled_from(FOR_DEVICES))
    def issue_to_device(self, name: str) -> Any:
        return self.issue_to(name, DEVICE_LEVEL, "{}")

    def issue_to(self, name: str, connector_id: int, params: str) -> Any:
        command = Command(
            command_id=f"cmd_{len(self.order):04d}",
            device_no=DEVICE,
            device_id="dvc_1",
            connector_id=connector_id,
            operator_id="op_1",
            client_id="cl_1",
            command=name,
            params=params,
            transaction_id=None,
            created_ms=self.now_ms,
            updated_ms=self.now_ms,
            expires_ms=self.now_ms + KINDS[name].expires_after_ms,
        )
        in_the_way = self.list_in_the_way(command)
        try:
            self.run(desk.issue(desk.Order(command)))
        except TooManyRequests:
            assert len(store.list_queued(self.tx, DEVICE)) == rules.PENDING_LARGEST
            return multiple()
        except desk.SessionInTheWay:
            assert in_the_way
            return multiple()
        assert not in_the_way, "two sessions at a time"
        self.order.append(command.command_id)
        return command.command_id

    def list_in_the_way(self, newer: Command) -> list[str]:
        """What was accepted in the last two minutes, was not stopped, and forbids the command."""
        forbidding = {
            START: {START, DISCHARGE},
            DISCHARGE: {DISCHARGE},
            "run_self_test": {START, DISCHARGE},
            FIRMWARE_UPGRADE: {START, DISCHARGE},
        }.get(newer.command, set())
        found: dict[str, int] = {}
        for command_id in self.order:
            command = self.find(command_id)
            if command.command == STOP:
                found = {key: at for key, at in found.items() if at != command.connector_id}
            fresh = command.phase is Phase.ACCEPTED and self.now_ms < command.updated_ms + 120_000
            near = newer.connector_id in (DEVICE_LEVEL, command.connector_id)
            if command.command in forbidding and fresh and near:
                found[command_id] = command.connector_id
        return list(found)

    @rule(connector_id=st.sampled_from([None, 1, 2]))
    def fetch(self, connector_id: int | None) -> None:
        before = rules.moments_of(store.list_queued(self.tx, DEVICE))
        leased = self.hand_out(connector_id)
        places = {1, 2, DEVICE_LEVEL} if connector_id is None else {connector_id, DEVICE_LEVEL}
        due = before is not None and any(
            before.due_ms.get(place, self.now_ms + 1) <= self.now_ms for place in places
        )
        assert due or not leased, "memory would not have looked"
        assert connector_id is None or len(leased) <= 1
        for command in leased:
            self.check_delivery(command)
            self.leases_ms.setdefault(command.command_id, []).append(self.now_ms)

    def hand_out(self, connector_id: int | None) -> list[Command]:
        """Run the hand-out of one who asks; what it answers, and what memory learns."""
        self.reported = ""
        handed = hand_out([Asking(DEVICE, connector_id, self.now_ms, None)], self.tx)
        (leased,) = handed.answer
        self.change = desk.Change(leased, DEVICE, handed.queues[DEVICE])
        return leased

    def check_delivery(self, command: Command) -> None:
        earlier = self.leases_ms.get(command.command_id, [])
        assert command.phase is Phase.QUEUED
        assert self.now_ms < command.expires_ms
        assert not earlier or self.now_ms >= earlier[-1] + command.lease_ms
        if command.delivery is Delivery.EDGE:
            assert len(earlier) < rules.EDGE_DELIVERIES
        later = [
            self.seen[command_id]
            for command_id in self.order[self.order.index(command.command_id) + 1 :]
            if command_id in self.leases_ms
        ]
        for other in later:
            if other.connector_id == command.connector_id:
                assert earlier, "a newer command of the connector left first"
                obsolete = KINDS[other.command].supersedes
                if command.command != SET_SCHEDULE or command.params == other.params:
                    assert command.command not in obsolete, "delivered after what replaced it"

    @rule(
        command_id=issued,
        status=st.sampled_from(REPORTS),
        delay_s=st.integers(0, 3),
    )
    def report(self, command_id: str, status: Signal, delay_s: int) -> None:
        time_ms = self.now_ms - 1_000 * delay_s
        said = Report(
            command_id, status, time_ms, self.now_ms, Effect.APPLIED, None, {"n": len(self.order)}
        )
        before = rules.settle(self.find(command_id), self.now_ms)
        count = len(store.list_reports(self.tx, command_id))
        effect = self.run(desk.report(DEVICE, said))
        self.reported = command_id
        after = self.find(command_id)
        if effect is Effect.LATE:
            assert before.phase is Phase.LAPSED
            assert (after.result or {})["late"] is True
        if effect in (Effect.REPEAT, Effect.CONTRADICTION):
            assert (after.phase, after.result) == (before.phase, before.result)
        assert after.contradicted is (before.contradicted or effect is Effect.CONTRADICTION)
        assert len(store.list_reports(self.tx, command_id)) in (count, count + 1)

    @rule(command_id=issued)
    def cancel(self, command_id: str) -> None:
        before = rules.settle(self.find(command_id), self.now_ms)
        try:
            after = self.run(desk.cancel(DEVICE, command_id, self.now_ms))
        except desk.NotQueued:
            assert before.phase is not Phase.QUEUED
            self.change = None
            return
        assert before.phase is Phase.QUEUED
        assert (after.phase, after.result) == (Phase.LAPSED, {"reason": "cancelled"})

    @rule(seconds=st.sampled_from([1, 10, 30, 31, 90, 121, 3_600, 86_400]))
    def wait(self, seconds: int) -> None:
        self.now_ms += 1_000 * seconds

    @rule(times=st.integers(1, 5))
    def fetch_and_stay_silent(self, times: int) -> None:
        for _ in range(times):
            self.fetch(None)
            self.now_ms += LEASE_MS

    @rule()
    def sweep(self) -> None:
        self.run(desk.settle(DEVICE, self.now_ms))

    @rule()
    def restart(self) -> None:
        """A new process has what it reads, and that is what the old one would have known."""
        queued = store.list_all_queued(self.tx)
        assert rules.moments_of(queued) == rules.moments_of(store.list_queued(self.tx, DEVICE))
        self.change = None

    def find(self, command_id: str) -> Command:
        command = store.find_command(self.tx, command_id)
        assert command is not None
        return command

    @invariant()
    def every_step_is_in_the_table(self) -> None:
        for command_id in self.order:
            now = self.find(command_id)
            before = self.seen.get(command_id)
            self.seen[command_id] = now
            assert now.deliveries == len(self.leases_ms.get(command_id, []))
            if before is None or before.phase is now.phase:
                continue
            assert (before.phase, now.phase) in ALLOWED
            assert before.phase not in TERMINAL
            assert now.phase is Phase.LAPSED or self.reported == command_id

    @invariant()
    def what_was_replaced_has_a_successor(self) -> None:
        for number, command_id in enumerate(self.order):
            now = self.find(command_id)
            if now.superseded_by is None and (now.result or {}).get("reason") != "superseded":
                continue
            assert any(
                later.connector_id == now.connector_id
                and now.command in KINDS[later.command].supersedes
                and (now.command != SET_SCHEDULE or later.params == now.params)
                for later in map(self.find, self.order[number + 1 :])
            ), "given up for nothing"

    @invariant()
    def what_ended_stays_as_it_ended(self) -> None:
        for command_id in self.order:
            now = self.find(command_id)
            if now.phase in TERMINAL:
                held = self.ends.setdefault(command_id, now)
                assert (now.phase, now.result, now.updated_ms) == (
                    held.phase, held.result, held.updated_ms,
                )  # fmt: skip

    @invariant()
    def memory_knows_what_the_store_knows(self) -> None:
        queued = store.list_queued(self.tx, DEVICE)
        assert len(queued) <= rules.PENDING_LARGEST
        if self.change is not None:
            assert self.change.moments == rules.moments_of(queued)


def test_commands__any_history__keeps_the_promises(
    database_kind: str, machine: type[CommandMachine]
) -> None:
    """No step outside the table, deliveries as the class allows, ends that stay."""
    run_state_machine_as_test(machine, settings=LIMITS)


@pytest.mark.parametrize(("name", "mutant"), MUTANTS)
def test_commands__broken_rule__is_found(
    monkeypatch: pytest.MonkeyPatch, name: str, mutant: Any
) -> None:
    """The machine is no decoration: each seeded mistake is caught by it."""
    monkeypatch.setattr(rules, name, mutant)
    CommandMachine.begin = staticmethod(_begin_sqlite())
    with pytest.raises((AssertionError, KeyError, ExceptionGroup)):
        run_state_machine_as_test(CommandMachine, settings=QUICK)
