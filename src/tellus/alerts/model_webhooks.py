"""The words of webhooks: who is told of alerts, what they are owed, how it is signed."""

import enum
from typing import Final, NamedTuple

import msgspec

from tellus.alerts.model import AlertSeverity
from tellus.delivery.model import Owed
from tellus.kernel.units import HOUR_MS, MINUTE_MS, SECOND_MS

INTERVALS_MS: Final = (
    5 * SECOND_MS,
    30 * SECOND_MS,
    2 * MINUTE_MS,
    10 * MINUTE_MS,
    30 * MINUTE_MS,
    HOUR_MS,
    2 * HOUR_MS,
    4 * HOUR_MS,
    8 * HOUR_MS,
    8 * HOUR_MS,
)
"""From one attempt at a delivery to the next; the first is made at once, the last a day later."""

WEBHOOKS_MOST: Final = 20
"""How many webhooks an operator may have."""

WAITING_MOST: Final = 10_000
"""How many deliveries may wait for one webhook; what comes then can only be replayed."""

BACKLOG_FULL: Final = "backlog_full"
"""Why a delivery ended that was never sent: too many waited before it."""


class WebhookEvent(enum.StrEnum):
    """What a webhook is told of; a ``ping`` is sent only when somebody asks for a test."""

    OPENED = "alert.opened"
    CHANGED = "alert.changed"
    CLOSED = "alert.closed"
    PING = "ping"


ALERT_EVENTS: Final = (WebhookEvent.OPENED, WebhookEvent.CHANGED, WebhookEvent.CLOSED)


class Webhook(msgspec.Struct, frozen=True, kw_only=True):
    """Where an operator's alerts are told of, and which.

    Secrets are under the instance key, sealed in the context ``webhook:<webhook_id>``. After they
    were rotated, what goes out is signed with the old one too, until ``old_until_ms``.
    """

    webhook_id: str
    operator_id: str
    name: str
    url: str
    events: tuple[WebhookEvent, ...] = ALERT_EVENTS
    min_severity: AlertSeverity = AlertSeverity.LOW
    active: bool = True
    sealed_secret: bytes = b""
    sealed_old: bytes | None = None
    old_until_ms: int | None = None
    created_ms: int = 0
    updated_ms: int = 0


class NewSecret(NamedTuple):
    """A webhook with its new secret, readable this once."""

    webhook: Webhook
    secret: str


class OwedDelivery(Owed, frozen=True, kw_only=True):
    """A delivery: the push of an event to a webhook; those of one alert go in their order."""

    operator_id: str
    event_id: str
    event: WebhookEvent
    alert_no: int | None = None


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """Where deliveries go and what they are signed with; secrets in the clear, never logged."""

    url: str
    secrets: tuple[str, ...]

    def __repr__(self) -> str:
        """Return where it leads, without what must not be written down."""
        return f"Target({self.url!r})"
