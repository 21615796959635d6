"""The words of alerts: findings, severities, conditions, statuses."""

import enum
from typing import Any

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
