"""What findings and people make of an alert."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from tellus.alerts.model import (
    Alert,
    AlertChange,
    AlertNote,
    AlertSeverity,
    AlertStatus,
    Cleared,
    Condition,
    Finding,
    NoteField,
)

EVIDENCE_BYTES: Final = 16 * 1024
"""How much evidence an alert keeps, as JSON in UTF-8."""

LEFT_OUT: Final = "left_out"
"""The name under which kept evidence lists what was cut from it."""

SEVERITIES: Final = tuple(AlertSeverity)
"""From the least urgent to the most."""

STEPS: Final[Mapping[AlertStatus, frozenset[AlertStatus]]] = {
    AlertStatus.OPEN: frozenset(
        {AlertStatus.ACKNOWLEDGED, AlertStatus.RESOLVED, AlertStatus.DISMISSED}
    ),
    AlertStatus.ACKNOWLEDGED: frozenset({AlertStatus.RESOLVED, AlertStatus.DISMISSED}),
    AlertStatus.RESOLVED: frozenset(),
    AlertStatus.DISMISSED: frozenset(),
}
"""Which statuses may follow which."""

ENDS: Final = frozenset({AlertStatus.RESOLVED, AlertStatus.DISMISSED})

_TITLE_CHARACTERS: Final = 200
_TEXT_CHARACTERS: Final = 2_000
_SHORTEST: Final = 64


def opened(finding: Finding, alert_id: str, now_ms: int) -> Alert:
    """Return the alert that a finding opens; its number is not known yet."""
    at_ms = min(finding.at_ms, now_ms)
    return Alert(
        alert_no=0,
        alert_id=alert_id,
        operator_id=finding.operator_id,
        key=finding.key,
        site_id=finding.site_id,
        device_no=finding.device_no,
        connector_id=finding.connector_id,
        code=finding.code,
        severity=finding.severity,
        title=finding.title[:_TITLE_CHARACTERS],
        text=finding.text[:_TEXT_CHARACTERS],
        found_by=finding.found_by,
        runbook=finding.runbook,
        evidence=fit_evidence(finding.evidence),
        status=AlertStatus.OPEN,
        condition=Condition.PRESENT,
        condition_ms=at_ms,
        found=1,
        first_ms=at_ms,
        last_ms=at_ms,
        opened_ms=now_ms,
        changed_ms=now_ms,
        ended_ms=None,
        version=1,
    )


def found_again(alert: Alert, finding: Finding, now_ms: int) -> Alert:
    """Return a live alert after another finding of its matter.

    The newest finding says what it is about. Severity rises, and never falls. A condition that
    was cleared is present again, unless it was found before it was cleared.
    """
    at_ms = min(finding.at_ms, now_ms)
    seen = replace(
        alert,
        found=alert.found + 1,
        first_ms=min(alert.first_ms, at_ms),
        last_ms=max(alert.last_ms, at_ms),
    )
    if at_ms >= alert.last_ms:
        seen = replace(
            seen,
            site_id=finding.site_id,
            title=finding.title[:_TITLE_CHARACTERS],
            text=finding.text[:_TEXT_CHARACTERS],
            found_by=finding.found_by,
            runbook=finding.runbook or alert.runbook,
            evidence=fit_evidence(finding.evidence),
        )
    severity = max(alert.severity, finding.severity, key=SEVERITIES.index)
    is_back = alert.condition is Condition.CLEARED and at_ms >= alert.condition_ms
    if severity is alert.severity and not is_back:
        return seen
    if is_back:
        seen = replace(seen, condition=Condition.PRESENT, condition_ms=at_ms)
    return _changed(replace(seen, severity=severity), now_ms)


def cleared(alert: Alert, clearing: Cleared, now_ms: int) -> Alert:
    """Return a live alert once its matter is no longer so; what was found later stands."""
    at_ms = min(clearing.at_ms, now_ms)
    if alert.condition is Condition.CLEARED or at_ms < alert.last_ms:
        return alert
    return _changed(replace(alert, condition=Condition.CLEARED, condition_ms=at_ms), now_ms)


def may_become(alert: Alert, status: AlertStatus) -> bool:
    """Tell whether somebody may give an alert a status."""
    return status in STEPS[alert.status]


def with_status(alert: Alert, status: AlertStatus, now_ms: int) -> Alert:
    """Return an alert that somebody gave a status that may follow its own."""
    ended_ms = now_ms if status in ENDS else None
    return _changed(replace(alert, status=status, ended_ms=ended_ms), now_ms)


def notes_of(change: AlertChange, now_ms: int) -> Iterator[AlertNote]:
    """Yield what the history says of a change; what somebody said stands with the first line."""
    before, after, said = change.before, change.after, change.note
    for field in (NoteField.STATUS, NoteField.CONDITION, NoteField.SEVERITY):
        was = None if before is None else str(getattr(before, field.value))
        now = str(getattr(after, field.value))
        if was != now and (before is not None or field is NoteField.STATUS):
            yield AlertNote(now_ms, change.actor, field, was, now, said)
            said = None
    if said is not None:
        yield AlertNote(now_ms, change.actor, NoteField.NOTE, None, None, said)


def fit_evidence(evidence: Mapping[str, Any]) -> dict[str, Any]:
    """Return evidence that fits its bound.

    The largest parts are shortened first: lists keep their beginning, texts too, and what cannot
    be shortened goes. ``left_out`` names the parts that are not whole.
    """
    kept, cut = dict(evidence), dict[str, None]()
    while _size(kept | ({LEFT_OUT: list(cut)} if cut else {})) > EVIDENCE_BYTES:
        name = max(kept, key=lambda one: _size(kept[one]) + len(one))
        cut[name[:_SHORTEST]] = None
        part = kept[name]
        if isinstance(part, str | list) and len(part) > 1 and _size(part) > _SHORTEST:
            kept[name] = part[: len(part) // 2]
        else:
            del kept[name]
        if len(cut) > _SHORTEST:
            cut.pop(next(iter(cut)))
    return kept | ({LEFT_OUT: list(cut)} if cut else {})


def _changed(alert: Alert, now_ms: int) -> Alert:
    # Never back: whoever reads on from a change must not miss the next.
    changed_ms = max(now_ms, alert.changed_ms)
    return replace(alert, changed_ms=changed_ms, version=alert.version + 1)


def _size(value: Any) -> int:
    return len(msgspec.json.encode(value))
