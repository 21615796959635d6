"""The customer's portal: a customer sees the own chargers, ends consent, exports, asks; no more."""

import json
from dataclasses import replace
from typing import Any

from tests.api.consent.agreements import charger_of, grant, revoke
from tests.api.tenancy import Charger, Tenant, event, record, sample
from tests.contract.client import ContractClient

PORTAL = "/v1/customer-portal"
CUSTOMER = "Harbour Ltd"


def portal_of(tenant: Tenant, customer: str = CUSTOMER) -> ContractClient:
    """The portal of a customer."""
    client = tenant.server.create_client(
        tenant.operator_id, ("customer_portal",), customer=customer
    )
    return tenant.contract.operator(client.token)


def lines_of(portal: ContractClient, charger: Charger) -> list[tuple[str, dict[str, Any]]]:
    """The kinds and things of an export."""
    reply = portal.raw("GET", f"{PORTAL}/chargers/{charger.device_id}/export")
    assert reply.status == 200, reply.body
    assert reply.headers["content-type"] == "application/x-ndjson"
    found = [json.loads(line) for line in reply.body.splitlines()]
    return [(one["kind"], one["data"]) for one in found]


def renewed(tenant: Tenant, charger: Charger) -> Charger:
    """The charger with a new token: its last one ended with all consent."""
    asked = {
        "device_id": charger.device_id,
        "device_secret": charger.device_secret,
        "grant_type": "client_credentials",
    }
    token = tenant.contract.post("/v1/device/token", asked, expect=200).json["access_token"]
    return replace(charger, token=token, api=tenant.contract.device(token))


def chargers_in(portal: ContractClient) -> list[str]:
    """The chargers that a portal lists."""
    found = portal.get(f"{PORTAL}/chargers", expect=200).data["items"]
    return [one["device_id"] for one in found]


def test_portal__own_chargers__are_listed_with_what_is_on(tenant: Tenant) -> None:
    """A customer sees the chargers that the own consents name, and which services are on."""
    mine, theirs = charger_of(tenant), charger_of(tenant)
    grant(tenant, "diagnostics", device_id=mine.device_id, customer=CUSTOMER)
    grant(tenant, "flexibility", device_id=mine.device_id, customer="Somebody else")
    grant(tenant, device_id=theirs.device_id, customer="Somebody else")
    portal = portal_of(tenant)
    assert chargers_in(portal) == [mine.device_id]
    shown = portal.get(f"{PORTAL}/chargers/{mine.device_id}", expect=200).data
    services = {one["service"]: (one["agreed"], one["enabled"]) for one in shown["services"]}
    assert services["diagnostics"] == (True, True)
    assert services["flexibility"] == (False, True)
    assert services["firmware"] == (False, False)
    assert shown["consent_required"]
    assert shown["covered"]
    assert len(shown["consent_ids"]) == 1
    foreign = portal.get(f"{PORTAL}/chargers/{theirs.device_id}", expect=404)
    absent = portal.get(f"{PORTAL}/chargers/dvc_nothing", expect=404)
    assert (foreign.code, absent.code) == (3001, 3001)


def test_portal__switching_off__ends_the_consent_at_once(tenant: Tenant) -> None:
    """After a customer's revocation uploads are refused, and the audit log names the client."""
    charger = charger_of(tenant)
    consent = grant(tenant, "diagnostics", device_id=charger.device_id, customer=CUSTOMER)
    portal = portal_of(tenant)
    charger.send("telemetry", sample())
    path = f"{PORTAL}/consents/{consent['consent_id']}/revoke"
    revoked = portal.post(path, {"reason": "No more"}, expect=200).data
    assert (revoked["state"], revoked["reason"]) == ("revoked", "No more")
    assert charger.api.post("/v1/device/telemetry", sample()).status in {401, 403}
    assert chargers_in(portal) == [charger.device_id]
    shown = portal.get(f"{PORTAL}/chargers/{charger.device_id}", expect=200).data
    assert not shown["covered"]
    assert "to" in shown["times"][0]
    assert not any(one["enabled"] for one in shown["services"])
    portal.post(path, expect=409)
    logged = tenant.admin.get(
        "/v1/admin/audit-log", params={"resource_id": consent["consent_id"]}, expect=200
    ).data["items"]
    assert {one["action"]: one["actor"] for one in logged}["consent.revoked"] == (
        revoked["revoked_by"]
    )


def test_portal__consent_of_somebody_else__is_absent(tenant: Tenant) -> None:
    """A customer can neither see nor end another customer's consent."""
    charger = charger_of(tenant)
    consent = grant(tenant, device_id=charger.device_id, customer="Somebody else")
    nameless = grant(tenant, device_id=charger.device_id)
    portal = portal_of(tenant)
    for one in (consent, nameless):
        portal.post(f"{PORTAL}/consents/{one['consent_id']}/revoke", expect=404)
    assert portal.get(f"{PORTAL}/consents", expect=200).data["items"] == []
    assert charger.seen()["device_id"] == charger.device_id


def test_portal__export__holds_everything_of_the_time_of_consent_alone(tenant: Tenant) -> None:
    """An export has what came while the customer's consent held, also after it was revoked."""
    charger = charger_of(tenant)
    other = grant(tenant, device_id=charger.device_id, customer="Before")
    charger.send("events", event(data={"who": "before"}))
    revoke(tenant, other)
    consent = grant(tenant, device_id=charger.device_id, customer=CUSTOMER)
    charger = renewed(tenant, charger)
    charger.send("telemetry", sample())
    charger.send("events", event(data={"who": "mine"}))
    charger.send("charging-records", record())
    revoke(tenant, consent)
    lines = lines_of(portal_of(tenant), charger)
    kinds = [kind for kind, _ in lines]
    assert kinds[0] == "charger"
    assert lines[-1] == ("end", {"lines": len(lines) - 1})
    assert kinds.count("sample") == 1
    events = [data for kind, data in lines if kind == "event"]
    assert [one["data"]["who"] for one in events if one["event_type"] == "plug_in"] == ["mine"]
    consents = [data["consent_id"] for kind, data in lines if kind == "consent"]
    assert consents == [consent["consent_id"]]


def test_portal__site_consent__covers_the_time_at_the_site_alone(tenant: Tenant) -> None:
    """A charger that moves away stays the customer's past, and brings nothing of elsewhere."""
    grant(tenant, site_id=tenant.site_id, customer=CUSTOMER)
    elsewhere = tenant.site()
    grant(tenant, site_id=elsewhere, customer="Next door")
    charger = charger_of(tenant)
    charger.send("events", event(data={"who": "first"}))
    move = {"site_id": elsewhere}
    tenant.admin.request("PATCH", f"/v1/admin/devices/{charger.device_id}", json=move, expect=200)
    charger.send("events", event(data={"who": "second"}))
    for customer, who in ((CUSTOMER, ["first"]), ("Next door", ["second"])):
        portal = portal_of(tenant, customer)
        assert chargers_in(portal) == [charger.device_id]
        lines = lines_of(portal, charger)
        events = [data["data"] for kind, data in lines if kind == "event"]
        assert [one["who"] for one in events if "who" in one] == who
    shown = portal_of(tenant).get(f"{PORTAL}/chargers/{charger.device_id}", expect=200).data
    assert not shown["covered"]
    assert "firmware_version" not in shown


def test_portal__readers__are_those_of_days_with_consent(tenant: Tenant) -> None:
    """A customer sees that the operator's client, and the own portal, have read."""
    charger = charger_of(tenant)
    grant(tenant, device_id=charger.device_id, customer=CUSTOMER)
    charger.seen()
    portal = portal_of(tenant)
    lines_of(portal, charger)
    path = f"{PORTAL}/chargers/{charger.device_id}/readers"
    found = portal.get(path, expect=200).data["items"]
    seen = {(one["reader_kind"], one["kind"]) for one in found}
    assert ("client", "state") in seen
    assert ("customer", "export") in seen
    assert portal.get(path, params={"to_day": "2020-01-01"}, expect=200).data["total"] == 0
    portal.get(path, params={"from_day": "2020-01-02", "to_day": "2020-01-01"}, expect=400)


def test_portal__change_request__is_answered_once(tenant: Tenant) -> None:
    """The operator sees what a customer asks for; the customer sees the answer."""
    charger = charger_of(tenant)
    consent = grant(tenant, "diagnostics", device_id=charger.device_id, customer=CUSTOMER)
    portal = portal_of(tenant)
    wish = {"services": ["diagnostics", "v2g_dispatch"], "note": "We have a car that can"}
    path = f"{PORTAL}/change-requests"
    portal.post(path, wish, expect=400)
    made = portal.post(path, wish | {"consent_id": consent["consent_id"]}, expect=200).data
    portal.post(path, wish | {"device_id": "dvc_nothing"}, expect=404)
    listed = tenant.api.get(
        "/v1/operator/change-requests", params={"status": "open"}, expect=200
    ).data["items"]
    assert [one["request_id"] for one in listed] == [made["request_id"]]
    answer = {"status": "accepted", "note": "From Monday"}
    target = f"/v1/operator/change-requests/{made['request_id']}"
    tenant.api.request("PATCH", target, json=answer, expect=200)
    tenant.api.request("PATCH", target, json=answer, expect=409)
    (seen,) = portal.get(path, expect=200).data["items"]
    assert (seen["status"], seen["answer"]) == ("accepted", "From Monday")
    assert seen["services"] == ["diagnostics", "v2g_dispatch"]


def test_portal__erasure__is_done_once_an_administrator_agrees(tenant: Tenant) -> None:
    """An operator cannot answer it; once accepted the charger is gone, for its customer too."""
    charger = charger_of(tenant)
    grant(tenant, device_id=charger.device_id, customer=CUSTOMER)
    portal = portal_of(tenant)
    path = f"{PORTAL}/chargers/{charger.device_id}/erasure"
    asked = portal.post(path, {"note": "Sold"}, expect=200).data
    assert portal.post(path, expect=200).data["request_id"] == asked["request_id"]
    verdict = {"status": "accepted"}
    tenant.api.request(
        "PATCH", f"/v1/operator/change-requests/{asked['request_id']}", json=verdict, expect=409
    )
    done = tenant.admin.request(
        "PATCH", f"/v1/admin/change-requests/{asked['request_id']}", json=verdict, expect=200
    ).data
    receipt = tenant.admin.get(f"/v1/admin/erasures/{done['erasure_id']}", expect=200).data
    assert receipt["device_id"] == charger.device_id
    assert chargers_in(portal) == []
    (kept,) = portal.get(f"{PORTAL}/change-requests", expect=200).data["items"]
    assert (kept["kind"], kept["status"]) == ("erasure", "accepted")


def test_portal__its_client__may_do_nothing_else(tenant: Tenant) -> None:
    """The scope goes with no other, and opens no other door."""
    bodies: list[dict[str, Any]] = [
        {"scopes": ["customer_portal"]},
        {"scopes": ["customer_portal", "read"], "customer": CUSTOMER},
        {"scopes": ["read"], "customer": CUSTOMER},
    ]
    for body in bodies:
        made = {"operator_id": tenant.operator_id} | body
        assert tenant.admin.post("/v1/admin/clients", made, expect=400).code == 1001
    portal = portal_of(tenant)
    portal.get("/v1/operator/devices", expect=403)
    tenant.api.get(f"{PORTAL}/chargers", expect=403)
