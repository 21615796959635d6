"""The words of alerts: findings, severities, conditions, statuses."""

import enum
from typing import Any, NamedTuple

import msgspec


class AlertSeverity(enum.StrEnum):
    """How urgent an alert is."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


class AlertStatus(enum.StrEnum):
    """What somebody has done about an alert: ``open`` until then."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"
    DISMISSED = "dismissed"


class Condition(enum.StrEnum):
    """Whether what the alert tells of is still so."""

    PRESENT = "present"
    CLEARED = "cleared"


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody found: a charger, a detector, an agent.

    ``key`` names the matter within the operator: while an alert of it is open, the finding counts
    for that one. ``code`` is the fault (``F-0421``) or a word (``site_network``). ``device_no``
    is None, and ``connector_id`` 0, where it is about more than one device, or the whole device.
    ``found_by`` is ``charger``, or the name of the detector or agent. ``evidence`` is JSON.
    """

    key: str
    operator_id: str
    site_id: str | None
    code: str
    severity: AlertSeverity
    title: str
    text: str
    found_by: str
    at_ms: int
    device_no: int | None = None
    connector_id: int = 0
    evidence: dict[str, Any] = {}
    runbook: str | None = None


class Cleared(msgspec.Struct, frozen=True, kw_only=True):
    """The matter of ``key`` is no longer so."""

    operator_id: str
    key: str
    at_ms: int


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """A matter that needs, or needed, somebody's attention; ``key`` names it while it is live.

    ``found`` counts the findings, ``first_ms`` and ``last_ms`` are the times of the first and the
    last of them. ``condition_ms`` is since when the condition is what it is. ``changed_ms`` is when
    status, condition or severity last changed, and ``version`` how often they have, from 1.
    ``ended_ms`` is set once it is resolved or dismissed. ``device_id`` is None where it is about
    more than one device.
    """

    alert_no: int
    alert_id: str
    operator_id: str
    key: str
    site_id: str | None
    device_no: int | None
    connector_id: int
    code: str
    severity: AlertSeverity
    title: str
    text: str
    found_by: str
    runbook: str | None
    evidence: dict[str, Any]
    status: AlertStatus
    condition: Condition
    condition_ms: int
    found: int
    first_ms: int
    last_ms: int
    opened_ms: int
    changed_ms: int
    ended_ms: int | None
    version: int
    device_id: str | None = None

    @property
    def is_live(self) -> bool:
        """Tell whether it still waits for somebody: open or acknowledged."""
        return self.ended_ms is None


class ChangeKind(enum.StrEnum):
    """What a change does to an alert, as webhooks and the stream name it."""

    OPENED = "opened"
    CHANGED = "changed"
    CLOSED = "closed"


class AlertChange(NamedTuple):
    """An alert before (None where it was opened) and after a change that somebody is told of."""

    before: Alert | None
    after: Alert
    actor: str
    note: str | None = None

    @property
    def kind(self) -> ChangeKind:
        """Return what the change does to the alert."""
        if self.before is None:
            return ChangeKind.OPENED
        return ChangeKind.CHANGED if self.after.is_live else ChangeKind.CLOSED


class NoteField(enum.StrEnum):
    """What a note of an alert's history tells of; ``note`` where nothing changed with it."""

    STATUS = "status"
    CONDITION = "condition"
    SEVERITY = "severity"
    NOTE = "note"


class AlertNote(NamedTuple):
    """One line of an alert's history: what became of ``field``, who did it, what they said."""

    at_ms: int
    actor: str
    field: NoteField
    before: str | None
    after: str | None
    note: str | None


class AlertRun(NamedTuple):
    """A run of a runbook that somebody began for an alert."""

    run_id: str
    runbook: str
    linked_ms: int


class AlertView(NamedTuple):
    """An alert with its history (oldest first) and the runs of runbooks for it."""

    alert: Alert
    notes: list[AlertNote]
    runs: list[AlertRun]


class AlertFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which alerts of an operator; what is None admits all. ``since_ms`` goes by the change."""

    operator_id: str
    device_id: str | None = None
    site_id: str | None = None
    code: str | None = None
    severity: AlertSeverity | None = None
    status: AlertStatus | None = None
    condition: Condition | None = None
    since_ms: int | None = None
    withheld: tuple[int, ...] = ()
