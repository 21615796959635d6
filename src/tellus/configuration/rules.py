"""Decisions about configuration: the hash of a profile, and when a difference is a drift."""

import hashlib
from typing import Any, Final

import msgspec

from tellus.commands.model import Phase
from tellus.configuration.model import Assignment, Judgement, Reported, Standing, SyncState
from tellus.kernel.units import MINUTE_MS

ANSWER_WITHIN_MS: Final = 15 * MINUTE_MS
"""How long a charger that was handed a profile may take to say what came of it."""

TOLD_WITHIN_MS: Final = 5 * MINUTE_MS
"""How long after it has applied a profile a charger may go on naming the one before."""

LOOK_EVERY_MS: Final = MINUTE_MS
LOOK_SELDOM_MS: Final = 5 * MINUTE_MS
"""How often to look whether a profile has arrived: at first, and after a while."""

_EXACT_BELOW: Final = 2**53


def canonical_json(values: dict[str, Any]) -> str:
    """Return ``values`` written in the one way that is hashed (rule G2).

    As RFC 8785 has it (keys in order, no blanks, ``1.0`` as ``1``), with keys in the order of their
    code points.
    """
    return msgspec.json.encode(_plain(values), order="deterministic").decode()


def read_values(content: str) -> dict[str, Any]:
    """Return the values that canonical JSON was made of."""
    return msgspec.json.decode(content, type=dict[str, Any])


def hash_of(canonical: str) -> str:
    """Return the SHA-256 of canonical JSON in lower-case hex."""
    return hashlib.sha256(canonical.encode()).hexdigest()


def settled_ms(assignment: Assignment) -> int:
    """Return until when (ms) the profile is on its way to the device."""
    carrier = assignment.carrier
    if carrier is None:
        return assignment.assigned_ms + ANSWER_WITHIN_MS
    if carrier.phase == Phase.QUEUED:
        if carrier.delivered_ms is None:
            return carrier.expires_ms
        return min(carrier.expires_ms, carrier.delivered_ms + ANSWER_WITHIN_MS)
    if carrier.phase == Phase.ACCEPTED:
        return carrier.updated_ms + ANSWER_WITHIN_MS
    if carrier.phase == Phase.COMPLETED:
        return carrier.updated_ms + TOLD_WITHIN_MS
    return carrier.updated_ms


def agrees(profile_id: str, config_hash: str, reported: Reported) -> bool:
    """Tell whether a device says that it runs this; what it does not name is not held against it.

    Hashes are compared as hex, whatever the case of its letters.
    """
    if reported.profile_id not in {None, profile_id}:
        return False
    return reported.hash is None or reported.hash.lower() == config_hash.lower()


def look_after_ms(assignment: Assignment, now_ms: int) -> int | None:
    """Return when to look again at what carries an assignment, None once it has arrived or failed.

    Less often where its charger has not been there for a while.
    """
    settles_ms = settled_ms(assignment)
    if settles_ms <= now_ms:
        return None
    carrier = assignment.carrier
    sent_ms = assignment.assigned_ms if carrier is None else carrier.sent_ms
    is_new = now_ms < sent_ms + ANSWER_WITHIN_MS
    return min(settles_ms, now_ms + (LOOK_EVERY_MS if is_new else LOOK_SELDOM_MS))


def judge(standing: Standing, now_ms: int) -> Judgement:
    """Return how a device stands to its assignment at ``now_ms``, and since when (rule G1)."""
    assignment, reported = standing.assignment, standing.reported
    if assignment is None:
        return Judgement(SyncState.UNKNOWN, None)
    if reported is not None and agrees(assignment.profile_id, assignment.hash, reported):
        since_ms = max(assignment.assigned_ms, reported.since_ms)
        return Judgement(SyncState.IN_SYNC, since_ms)
    settles_ms = settled_ms(assignment)
    if now_ms < settles_ms:
        carrier = assignment.carrier
        sent_ms = assignment.assigned_ms if carrier is None else carrier.sent_ms
        return Judgement(SyncState.APPLYING, sent_ms)
    if reported is None:
        return Judgement(SyncState.UNKNOWN, assignment.assigned_ms)
    return Judgement(SyncState.DRIFTED, max(settles_ms, reported.since_ms))


def fits(models: tuple[str, ...], model: str) -> bool:
    """Tell whether a profile is for a model; one that names none is for all."""
    return not models or model in models


def _plain(value: Any) -> Any:
    """Return ``value`` with whole numbers as integers, so that one number is written one way."""
    if isinstance(value, dict):
        return {key: _plain(held) for key, held in value.items()}
    if isinstance(value, list):
        return [_plain(held) for held in value]
    if isinstance(value, float) and value.is_integer() and abs(value) < _EXACT_BELOW:
        return int(value)
    return value
