"""F-0805, session terminated unexpectedly: the cross-check on a record's ``stop_reason``."""

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


def is_clean(reason: Any) -> bool:
    """Tell whether a session ended as meant; a record that gives no reason is not suspicious.

    The published contract does not name ``stop_reason``: most chargers send none.
    """
    if reason is None or reason == "":
        return True
    return isinstance(reason, str) and reason.strip().lower().replace("-", "_") in CLEAN


def f_0805(record: RecordTold, told_ms: int | None) -> Verdict:
    """Judge a record; ``told_ms`` is when the charger itself told of such an end, if it did."""
    if is_clean(record.stop_reason):
        return Verdict(False, record.end_ms)
    if told_ms is not None and abs(told_ms - record.end_ms) <= SAME_MS:
        return Verdict(None, record.end_ms)
    evidence = {
        "record_id": record.record_id,
        "stop_reason": record.stop_reason,
        "details": record.details,
        "start_ms": record.start_ms,
        "end_ms": record.end_ms,
    }
    return Verdict(True, record.end_ms, f"The session ended with {record.stop_reason}.", evidence)
