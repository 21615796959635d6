"""Decisions about commands: one table of transitions, leases, expiry, what a report does."""

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import msgspec
from msgspec.structs import replace

from tellus.commands.model import (
    DISCHARGE,
    FIRMWARE_UPGRADE,
    KINDS,
    PLATFORM,
    SET_SCHEDULE,
    START,
    Command,
    Delivery,
    Effect,
    Moments,
    Phase,
    Report,
    Risk,
    Signal,
)

EDGE_DELIVERIES: Final = 3
PENDING_LARGEST: Final = 50

TRANSITIONS: Final[Mapping[tuple[Phase, Signal], Phase]] = MappingProxyType(
    {
        (Phase.QUEUED, Signal.ACCEPTED): Phase.ACCEPTED,
        (Phase.QUEUED, Signal.REJECTED): Phase.FAILED,
        (Phase.QUEUED, Signal.COMPLETED): Phase.COMPLETED,
        (Phase.QUEUED, Signal.FAILED): Phase.FAILED,
        (Phase.QUEUED, Signal.EXPIRED): Phase.LAPSED,
        (Phase.QUEUED, Signal.NO_RESPONSE): Phase.LAPSED,
        (Phase.QUEUED, Signal.SUPERSEDED): Phase.LAPSED,
        (Phase.QUEUED, Signal.CANCELLED): Phase.LAPSED,
        (Phase.ACCEPTED, Signal.REJECTED): Phase.FAILED,
        (Phase.ACCEPTED, Signal.COMPLETED): Phase.COMPLETED,
        (Phase.ACCEPTED, Signal.FAILED): Phase.FAILED,
        # A firmware upgrade whose charger never came back; see ``is_abandonable``.
        (Phase.ACCEPTED, Signal.NO_RESPONSE): Phase.LAPSED,
        # The charger knows better, once: what was corrected is not given up again.
        (Phase.LAPSED, Signal.ACCEPTED): Phase.ACCEPTED,
        (Phase.LAPSED, Signal.REJECTED): Phase.FAILED,
        (Phase.LAPSED, Signal.COMPLETED): Phase.COMPLETED,
        (Phase.LAPSED, Signal.FAILED): Phase.FAILED,
    }
)
"""All that can happen to a command; what is not here changes nothing."""

AGREEING: Final = frozenset(
    {
        (Phase.ACCEPTED, Signal.ACCEPTED),
        (Phase.COMPLETED, Signal.ACCEPTED),
        (Phase.COMPLETED, Signal.COMPLETED),
        (Phase.FAILED, Signal.ACCEPTED),
        (Phase.FAILED, Signal.REJECTED),
        (Phase.FAILED, Signal.FAILED),
    }
)
"""Reports that change nothing because they say what is known, or come after what followed them."""


_JUDGEMENTS: Final = frozenset(
    {
        Signal.REJECTED,
        Signal.EXPIRED,
        Signal.NO_RESPONSE,
        Signal.SUPERSEDED,
        Signal.CANCELLED,
    }
)
"""What stands as ``result.reason`` in the platform's own words."""


class _Obstacle(NamedTuple):
    """The states of a connector and the accepted commands beside which another cannot begin."""

    states: frozenset[str]
    commands: frozenset[str]


_OURS: Final = frozenset({"reason", "no_consent", "late"})
_IN_SESSION: Final = frozenset({"charging", "discharging"})
_DISCHARGING: Final = frozenset({"discharging"})
_OBSTACLES: Final[Mapping[str, _Obstacle]] = MappingProxyType(
    {
        # A start of what charges already may bring it other limits: its charger knows best.
        START: _Obstacle(_DISCHARGING, frozenset({START, DISCHARGE})),
        DISCHARGE: _Obstacle(_DISCHARGING, frozenset({DISCHARGE})),
    }
)


def lapse_of(command: Command) -> tuple[int, Signal]:
    """Return when a queued command is given up (ms) unless its charger answers, and why."""
    ways = [(command.expires_ms, Signal.EXPIRED)]
    lease_ms = command.lease_until_ms
    if lease_ms is not None:
        if command.superseded_by is not None:
            ways.append((lease_ms, Signal.SUPERSEDED))
        if is_spent(command):
            ways.append((lease_ms, Signal.NO_RESPONSE))
    return min(ways)


def is_spent(command: Command) -> bool:
    """Tell whether an edge command has been delivered as often as it may."""
    return command.delivery is Delivery.EDGE and command.deliveries >= EDGE_DELIVERIES


def settle(command: Command, now_ms: int) -> Command:
    """Return the command as it truly stands at ``now_ms``: given up, if that moment has passed."""
    if command.phase is not Phase.QUEUED:
        return command
    moment_ms, signal = lapse_of(command)
    return lapse(command, signal, moment_ms) if moment_ms <= now_ms else command


def is_abandonable(command: Command) -> bool:
    """Tell whether the platform may give up an accepted command: not what came late already.

    So a failure that the platform declared is corrected once at most, as it is everywhere.
    """
    return command.phase is Phase.ACCEPTED and (command.result or {}).get("late") is not True


def is_heeded(command: Command, operator_id: str | None) -> bool:
    """Tell whether a command still counts for a device of ``operator_id``, None where unknown.

    One that moved to another operator obeys the one before no longer; the platform always.
    """
    return operator_id is None or command.operator_id in {operator_id, PLATFORM}


def lapse(command: Command, signal: Signal, moment_ms: int) -> Command:
    """Return a queued or accepted command given up by the platform."""
    return replace(
        command,
        phase=TRANSITIONS[command.phase, signal],
        result={"reason": signal.value},
        updated_ms=moment_ms,
        lease_until_ms=None,
    )


def withdraw(command: Command, moment_ms: int) -> Command:
    """Return a queued command cancelled because its service is agreed to no longer."""
    lapsed = lapse(command, Signal.CANCELLED, moment_ms)
    result = {"reason": Signal.CANCELLED.value, "no_consent": command.service.value}
    return replace(lapsed, result=result)


def show(command: Command, services: int, now_ms: int) -> Command:
    """Return a command as it stands now, for its operator to see.

    What its charger said of it is left out where its owner has not agreed to its service.
    """
    settled = settle(command, now_ms)
    if settled.is_admitted_by(services):
        return settled
    result = settled.result or {}
    kept = {name: value for name, value in result.items() if name in _OURS}
    return replace(settled, result=kept or None)


def due_of(command: Command) -> int | None:
    """Return from when on a queued command may be handed out (ms), None for never again."""
    if command.superseded_by is not None or is_spent(command):
        return None
    return command.created_ms if command.lease_until_ms is None else command.lease_until_ms


def choose(
    queued: Iterable[Command], connectors: frozenset[int] | None, now_ms: int
) -> list[Command]:
    """Return what may be handed out now, oldest first; ``connectors`` None stands for all.

    A command on its way does not hold back the ones behind it: a stop must not wait until a start
    whose answer got lost has run out of its lease.
    """
    return [
        command
        for command in queued
        if command.phase is Phase.QUEUED
        and (connectors is None or command.connector_id in connectors)
        and (due_ms := due_of(command)) is not None
        and due_ms <= now_ms
    ]


def hand_out(command: Command, now_ms: int) -> Command:
    """Return the command leased to its charger."""
    return replace(
        command,
        deliveries=command.deliveries + 1,
        delivered_ms=now_ms if command.delivered_ms is None else command.delivered_ms,
        lease_until_ms=now_ms + command.lease_ms,
    )


def find_conflict(
    newer: Command, states: Mapping[int, str], accepted: Iterable[Command]
) -> str | None:
    """Return why a session stands in the way of ``newer``, in words; None where none does.

    ``states`` are those of the device's connectors as last heard, ``accepted`` the starts and
    discharges of the device that were accepted and not stopped since.
    """
    begun = [command for command in accepted if is_open(command, newer.created_ms)]
    if KINDS[newer.command].risk is Risk.MEDIUM or newer.command == FIRMWARE_UPGRADE:
        if any(state in _IN_SESSION for state in states.values()) or begun:
            return "A session is active on this device"
        return None
    obstacle = _OBSTACLES.get(newer.command)
    if obstacle is None:
        return None
    state = states.get(newer.connector_id, "")
    if state in obstacle.states:
        return f"The connector is {state}"
    here = [command.command for command in begun if command.connector_id == newer.connector_id]
    if any(name in obstacle.commands for name in here):
        return "A session of this connector is about to begin"
    return None


def is_open(command: Command, now_ms: int) -> bool:
    """Tell whether an accepted start or discharge may still become a session that is not seen yet.

    As long as it might have waited for its charger: after that the connector's state says it all.
    """
    return now_ms < command.updated_ms + (command.expires_ms - command.created_ms)


def supersede(queued: Sequence[Command], newer: Command) -> list[Command]:
    """Return those of ``queued`` that ``newer`` makes obsolete, as they stand then.

    What never left is given up at once. What is on its way may still be answered within its lease,
    and is not handed out again: a start must not come after the stop that followed it.
    """
    obsolete = KINDS[newer.command].supersedes
    return [
        lapse(command, Signal.SUPERSEDED, newer.created_ms)
        if command.lease_until_ms is None or command.lease_until_ms <= newer.created_ms
        else replace(command, superseded_by=newer.command_id)
        for command in queued
        if command.connector_id == newer.connector_id
        and command.command in obsolete
        and subject_of(command) == subject_of(newer)
    ]


def subject_of(command: Command) -> str | None:
    """Return the schedule that a command is about; of other commands none has a subject.

    A connector has several schedules, and a newer one says nothing of those under other ids.
    """
    if command.command != SET_SCHEDULE:
        return None
    return str(msgspec.json.decode(command.params)["schedule_id"])


def apply_report(command: Command, report: Report) -> tuple[Command, Effect]:
    """Return the command after a report of its charger, and what the report did.

    ``command`` is settled. The first terminal report stands.
    """
    following = TRANSITIONS.get((command.phase, report.status))
    if following is None:
        if (command.phase, report.status) in AGREEING:
            return command, Effect.REPEAT
        return replace(command, contradicted=True), Effect.CONTRADICTION
    late = command.phase is Phase.LAPSED
    moved = replace(
        command,
        phase=following,
        result=_result_of(command, report, late=late),
        updated_ms=report.received_ms,
        lease_until_ms=None,
    )
    return moved, Effect.LATE if late else Effect.APPLIED


def _result_of(command: Command, report: Report, *, late: bool) -> dict[str, Any] | None:
    """Return what operators are shown as ``result``: the charger's details under our own words."""
    result: dict[str, Any] = {}
    if report.status is not Signal.ACCEPTED:
        said = report.details or {}
        result |= {name: value for name, value in said.items() if not _is_ours(name, value)}
        if report.message is not None:
            result["message"] = report.message
    if report.status is Signal.REJECTED:
        result["reason"] = Signal.REJECTED.value
    if late or (command.result or {}).get("late") is True:
        result["late"] = True
    return result or None


def _is_ours(name: str, value: Any) -> bool:
    """Tell whether a detail would pass for the platform's own judgement."""
    return name == "late" or (name == "reason" and isinstance(value, str) and value in _JUDGEMENTS)


def moments_of(commands: Iterable[Command]) -> Moments | None:
    """Return when a device's queue needs attention next, None where nothing is queued."""
    queued = [command for command in commands if command.phase is Phase.QUEUED]
    if not queued:
        return None
    due_ms: dict[int, int] = {}
    for command in queued:
        moment_ms = due_of(command)
        if moment_ms is not None:
            connector_id = command.connector_id
            due_ms[connector_id] = min(moment_ms, due_ms.get(connector_id, moment_ms))
    return Moments(due_ms, min(lapse_of(command)[0] for command in queued))
