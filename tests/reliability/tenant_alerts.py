"""Alerts and webhooks for the matrix of tenants."""

import secrets
from pathlib import Path

from tests.contract.client import ContractClient
from tests.databases import change

WEBHOOKS = "/v1/operator/webhooks"
HOOK = {"url": "https://alerts.invalid/tellus", "name": "Spare", "active": False}
"""A webhook that nothing is sent to, so that what it is owed stays as it is."""

_OWN, _SPARE = 4, 5


def add_alert(data_dir: Path, device_id: str) -> str:
    """Write an alert about a charger into the store of a running server; return its id.

    What finds alerts takes its time; the matrix only asks who may see one.
    """
    alert_id = f"alr_{secrets.token_hex(10)}"
    change(
        data_dir,
        "INSERT INTO alerts (alert_id, operator_id, alert_key, site_id, device_no,"
        " connector_id, code, severity, title, body, found_by, evidence, status, condition,"
        " condition_ms, found, first_ms, last_ms, opened_ms, changed_ms, version)"
        f" SELECT '{alert_id}', operator_id, '{alert_id}', site_id, device_no, 1, 'F-0421', 'high',"
        " 'Contactor', 'It did not close.', 'charger', '{}', 'open', 'present', 1, 1, 1, 1, 1, 1, 1"
        f" FROM devices WHERE device_id = '{device_id}'",
    )
    return alert_id


def add_webhook(operator: ContractClient) -> tuple[str, str]:
    """Make a webhook and owe it a ping; return both ids. Older spare ones are ended."""
    held = operator.get(WEBHOOKS, params={"size": 100}, expect=200).data["items"]
    # The oldest are those that places own; of what cells used up there must not be too much.
    for one in held[_OWN:][:-_SPARE]:
        operator.delete(f"{WEBHOOKS}/{one['webhook_id']}", expect=200)
    webhook_id = operator.post(WEBHOOKS, HOOK, expect=200).data["webhook_id"]
    sent = operator.post(f"{WEBHOOKS}/{webhook_id}/test", expect=200).data
    return str(webhook_id), str(sent["delivery_id"])
