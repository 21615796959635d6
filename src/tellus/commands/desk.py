"""The desk: what is done to commands inside a transaction, each in one piece on the writer.

Decided by ``rules`` on what the store holds at that moment. Whatever raises here has written
nothing, or only what was true anyway (commands given up whose moment had passed).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Final, NamedTuple

from tellus.audit.model import Actor
from tellus.audit.service import record
from tellus.bus.port import COMMAND_PENDING, Bus
from tellus.commands import repeats, rules, store
from tellus.commands.model import (
    DEVICE_LEVEL,
    LEASE_MS,
    PLATFORM,
    Command,
    Effect,
    Issued,
    Moments,
    Phase,
    Report,
    Signal,
    Terms,
)
from tellus.commands.pending import Pending
from tellus.consent.model import NotConsented
from tellus.kernel.errors import ApiError, Conflict, NotFound, TooManyRequests
from tellus.kernel.permits import EVERYTHING
from tellus.kernel.units import DAY_MS, SECOND_MS
from tellus.storage.database import Tx

TRANSACTION_REMEMBERED_MS: Final = DAY_MS
_REPORTS_KEPT: Final = 100


class TransactionReused(Conflict):
    """4001: the client used this ``transaction_id`` within 24 h for something else."""

    def __init__(self) -> None:
        super().__init__("This transaction_id was used for another command", field="transaction_id")


class SessionInTheWay(Conflict):
    """4001: a session that runs or is about to begin does not go together with the command."""

    def __init__(self, words: str, connector_id: int) -> None:
        details = {"connector_id": connector_id} if connector_id != DEVICE_LEVEL else {}
        super().__init__(words, reason="conflicting_session", **details)


class NotQueued(Conflict):
    """4001: the command was accepted or has ended, so that it cannot be cancelled."""

    def __init__(self, status: str) -> None:
        super().__init__("Only a queued command can be cancelled", status=status)


class Order(NamedTuple):
    """A command to issue, with what memory knew of its device: connectors' states, presence."""

    command: Command
    states: Mapping[int, str] = {}
    device_online: bool = False
    terms: Terms = Terms()


class Change(NamedTuple):
    """What an operation answers, and when its device's queue needs attention next.

    ``firmware_version`` is there where the device turned out to run another one.
    """

    answer: Any
    device_no: int
    moments: Moments | None
    firmware_version: str | None = None

    @property
    def queues(self) -> Mapping[int, Moments | None]:
        """Return when the device's queue needs attention next, by device."""
        return {self.device_no: self.moments}


class Handed(NamedTuple):
    """What each of a group was handed out, and when the queues of their devices need attention."""

    answer: list[list[Command]]
    queues: Mapping[int, Moments | None]


class Operation(NamedTuple):
    """What is to be done to commands, and what nobody else may decide about meanwhile."""

    locks: tuple[str, ...]
    work: Callable[[Tx], Change]

    def __call__(self, tx: Tx) -> Change:
        """Do it; the locks are held already."""
        return self.work(tx)


class GroupOperation(NamedTuple):
    """What is to be done for many who ask at once, and what it decides about."""

    locks: tuple[str, ...]
    work: Callable[[Tx], Handed]

    def __call__(self, tx: Tx) -> Handed:
        """Do it; the locks are held already."""
        return self.work(tx)


class Desk:
    """The kind of operation (see ``HotKind``) that changes commands.

    Going through the hot door, memory follows each commit even when the caller has gone away
    meanwhile, and in the order of the commits.
    """

    name = "commands"

    def __init__(
        self, pending: Pending, bus: Bus, note_firmware: Callable[[int, str], None]
    ) -> None:
        self._pending = pending
        self._bus = bus
        self._note_firmware = note_firmware

    def apply_many(
        self, tx: Tx, operations: Sequence[Operation | GroupOperation]
    ) -> list[Change | Handed | ApiError]:
        """Run the operations one after the other; one that is refused fails alone."""
        tx.lock(*(lock for operation in operations for lock in operation.locks))
        outcomes: list[Change | Handed | ApiError] = []
        for operation in operations:
            try:
                outcomes.append(operation(tx))
            except ApiError as error:
                outcomes.append(error)
        return outcomes

    def after_commit(
        self,
        operations: Sequence[Operation | GroupOperation],  # noqa: ARG002 - the outcomes say it all
        outcomes: Sequence[Change | Handed | ApiError],
    ) -> None:
        """Note what is pending now, and tell who waits for it."""
        sooner: set[int] = set()
        for outcome in outcomes:
            if isinstance(outcome, ApiError):
                continue
            if isinstance(outcome, Change) and outcome.firmware_version is not None:
                self._note_firmware(outcome.device_no, outcome.firmware_version)
            for device_no, moments in outcome.queues.items():
                if self._pending.put(device_no, moments):
                    sooner.add(device_no)
        if sooner:
            self._bus.publish(COMMAND_PENDING, sorted(sooner))


def issue(order: Order) -> Operation:
    """Store a new command; answers as ``Issued``, for a repeated request with the first one.

    Raises, when run:
        KeyReused, TransactionReused: the key or transaction stands for another command.
        SessionInTheWay: the command does not go together with a session of the device.
        TooManyRequests: 50 commands of the device are pending.
    """
    command, key = order.command, order.terms.key
    locks = [queue_of(command.device_no)]
    if command.transaction_id is not None:
        locks.append(f"transaction:{command.client_id}:{command.transaction_id}")
    if key is not None:
        locks.append(f"request_key:{key.client_id}:{key.key_digest}")
    return Operation(tuple(locks), partial(_issue, order))


def cancel(device_no: int, command_id: str, now_ms: int) -> Operation:
    """Give up a queued command because its operator says so; answers with the command after it.

    Raises, when run:
        NotQueued: it was accepted or has ended.
    """
    return Operation((queue_of(device_no),), partial(_cancel, device_no, command_id, now_ms))


def settle(device_no: int, now_ms: int) -> Operation:
    """Give up what is to be given up; answers with the number of commands it touched."""
    return Operation((queue_of(device_no),), partial(_settle, device_no, now_ms))


def report(device_no: int, said: Report, services: int = EVERYTHING) -> Operation:
    """Take what a charger says of a command; answers with the effect.

    ``services`` are those that the device may be used for.

    Raises, when run:
        NotFound: the command is unknown or another device's.
        NotConsented: it is of another service.
    """
    return Operation((queue_of(device_no),), partial(_report, device_no, said, services))


def queue_of(device_no: int) -> str:
    """Return the lock of all that is decided about a device's commands."""
    return f"commands:{device_no}"


def _issue(order: Order, tx: Tx) -> Change:
    command, key = order.command, order.terms.key
    first = _find_first(tx, order)
    if first is not None:
        return Change(first, command.device_no, find_moments(tx, command.device_no))
    begun = store.list_begun(tx, command.device_no)
    words = None if order.terms.patient else rules.find_conflict(command, order.states, begun)
    if words is not None:
        raise SessionInTheWay(words, command.connector_id)
    queued = _settled(tx, command.device_no, command.created_ms, command.operator_id)
    obsolete = rules.supersede(queued, command)
    current = _merge(queued, obsolete)
    waiting = [one for one in current if one.phase is Phase.QUEUED]
    if sum(one.operator_id != PLATFORM for one in waiting) >= rules.PENDING_LARGEST:
        message = "50 commands of this device are pending"
        raise TooManyRequests(LEASE_MS // SECOND_MS, message)
    if order.terms.along is not None:
        order.terms.along(tx, command)
    for other in obsolete:
        store.update_command(tx, other)
    store.append_command(tx, command)
    if key is not None:
        answer = (command.command_id, order.device_online)
        repeats.remember(tx, key, answer, command.created_ms)
    if order.terms.by is not None:
        _audit(tx, command, order.terms.by)
    issued = Issued(command, order.device_online)
    return Change(issued, command.device_no, rules.moments_of([*current, command]))


def _find_first(tx: Tx, order: Order) -> Issued | None:
    """Return what the same request was answered with before, None if it is the first."""
    command, key = order.command, order.terms.key
    answer = None if key is None else repeats.recall(tx, key, command.created_ms)
    if answer is not None:
        command_id, device_online = answer
        known = store.find_command(tx, command_id)
        return None if known is None else Issued(known, device_online)
    if command.transaction_id is None:
        return None
    since_ms = command.created_ms - TRANSACTION_REMEMBERED_MS
    first = store.find_by_transaction(tx, command.client_id, command.transaction_id, since_ms)
    if first is None:
        return None
    if not _is_same(first, command):
        raise TransactionReused
    if key is not None:
        # From here on the key stands for this request, as if it had been the first.
        repeats.remember(tx, key, (first.command_id, order.device_online), command.created_ms)
    return Issued(first, order.device_online)


def _audit(tx: Tx, command: Command, by: Actor) -> None:
    record(
        tx,
        by.name,
        "device.command_issued",
        "device",
        command.device_id,
        command.operator_id,
        by.request_id,
        command.created_ms,
        command=command.command,
        command_id=command.command_id,
        connector_id=command.connector_id,
    )


def _cancel(device_no: int, command_id: str, now_ms: int, tx: Tx) -> Change:
    command = store.find_command(tx, command_id)
    if command is None:
        raise NotFound
    current = rules.settle(command, now_ms)
    if current.phase is not Phase.QUEUED:
        raise NotQueued(current.status)
    cancelled = rules.lapse(current, Signal.CANCELLED, now_ms)
    store.update_command(tx, cancelled)
    return Change(cancelled, device_no, find_moments(tx, device_no))


def _settle(device_no: int, now_ms: int, tx: Tx) -> Change:
    before = store.list_queued(tx, device_no)
    current = _save_settled(tx, before, now_ms)
    touched = sum(command.phase is not Phase.QUEUED for command in current)
    return Change(touched, device_no, rules.moments_of(current))


def _report(device_no: int, said: Report, services: int, tx: Tx) -> Change:
    command = store.find_command(tx, said.command_id)
    if command is None or command.device_no != device_no:
        raise NotFound
    if not command.is_admitted_by(services):
        raise NotConsented(command.service)
    known = store.list_reports(tx, said.command_id)
    if any((past.status, past.time_ms) == (said.status, said.time_ms) for past in known):
        return Change(Effect.REPEAT, device_no, find_moments(tx, device_no))
    effect = take(tx, command, said)
    if len(known) < _REPORTS_KEPT:
        store.append_report(tx, said._replace(effect=effect))
    return Change(effect, device_no, find_moments(tx, device_no))


def take(tx: Tx, command: Command, said: Report) -> Effect:
    """Move a command on by what its charger said; return what that did."""
    current = rules.settle(command, said.received_ms)
    moved, effect = rules.apply_report(current, said)
    if moved != command:
        store.update_command(tx, moved)
    return effect


def _is_same(first: Command, second: Command) -> bool:
    return all(
        getattr(first, name) == getattr(second, name)
        for name in ("device_no", "connector_id", "command", "params")
    )


def find_moments(tx: Tx, device_no: int) -> Moments | None:
    """Return when a device's queue needs attention next, None where nothing is queued."""
    return rules.moments_of(store.list_queued(tx, device_no))


def _settled(tx: Tx, device_no: int, now_ms: int, operator_id: str | None) -> list[Command]:
    """Return what is still queued at ``now_ms``, and save what is not any more.

    A device that moved to another operator obeys the one before no longer.
    """
    current = []
    for command in _save_settled(tx, store.list_queued(tx, device_no), now_ms):
        if command.phase is not Phase.QUEUED:
            continue
        if rules.is_heeded(command, operator_id):
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
