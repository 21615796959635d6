"""A partner platform of a tenant: its calls, and what it is owed."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.api.tenancy import Charger, Tenant, event, heartbeat, moment, record, sample
from tests.contract.client import ContractClient, Reply

NOWHERE = "https://127.0.0.1:9/v1"
"""An address that no push goes to, so that what is owed can be looked at."""
PATIENCE_S = 10.0


@dataclass
class Partner:
    """A peer with its token, and the tenant that deals with it."""

    peer_id: str
    secret: str
    api: ContractClient
    tenant: Tenant

    def share(self, **what: str) -> Reply:
        """Share a site or a device with it, as the administrator."""
        return self.tenant.admin.post(f"/v1/admin/peers/{self.peer_id}/shares", what)

    def info(self, **body: Any) -> dict[str, Any]:
        """A page of the charge points it sees."""
        answer: dict[str, Any] = self.api.request(
            "PUT", "/v1/customer/query_station_info", json=body, expect=200
        ).json
        return answer

    def statuses(self, *device_ids: str) -> list[dict[str, Any]]:
        """Charge points as they are now."""
        answer: list[dict[str, Any]] = self.api.request(
            "PUT", "/v1/cp/query_station_status", json=list(device_ids), expect=200
        ).json
        return answer

    def start(self, order_id: str, charger: Charger, way: str = "charging", **more: Any) -> Reply:
        """Start an order at the first connector."""
        body = {"OrderId": order_id, "ChargePointId": charger.device_id, "ConnectorId": 1} | more
        return self.api.post(f"/v1/cp/start_{way}", body)

    def stop(self, charger: Charger, way: str = "charging") -> str:
        """Stop what runs at the first connector; the word of the answer."""
        body = {"ChargePointId": charger.device_id, "ConnectorId": 1}
        word: str = self.api.post(f"/v1/cp/stop_{way}", body, expect=200).json["Status"]
        return word

    def pushes(self, operation: str = "notify_work_status") -> list[dict[str, Any]]:
        """What it is or was owed, oldest first, as it would go out."""
        admin = self.tenant.admin
        listed = admin.get(
            "/v1/admin/pushes", params={"peer_id": self.peer_id, "size": 100}, expect=200
        ).data["items"]
        found = []
        for one in reversed(listed):
            if one["operation"] == operation:
                shown = admin.get(f"/v1/admin/pushes/{one['push_id']}", expect=200).data
                body = shown["body"]
                found.append(json.loads(body) if isinstance(body, str) else body)
        return found

    def words(self) -> list[str]:
        """The statuses of orders that it is or was owed, in order, repeats as one."""
        words: list[str] = []
        for push in self.pushes():
            if not words or words[-1] != push["Status"]:
                words.append(push["Status"])
        return words


def new_partner(tenant: Tenant, **settings: Any) -> Partner:
    """A peer of a tenant that the tenant's site is shared with, at a known place."""
    body = {"location": {"lat": 54.3165, "lng": 10.1377}}
    tenant.admin.request("PATCH", f"/v1/admin/sites/{tenant.site_id}", json=body, expect=200)
    asked = {"operator_id": tenant.operator_id, "name": "Partner", "push_url": NOWHERE} | settings
    made = tenant.admin.post("/v1/admin/peers", asked, expect=200).data
    credentials = {"client_id": made["peer_id"], "client_secret": made["peer_secret"]}
    asked = credentials | {"grant_type": "client_credentials"}
    token = tenant.contract.post("/v1/operator/oauth/token", asked, expect=200).json["access_token"]
    api = tenant.contract.bearer(token, "peer")
    partner = Partner(made["peer_id"], made["peer_secret"], api, tenant)
    assert partner.share(site_id=tenant.site_id).status == 200
    return partner


def wait_until(holds: Callable[[], bool], what: str) -> None:
    """Return once something holds that follows by itself."""
    until_s = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < until_s, f"{what} did not happen"
        time.sleep(0.05)


def present(charger: Charger) -> Charger:
    """The charger, online."""
    charger.send("heartbeat", heartbeat())
    return charger


def take_command(charger: Charger, name: str, status: str = "accepted") -> dict[str, Any]:
    """Fetch the one command there is and report on it."""
    [command] = charger.send("heartbeat", heartbeat()).data["commands"]
    assert command["command"] == name
    said = {"command_id": command["command_id"], "status": status, "timestamp": moment()}
    charger.send("command-status", said)
    taken: dict[str, Any] = command
    return taken


def begin(charger: Charger, command: dict[str, Any]) -> None:
    """Tell that charging has begun, and a first sample of it."""
    data = {"reason": "remote"}
    if "transaction_id" in command["params"]:
        data["transaction_id"] = command["params"]["transaction_id"]
    charger.send("events", event(event_type="start", data=data))
    charger.send("telemetry", sample())


def end(charger: Charger, command: dict[str, Any], energy: float) -> None:
    """Tell that the session is over, with its record, and that the vehicle has left."""
    charger.send("events", event(event_type="stop"))
    final = record(
        start_time=moment(60), end_time=moment(), energy=energy, meter_end=100.0 + energy
    )
    if "transaction_id" in command["params"]:
        final["transaction_id"] = command["params"]["transaction_id"]
    charger.send("charging-records", final)
    charger.send("events", event(event_type="plug_out"))
