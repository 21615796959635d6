"""Administration: operators, clients, service accounts, sites, provisioning, devices."""

import secrets
from typing import Any

import pytest

from tests.api.tenancy import Charger, Tenant, heartbeat, new_tenant


def make_account(tenant: Tenant, *scopes: str) -> dict[str, Any]:
    """A service account, as its creator is told of it."""
    body = {"name": "robot", "scopes": list(scopes)}
    made: dict[str, Any] = tenant.admin.post("/v1/admin/service-accounts", body, expect=200).data
    return made


def log_in(tenant: Tenant, account: dict[str, Any], **expected: int) -> str:
    """A token of a service account."""
    body = {
        "service_account_id": account["service_account_id"],
        "service_account_secret": account["service_account_secret"],
        "grant_type": "client_credentials",
    }
    reply = tenant.contract.post("/v1/admin/oauth/token", body, **expected)
    return str(reply.json.get("access_token", ""))


def test_operators__created__are_listed_oldest_first(tenant: Tenant) -> None:
    """A tenant has a name and the instance's region; another region is refused."""
    made = tenant.admin.post("/v1/admin/operators", {"name": "Né & Co"}, expect=200).data
    assert made["operator_id"].startswith("op_")
    assert (made["name"], made["region"]) == ("Né & Co", "eu")
    total = tenant.admin.get("/v1/admin/operators").data["total"]
    last = tenant.admin.get(f"/v1/admin/operators?size=1&page={total}", expect=200).data["items"]
    assert last == [made]
    wrong = {"name": "Elsewhere", "region": "us"}
    reply = tenant.admin.post("/v1/admin/operators", wrong, expect=400, code=1001)
    assert reply.details == {"field": "region", "value": "us"}
    tenant.admin.post("/v1/admin/operators", {"name": ""}, expect=400, code=1001)
    tenant.admin.post("/v1/admin/operators", {}, expect=400, code=1002)


def test_client__secret__is_told_once(tenant: Tenant) -> None:
    """What creates a client tells its secret; nothing that reads it does."""
    body = {"operator_id": tenant.operator_id, "scopes": ["read"], "limits": {"queries": 5}}
    made = tenant.admin.post("/v1/admin/clients", body, expect=200).data
    path = f"/v1/admin/clients/{made['client_id']}"
    read = tenant.admin.get(path, expect=200)
    assert made["client_secret"].encode() not in read.body
    assert read.data == made["client"]
    assert read.data["scopes"] == ["read"]
    assert read.data["limits"] == {"queries": 5}
    assert read.data["vin_mode"] == "full"
    assert [one["secret_id"] for one in read.data["secrets"]] == [made["secret_id"]]
    listed = tenant.admin.get(f"/v1/admin/clients?operator_id={tenant.operator_id}&size=100")
    assert read.data in listed.data["items"]
    assert {one["operator_id"] for one in listed.data["items"]} == {tenant.operator_id}


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"scopes": []}, "scopes"),
        ({"scopes": ["admin"]}, "scopes"),
        ({"scopes": ["read"] * 9}, "scopes"),
        ({"limits": {"speed": 5}}, "limits"),
        ({"limits": {"device_hot": 5}}, "limits"),
        ({"limits": {"queries": 0}}, "limits"),
        ({"limits": {"queries": 10_000_000}}, "limits"),
        ({"allowed_networks": ["nowhere"]}, "allowed_networks"),
        ({"allowed_networks": ["10.0.0.1/8"]}, "allowed_networks"),
        ({"cors_origins": ["https://a.example/path"]}, "cors_origins"),
        ({"cors_origins": ["*"]}, "cors_origins"),
        ({"vin_mode": "some"}, "vin_mode"),
        ({"name": ""}, "name"),
    ],
)
def test_client__setting_that_is_not_sound__is_1001_and_changes_nothing(
    tenant: Tenant, changes: dict[str, Any], field: str
) -> None:
    """A setting is judged when a client is made and when it is changed."""
    body = {"operator_id": tenant.operator_id, "scopes": ["read"]} | changes
    reply = tenant.admin.post("/v1/admin/clients", body, expect=400, code=1001)
    assert reply.details["field"].startswith(field)
    path = f"/v1/admin/clients/{tenant.client.client_id}"
    before = tenant.admin.get(path).data
    tenant.admin.patch(path, changes, expect=400, code=1001)
    assert tenant.admin.get(path).data == before


def test_client__patched__keeps_what_is_left_out(tenant: Tenant) -> None:
    """A change names what changes and nothing else."""
    client = tenant.client_with(limits={"queries": 50}, vin_mode="none")
    path = f"/v1/admin/clients/{client.client_id}"
    before = tenant.admin.get(path).data
    after = tenant.admin.patch(path, {"name": "Portal"}, expect=200).data
    assert after == before | {"name": "Portal"}
    assert tenant.admin.patch(path, {}, expect=200).data == after


def test_client__revoked__stays_listed_and_cannot_come_back(tenant: Tenant) -> None:
    """A revoked client is known as such, may be revoked again, and takes no change."""
    client = tenant.client_with()
    path = f"/v1/admin/clients/{client.client_id}"
    for _ in range(2):
        assert tenant.admin.delete(path, expect=200).data is None
    assert "revoked_at" in tenant.admin.get(path, expect=200).data
    tenant.admin.patch(path, {"name": "Back"}, expect=404, code=3001)
    tenant.admin.post(f"{path}/secrets", expect=404, code=3001)


def test_service_account__scopes__are_never_more_than_its_creator_s(tenant: Tenant) -> None:
    """Who may administer accounts hands on only what it has itself."""
    deputy = tenant.contract.bearer(
        log_in(tenant, make_account(tenant, "org:read", "org:write", "site:read")), "admin"
    )
    path = "/v1/admin/service-accounts"
    deputy.post(path, {"name": "x", "scopes": ["site:read", "org:read"]}, expect=200)
    for scope in ("site:write", "device:read", "firmware:write"):
        deputy.post(path, {"name": "x", "scopes": [scope]}, expect=403, code=2003)
    higher = make_account(tenant, "device:write")["service_account_id"]
    deputy.delete(f"{path}/{higher}", expect=403, code=2003)
    deputy.post(f"{path}/{higher}/secret", expect=403, code=2003)
    reply = deputy.post(
        "/v1/admin/sites", {"operator_id": tenant.operator_id, "name": "x"}, expect=403, code=2003
    )
    assert reply.details == {"scope": "site:write"}


def test_service_account__secret_replaced__old_ends_at_once_tokens_where_asked(
    tenant: Tenant,
) -> None:
    """The old secret gets no token any more; tokens live on unless they are revoked too."""
    account = make_account(tenant, "org:read")
    token = log_in(tenant, account, expect=200)
    api = tenant.contract.bearer(token, "admin")
    path = f"/v1/admin/service-accounts/{account['service_account_id']}"
    fresh = tenant.admin.post(f"{path}/secret", expect=200).data
    log_in(tenant, account, expect=401, code=2001)
    log_in(tenant, fresh, expect=200)
    api.get("/v1/admin/operators", expect=200)
    tenant.admin.post(f"{path}/secret", {"revoke_tokens": True}, expect=200)
    api.get("/v1/admin/operators", expect=401, code=2001)
    tenant.admin.delete(path, expect=200)
    log_in(tenant, fresh, expect=401, code=2001)


def test_site__patched__null_takes_away_and_the_rest_stays(tenant: Tenant) -> None:
    """Optional values go with null; what is left out stays; what must be there cannot go."""
    given = {"address": "Kai 1", "location": {"lat": 1, "lng": 2}, "power_capacity": 50}
    site_id = tenant.site("Pier", **given)
    path = f"/v1/admin/sites/{site_id}"
    after = tenant.admin.patch(path, {"address": None, "status": "inactive"}, expect=200).data
    assert "address" not in after
    assert (after["status"], after["power_capacity"]) == ("inactive", 50)
    assert after["location"] == {"lat": 1.0, "lng": 2.0}
    after = tenant.admin.patch(path, {"location": None, "power_capacity": None}, expect=200).data
    assert not {"location", "power_capacity"} & after.keys()
    assert tenant.admin.get(path, expect=200).data == after
    for wrong in (
        {"name": None},
        {"timezone": "Mars/Olympus"},
        {"location": {"lat": 91, "lng": 0}},
    ):
        tenant.admin.patch(path, wrong, expect=400)
    assert tenant.admin.get(path).data == after


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"timezone": "Nowhere"}, "timezone"),
        ({"timezone": "../etc/passwd"}, "timezone"),
        ({"region": "us"}, "region"),
        ({"power_capacity": 0}, "power_capacity"),
        ({"power_capacity": -5}, "power_capacity"),
        ({"location": {"lat": 0, "lng": 181}}, "location.lng"),
        ({"name": "x" * 201}, "name"),
        ({"status": "closed"}, "status"),
    ],
)
def test_site__value_that_is_not_sound__is_1001(
    tenant: Tenant, changes: dict[str, Any], field: str
) -> None:
    """Zones are those of the time-zone database, regions the instance's, figures above nothing."""
    body = {"operator_id": tenant.operator_id, "name": "Pier"} | changes
    reply = tenant.admin.post("/v1/admin/sites", body, expect=400, code=1001)
    assert reply.details["field"] == field


def test_provisioning__listed_and_withdrawn(tenant: Tenant) -> None:
    """What a site expects is listed with what became of it, and can be taken back."""
    sn = f"SN-{secrets.token_hex(8)}"
    body = {"sn": sn, "site_id": tenant.site_id, "model": "TP-DC60", "connectors": 4}
    made = tenant.admin.post("/v1/admin/devices/provision", body, expect=200).data
    assert made["operator_id"] == tenant.operator_id
    query = {"site_id": tenant.site_id, "size": 100}
    items = tenant.admin.get("/v1/admin/provisionings", params=query, expect=200).data["items"]
    found = next(one for one in items if one["sn"] == sn)
    assert (found["model"], found["connectors"]) == ("TP-DC60", 4)
    assert "device_id" not in found
    assert made["enrolment_token"] not in str(items)
    path = f"/v1/admin/provisionings/{sn}"
    tenant.admin.delete(path, expect=200)
    tenant.admin.delete(path, expect=404, code=3001)


def test_provisioning__of_a_known_device__is_4001(tenant: Tenant, charger: Charger) -> None:
    """A serial number that is a device already cannot be expected anew."""
    body = {"sn": charger.sn, "site_id": tenant.site_id}
    tenant.admin.post("/v1/admin/devices/provision", body, expect=409, code=4001)


def test_provisioning__figures__go_before_what_the_charger_says(tenant: Tenant) -> None:
    """Connectors, power and direction given beforehand hold whatever the charger is."""
    sn = f"SN-{secrets.token_hex(8)}"
    body = {"sn": sn, "site_id": tenant.site_id, "connectors": 3, "rated_power_kw": 75, "v2g": True}
    token = tenant.admin.post("/v1/admin/devices/provision", body).data["enrolment_token"]
    device = tenant.server.register(sn, model="TP-AC22", enrolment=token)
    seen = tenant.api.get(f"/v1/operator/devices/{device.device_id}", expect=200).data
    assert [one["connector_id"] for one in seen["connectors"]] == [1, 2, 3]
    assert (seen["rated_power"], seen["v2g"], seen["model"]) == (75.0, True, "TP-AC22")


def test_device__figures_changed__null_lets_the_model_s_count_again(
    tenant: Tenant, charger: Charger
) -> None:
    """An administrator's figure goes before the model's, until it is taken away."""
    path = f"/v1/admin/devices/{charger.device_id}"
    changed = tenant.admin.patch(path, {"rated_power_kw": 90, "v2g": True}, expect=200).data
    assert (changed["rated_power"], changed["v2g"]) == (90.0, True)
    again = tenant.admin.patch(path, {"rated_power_kw": None}, expect=200).data
    assert (again["rated_power"], again["v2g"]) == (180.0, True)
    for wrong in ({"rated_power_kw": 0}, {"v2g": "yes"}):
        tenant.admin.patch(path, wrong, expect=400, code=1001)
    tenant.admin.patch(path, {"site_id": "site_absent"}, expect=404, code=3001)


def test_device__deleted__is_gone_everywhere_and_its_serial_number_free(
    tenant: Tenant, charger: Charger
) -> None:
    """A deleted device is not found; its serial number becomes another device."""
    path = f"/v1/admin/devices/{charger.device_id}"
    tenant.admin.delete(path, expect=200)
    tenant.admin.delete(path, expect=404, code=3001)
    tenant.admin.get(path, expect=404, code=3001)
    tenant.api.get(f"/v1/operator/devices/{charger.device_id}", expect=404, code=3001)
    charger.send("heartbeat", heartbeat(), expect=401, code=2001)
    again = tenant.server.register(charger.sn)
    assert again.device_id != charger.device_id


def test_lists__of_administration__see_every_operator_and_narrow_to_one(
    tenant: Tenant, charger: Charger
) -> None:
    """Sites and devices are listed over all tenants, or of one."""
    new_tenant(tenant.server, tenant.contract).charger()
    for path in ("sites", "devices"):
        total = tenant.admin.get(f"/v1/admin/{path}", expect=200).data["total"]
        query = {"operator_id": tenant.operator_id, "size": 100}
        own = tenant.admin.get(f"/v1/admin/{path}", params=query, expect=200).data
        assert {one["operator_id"] for one in own["items"]} == {tenant.operator_id}
        assert 1 <= own["total"] < total
