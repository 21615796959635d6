"""The SQL of webhooks."""

from typing import Final

from tellus.alerts.model import AlertSeverity
from tellus.alerts.model_webhooks import Webhook, WebhookEvent
from tellus.storage.database import Row, Tx

_COLUMNS: Final = (
    "webhook_id, operator_id, name, url, kinds, min_severity, active, sealed_secret, sealed_old,"
    " old_until_ms, created_ms, updated_ms"
)


def append_webhook(tx: Tx, webhook: Webhook) -> None:
    """Append a webhook."""
    tx.execute(
        f"INSERT INTO webhooks ({_COLUMNS})"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        webhook.webhook_id,
        webhook.operator_id,
        *_settings(webhook),
        webhook.created_ms,
        webhook.updated_ms,
    )


def update_webhook(tx: Tx, webhook: Webhook) -> None:
    """Write what a webhook is now."""
    tx.execute(
        "UPDATE webhooks SET name = $1, url = $2, kinds = $3, min_severity = $4, active = $5,"
        " sealed_secret = $6, sealed_old = $7, old_until_ms = $8, updated_ms = $9"
        " WHERE webhook_id = $10",
        *_settings(webhook),
        webhook.updated_ms,
        webhook.webhook_id,
    )


def delete_webhook(tx: Tx, webhook_id: str) -> None:
    """Delete a webhook."""
    tx.execute("DELETE FROM webhooks WHERE webhook_id = $1", webhook_id)


def find_webhook(tx: Tx, operator_id: str, webhook_id: str) -> Webhook | None:
    """Return an operator's webhook, or None."""
    row = tx.row(
        f"SELECT {_COLUMNS} FROM webhooks WHERE webhook_id = $1 AND operator_id = $2",
        webhook_id,
        operator_id,
    )
    return None if row is None else _webhook(row)


def find_by_id(tx: Tx, webhook_id: str) -> Webhook | None:
    """Return a webhook of whichever operator, or None."""
    row = tx.row(f"SELECT {_COLUMNS} FROM webhooks WHERE webhook_id = $1", webhook_id)
    return None if row is None else _webhook(row)


def list_of(tx: Tx, operator_id: str) -> list[Webhook]:
    """Return an operator's webhooks, oldest first; there are few."""
    rows = tx.rows(
        f"SELECT {_COLUMNS} FROM webhooks WHERE operator_id = $1 ORDER BY webhook_no", operator_id
    )
    return [_webhook(row) for row in rows]


def _settings(webhook: Webhook) -> tuple[object, ...]:
    return (
        webhook.name,
        webhook.url,
        " ".join(event.value for event in webhook.events),
        webhook.min_severity.value,
        int(webhook.active),
        webhook.sealed_secret,
        webhook.sealed_old,
        webhook.old_until_ms,
    )


def _webhook(row: Row) -> Webhook:
    return Webhook(
        webhook_id=row[0],
        operator_id=row[1],
        name=row[2],
        url=row[3],
        events=tuple(map(WebhookEvent, row[4].split())),
        min_severity=AlertSeverity(row[5]),
        active=bool(row[6]),
        sealed_secret=bytes(row[7]),
        sealed_old=None if row[8] is None else bytes(row[8]),
        old_until_ms=row[9],
        created_ms=row[10],
        updated_ms=row[11],
    )
