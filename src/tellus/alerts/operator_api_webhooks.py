"""Webhooks as operators set them up, and see and replay what they were sent."""

from typing import Annotated, Any, Final

import msgspec
from msgspec import UNSET, Meta, UnsetType

from tellus.alerts.model import Alert, AlertSeverity
from tellus.alerts.model_webhooks import (
    ALERT_EVENTS,
    NewSecret,
    OwedDelivery,
    Webhook,
    WebhookEvent,
)
from tellus.alerts.operator_api import AlertItem, to_item
from tellus.alerts.webhooks import OVERLAP_S, WebhookService
from tellus.audit.model import Actor
from tellus.delivery.model import Outcome, PushState
from tellus.kernel.call import NOTHING, Call, Nothing
from tellus.kernel.errors import InvalidParameter
from tellus.kernel.paging import Page, PageQuery
from tellus.kernel.units import to_text

WebhookName = Annotated[str, Meta(min_length=1, max_length=128)]
WebhookUrl = Annotated[str, Meta(min_length=1, max_length=512)]
EventNames = Annotated[list[WebhookEvent], Meta(min_length=1, max_length=3)]
OverlapS = Annotated[int, Meta(ge=0, le=604_800)]

_ALERT_HREF: Final = "/v1/operator/alerts/{}"


class WebhookRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Where alerts are to be told of.

    ``events`` are some of ``alert.opened``, ``alert.changed`` and ``alert.closed``, by default all;
    alerts milder than ``min_severity`` are left out.
    """

    url: WebhookUrl
    name: WebhookName | UnsetType = UNSET
    events: EventNames | UnsetType = UNSET
    min_severity: AlertSeverity | UnsetType = UNSET
    active: bool | UnsetType = UNSET


class WebhookChangeRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What to change of a webhook; what is left out stays."""

    url: WebhookUrl | UnsetType = UNSET
    name: WebhookName | UnsetType = UNSET
    events: EventNames | UnsetType = UNSET
    min_severity: AlertSeverity | UnsetType = UNSET
    active: bool | UnsetType = UNSET


class RotateSecretRequest(msgspec.Struct, frozen=True, kw_only=True):
    """For how long what is sent is signed with the old secret too (s)."""

    overlap_seconds: OverlapS = OVERLAP_S


class WebhookItem(msgspec.Struct, frozen=True, kw_only=True):
    """Where alerts are told of, and which."""

    webhook_id: str
    name: str
    url: str
    events: list[WebhookEvent]
    min_severity: AlertSeverity
    active: bool
    created_at: str
    updated_at: str
    old_secret_until: str | UnsetType = UNSET


class WebhookSecretResponse(WebhookItem, frozen=True, kw_only=True):
    """A webhook with its new secret, which is shown this once."""

    secret: str


class DeliveriesQuery(PageQuery, frozen=True, kw_only=True):
    """Which deliveries are listed."""

    state: PushState | UnsetType = UNSET


class DeliveryAttemptItem(msgspec.Struct, frozen=True, kw_only=True):
    """An attempt: when it began, how it ended, the receiver's HTTP status where it gave one."""

    at: str
    outcome: Outcome
    http_status: int | UnsetType = UNSET


class DeliveryItem(msgspec.Struct, frozen=True, kw_only=True):
    """An event on its way to a webhook, or there.

    ``attempts`` counts those of the present schedule, ``history`` holds the latest of all, oldest
    first. ``last_outcome`` says why there is no success, or why it was never sent.
    """

    delivery_id: str
    event_id: str
    event: WebhookEvent
    alert_id: str | UnsetType = UNSET
    state: PushState
    attempts: int
    next_attempt_at: str | UnsetType = UNSET
    last_outcome: str | UnsetType = UNSET
    created_at: str
    updated_at: str
    ended_at: str | UnsetType = UNSET
    body: dict[str, Any]
    history: list[DeliveryAttemptItem]


class WebhookEventBody(msgspec.Struct, frozen=True, kw_only=True):
    """What is sent: ``event_id`` is the same however often it comes."""

    event_id: str
    event: WebhookEvent
    created_at: str
    alert: AlertItem | UnsetType = UNSET
    text: str | UnsetType = UNSET
    href: str | UnsetType = UNSET


async def create_webhook(
    webhooks: WebhookService, call: Call[WebhookRequest, Nothing]
) -> WebhookSecretResponse:
    """Have the operator's alerts told of at an address."""
    settings = {"name": "Webhook", "events": ALERT_EVENTS} | _settings(call.body)
    made = await webhooks.create_webhook(
        call.principal.operator_id, settings, _actor(call), call.idempotency_key
    )
    return _to_secret(made)


async def list_webhooks(
    webhooks: WebhookService, call: Call[Nothing, PageQuery]
) -> Page[WebhookItem]:
    """Return the operator's webhooks, oldest first."""
    query = call.query
    held = await webhooks.list_webhooks(call.principal.operator_id)
    page = held[query.offset : query.offset + query.size]
    items = [WebhookItem(**_facts(webhook)) for webhook in page]
    return Page(len(held), query.page, query.size, items)


async def get_webhook(webhooks: WebhookService, call: Call[Nothing, Nothing]) -> WebhookItem:
    """Return a webhook."""
    found = await webhooks.get_webhook(call.principal.operator_id, call.path["webhook_id"])
    return WebhookItem(**_facts(found))


async def update_webhook(
    webhooks: WebhookService, call: Call[WebhookChangeRequest, Nothing]
) -> WebhookItem:
    """Change a webhook."""
    changed = await webhooks.update_webhook(
        call.principal.operator_id, call.path["webhook_id"], _settings(call.body), _actor(call)
    )
    return WebhookItem(**_facts(changed))


async def delete_webhook(webhooks: WebhookService, call: Call[Nothing, Nothing]) -> Nothing:
    """End a webhook."""
    await webhooks.delete_webhook(call.principal.operator_id, call.path["webhook_id"], _actor(call))
    return NOTHING


async def rotate_webhook_secret(
    webhooks: WebhookService, call: Call[RotateSecretRequest, Nothing]
) -> WebhookSecretResponse:
    """Give a webhook a new secret."""
    made = await webhooks.rotate_secret(
        call.principal.operator_id,
        call.path["webhook_id"],
        call.body.overlap_seconds,
        _actor(call),
    )
    return _to_secret(made)


async def test_webhook(webhooks: WebhookService, call: Call[Nothing, Nothing]) -> DeliveryItem:
    """Have a ping sent."""
    delivery = await webhooks.test_webhook(
        call.principal.operator_id, call.path["webhook_id"], _actor(call)
    )
    return _to_delivery(delivery)


async def list_deliveries(
    webhooks: WebhookService, call: Call[Nothing, DeliveriesQuery]
) -> Page[DeliveryItem]:
    """Return a page of what a webhook was, and is, owed, newest first."""
    query = call.query
    total, found = await webhooks.list_deliveries(
        call.principal.operator_id,
        call.path["webhook_id"],
        None if query.state is UNSET else query.state,
        (query.offset, query.size),
        call.withheld,
    )
    return Page(total, query.page, query.size, [_to_delivery(one) for one in found])


async def replay_delivery(webhooks: WebhookService, call: Call[Nothing, Nothing]) -> DeliveryItem:
    """Have a delivery sent again."""
    delivery = await webhooks.replay_delivery(
        call.principal.operator_id,
        call.path["webhook_id"],
        call.path["delivery_id"],
        _actor(call),
    )
    return _to_delivery(delivery)


def show_event(event_id: str, event: WebhookEvent, now_ms: int, alert: Alert | None) -> str:
    """Return the body of an event as it is sent and signed."""
    body = WebhookEventBody(
        event_id=event_id,
        event=event,
        created_at=to_text(now_ms),
        alert=UNSET if alert is None else to_item(alert),
        text=UNSET if alert is None else alert.text,
        href=UNSET if alert is None else _ALERT_HREF.format(alert.alert_id),
    )
    return msgspec.json.encode(body).decode()


def _settings(given: WebhookRequest | WebhookChangeRequest) -> dict[str, Any]:
    """Return the settings that were given.

    Raises:
        InvalidParameter: ``ping`` is among the events: it comes when it is asked for.
    """
    names = ("url", "name", "events", "min_severity", "active")
    held = {name: value for name in names if (value := getattr(given, name)) is not UNSET}
    if "events" in held:
        held["events"] = tuple(event for event in ALERT_EVENTS if event in held["events"])
        if WebhookEvent.PING in (given.events or ()):
            message = "Parameter 'events' must be some of " + ", ".join(ALERT_EVENTS)
            raise InvalidParameter(message, "events")
    return held


def _facts(webhook: Webhook) -> dict[str, Any]:
    until_ms = webhook.old_until_ms
    return {
        "webhook_id": webhook.webhook_id,
        "name": webhook.name,
        "url": webhook.url,
        "events": list(webhook.events),
        "min_severity": webhook.min_severity,
        "active": webhook.active,
        "created_at": to_text(webhook.created_ms),
        "updated_at": to_text(webhook.updated_ms),
        "old_secret_until": UNSET if until_ms is None else to_text(until_ms),
    }


def _to_secret(made: NewSecret) -> WebhookSecretResponse:
    return WebhookSecretResponse(**_facts(made.webhook), secret=made.secret)


def _to_delivery(one: OwedDelivery) -> DeliveryItem:
    return DeliveryItem(
        delivery_id=one.push_id,
        event_id=one.event_id,
        event=one.event,
        alert_id=UNSET if one.alert_no is None else one.ordering_key,
        state=one.state,
        attempts=one.attempts,
        next_attempt_at=UNSET if one.due_ms is None else to_text(one.due_ms),
        last_outcome=one.last_error or UNSET,
        created_at=to_text(one.created_ms),
        updated_at=to_text(one.updated_ms),
        ended_at=UNSET if one.ended_ms is None else to_text(one.ended_ms),
        body=msgspec.json.decode(one.body),
        history=[
            DeliveryAttemptItem(
                at=to_text(attempt.begun_ms),
                outcome=attempt.outcome,
                http_status=UNSET if attempt.http_status is None else attempt.http_status,
            )
            for attempt in one.history
        ],
    )


def _actor(call: Call[Any, Any]) -> Actor:
    return Actor(call.principal.principal_id, call.request_id or None, call.principal.scopes)
