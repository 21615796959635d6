"""F-0805, session terminated unexpectedly: the cross-check on a record's ``stop_reason``."""

from collections.abc import Iterable
from typing import Any, Final

from tellus.diagnostics.model import RecordTold, Verdict

CLEAN: Final = frozenset(
    {
        "user_request",
        "user",
        "local",
        "remote",
        "target_soc",
        "soc_reached",
        "ev_full",
        "full",
        "completed",
        "time_limit",
        "duration",
        "energy_limit",
        "cost_limit",
        "schedule",
        "schedule_end",
        "deauthorized",
        "flexibility",
    }
)
"""Ends that somebody or something meant: the user, an order, a target, a limit, a schedule."""

SAME_MS: Final = 300_000
"""How far a charger's own event may lie from the end of the record that tells of the same."""

EXPLAINS_MS: Final = 60_000
"""How far a fault may lie from the end of the session that it stopped."""

GOES_ON: Final = frozenset({"F-0203", "F-0301", "F-0302", "F-0512", "F-0601", "F-0702", "F-0805"})
"""Faults that stop no session by themselves."""


def is_clean(reason: Any) -> bool:
    """Tell whether a session ended as meant; a record that gives no reason is not suspicious.

    The published contract does not name ``stop_reason``: most chargers send none.
    """
    if reason is None or reason == "":
        return True
    return isinstance(reason, str) and reason.strip().lower().replace("-", "_") in CLEAN


def f_0805(record: RecordTold, told_ms: int | None, faults_ms: Iterable[int] = ()) -> Verdict:
    """Judge a record.

    ``told_ms`` is when the charger itself told of such an end, if it did; ``faults_ms`` are the
    times of other faults of the connector that stop a session: one of them at the end explains it.
    """
    if is_clean(record.stop_reason):
        return Verdict(False, record.end_ms)
    if told_ms is not None and abs(told_ms - record.end_ms) <= SAME_MS:
        return Verdict(None, record.end_ms)
    if any(abs(fault_ms - record.end_ms) <= EXPLAINS_MS for fault_ms in faults_ms):
        return Verdict(None, record.end_ms)
    evidence = {
        "record_id": record.record_id,
        "stop_reason": record.stop_reason,
        "details": record.details,
        "start_ms": record.start_ms,
        "end_ms": record.end_ms,
    }
    return Verdict(True, record.end_ms, f"The session ended with {record.stop_reason}.", evidence)
