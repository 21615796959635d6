"""Consents on the administration surface, and what they let through."""

import time

import pytest

from tests.api.consent.agreements import CONSENTS, GATE, charger_of, grant, revoke
from tests.api.tenancy import Tenant, event, heartbeat, moment, record, sample


def test_consent__granted_and_revoked__is_kept_with_its_history(tenant: Tenant) -> None:
    """Who granted what, on which evidence, who revoked it and why, is listed afterwards."""
    charger = charger_of(tenant)
    made = grant(
        tenant,
        "diagnostics",
        "energy_reporting",
        device_id=charger.device_id,
        customer="Harbour Ltd",
        evidence="Contract 17",
        to="2125-01-01T00:00:00Z",
    )
    assert made["state"] == "active"
    assert (made["customer"], made["evidence"]) == ("Harbour Ltd", "Contract 17")
    assert made["services"] == ["diagnostics", "energy_reporting"]
    gone = revoke(tenant, made, reason="Contract ended").data
    assert (gone["state"], gone["reason"]) == ("revoked", "Contract ended")
    assert gone["revoked_by"].startswith("sa_")
    query = {"device_id": charger.device_id}
    assert tenant.admin.get(CONSENTS, params=query, expect=200).data["items"] == [gone]
    assert tenant.admin.get(f"{CONSENTS}/{made['consent_id']}", expect=200).data == gone
    assert revoke(tenant, made, expect=409).details["state"] == "revoked"


@pytest.mark.parametrize("covered", ["device_id", "site_id", "operator_id"])
def test_consent__for_a_device_its_site_or_operator__lets_its_services_through(
    tenant: Tenant, covered: str
) -> None:
    """Without it data is 403/2003 naming the service; with it stored; revoked, refused again."""
    charger = charger_of(tenant)
    refused = charger.send("telemetry", sample(), expect=403)
    assert (refused.code, refused.details["service"]) == (2003, "diagnostics")
    named = {
        "device_id": charger.device_id,
        "site_id": tenant.site_id,
        "operator_id": tenant.operator_id,
    }
    made = grant(tenant, "diagnostics", **{covered: named[covered]})
    charger.send("telemetry", sample())
    charger.send("events", event())
    assert charger.send("charging-records", record(), expect=403).details["service"] == (
        "energy_reporting"
    )
    assert len(charger.samples(connector_id=1)) == 1
    revoke(tenant, made)
    assert charger.api.post("/v1/device/telemetry", sample(), expect=401).code == 2001


def test_consent__firmware_below_the_gate__is_409_with_the_version_it_needs(
    tenant: Tenant,
) -> None:
    """Old and semantic versions alike; for firmware alone it is granted, to get past the gate."""
    for version in ("3.1.0", "260420.0106"):
        charger = charger_of(tenant, version)
        refused = grant(tenant, device_id=charger.device_id, expect=409)
        assert (refused.code, refused.details["needs_firmware"]) == (4001, GATE)
        grant(tenant, "firmware", device_id=charger.device_id)
        charger.send("heartbeat", heartbeat())


def test_webhooks__charger_that_may_not_be_looked_at__is_not_told_of(tenant: Tenant) -> None:
    """What follows for the health of a charger from its records is sent with consent alone."""
    silent, looked_at = charger_of(tenant), charger_of(tenant)
    grant(tenant, "energy_reporting", device_id=silent.device_id)
    grant(tenant, device_id=looked_at.device_id)
    asked = {"name": "W", "url": "https://alerts.invalid/x"}
    hook = tenant.api.post("/v1/operator/webhooks", asked, expect=200).data
    path = f"/v1/operator/webhooks/{hook['webhook_id']}/deliveries"
    for charger in (silent, looked_at):
        times = {"start_time": moment(3_600), "end_time": moment(5)}
        charger.send("charging-records", record(stop_reason="ev_disconnected", **times))
    until_s = time.monotonic() + 20
    told: list[str] = []
    while looked_at.device_id not in told and time.monotonic() < until_s:
        time.sleep(0.2)
        owed = tenant.api.get(path, expect=200).data["items"]
        told = [one["body"]["alert"]["device_id"] for one in owed]
    assert told == [looked_at.device_id]
