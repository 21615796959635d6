"""Signatures of webhooks, against vectors made with another tool, and who wants to hear what."""

import pytest

from tellus.alerts.model import AlertChange, AlertSeverity
from tellus.alerts.model_webhooks import Webhook, WebhookEvent
from tellus.alerts.rules import opened, with_status
from tellus.alerts.rules_webhooks import sign, wants
from tests.unit.alerts.alert_bench import BEGAN_MS, finding


def test_sign__known_secret_time_and_body__is_the_known_signature() -> None:
    """The signature is what ``openssl dgst -sha256 -hmac`` makes of time, dot and body."""
    expected = "059e6574677cbf2592bb245e9489e0b64905ac7665c0e52e8691340dcd3aa246"
    assert sign(["whsec_test"], b'{"event":"ping"}', 1_790_000_000) == (
        f"t=1790000000,v1={expected}"
    )
    both = sign(["whsec_test", "whsec_old"], b'{"event":"ping"}', 1_790_000_000)
    assert both.startswith(f"t=1790000000,v1={expected},v1=")


@pytest.mark.parametrize(
    ("events", "severity", "active", "wanted"),
    [
        ((WebhookEvent.OPENED,), AlertSeverity.LOW, True, [True, False]),
        ((WebhookEvent.CLOSED,), AlertSeverity.HIGH, True, [False, True]),
        ((WebhookEvent.OPENED, WebhookEvent.CLOSED), AlertSeverity.CRITICAL, True, [False, False]),
        ((WebhookEvent.OPENED, WebhookEvent.CLOSED), AlertSeverity.LOW, False, [False, False]),
    ],
)
def test_wants__events_severity_and_activity__all_have_to_fit(
    events: tuple[WebhookEvent, ...],
    severity: AlertSeverity,
    active: bool,  # noqa: FBT001 - a column of the table
    wanted: list[bool],
) -> None:
    """A webhook hears of what it names, when it is grave enough and the webhook is active."""
    webhook = Webhook(
        webhook_id="whk_1", operator_id="op_1", name="W", url="https://x", events=events,
        min_severity=severity, active=active,
    )  # fmt: skip
    alert = opened(finding(), "alr_1", BEGAN_MS)
    closed = with_status(alert, alert.status.RESOLVED, BEGAN_MS)
    changes = [AlertChange(None, alert, "platform"), AlertChange(alert, closed, "cl_1")]
    assert [wants(webhook, change) for change in changes] == wanted
