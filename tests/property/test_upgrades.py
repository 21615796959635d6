"""Whatever charger and platform say of firmware upgrades, and in whatever order, each ends once.

The operations run one after the other on a real SQLite database, as they do on the writer.
"""

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
    rule,
    run_state_machine_as_test,
)

from tellus.commands import desk, rules, store, upgrades
from tellus.commands.handing import Asking, hand_out
from tellus.commands.model import (
    DEVICE_LEVEL,
    FIRMWARE_SIGNALS,
    FIRMWARE_UPGRADE,
    KINDS,
    Command,
    Effect,
    FirmwareReport,
    Phase,
    Report,
    Signal,
)
from tellus.kernel.clock import ManualClock
from tellus.storage.migrate import load_migrations
from tellus.storage.sqlite_schema import migrate
from tellus.storage.sqlite_tx import SQLiteTx

DEVICE = 1
VERSIONS = ("3.2.0", "3.3.0")
ENDS = (Phase.COMPLETED, Phase.FAILED)
LIMITS = settings(max_examples=100, stateful_step_count=40, deadline=None)
QUICK = settings(
    LIMITS, max_examples=3_000, database=None, phases=[Step.generate], report_multiple_bugs=False
)


class UpgradeMachine(RuleBasedStateMachine):
    """One device, upgraded again and again."""

    issued = Bundle("issued")
    schema: ClassVar[bytes] = b""

    def __init__(self) -> None:
        super().__init__()
        connection = apsw.Connection(":memory:")
        if not UpgradeMachine.schema:
            migrate(connection, load_migrations(), ManualClock())
            UpgradeMachine.schema = connection.serialize("main")
        connection.deserialize("main", UpgradeMachine.schema)
        self.tx = SQLiteTx(connection)
        self.now_ms = ManualClock().now_ms()
        self.order: list[str] = []
        self.delivered: set[str] = set()
        self.late: set[str] = set()
        self.ends: dict[str, tuple[Phase, Any]] = {}
        self.runs: list[str] = []
        self.change: desk.Change | None = None

    def run(self, operation: desk.Operation) -> Any:
        """Run one operation as the desk does."""
        self.change = operation(self.tx)
        return self.change.answer

    def find(self, command_id: str) -> Command:
        command = store.find_command(self.tx, command_id)
        assert command is not None
        return command

    @rule(target=issued, version=st.sampled_from(VERSIONS))
    def issue(self, version: str) -> str:
        command = Command(
            command_id=f"cmd_{len(self.order):04d}",
            device_no=DEVICE,
            device_id="dvc_1",
            connector_id=DEVICE_LEVEL,
            operator_id="op_1",
            client_id="cl_1",
            command=FIRMWARE_UPGRADE,
            params=f'{{"firmware_version": "{version}"}}',
            transaction_id=None,
            created_ms=self.now_ms,
            updated_ms=self.now_ms,
            expires_ms=self.now_ms + KINDS[FIRMWARE_UPGRADE].expires_after_ms,
        )
        self.run(desk.issue(desk.Order(command)))
        self.order.append(command.command_id)
        return command.command_id

    @rule()
    def fetch(self) -> None:
        [leased] = hand_out([Asking(DEVICE, None, self.now_ms, None)], self.tx).answer
        self.delivered |= {command.command_id for command in leased}
        self.change = None

    @rule(seconds=st.sampled_from([1, 60, 3_600, 86_400]))
    def wait(self, seconds: int) -> None:
        self.now_ms += 1_000 * seconds

    @rule(command_id=issued, status=st.sampled_from(["accepted", "accepted", "completed"]))
    def report(self, command_id: str, status: str) -> None:
        signal = Signal(status)
        said = Report(command_id, signal, self.now_ms, self.now_ms, Effect.APPLIED, None, None)
        self.run(desk.report(DEVICE, said))

    @rule(version=st.sampled_from(VERSIONS), status=st.sampled_from(sorted(FIRMWARE_SIGNALS)))
    def report_firmware(self, version: str, status: str) -> None:
        """A status moves the newest upgrade to that version that left, as a report of it would."""
        fitting = [
            command_id
            for command_id in self.order
            if command_id in self.delivered and upgrades.target_of(self.find(command_id)) == version
        ]
        said = FirmwareReport(DEVICE, version, status, None, None, self.now_ms)
        last = store.find_newest_firmware_report(self.tx, DEVICE)
        repeated = last is not None and last[:-1] == said[:-1]
        before = {one: rules.settle(self.find(one), self.now_ms) for one in fitting}
        answer = self.run(upgrades.report_firmware(said, lambda *_: None))
        assert answer == (None if repeated or not fitting else fitting[-1])
        if answer is not None:
            key = (before[answer].phase, FIRMWARE_SIGNALS[status])
            assert self.find(answer).phase is rules.TRANSITIONS.get(key, before[answer].phase)
        assert self.change is not None
        told = status == "success" and not repeated
        assert self.change.firmware_version == (version if told else None)

    @rule()
    def abandon_all(self) -> None:
        """The platform gives up what was accepted, unless that came late already."""
        for command_id in self.order:
            before = self.find(command_id)
            given_up = self.run(upgrades.abandon(DEVICE, command_id, self.now_ms))
            assert given_up is (before.phase is Phase.ACCEPTED and command_id not in self.late)
            if given_up:
                after = self.find(command_id)
                assert (after.phase, after.result) == (Phase.LAPSED, {"reason": "no_response"})

    @rule(command_id=issued)
    def withdraw(self, command_id: str) -> None:
        """The platform takes back what never left, and nothing else."""
        before = rules.settle(self.find(command_id), self.now_ms)
        taken: list[Command] = []
        withdrawn = self.run(
            upgrades.withdraw(DEVICE, command_id, self.now_ms, lambda _, one: taken.append(one))
        )
        waiting = before.phase is Phase.QUEUED and command_id not in self.delivered
        assert withdrawn is waiting is bool(taken)
        assert not withdrawn or self.find(command_id).result == {"reason": "cancelled"}

    @rule(command_id=issued)
    def conclude(self, command_id: str) -> None:
        """A device that runs the version has been upgraded, whoever tells."""
        before = rules.settle(self.find(command_id), self.now_ms)
        done = self.run(upgrades.conclude(DEVICE, command_id, "3.2.0", self.now_ms))
        assert done is (before.phase in (Phase.QUEUED, Phase.ACCEPTED))
        assert not done or self.find(command_id).phase is Phase.COMPLETED

    @invariant()
    def what_ended_stays_and_is_corrected_once(self) -> None:
        for command_id in self.order:
            now = self.find(command_id)
            if (now.result or {}).get("late") is True:
                self.late.add(command_id)
            assert not (now.phase is Phase.LAPSED and command_id in self.late), "corrected twice"
            if now.phase in ENDS:
                end = (now.phase, now.result)
                assert self.ends.setdefault(command_id, end) == end

    @invariant()
    def memory_knows_what_the_store_knows(self) -> None:
        if self.change is not None:
            queued = store.list_queued(self.tx, DEVICE)
            assert self.change.moments == rules.moments_of(queued)


def test_upgrades__any_history__keep_the_promises() -> None:
    """Reports move the right command, ends stay, and a failure is corrected once."""
    run_state_machine_as_test(UpgradeMachine, settings=LIMITS)


def _first_of_version(tx: Any, device_no: int, version: str) -> Command | None:
    delivered = store.list_delivered_upgrades(tx, device_no, 20)
    return next((one for one in delivered[::-1] if upgrades.target_of(one) == version), None)


@pytest.mark.parametrize(
    ("module", "name", "mutant"),
    [
        (rules, "is_abandonable", lambda command: command.phase is Phase.ACCEPTED),
        (rules, "is_abandonable", lambda _: False),
        (upgrades, "_find_upgrade", _first_of_version),
        (upgrades, "_OPEN", frozenset({Phase.QUEUED, Phase.LAPSED})),
    ],
)
def test_upgrades__broken_rule__is_found(
    monkeypatch: pytest.MonkeyPatch, module: Any, name: str, mutant: Any
) -> None:
    """The machine is no decoration: each seeded mistake is caught by it."""
    monkeypatch.setattr(module, name, mutant)
    with pytest.raises((AssertionError, KeyError, ExceptionGroup)):
        run_state_machine_as_test(UpgradeMachine, settings=QUICK)
