"""What is known of a device beyond its operation, over the wire: product, connection, life."""

from typing import Any

import pytest

from tests.api.tenancy import Charger, Tenant, heartbeat, new_tenant
from tests.contract.client import ContractClient
from tests.server import RunningServer

IMEI = "356938035643809"


@pytest.fixture(scope="module")
def tenant(server: RunningServer, contract: ContractClient) -> Tenant:
    """An operator of this module's own."""
    return new_tenant(server, contract)


def included(charger: Charger, *names: str) -> dict[str, Any]:
    """The device with what is asked for beside it."""
    query = {"include": ",".join(names)}
    path = f"/v1/operator/devices/{charger.device_id}"
    shown: dict[str, Any] = charger.operator.get(path, params=query, expect=200).data
    return shown


def test_device__asked_for_its_product__shows_what_its_model_is_known_for(tenant: Tenant) -> None:
    """Known models come from the catalogue; of others there is what the charger said of itself."""
    known = included(tenant.charger("TP-AC22"), "product")
    assert known["product"] == {
        "brand": "Tellus Power",
        "product_name": "TP-AC22 AC wallbox",
        "rated_power_kw": 22.0,
        "current_type": "AC",
        "phases": 3,
        "connector_types": ["Type 2"],
    }
    assert not {"connectivity", "lifecycle", "events"} & known.keys()
    other = included(tenant.charger("Homemade"), "product")
    assert other["product"] == {"brand": "Maker", "product_name": "Homemade"}


def test_device__connected__shows_how_and_only_to_its_operator(tenant: Tenant) -> None:
    """What registration and heartbeats say is merged; the administrators' answers leave it out."""
    told = {"type": "cellular", "imei": IMEI}
    charger = tenant.charger(mac="02:00:00:00:00:01", connectivity=told)
    charger.send("heartbeat", heartbeat(connectivity={"signal_strength_dbm": -71}))
    shown = included(charger, "connectivity")
    assert shown["connectivity"] == told | {
        "signal_strength_dbm": -71,
        "mac_address": "02:00:00:00:00:01",
        "last_heartbeat_at": shown["last_heartbeat"],
    }
    charger.send("heartbeat", heartbeat(connectivity={"signal_strength_dbm": -73}))
    charger.send("heartbeat", heartbeat(connectivity={"type": "ethernet"}))
    link = included(charger, "connectivity")["connectivity"]
    assert link["type"] == "ethernet"
    assert "signal_strength_dbm" not in link
    path = f"/v1/admin/devices/{charger.device_id}"
    reply = tenant.admin.get(path, expect=200)
    assert IMEI not in reply.body.decode()


def test_heartbeat__imei_malformed__is_refused_without_saying_it(tenant: Tenant) -> None:
    """A wrong identity of a modem is 1001 by field; the answer does not repeat it."""
    charger = tenant.charger()
    body = heartbeat(connectivity={"imei": "35693803564380X"})
    reply = charger.send("heartbeat", body, expect=400)
    assert reply.json["details"]["field"] == "connectivity.imei"
    assert "35693803564380X" not in reply.body.decode()


def test_device__in_use__shows_since_when_and_what_administrators_set(tenant: Tenant) -> None:
    """The first use of the secret is the activation; warranty, batch and end are set by hand."""
    charger = tenant.charger()
    today = heartbeat()["timestamp"][:10]
    fresh = included(charger, "lifecycle")["lifecycle"]
    assert fresh["activation_status"] == "activated"
    assert (fresh["activation_date"] <= today, fresh["usage_duration_days"]) == (True, 0)
    path = f"/v1/admin/devices/{charger.device_id}/lifecycle"
    asked = {
        "activation_date": "2025-01-31",
        "warranty_expires_at": "2030-01-31T12:00:00+02:00",
        "manufacturing_batch": "B-7",
    }
    said = tenant.admin.patch(path, asked, expect=200).data
    assert said["warranty_expires_at"] == "2030-01-31T10:00:00Z"
    assert said["usage_duration_days"] > 300
    shown = included(charger, "lifecycle")["lifecycle"]
    assert said == shown | {"device_id": charger.device_id}
    tenant.admin.patch(path, {"decommissioned_at": "2025-02-10T00:00:00Z"}, expect=200)
    shown = included(charger, "lifecycle")["lifecycle"]
    assert (shown["activation_status"], shown["usage_duration_days"]) == ("decommissioned", 10)
    asked = {"decommissioned_at": None, "manufacturing_batch": None}
    said = tenant.admin.patch(path, asked, expect=200).data
    assert said["activation_status"] == "activated"
    assert "manufacturing_batch" not in said
    query = {"resource_id": charger.device_id, "resource_type": "device"}
    logged = charger.operator.get("/v1/operator/audit-logs", params=query, expect=200).body
    assert logged.count(b"lifecycle_changed") == 3


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"activation_date": "2025-02-30"}, "activation_date"),
        ({"activation_date": "2025-02-28T00:00:00Z"}, "activation_date"),
        ({"decommissioned_at": "2001-01-01T00:00:00Z"}, "decommissioned_at"),
    ],
)
def test_lifecycle__no_date_or_an_end_before_the_beginning__is_refused(
    tenant: Tenant, body: dict[str, Any], field: str
) -> None:
    """A day that does not exist, a time for a date, and an end before the beginning are 1001."""
    path = f"/v1/admin/devices/{tenant.charger().device_id}/lifecycle"
    reply = tenant.admin.patch(path, body, expect=400)
    assert (reply.code, reply.json["details"]["field"]) == (1001, field)


def test_device__at_an_inactive_site__is_suspended(tenant: Tenant) -> None:
    """A site that is switched off takes its devices with it, and back."""
    site_id = tenant.site("Closed")
    charger = tenant.charger(site_id=site_id)
    for status, shown in (("inactive", "suspended"), ("active", "activated")):
        tenant.admin.patch(f"/v1/admin/sites/{site_id}", {"status": status}, expect=200)
        assert included(charger, "lifecycle")["lifecycle"]["activation_status"] == shown


def test_devices__listed_with_all_that_is_known__show_it_of_each(tenant: Tenant) -> None:
    """The list takes the same words as one device, but for its events; others are named."""
    site_id = tenant.site("Listed")
    chargers = [tenant.charger(site_id=site_id) for _ in range(3)]
    query = {"site_id": site_id, "include": "product, connectivity,lifecycle"}
    items = tenant.api.get("/v1/operator/devices", params=query, expect=200).data["items"]
    assert [one["device_id"] for one in items] == [one.device_id for one in chargers]
    for item in items:
        assert item["product"]["product_name"] == "TP-DC180 DC charger"
        assert item["lifecycle"]["activation_status"] == "activated"
        assert "connectivity" in item
    for path, word in (
        ("/v1/operator/devices", "events"),
        (f"/v1/operator/devices/{chargers[0].device_id}", "secrets"),
    ):
        reply = tenant.api.get(path, params={"include": f"product,{word}"}, expect=400)
        assert (reply.code, reply.json["details"]["value"]) == (1001, word)
