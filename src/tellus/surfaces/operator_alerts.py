"""Alerts on the operator's surface, and the webhooks that are told of them."""

from functools import partial
from typing import Final

from tellus.alerts import operator_api as alerts
from tellus.alerts import operator_api_webhooks as webhooks
from tellus.consent.model import Service
from tellus.kernel.call import Audience
from tellus.kernel.paging import Page, PageQuery
from tellus.surfaces.routes import LimitClass, Route

_ALERT: Final = "/v1/operator/alerts/{alert_id}"

_WEBHOOKS: Final = "/v1/operator/webhooks"
_WEBHOOK: Final = f"{_WEBHOOKS}/{{webhook_id}}"

_query = partial(
    Route, "GET", audience=Audience.OPERATOR, scope="read", limit=LimitClass.QUERIES,
    tag="Operator: alerts",
)  # fmt: skip
_control = partial(
    Route, audience=Audience.OPERATOR, scope="write", limit=LimitClass.CONTROL,
    tag="Operator: alerts",
)  # fmt: skip

OPERATOR_ALERT_ROUTES: Final[tuple[Route, ...]] = (
    _query(
        "/v1/operator/alerts", "listAlerts", alerts.list_alerts,
        query=alerts.AlertsQuery, response=Page[alerts.AlertItem],
        table=alerts.tabulate_alerts,
        service=Service.DIAGNOSTICS, sifts=True,
        summary="List alerts",
        description="What needs, or needed, somebody's attention, newest first. One alert is live"
        " per matter, however often it is found. `since` goes by the last change of status,"
        " condition or severity.",
    ),
    _query(
        _ALERT, "getAlert", alerts.get_alert, response=alerts.AlertResponse,
        service=Service.DIAGNOSTICS,
        summary="Get an alert",
        description="What was found, by whom and on what evidence, the runbook that fits, the"
        " runs for it, and its history.",
    ),
    _control(
        "PATCH", _ALERT, "changeAlert", alerts.change_alert,
        request=alerts.AlertChangeRequest, response=alerts.AlertResponse,
        service=Service.DIAGNOSTICS,
        summary="Say what is done about an alert",
        description="`open` becomes `acknowledged`, `resolved` or `dismissed`; `acknowledged`"
        " becomes `resolved` or `dismissed`; those are ends. 409 with `details.from` and"
        " `details.to` otherwise. Goes to the audit log.",
    ),
    _control(
        "POST", _WEBHOOKS, "createWebhook", webhooks.create_webhook, secret=True,
        request=webhooks.WebhookRequest, response=webhooks.WebhookSecretResponse,
        summary="Have alerts told to an address",
        description="What is sent there is signed with the `secret` of the answer, which is shown"
        " this once: `X-Tellus-Signature` holds `t=<unix seconds>,v1=<hex>`, the HMAC-SHA-256 of"
        " the time, a dot and the body. Goes to the audit log.",
    ),
    _query(
        _WEBHOOKS, "listWebhooks", webhooks.list_webhooks, query=PageQuery,
        response=Page[webhooks.WebhookItem], summary="List webhooks", description="Oldest first.",
    ),
    _query(
        _WEBHOOK, "getWebhook", webhooks.get_webhook, response=webhooks.WebhookItem,
        summary="Get a webhook", description="Where it leads and what it is told of.",
    ),
    _control(
        "PATCH", _WEBHOOK, "updateWebhook", webhooks.update_webhook,
        request=webhooks.WebhookChangeRequest, response=webhooks.WebhookItem,
        summary="Change a webhook",
        description="One that is not `active` is owed nothing new, and gets what it is owed once"
        " it is active again. Goes to the audit log.",
    ),
    _control(
        "DELETE", _WEBHOOK, "deleteWebhook", webhooks.delete_webhook,
        summary="End a webhook",
        description="What it is still owed is not sent any more. Goes to the audit log.",
    ),
    _control(
        "POST", f"{_WEBHOOK}/rotate", "rotateWebhookSecret", webhooks.rotate_webhook_secret,
        secret=True, optional_body=True, request=webhooks.RotateSecretRequest,
        response=webhooks.WebhookSecretResponse, summary="Give a webhook a new secret",
        description="Until the overlap ends, what is sent carries two signatures, with the new"
        " secret and the old. Goes to the audit log.",
    ),
    _control(
        "POST", f"{_WEBHOOK}/test", "testWebhook", webhooks.test_webhook,
        response=webhooks.DeliveryItem, summary="Send a ping",
        description="Sends an event `ping` the way alerts go. Goes to the audit log.",
    ),
    _query(
        f"{_WEBHOOK}/deliveries", "listWebhookDeliveries", webhooks.list_deliveries,
        query=webhooks.DeliveriesQuery, response=Page[webhooks.DeliveryItem],
        service=Service.DIAGNOSTICS, sifts=True,
        summary="List a webhook's deliveries",
        description="What it was sent and is still owed, newest first, with every attempt.",
    ),
    _control(
        "POST", f"{_WEBHOOK}/deliveries/{{delivery_id}}/replay", "replayWebhookDelivery",
        webhooks.replay_delivery, response=webhooks.DeliveryItem,
        service=Service.DIAGNOSTICS,
        summary="Send a delivery again",
        description="Whatever became of it; its `event_id` and body stay the same. Goes to the"
        " audit log.",
    ),
)  # fmt: skip
