"""Peers of the matrix's tenants: their clients, what they may see, and what they are owed."""

import secrets
from typing import Any

from tests.contract.client import ContractClient

NOWHERE = "https://127.0.0.1:9/v1"
"""An address that no push goes to."""


def add_peer(admin: ContractClient, operator_id: str, **settings: Any) -> tuple[str, str]:
    """A peer of an operator; its id and its secret."""
    body = {"operator_id": operator_id, "name": "Peer"} | settings
    made = admin.post("/v1/admin/peers", body, expect=200).data
    return made["peer_id"], made["peer_secret"]


def share_site(admin: ContractClient, peer_id: str, site_id: str) -> None:
    """Share a site, at a known place, with a peer."""
    place = {"location": {"lat": 1.0, "lng": 2.0}}
    admin.request("PATCH", f"/v1/admin/sites/{site_id}", json=place, expect=200)
    admin.post(f"/v1/admin/peers/{peer_id}/shares", {"site_id": site_id}, expect=200)


def token_of(contract: ContractClient, peer_id: str, secret: str) -> str:
    """A token of a peer's client."""
    asked = {"grant_type": "client_credentials", "client_id": peer_id, "client_secret": secret}
    answer = contract.post("/v1/operator/oauth/token", asked, expect=200)
    return str(answer.json["access_token"])


def start_body(device_id: str) -> dict[str, Any]:
    """A start of an order that nobody has used yet."""
    return {
        "OrderId": f"order-{secrets.token_hex(8)}",
        "ChargePointId": device_id,
        "ConnectorId": 2,
    }


def add_push(admin: ContractClient, operator_id: str, site_id: str, device_id: str) -> str:
    """A push that waits and goes nowhere: of a start that failed since another one runs."""
    peer_id, secret = add_peer(admin, operator_id, push_url=NOWHERE)
    share_site(admin, peer_id, site_id)
    peer = admin.bearer(token_of(admin, peer_id, secret), "peer")
    words = {
        peer.post("/v1/cp/start_charging", start_body(device_id), expect=200).json["Status"]
        for _ in range(2)
    }
    assert "START_FAILED" in words
    admin.request("PATCH", f"/v1/admin/peers/{peer_id}", json={"push_url": None}, expect=200)
    listed = admin.get("/v1/admin/pushes", params={"peer_id": peer_id}, expect=200).data["items"]
    return str(listed[0]["push_id"])


POINT = {
    "ChargeBoxId": "F-1",
    "CreateTime": "2024-01-08 15:30:00",
    "Type": "DC",
    "Power": 120,
    "Longitude": 2.0,
    "Latitude": 1.0,
    "Connectors": [{"ConnectorId": 1, "Status": "Available"}],
}
WORK = {
    "OrderId": "order-1",
    "DeviceVendorOrderId": "vendor-1",
    "ChargePointId": "F-1",
    "ConnectorId": 1,
    "ChangeTime": "2024-01-08 15:30:00",
    "Status": "CHARGING",
}
"""What peers tell of their own."""
