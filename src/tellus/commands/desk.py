"""The desk: what is done to commands inside a transaction, each in one piece on the writer.

Decided by ``rules`` on what the store holds at that moment. Whatever raises here has written
nothing, or only what was true anyway (commands given up whose moment had passed).
"""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, Final, NamedTuple

from tellus.bus.port import COMMAND_PENDING, Bus
from tellus.commands import rules, store
from tellus.commands.model import (
    DEVICE_LEVEL,
    Command,
    Effect,
    FirmwareReport,
    Moments,
    Phase,
    Report,
    Signal,
)
from tellus.commands.pending import Pending
from tellus.kernel.errors import ApiError, Conflict, NotFound, TooManyRequests
from tellus.kernel.units import DAY_MS, SECOND_MS
from tellus.storage.database import Tx

TRANSACTION_REMEMBERED_MS: Final = DAY_MS
_REPORTS_KEPT: Final = 100


class TransactionReused(Conflict):
    """4001: the client used this ``transaction_id`` within 24 h for something else."""

    def __init__(self) -> None:
        super().__init__("This transaction_id was used for another command", field="transaction_id")


class Change(NamedTuple):
    """What an operation answers, and when its device's queue needs attention next."""

    answer: Any
    device_no: int
    moments: Moments | None


Operation = Callable[[Tx], Change]


class Desk:
    """The kind of operation (see ``HotKind``) that changes commands.

    Going through the hot door, memory follows each commit even when the caller has gone away
    meanwhile, and in the order of the commits.
    """

    name = "commands"

    def __init__(self, pending: Pending, bus: Bus) -> None:
        self._pending = pending
        self._bus = bus

    def apply_many(self, tx: Tx, operations: Sequence[Operation]) -> list[Change | ApiError]:
        """Run the operations one after the other; one that is refused fails alone."""
        outcomes: list[Change | ApiError] = []
        for operation in operations:
            try:
                outcomes.append(operation(tx))
            except ApiError as error:
                outcomes.append(error)
        return outcomes

    def after_commit(
        self,
        operations: Sequence[Operation],  # noqa: ARG002 - the outcomes say it all
        outcomes: Sequence[Change | ApiError],
    ) -> None:
        """Note what is pending now, and tell who waits for it."""
        changes = [outcome for outcome in outcomes if isinstance(outcome, Change)]
        for change in changes:
            self._pending.put(change.device_no, change.moments)
        fetchable = sorted({change.device_no for change in changes if change.moments})
        if fetchable:
            self._bus.publish(COMMAND_PENDING, fetchable)


def issue(command: Command) -> Operation:
    """Store a new command; answers with it, or with the first one of the same transaction.

    Raises, when run:
        TransactionReused: the transaction stands for another command.
        TooManyRequests: 50 commands of the device are pending.
    """
    return partial(_issue, command)


def hand_out(
    device_no: int, connector_id: int | None, now_ms: int, operator_id: str | None = None
) -> Operation:
    """Lease what may be fetched; answers with a list of commands, oldest first.

    For a connector at most one, its own or the device's; with ``connector_id`` None all. What was
    issued by another operator than ``operator_id``, whose device it is by now, is given up.
    """
    return partial(_hand_out, device_no, connector_id, now_ms, operator_id)


def settle(device_no: int, now_ms: int) -> Operation:
    """Give up what is to be given up; answers with the number of commands it touched."""
    return partial(_settle, device_no, now_ms)


def report(device_no: int, said: Report) -> Operation:
    """Take what a charger says of a command; answers with the effect.

    Raises, when run:
        NotFound: the command is unknown or another device's.
    """
    return partial(_report, device_no, said)


def report_firmware(tx: Tx, said: FirmwareReport) -> bool:
    """Store how far an upgrade has come; return False if that was the last thing said already."""
    last = store.find_newest_firmware_report(tx, said.device_no)
    if last is not None and last[:-1] == said[:-1]:
        return False
    store.append_firmware_report(tx, said)
    return True


def _issue(command: Command, tx: Tx) -> Change:
    tx.lock(f"commands:{command.device_no}")
    if command.transaction_id is not None:
        since_ms = command.created_ms - TRANSACTION_REMEMBERED_MS
        first = store.find_by_transaction(tx, command.client_id, command.transaction_id, since_ms)
        if first is not None:
            if not _is_same(first, command):
                raise TransactionReused
            return Change(first, command.device_no, _moments(tx, command.device_no))
    queued = _settled(tx, command.device_no, command.created_ms, command.operator_id)
    obsolete = rules.supersede(queued, command)
    current = _merge(queued, obsolete)
    if sum(other.phase is Phase.QUEUED for other in current) >= rules.PENDING_LARGEST:
        message = "50 commands of this device are pending"
        raise TooManyRequests(rules.LEASE_MS // SECOND_MS, message)
    for other in obsolete:
        store.update_command(tx, other)
    store.append_command(tx, command)
    return Change(command, command.device_no, rules.moments_of([*current, command]))


def _hand_out(
    device_no: int, connector_id: int | None, now_ms: int, operator_id: str | None, tx: Tx
) -> Change:
    tx.lock(f"commands:{device_no}")
    queued = _settled(tx, device_no, now_ms, operator_id)
    connectors = None if connector_id is None else frozenset({connector_id, DEVICE_LEVEL})
    chosen = rules.choose(queued, connectors, now_ms)[: None if connector_id is None else 1]
    leased = [rules.hand_out(command, now_ms) for command in chosen]
    for command in leased:
        store.update_command(tx, command)
    return Change(leased, device_no, rules.moments_of(_merge(queued, leased)))


def _settle(device_no: int, now_ms: int, tx: Tx) -> Change:
    tx.lock(f"commands:{device_no}")
    before = store.list_queued(tx, device_no)
    current = _save_settled(tx, before, now_ms)
    touched = sum(command.phase is not Phase.QUEUED for command in current)
    return Change(touched, device_no, rules.moments_of(current))


def _report(device_no: int, said: Report, tx: Tx) -> Change:
    tx.lock(f"commands:{device_no}")
    command = store.find_command(tx, said.command_id)
    if command is None or command.device_no != device_no:
        raise NotFound
    known = store.list_reports(tx, said.command_id)
    if any((past.status, past.time_ms) == (said.status, said.time_ms) for past in known):
        return Change(Effect.REPEAT, device_no, _moments(tx, device_no))
    current = rules.settle(command, said.received_ms)
    moved, effect = rules.apply_report(current, said)
    if moved != command:
        store.update_command(tx, moved)
    if len(known) < _REPORTS_KEPT:
        store.append_report(tx, said._replace(effect=effect))
    return Change(effect, device_no, _moments(tx, device_no))


def _is_same(first: Command, second: Command) -> bool:
    return all(
        getattr(first, name) == getattr(second, name)
        for name in ("device_no", "connector_id", "command", "params")
    )


def _moments(tx: Tx, device_no: int) -> Moments | None:
    return rules.moments_of(store.list_queued(tx, device_no))


def _settled(tx: Tx, device_no: int, now_ms: int, operator_id: str | None) -> list[Command]:
    """Return what is still queued at ``now_ms``, and save what is not any more.

    A device that moved to another operator obeys the one before no longer.
    """
    current = []
    for command in _save_settled(tx, store.list_queued(tx, device_no), now_ms):
        if command.phase is not Phase.QUEUED:
            continue
        if operator_id is None or command.operator_id == operator_id:
            current.append(command)
        else:
            store.update_command(tx, rules.lapse(command, Signal.CANCELLED, now_ms))
    return current


def _save_settled(tx: Tx, commands: Iterable[Command], now_ms: int) -> list[Command]:
    current = []
    for command in commands:
        settled = rules.settle(command, now_ms)
        if settled is not command:
            store.update_command(tx, settled)
        current.append(settled)
    return current


def _merge(commands: Iterable[Command], changed: Iterable[Command]) -> list[Command]:
    """Return ``commands`` with those of ``changed`` in their places."""
    newer = {command.command_id: command for command in changed}
    return [newer.get(command.command_id, command) for command in commands]
