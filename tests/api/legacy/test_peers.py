"""Peers as administrators keep them, and what their clients may and may not do."""

from typing import Any

import pytest

from tests.api.legacy.partner import Partner, new_partner, present
from tests.api.tenancy import Tenant

PEERS = "/v1/admin/peers"


def test_peer__settings__are_kept_and_the_secret_is_never_shown(own: Tenant) -> None:
    """What we prove ourselves with goes in and does not come out; null takes a setting away."""
    partner = new_partner(
        own,
        auth="client_credentials",
        token_url="https://peer.example/v1/operator/oauth/token",
        auth_id="us",
        auth_secret="between-us-and-them",
    )
    shown = own.admin.get(f"{PEERS}/{partner.peer_id}", expect=200)
    assert b"between-us" not in shown.body
    assert (shown.data["auth"], shown.data["auth_id"]) == ("client_credentials", "us")
    assert [share["id"] for share in shown.data["shares"]] == [own.site_id]
    changed = own.admin.request(
        "PATCH",
        f"{PEERS}/{partner.peer_id}",
        json={"push_url": None, "timezone": "Europe/Oslo"},
        expect=200,
    ).data
    assert "push_url" not in changed
    assert (changed["timezone"], changed["auth_id"]) == ("Europe/Oslo", "us")
    listed = own.admin.get(PEERS, params={"operator_id": own.operator_id}, expect=200).data
    assert partner.peer_id in [item["peer_id"] for item in listed["items"]]


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"push_url": "ftp://peer.example"}, "push_url"),
        ({"push_url": "https://user:word@peer.example/v1"}, "push_url"),
        ({"push_url": "https://peer.example/v1?key=1"}, "push_url"),
        ({"push_url": "https://peer.example/\r\nv1"}, "push_url"),
        ({"push_url": "https://peer.example\\@127.0.0.1/v1"}, "push_url"),
        ({"push_url": "https://0.0.0.0/v1"}, "push_url"),
        ({"timezone": "Mars/Olympus"}, "timezone"),
        ({"auth": "bearer"}, "auth_secret"),
        ({"auth": "client_credentials", "auth_secret": "x"}, "token_url"),
    ],
)
def test_peer__setting_that_is_not_sound__is_refused_by_name(
    own: Tenant, settings: dict[str, Any], field: str
) -> None:
    """A peer that could not be called as configured is not stored."""
    body = {"operator_id": own.operator_id, "name": "Bad"} | settings
    refused = own.admin.post(PEERS, body)
    assert (refused.status, refused.details["field"]) == (400, field)


def test_peers_client__at_other_surfaces__is_refused(own: Tenant, partner: Partner) -> None:
    """A peer's token opens the legacy paths and nothing else; an operator's opens all but those."""
    device = own.charger().device_id
    for path in ("sites", "devices", f"devices/{device}", "foreign-orders", "charging-records"):
        refused = partner.api.get(f"/v1/operator/{path}")
        assert (refused.status, refused.code) == (403, 2003)
    started = partner.api.post(f"/v1/operator/devices/{device}/connectors/1/start")
    assert started.status == 403
    assert partner.api.get("/v1/admin/peers").status == 401
    for method, path, body in (
        ("PUT", "/v1/customer/query_station_info", {}),
        ("PUT", "/v1/cp/query_station_status", [device]),
        ("POST", "/v1/cp/stop_charging", {"ChargePointId": device, "ConnectorId": 1}),
    ):
        assert own.api.request(method, path, json=body).status == 403
        assert own.contract.request(method, path, json=body).status == 401


def test_scope_peer__given_by_hand__is_refused(own: Tenant, partner: Partner) -> None:
    """No other client gets it, and a peer's client gets no other."""
    body = {"operator_id": own.operator_id, "scopes": ["read", "peer"]}
    assert own.admin.post("/v1/admin/clients", body).details["field"] == "scopes"
    path = f"/v1/admin/clients/{partner.peer_id}"
    for scopes in (["read"], ["peer", "write"]):
        assert own.admin.request("PATCH", path, json={"scopes": scopes}).status == 400
    changed = own.admin.request("PATCH", path, json={"limits": {"control": 60}}, expect=200)
    assert changed.data["scopes"] == ["peer"]


def test_peer__deleted__is_gone_with_its_token_and_what_it_is_owed(own: Tenant) -> None:
    """From that moment it sees nothing, and nothing more is sent to it."""
    partner = new_partner(own)
    charger = present(own.charger("TP-AC22"))
    assert partner.start("last", charger).json["Status"] == "STARTING"
    own.admin.delete(f"{PEERS}/{partner.peer_id}", expect=200)
    refused = partner.api.request("PUT", "/v1/customer/query_station_info", json={})
    assert (refused.status, refused.code) == (401, 2001)
    assert own.admin.get(f"{PEERS}/{partner.peer_id}").status == 404
    assert own.admin.delete(f"{PEERS}/{partner.peer_id}").status == 404
    params = {"peer_id": partner.peer_id, "state": "waiting"}
    assert own.admin.get("/v1/admin/pushes", params=params, expect=200).data["total"] == 0


def test_peer__administered__is_in_the_audit_log(own: Tenant) -> None:
    """Who made, changed, shared and ended a peer is on record, without a secret."""
    partner = new_partner(own, auth="bearer", auth_secret="not-for-the-log")
    path = f"{PEERS}/{partner.peer_id}"
    own.admin.request("PATCH", path, json={"name": "Renamed"}, expect=200)
    own.admin.delete(f"{path}/shares/{own.site_id}", expect=200)
    assert own.admin.delete(f"{path}/shares/{own.site_id}").status == 404
    own.admin.delete(path, expect=200)
    page = own.admin.get("/v1/admin/audit-log", params={"resource_id": partner.peer_id}, expect=200)
    actions = [entry["action"] for entry in reversed(page.data["items"])]
    assert [action for action in actions if action.startswith("peer.")] == [
        "peer.created",
        "peer.shared",
        "peer.updated",
        "peer.unshared",
        "peer.deleted",
    ]
    assert b"not-for-the-log" not in page.body
