"""Which webhooks are told of a change, and how what they are told is signed."""

import hmac
from collections.abc import Iterable
from typing import Final

from tellus.alerts.model import AlertChange, ChangeKind
from tellus.alerts.model_webhooks import Webhook, WebhookEvent
from tellus.alerts.rules import SEVERITIES

SIGNATURE: Final = "X-Tellus-Signature"
EVENT_ID: Final = "X-Tellus-Event-Id"
EVENT: Final = "X-Tellus-Event"

_EVENTS: Final = {
    ChangeKind.OPENED: WebhookEvent.OPENED,
    ChangeKind.CHANGED: WebhookEvent.CHANGED,
    ChangeKind.CLOSED: WebhookEvent.CLOSED,
}


def event_of(change: AlertChange) -> WebhookEvent:
    """Return what a change is called."""
    return _EVENTS[change.kind]


def wants(webhook: Webhook, change: AlertChange) -> bool:
    """Tell whether a webhook is to be told of a change."""
    severity = SEVERITIES.index(change.after.severity)
    return (
        webhook.active
        and event_of(change) in webhook.events
        and severity >= SEVERITIES.index(webhook.min_severity)
    )


def sign(secrets: Iterable[str], body: bytes, now_s: int) -> str:
    """Return the signature of a body: ``t=<unix seconds>,v1=<hex>``, a ``v1`` for each secret.

    Each is the HMAC-SHA-256 (RFC 2104) over the time, a dot and the body.
    """
    content = b"%d.%b" % (now_s, body)
    marks = [hmac.digest(secret.encode(), content, "sha256").hex() for secret in secrets]
    return ",".join([f"t={now_s}", *(f"v1={mark}" for mark in marks)])
