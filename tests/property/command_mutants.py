"""Mistakes in the rules of commands, each of which the state machine has to find."""

from typing import Any

from msgspec.structs import replace

from tellus.commands import rules
from tellus.commands.model import LEASE_MS, START, Command, Phase, Signal


def _deliver_forever(command: Command) -> bool:
    return False


def _never_hold_back(queued: Any, newer: Command) -> list[Command]:
    return []


def _always_due(command: Command) -> int:
    return command.created_ms


def _never_conflict(newer: Command, states: Any, accepted: Any) -> str | None:
    return None


def _always_conflict(newer: Command, states: Any, accepted: Any) -> str | None:
    return "A session is active" if newer.command == START else None


def _lease_all_alike(command: Command, now_ms: int) -> Command:
    count, first = command.deliveries + 1, command.delivered_ms or now_ms
    return replace(command, deliveries=count, delivered_ms=first, lease_until_ms=now_ms + LEASE_MS)


def _never_expire(command: Command, now_ms: int) -> Command:
    return command


MUTANTS: list[tuple[str, Any]] = [
    ("is_spent", _deliver_forever),
    ("supersede", _never_hold_back),
    ("due_of", _always_due),
    ("settle", _never_expire),
    ("find_conflict", _never_conflict),
    ("find_conflict", _always_conflict),
    ("hand_out", _lease_all_alike),
    ("subject_of", lambda _command: None),
    (
        "TRANSITIONS",
        {**rules.TRANSITIONS, (Phase.COMPLETED, Signal.FAILED): Phase.FAILED},
    ),
    (
        "TRANSITIONS",
        {
            key: Phase.COMPLETED if key == (Phase.QUEUED, Signal.EXPIRED) else phase
            for key, phase in rules.TRANSITIONS.items()
        },
    ),
]
"""What is replaced in ``commands.rules``, and by what."""
